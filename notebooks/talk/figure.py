"""The talk's pictures: found in the notebooks' stored outputs or in a file, and cut into panels.

Nothing is computed here that a notebook computed before. Only the equations are drawn, from their text.
"""

import base64
import io
import json
import re
from functools import cache
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

ROOT = Path(__file__).resolve().parent.parent.parent
NOTEBOOKS = ROOT / "notebooks"

#: The four equations of the talk, in Matplotlib's form of TeX, and how one reads them aloud.
EQUATIONS = {
    "content": (
        r"$\mathcal{L}_{content}\;=\;\frac{1}{2}\,\sum_{i,j}\,(F_{ij}-P_{ij})^2$",
        "Equation 1: the content loss is half the sum of the squared differences of the features F and P",
    ),
    "gram": (
        r"$G_{ij}\;=\;\sum_{k}\,F_{ik}\,F_{jk}$",
        "Equation 3: entry i, j of the Gram matrix is the sum over all positions k of F i k times F j k",
    ),
    "style": (
        r"$\mathcal{L}_{style}\;=\;\sum_{l}\,w_l\,\frac{1}{4N_l^2M_l^2}\,\sum_{i,j}\,(G^l_{ij}-A^l_{ij})^2$",
        "Equations 4 and 5: the style loss is the weighted sum over layers of the squared differences of the "
        "Gram matrices G and A, each divided by 4 N squared M squared",
    ),
    "total": (
        r"$\mathcal{L}_{total}\;=\;\alpha\,\mathcal{L}_{content}\;+\;\beta\,\mathcal{L}_{style}$",
        "Equation 7: the total loss is alpha times the content loss plus beta times the style loss",
    ),
}

PAPER = "#fcfbf8"  # the slides' ground, as in talk.css
WHITE = 243  # from this value on, all three colours count as paper
LEAST_SIDE = 40  # pixels: what is smaller is a caption


class NotFound(LookupError):
    """A slide asks for a picture that no notebook stores and no file holds."""


@cache
def outputs(number: str) -> list[tuple[str, bytes]]:
    """Return (alt text, bytes) of every picture stored in the notebook whose name begins so."""
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    found = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            for kind in ("image/jpeg", "image/png"):
                if kind in output.get("data", {}):
                    alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
                    found.append((alt, base64.b64decode("".join(output["data"][kind]))))
    return found


def find(spec: str) -> tuple[str, bytes]:
    """Return (alt text, bytes) of a picture.

    Args:
        spec: ``04 "piece of the alt text"`` or ``file images/made/00.jpg "alt text"``.

    Raises:
        NotFound: If there is no such picture, or more than one with other bytes.
    """
    source, alt = re.fullmatch(r'(\S+(?: \S+)?) "(.*)"', spec).groups()
    if source.startswith("file "):
        path = ROOT / source.removeprefix("file ")
        if not path.exists():
            raise NotFound(f"no file {path.relative_to(ROOT)}")
        return alt, path.read_bytes()
    stored = {data: words for words, data in outputs(source) if alt in words}
    if len(stored) != 1:
        raise NotFound(f"notebook {source} stores {len(stored)} pictures whose alt text has {alt!r}")
    ((data, words),) = stored.items()
    return words, data


def panels(picture: Image.Image) -> list[Image.Image]:
    """Cut a figure at its white gaps into its pictures, row by row; captions and titles are left out."""
    # JPEG darkens a white gap of a few pixels a little; a quarter of its contrast is no picture.
    ink = np.asarray(picture.convert("RGB")).min(axis=2) < WHITE
    found = []
    for top, bottom in _runs(ink.mean(axis=1) > 0.02):
        if bottom - top >= LEAST_SIDE:
            for left, right in _runs(ink[top:bottom].mean(axis=0) > 0.15):
                if right - left >= LEAST_SIDE:
                    inside = _runs(ink[top:bottom, left:right].mean(axis=1) > 0.3)
                    high = max(inside, key=lambda run: run[1] - run[0], default=(0, 0))
                    if high[1] - high[0] >= LEAST_SIDE:
                        found.append((left, top + high[0], right, top + high[1]))
    return [picture.crop((left + 1, top + 1, right - 1, bottom - 1)) for left, top, right, bottom in found]


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return (first, behind last) of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return list(zip(edges[::2], edges[1::2], strict=True))


def part(picture: Image.Image, percents: str) -> Image.Image:
    """Crop to left, top, right, bottom in per cent of the picture's sides."""
    sides = np.array([*picture.size, *picture.size]) / 100
    return picture.crop(tuple(int(v) for v in np.array([float(n) for n in percents.split()]) * sides))


def on_paper(picture: Image.Image) -> Image.Image:
    """Give a drawing on white the ground of the slides, so that it stands in no box."""
    return ImageChops.multiply(picture, Image.new("RGB", picture.size, PAPER))


def frames(data: bytes) -> list[Image.Image]:
    """Return every frame of an animation."""
    film = Image.open(io.BytesIO(data))
    shots = []
    for number in range(film.n_frames):
        film.seek(number)
        shots.append(film.convert("RGB"))
    return shots


def image_tag(picture: Image.Image | bytes, alt: str, **attributes) -> str:
    """Return an ``<img>`` whose picture lies in the page: JPEG for photographs, PNG for lines."""
    if isinstance(picture, Image.Image):
        buffer, colours = io.BytesIO(), picture.convert("RGB").getcolors(2000)
        if colours:  # few colours: lines and letters
            picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        else:
            picture.convert("RGB").save(buffer, "JPEG", quality=88)
        picture = buffer.getvalue()
    kind = "svg+xml" if picture[:1] == b"<" else "png" if picture[:4] == b"\x89PNG" else "jpeg"
    data = f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
    more = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f'<img src="{data}" alt="{escape(alt)}"{more}>'


@cache
def equation(name: str, colour: str = "#1c2430") -> tuple[str, bytes, float]:
    """Draw an equation as SVG without fonts: its letters are outlines.

    Returns:
        How to read it aloud, the SVG, and its width divided by its height.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    formula, alt = EQUATIONS[name]
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": "talk", "mathtext.fontset": "cm"}):
        drawing, buffer = Figure(figsize=(0.01, 0.01)), io.BytesIO()
        drawing.text(0, 0, formula, fontsize=40, color=colour)
        drawing.savefig(
            buffer,
            format="svg",
            bbox_inches="tight",
            transparent=True,
            pad_inches=0.05,
            metadata={"Date": None},
        )
    svg = buffer.getvalue()
    svg = svg[svg.index(b"<svg") :]  # without the declaration, which names a web address
    svg = re.sub(rb"<metadata>.*?</metadata>", b"", svg, flags=re.DOTALL)
    width, height = (float(n) for n in re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
    return alt, svg, width / height
