"""The handbook of answers, notebooks 7 and 8: read its entries, number them, make them easy to find.

    python notebooks/handbook.py                     numbers, index of words, search fields
    python notebooks/handbook.py --sheet FILE.html   one line for each answer, to print

An entry begins with a heading "### 17. Question?". The paragraph below it is the answer, and the bold
sentence in it is the answer in one line. Evidence follows, then a line "*How sure:* … · *Words:* keyword
한국어; …". A row of a table "| 17 | Question? | Answer. | keyword 한국어; … | [notebook 3](…) |" is an
entry that a lesson answers. A link whose text is a question of the handbook leads to that question.
"""

import argparse
import html
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

FOLDER = Path(__file__).resolve().parent
NAMES = ("07_questions_on_the_method.ipynb", "08_questions_in_practice.ipynb")
INDEX_KEY = "handbook_index"
SEARCH = "search_field()"

HEADING = re.compile(r"^### (\d+|#)\. (.+\?)[ \t]*$", re.MULTILINE)
ROW = re.compile(r"^\| (\d+|#) \| (.+?\?) \| (.+?) \| (.+?) \| (\[.+?\]\(.+?\)) \|$", re.MULTILINE)
GROUP = re.compile(r"^## (?!#)(.+)$", re.MULTILINE)
BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
MYTH = re.compile(r"\*\*Often said, and not so: [^*]*\*\*\s*")
LINK = re.compile(r"\[([^\]\n]+\?)\]\(([^)\s]*)\)")
WORDS = re.compile(r"\*Words:\*(.*)")


@dataclass
class Entry:
    """A question and its answer.

    Attributes:
        number: Counted from 1 through both notebooks.
        group: The heading it stands under.
        question: As Markdown.
        answer: The whole answer, as Markdown.
        line: The answer in one sentence, as Markdown.
        place: Where it stands, "NOTEBOOK#heading", or the lesson's place.
        words: Keywords, each "English 한국어".
        figure: The first picture of its evidence, (kind, base64), if there is one.
    """

    number: int
    group: str
    question: str
    answer: str
    line: str
    place: str
    words: list[str] = field(default_factory=list)
    figure: tuple[str, str] | None = None


def read(folder: Path = FOLDER) -> list[Entry]:
    """Return all entries of the handbook in their order."""
    return [entry for name in NAMES for entry in entries(name, nbformat.read(folder / name, as_version=4))]


def entries(name: str, notebook: nbformat.NotebookNode) -> list[Entry]:
    """Return the entries of one notebook in their order."""
    found, group = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for output in cell.get("outputs", []):
                pictures = [
                    (k, v) for k, v in output.get("data", {}).items() if k in ("image/png", "image/jpeg")
                ]
                if pictures and found and not found[-1].figure and not _is_row(found[-1], name):
                    found[-1].figure = pictures[0]
            continue
        if INDEX_KEY in cell.metadata:
            continue
        for part in re.split(r"^(?=##)", cell.source, flags=re.MULTILINE):
            if heading := GROUP.match(part):
                group = heading[1].strip()
            if heading := HEADING.match(part):
                number, question = int(heading[1].replace("#", "0")), heading[2]
                text = part[heading.end() :].strip().split("\n\n")[0]
                text = " ".join(text.split())
                line = BOLD.search(MYTH.sub("", text))
                place = f"{name}#{anchor(f'{heading[1]}. {question}')}"
                found.append(Entry(number, group, question, text, line[1] if line else "", place))
            for number, question, answer, words, link in ROW.findall(part):
                place = link.split("](")[1][:-1]
                number = int(number.replace("#", "0"))
                found.append(Entry(number, group, question, answer, answer, place, _split(words)))
            if words := WORDS.search(part):
                found[-1].words = _split(words[1])
    return found


def _split(words: str) -> list[str]:
    return [word.strip(" .") for word in words.split(";") if word.strip(" .")]


def _is_row(entry: Entry, name: str) -> bool:
    return not entry.place.startswith(name)


def anchor(heading: str) -> str:
    """Return the fragment by which JupyterLab and exported pages know a heading, given as Markdown."""
    plain = re.sub(r"[`*$]", "", heading).replace(" ", "-")
    return plain.replace("(", "%28").replace(")", "%29")  # in Markdown a bracket would end the link


def numbered(notebook: nbformat.NotebookNode, first: int) -> int:
    """Number the entries of a notebook from ``first`` on, in place, and return the next number."""
    count = iter(range(first, first + 10_000))
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and INDEX_KEY not in cell.metadata:
            both = re.compile(f"{HEADING.pattern}|{ROW.pattern}", re.MULTILINE)
            cell.source = both.sub(
                lambda m: re.sub(r"^(### |\| )(\d+|#)", lambda n: f"{n[1]}{next(count)}", m[0]), cell.source
            )
    return next(count)


def linked(notebook: nbformat.NotebookNode, found: list[Entry]) -> None:
    """Let every link whose text is a question of the handbook lead there, in place."""
    places = {entry.question: entry.place for entry in found}
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and INDEX_KEY not in cell.metadata:
            cell.source = LINK.sub(lambda m: f"[{m[1]}]({places.get(m[1], m[2])})", cell.source)


def index(found: list[Entry]) -> str:
    """Return the index of words as Markdown: each keyword with the numbers of its entries."""
    places = {}
    for entry in found:
        for word in entry.words:
            places.setdefault(word, []).append(f"[{entry.number}]({entry.place.replace(' ', '%20')})")
    lines = [f"| {word} | {', '.join(places[word])} |" for word in sorted(places, key=str.lower)]
    return "\n".join(["## Index of words", "", "| word 한국어 | questions |", "| --- | --- |", *lines])


def page(found: list[Entry]) -> str:
    """Return the search field with every answer as HTML: all stands there, a short script only sorts."""
    items = []
    for entry in found:
        link = f'<a href="{html.escape(entry.place)}">evidence</a>'
        words = html.escape(" ".join(entry.words).lower())
        items.append(
            f'<li value="{entry.number}" data-words="{words}" title="{html.escape(entry.group)}">'
            f"<b>{_inline(entry.question)}</b> {_inline(entry.answer)} {link}</li>"
        )
    template = (FOLDER / "search_field.html").read_text(encoding="utf-8").rstrip()
    return template.replace("ITEMS", "\n".join(items)).replace("COUNT", str(len(found)))


def sheet(found: list[Entry]) -> str:
    """Return a page to print: number, question, answer in one line."""
    rows, group = [], None
    for entry in found:
        if entry.group != group:
            group = entry.group
            rows.append(f'<tr><th colspan="3">{html.escape(group)}</th></tr>')
        question, line = _inline(entry.question), _inline(entry.line)
        rows.append(f"<tr><td>{entry.number}</td><td>{question}</td><td>{line}</td></tr>")
    return (FOLDER / "sheet.html").read_text(encoding="utf-8").replace("ROWS", "\n".join(rows))


def _inline(text: str) -> str:
    """Return Markdown of one paragraph as HTML: bold, italic, code, links; formulas as they are."""
    text = html.escape(text, quote=False)
    text = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r'<a href="\2">\1</a>', text)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", text)


def search_field():
    """Return the search field, to be the last line of a cell."""
    from IPython.display import HTML

    return HTML(page(read()))


def main(arguments: list[str] | None = None) -> int:
    """Bring the two notebooks in order, or write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--sheet", metavar="FILE.html", type=Path, help="write the sheet to print, and nothing else"
    )
    options = parser.parse_args(arguments)
    if options.sheet:
        options.sheet.parent.mkdir(parents=True, exist_ok=True)
        options.sheet.write_text(sheet(read()), encoding="utf-8")
        print(options.sheet)
        return 0
    first = 1
    for name in NAMES:
        notebook = nbformat.read(FOLDER / name, as_version=4)
        first = numbered(notebook, first)
        nbformat.write(notebook, FOLDER / name)
    found = read()
    for name in NAMES:
        notebook = nbformat.read(FOLDER / name, as_version=4)
        linked(notebook, found)
        for cell in notebook.cells:
            if INDEX_KEY in cell.metadata:
                cell.source = index(found)
            if cell.cell_type == "code" and cell.source.endswith(SEARCH):
                for output in cell.outputs:
                    output.data["text/html"] = page(found)
        nbformat.write(notebook, FOLDER / name)
    print(f"{len(found)} entries, {sum(len(entry.words) for entry in found)} words in the index")
    return 0


if __name__ == "__main__":
    sys.exit(main())
