"""Build the talk: slides/talk.html, one file that opens without a network, and a handout with the notes.

Run:  python notebooks/talk/build.py [FOLDER]

The words stand in slides.md, the pictures come from the notebooks' stored outputs (figure.py). The slide
engine is reveal.js out of the package sphinx-revealjs; everything is written into the page.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import figure  # noqa: E402

OUT = figure.ROOT / "slides"
STAGE = (1760, 700)  # pixels that a slide of 1920 × 1080 leaves to its picture
TALL = 790  # pixels of height where no line of text stands below it
LABEL, GAP = 50, (24, 12)
FULL_ROWS = 0.15  # by so much smaller panels may be for a grid without a gap at its end
NOTES = ("say", "show", "number", "ask", "next")
ANSWER = 1  # minute: what a slide behind the talk takes
LEAP = "leap"  # instead of next, where the path of 15 minutes leaves slides out
SPOKEN = {
    "say": ("Say", "말하기"),
    "show": ("Show", "보여 주기"),
    "number": ("Number", "숫자"),
    "ask": ("Ask", "질문"),
    "next": ("Next", "다음"),
    "leap": ("Next in the short talk", "짧은 발표에서 다음"),
}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Slide:
    """One slide as slides.md has it.

    Attributes:
        title: What the slide says; of a slide behind the talk, the question.
        behind: Whether it stands behind the talk, for the time of questions.
        fields: Everything else, by the word before the colon.
        sources: (notebook, phrase) for the numbers on it.
    """

    title: str
    behind: bool
    fields: dict[str, str] = field(default_factory=dict)
    sources: list[tuple[str, str]] = field(default_factory=list)

    @property
    def minutes(self) -> float:
        """Return the minutes in the talk of 45; 0 behind it."""
        return float(self.fields.get("minutes", 0))

    @property
    def short(self) -> float | None:
        """Minutes in the path of 15 minutes, or None outside it."""
        return float(self.fields["short"]) if "short" in self.fields else None

    @property
    def labels(self) -> list[str]:
        """Return the words under the panels."""
        return [label.strip() for label in self.fields.get("labels", "").split("|") if label.strip()]

    @property
    def words(self) -> list[str]:
        """Return every word that the audience reads on it."""
        shown = [self.title, self.fields.get("text", ""), *self.labels, *self.choices]
        return [word for word in " ".join(shown).split() if any(letter.isalnum() for letter in word)]

    @property
    def stage(self) -> tuple[int, int]:
        """Return width and height in pixels that are left to the picture."""
        return STAGE if "text" in self.fields else (STAGE[0], TALL)

    @property
    def choices(self) -> list[str]:
        """Return what the audience may vote for."""
        return [c.strip() for c in self.fields.get("choices", "").split("|") if c.strip()]


def read(path: Path = HERE / "slides.md") -> list[Slide]:
    """Return the slides in their order.

    Raises:
        ValueError: If a line is neither a heading nor a field.
    """
    slides, behind = [], False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("# "):
            behind = "behind" in line.lower()
        elif line.startswith("## "):
            slides.append(Slide(line[3:].strip(), behind))
        elif line.strip() and slides:
            found = re.fullmatch(r"([a-z]+(?: ko)?): (.+)", line.strip())
            if not found:
                raise ValueError(f"line {number} of {path.name} is no field: {line!r}")
            name, value = found.groups()
            if name == "from":
                notebook, phrase = re.fullmatch(r'(\w+) "(.+)"', value).groups()
                slides[-1].sources.append((notebook, phrase))
            else:
                slides[-1].fields[name] = value
    return slides


def picture(slide: Slide, still: bool) -> str:
    """Return the HTML of a slide's picture; ``still``: for paper, without anything to press."""
    spec = slide.fields["picture"]
    kind, _, rest = spec.partition(" ")
    if kind == "equation":
        alt, svg, shape = figure.equation(rest)
        width = min(slide.stage[0] - 160, int(320 * shape))
        return figure.image_tag(svg, alt, width=width, height=int(width / shape))
    if kind == "code":
        code = escape((HERE / rest).read_text(encoding="utf-8").strip())
        return "<pre>" + re.sub("(#.*)", r"<i>\1</i>", code) + "</pre>"
    if kind == "live":
        return live(slide, *rest.split(" ", 1), still)
    spec, chosen, numbers = re.fullmatch(r'(.*?")(?: (panels|part) ([\d .]+))?', spec).groups()
    alt, data = figure.find(spec)
    alt = slide.fields.get("alt", alt)
    whole = Image.open(io.BytesIO(data)).convert("RGB")
    if chosen == "panels":
        cut = figure.panels(whole)
        try:
            chosen = [cut[int(n) - 1] if n != "0" else None for n in numbers.split()]
            return panels(chosen, slide.labels, alt, slide.stage, int(slide.fields.get("columns", 0)))
        except IndexError:
            raise figure.NotFound(f"{spec} has {len(cut)} panels, not {numbers}") from None
    if chosen == "part":
        whole = figure.part(whole, numbers)
    factor = min(slide.stage[0] / whole.width, slide.stage[1] / whole.height)
    sides = {"width": int(whole.width * factor), "height": int(whole.height * factor)}
    return figure.image_tag(figure.on_paper(whole), alt, **sides)


def panels(
    pictures: list[Image.Image | None], labels: list[str], alt: str, stage: tuple[int, int], columns: int = 0
) -> str:
    """Lay pictures into a grid, by default the one in which they become largest, with a label under each."""
    label = LABEL if labels else 0
    tall = [p.height / p.width if p else 0 for p in pictures]
    widest, full = 0, False
    for tried in [columns] if columns else range(1, len(pictures) + 1):
        rows = [max(tall[first : first + tried]) for first in range(0, len(tall), tried)]
        by_width = (stage[0] - GAP[0] * (tried - 1)) / tried
        by_height = (stage[1] - GAP[1] * (len(rows) - 1) - label * len(rows)) / sum(rows)
        width = min(by_width, by_height)
        if width * (1 + FULL_ROWS * (len(tall) % tried == 0)) > widest * (1 + FULL_ROWS * full):
            widest, columns, full = width, tried, len(tall) % tried == 0
    cells = []
    for i, each in enumerate(pictures):
        if each is None:
            cells.append(f'<span style="width: {int(widest)}px"></span>')
            continue
        words = labels[i] if i < len(labels) else ""
        caption = f"<figcaption>{escape(words)}</figcaption>" if labels else ""
        said = f"{words or f'picture {i + 1}'}; of: {alt}" if len(pictures) > 1 else alt
        sides = {"width": int(widest), "height": int(widest * each.height / each.width)}
        cells.append(f"<figure>{figure.image_tag(each, said, **sides)}{caption}</figure>")
    width = columns * int(widest) + GAP[0] * (columns - 1)
    return f'<div class="panels" style="width: {width}px">{"".join(cells)}</div>'


def live(slide: Slide, name: str, spec: str, still: bool) -> str:
    """Return a live moment with the stored pictures that take over where nothing can be computed."""
    spec, numbers, evaluations = re.fullmatch(r'(.*") at ([\d ]+) of (\d+)', spec).groups()
    at = [int(n) for n in numbers.split()]
    alt, data = figure.find(spec)
    whole = Image.open(io.BytesIO(data))
    shots = figure.frames(data) if getattr(whole, "n_frames", 1) > 1 else figure.panels(whole)[: len(at)]
    if len(shots) != len(at):
        raise figure.NotFound(f"{spec} has {len(shots)} pictures, not {len(at)}")
    if still:
        count = min(6, len(at))
        some = [round(i * (len(at) - 1) / (count - 1)) for i in range(count)]  # first and last among them
        return panels([shots[i] for i in some], [f"after {at[i]}" for i in some], alt, slide.stage)
    tags = [
        figure.image_tag(shot, f"after {n} evaluations; of: {alt}", **{"data-n": n})
        for n, shot in zip(at, shots, strict=True)
    ]
    tags[1:] = [tag.replace("<img", "<img hidden") for tag in tags[1:]]
    choices = "".join(f"<button>{escape(c)} <b>0</b></button>" for c in slide.choices)
    choices = f'<div class="choices">{choices}</div>' if choices else ""
    return (
        f'<div class="live" data-run="{name}" data-evaluations="{evaluations}" data-patience="60">'
        f'<div class="screen">{"".join(tags)}</div><div class="side">{choices}'
        '<button class="run">Run (r)</button>'
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        'aria-label="total loss by evaluation"><polyline points=""/></svg>'
        '<input class="at" type="range" min="0" value="0" aria-label="evaluation">'
        '<p class="says"></p></div></div>'
    )


def pointer(slide: Slide, slides: list[Slide]) -> str:
    """Return a slide's number and title; talk.js counts anew on the short path."""
    number = slides.index(slide) + 1
    behind = number - sum(not s.behind for s in slides)
    return f'<span class="at" data-at="{behind}">{number}. </span>{escape(slide.title)}'


def notes(slide: Slide, slides: list[Slide], index: bool = False) -> str:
    """Return the speaker's notes in English and Korean, each in a block of its own.

    Args:
        slide: Whose notes.
        slides: All of them: an answer points to its neighbour and back to the talk.
        index: Whether the list of all answers follows.
    """
    blocks = []
    answers = [s for s in slides if s.behind]
    listed = "".join(f"<p>{pointer(s, slides)}</p>" for s in answers)
    listed = f'<div class="answers">{listed}</div>' if index else ""
    for code, which in (("en", 0), ("ko", 1)):
        minutes, short = f"{slide.minutes or ANSWER:g}", f"{slide.short or 0:g}"
        head = (f"{minutes} min", f"{minutes}분")[which]
        if slide.short:
            head += (f" (short talk: {short} min)", f" (짧은 발표: {short}분)")[which]
        lines = [f"<p><b>{head}</b></p>"]
        for name in (*NOTES, LEAP):
            words = slide.fields.get(name + (" ko" if which else ""))
            if words:
                kind = name if name in ("next", "leap") else "spoken"
                lines.append(f'<p class="{kind}"><b>{SPOKEN[name][which]}:</b> {escape(words)}</p>')
        if slide.behind:
            near = next(s for s in answers if s.title == slide.fields["near"])
            back = slides[slides.index(answers[0]) - 1]
            ways = f"{pointer(near, slides)} / {pointer(back, slides)}"
            lines.append(f'<p class="next"><b>{SPOKEN["next"][which]}:</b> {ways}</p>')
        blocks.append(f'<div class="{code}" lang="{code}">{"".join(lines)}{listed}</div>')
    return "".join(blocks)


def body(slide: Slide, still: bool = False) -> str:
    """Return what stands on a slide."""
    text, tall = slide.fields.get("text", ""), "" if "text" in slide.fields else " tall"
    return (
        f'<h2><span>{escape(slide.title)}</span></h2><div class="stage{tall}">{picture(slide, still)}</div>'
        f'<p class="line">{escape(text)}</p><div class="foot"></div>'
    )


def classes(slide: Slide) -> str:
    """Return what kind of slide it is: behind the talk, a question, or a message."""
    return "behind" if slide.behind else "question" if slide.title.endswith("?") else "message"


def deck(slides: list[Slide]) -> str:
    """Return the whole deck as one page."""
    engine = files("sphinx_revealjs") / "_static" / "revealjs"
    css = [(engine / "dist" / name).read_text(encoding="utf-8") for name in ("reset.css", "reveal.css")]
    scripts = [
        (engine / name).read_text(encoding="utf-8") for name in ("dist/reveal.js", "plugin/notes/notes.js")
    ]
    sections = []
    for slide in slides:
        last = slide is [s for s in slides if not s.behind][-1]
        marks = f' data-short="{slide.short * 60:g}"' if slide.short else ""
        ways = (
            '<div class="ways"><a href="?">45 minutes</a><a href="?short">15 minutes</a></div>'
            if slide is slides[0]
            else ""
        )
        sections.append(
            f'<section class="{classes(slide)}" data-timing="{slide.minutes * 60:g}"{marks}>'
            f'{body(slide)}{ways}<aside class="notes">{notes(slide, slides, index=last)}</aside></section>'
        )
    own = {name: (HERE / name).read_text(encoding="utf-8") for name in ("talk.css", "speaker.css", "talk.js")}
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>A Neural Algorithm of Artistic '
        'Style: a talk</title><meta name="viewport" content="width=device-width">'
        '<link rel="icon" href="data:,">'
        f"<style>{''.join(css)}{own['talk.css']}</style>"
        f'<style id="speaker-style" media="not all">{own["speaker.css"]}</style></head>'
        f'<body><div class="reveal"><div class="slides">{"".join(sections)}</div></div>'
        + "".join(f"<script>{script}</script>" for script in (*scripts, own["talk.js"]))
        + "</body></html>\n"
    )


def handout(slides: list[Slide]) -> str:
    """Return a page to print: each slide with its notes in both languages."""
    css = "".join((HERE / name).read_text(encoding="utf-8") for name in ("talk.css", "handout.css"))
    pages = "".join(
        f'<div class="page"><div class="frame"><div class="slide {classes(s)}">{body(s, still=True)}'
        f'</div></div><div class="notes">{notes(s, slides)}</div><p class="number">{i}</p></div>'
        for i, s in enumerate(slides, 1)
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>A Neural Algorithm of Artistic '
        f"Style: handout</title><style>{css}</style></head><body>{pages}</body></html>\n"
    )


def print_pdf(page: Path, pdf: Path) -> bool:
    """Print a page with a headless Chromium; return False where there is none."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not chromium:
        return False
    with tempfile.TemporaryDirectory() as profile:
        command = [
            chromium,
            "--headless",
            "--disable-gpu",
            "--no-pdf-header-footer",
            f"--user-data-dir={profile}",
        ]
        if hasattr(os, "getuid") and os.getuid() == 0:
            command.append("--no-sandbox")  # as root Chromium refuses to start with one
        command += [f"--print-to-pdf={pdf}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
    return pdf.exists()


def build(out: Path = OUT, paper: bool = True) -> Path:
    """Write talk.html and the handout into a folder; return the deck's path."""
    slides = read()
    out.mkdir(parents=True, exist_ok=True)
    (out / "talk.html").write_text(deck(slides), encoding="utf-8")
    if paper:
        page = out / "handout.html"
        page.write_text(handout(slides), encoding="utf-8")
        if not print_pdf(page.resolve(), out.resolve() / "handout.pdf"):
            print("No Chromium or Chrome here: handout.html is written, and no handout.pdf.")
    return out / "talk.html"


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if sys.argv[1:] else OUT))
