"""How the panels of a figure are arranged, with the numbers beside them, and written as PNG and PDF."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from helpers.figures import INK
from helpers.images import load_image, read_record, to_array
from helpers.network import CHANNELS, CONVOLUTIONS
from helpers.paper.panels import Panel, is_made, source_path
from helpers.system.files import whole_file

#: Of the files that a figure is written to; ``.png`` last, so that errors name it.
SUFFIXES = (".txt", ".pdf", ".png")


def arrange(
    number: int, panels: Sequence[Panel], folder: Path, all_layers: bool = False, as_at: int | None = None
) -> tuple[Figure, str]:
    """Arrange the panels of a figure as in the paper.

    Args:
        number: 1, 2 or 3.
        panels: In reading order.
        folder: Where they are.
        all_layers: Whether Figure 1 has all sixteen layers.
        as_at: The size at which α/β is to act as the paper's, for the note below the figure.

    Returns:
        The figure, and what can be seen in it, in words.

    Raises:
        FileNotFoundError: If a panel is missing.
    """
    shown = [_Shown(panel, folder) for panel in panels]
    draw = {1: _draw_figure_1, 2: _draw_figure_2, 3: _draw_figure_3}[number]
    figure, alt = _draw_all_layers(shown) if all_layers else draw(shown)
    note = panels[0].caption
    if number > 1 and (factor := panels[0].alpha / panels[0].ratio) != 1:
        at = f", as at {as_at} px" if as_at and panels[0].preset == "printed" else ""
        note += f"; α/β in the paper's units{at}: here × {factor:.3g}"
    figure.supxlabel(written(note), fontsize=8, color="#666666", x=0.01, ha="left")
    return figure, f"{alt} Made with: {note}."


def save_figure(figure: Figure, alt: str, path: Path) -> None:
    """Write a figure as PNG and PDF, and its alt text as a text file and inside both."""
    title = alt.split(".")[0]
    with ExitStack() as stack:  # all three are written before the first takes its name
        txt, pdf, png = (stack.enter_context(whole_file(path.with_suffix(end))) for end in SUFFIXES)
        figure.savefig(png, dpi=200, metadata={"Title": title, "Description": alt})
        figure.set_layout_engine("none")  # it has done its work
        for picture in figure.findobj(AxesImage):
            picture.set_interpolation("none")  # in a PDF the panels' own pixels, not some that were made up
        # Type 42 keeps letters as letters: they can be searched, and edited by a printer.
        with rc_context({"pdf.fonttype": 42}):
            # Without its date the same figure is the same file.
            properties = {"Title": title, "Subject": alt, "CreationDate": None}
            figure.savefig(pdf, metadata=properties)
        txt.write_text(alt + "\n", encoding="utf-8")


def power(ratio: float) -> str:
    """Return a number as 10⁻³ or 5·10⁻⁴, for Matplotlib."""
    digits, exponent = f"{ratio:.0e}".split("e")
    factor = "" if digits == "1" else rf"{digits}\cdot"
    return f"${factor}10^{{{int(exponent)}}}$"


def written(words: str, most: int = 300) -> str:
    """Return words as Matplotlib can write them: not too long, and with ? for letters that its font lacks."""
    font = get_font(findfont("DejaVu Sans"))
    words = words if len(words) <= most else words[: most - 1] + "…"
    words = "".join(letter if font.get_char_index(ord(letter)) else "?" for letter in words)
    return words.replace("$", r"\$")  # which would begin mathematics


class _Shown:
    """A panel that is made: its picture, its originals, and the numbers beside it."""

    def __init__(self, panel: Panel, folder: Path):
        if not is_made(panel, folder):
            raise FileNotFoundError(f"the panel {panel.file!r} is not in {str(folder)!r}; make it first")
        self.panel, self.record = panel, read_record(folder / panel.file)
        self.x = to_array(load_image(folder / panel.file))
        self.p, self.a = (
            to_array(load_image(source_path(source), panel.size)) if source else None
            for source in (panel.content, panel.style)
        )

    @property
    def psnr(self) -> float:
        from skimage.metrics import peak_signal_noise_ratio  # a second that other commands need not wait

        return peak_signal_noise_ratio(self.p, self.x, data_range=1)

    def share(self, term: str) -> float:
        """Return how much of a loss is left, as a part of what it was in white noise."""
        return self.record["loss_at_end"][term] / max(self.record["loss_at_start"][term], 1e-30)

    def left(self, term: str) -> str:
        """Return the same in per cent."""
        share = self.share(term)
        return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"

    @property
    def names(self) -> list[str]:
        """Names of the photograph and of the artwork, for reading."""
        sources = (self.panel.content, self.panel.style)
        names = [Path(source).stem.replace("_", " ") if source else "" for source in sources]
        return [name.encode(errors="replace").decode() for name in names]  # files' names may hold no letters


def _draw_figure_1(shown: Sequence[_Shown]) -> tuple[Figure, str]:
    styles, contents = shown[:5], shown[5:]
    heights = [max(i.x.shape[0] / i.x.shape[1] for i in row) for row in (styles, contents)]
    figure = Figure(figsize=(12, 2.0 * sum(heights) + 2.3), layout="constrained")
    axes = figure.subplots(3, 6, gridspec_kw={"height_ratios": [heights[0], 0.55, heights[1]]})
    for row, picture, label in ((0, styles[0].a, "artwork a"), (2, contents[0].p, "photograph p")):
        _show(axes[row, 0], picture, label)
    for letter, axis, panel in zip("abcde", axes[0, 1:], styles, strict=True):
        layers = panel.panel.style_layers
        heading = layers[0] if len(layers) == 1 else f"+ {layers[-1]}"
        _show(axis, panel.x, heading, letter, f"style loss left: {panel.left('style')}")
    for letter, axis, panel in zip("abcde", axes[2, 1:], contents, strict=True):
        _show(axis, panel.x, panel.panel.content_layer, letter, f"PSNR {panel.psnr:.1f} dB")
    axes[1, 0].set_axis_off()
    for y, words in (
        (0.85, "style reconstructions ↑"),
        (0.5, "VGG19 →"),
        (0.15, "content reconstructions ↓"),
    ):
        axes[1, 0].text(0.98, y, words, ha="right", va="center", fontsize=10, color=INK)
    for block, axis in enumerate(axes[1, 1:], 1):
        _draw_block(axis, block, contents[block - 1].panel.content_layer)
    alt = (
        f"Figure 1 of the paper, remade. Above, {styles[0].names[1]} rebuilt as a texture from the Gram "
        f"matrices of growing sets of layers: first {styles[0].panel.style_layers[0]}, then with "
        f"{_spoken(p.panel.style_layers[-1] for p in styles[1:])}. In the middle the five blocks of VGG19. "
        f"Below, {contents[0].names[0]} rebuilt from the features of one layer: "
        + "; ".join(f"{p.panel.content_layer}, PSNR {p.psnr:.1f} dB" for p in contents)
        + "."
    )
    return figure, alt


def _draw_block(axis, block: int, layer: str) -> None:
    """Draw one block of VGG19: a slab for each convolution layer, with arrows from those rebuilt from."""
    axis.set_axis_off()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    height, count = 0.5 * 0.8 ** (block - 1), CONVOLUTIONS[block]
    for i in range(1, count + 1):
        x, name = 0.1 + 0.085 * i, f"conv{block}_{i}"
        used = i == 1 or name == layer
        slab = Rectangle((x - 0.028, 0.5 - height / 2), 0.056, height, color="#4d4d4d" if used else "#d0d0d0")
        axis.add_patch(slab)
        ends = ([(0.5 + height / 2, 0.98)] if i == 1 else []) + (
            [(0.5 - height / 2, 0.02)] if name == layer else []
        )
        for start, end in ends:
            axis.annotate("", (x, end), (x, start), arrowprops={"arrowstyle": "->", "color": "#4d4d4d"})
    label = f"conv{block}_1 … {block}_{count}\n{CHANNELS[block]} maps"
    text = axis.text(0.52, 0.5, label, ha="left", va="center", fontsize=8.5, color=INK)
    text.set_in_layout(False)  # wider than its share, and it may be: there is room beside the last slab


def _draw_all_layers(shown: Sequence[_Shown]) -> tuple[Figure, str]:
    halves = (("Style reconstructions", shown[:16]), ("Content reconstructions", shown[16:]))
    shapes = [max(panel.x.shape[0] / panel.x.shape[1] for panel in half) for _, half in halves]
    figure = Figure(figsize=(15, 5 * (1.72 * max(shapes) + 0.42) + 0.5), layout="constrained")
    for part, (title, half) in zip(figure.subfigures(1, 2, wspace=0.03), halves, strict=True):
        part.suptitle(title, fontsize=12, color=INK)
        grid = part.add_gridspec(5, 4)
        for panel in half:
            layer = panel.panel.content_layer or panel.panel.style_layers[-1]
            axis = part.add_subplot(grid[int(layer[4]) - 1, int(layer[6]) - 1])
            plus = "" if panel.panel.content or layer == "conv1_1" else "+ "
            value = f"{panel.psnr:.1f} dB" if panel.panel.content else panel.left("style")
            _show(axis, panel.x, plus + layer, below=value)
        original = half[0].a if half[0].p is None else half[0].p
        label = "artwork a" if half[0].p is None else "photograph p"
        # The first two blocks have two layers each, which leaves a corner free.
        _show(part.add_subplot(grid[:2, 2:]), original, label)
    styles, contents = halves[0][1], halves[1][1]
    alt = (
        f"Figure 1 of the paper with all sixteen layers. Left, {styles[0].names[1]} rebuilt as a texture "
        f"from growing sets of layers, conv1_1 to conv5_4. Right, {contents[0].names[0]} rebuilt from each "
        "layer: " + "; ".join(f"{p.panel.content_layer} {p.psnr:.1f} dB" for p in contents) + "."
    )
    return figure, alt


def _draw_figure_2(shown: Sequence[_Shown]) -> tuple[Figure, str]:
    columns = min(3, len(shown) + 1)
    rows = -(-(len(shown) + 1) // columns)
    shape = shown[0].p.shape[0] / shown[0].p.shape[1]
    figure = Figure(figsize=(4 * columns, rows * (4 * shape + 0.55) + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    _show(axes[0], shown[0].p, f"photograph: {written(shown[0].names[0], 30)}", "A")
    for letter, axis, panel in zip("BCDEFGHIJKLMNOPQRSTUVWXYZ", axes[1:], shown, strict=False):
        heading = f"{written(panel.names[1], 30)}, α/β = {power(panel.panel.ratio)}"
        _show(axis, panel.x, heading, letter, _both(panel))
        height, width = panel.a.shape[:2]
        # The same area for every painting, whatever its shape.
        side = 0.27 * (width / height) ** 0.5
        inset = axis.inset_axes((0.015, 0.02, side, side * height / width / shape), anchor="SW")
        inset.imshow(panel.a, aspect="auto", interpolation="bicubic")
        inset.set(xticks=[], yticks=[])
        for spine in inset.spines.values():
            spine.set(color="white", linewidth=1.5)
    for axis in axes[len(shown) + 1 :]:
        axis.set_axis_off()
    alt = (
        f"Figure 2 of the paper, remade. The photograph {shown[0].names[0]} in the styles of "
        f"{_spoken(panel.names[1] for panel in shown)}, each of which stands in its picture's lower left "
        f"corner. Of white noise's content loss {_range(shown)} is left."
    )
    return figure, alt


def _draw_figure_3(shown: Sequence[_Shown]) -> tuple[Figure, str]:
    columns = len(shown) // 5
    shape = shown[0].p.shape[0] / shown[0].p.shape[1]
    figure = Figure(figsize=(2.5 * columns + 0.4, 5 * (2.5 * shape + 0.24) + 0.6), layout="constrained")
    axes = figure.subplots(5, columns, squeeze=False)
    for i, (axis, panel) in enumerate(zip(axes.ravel(), shown, strict=True)):
        ratio, layers = power(panel.panel.ratio), panel.panel.style_layers
        _show(axis, panel.x, f"α/β = {ratio}" if i < columns else "", below=_both(panel))
        if i % columns == 0:
            label = layers[0] if len(layers) == 1 else f"+ {layers[-1]}"
            options = {"rotation": 90, "ha": "right", "va": "center", "fontsize": 10, "color": INK}
            axis.text(-0.04, 0.5, label, transform=axis.transAxes, **options)
    ratios = _spoken(f"{panel.panel.ratio:g}" for panel in shown[:columns])
    alt = (
        f"Figure 3 of the paper, remade. {shown[0].names[0]} in the style of {shown[0].names[1]}: rows with "
        f"growing sets of style layers, conv1_1 to conv5_1, and columns with α/β of {ratios}. Of white "
        f"noise's content loss {_range(shown[::columns])} is left in the first column, and "
        f"{_range(shown[columns - 1 :: columns])} in the last."
    )
    return figure, alt


def _both(panel: _Shown) -> str:
    return f"loss left: content {panel.left('content')}, style {panel.left('style')}"


def _show(axis, picture: np.ndarray, above: str, letter: str = "", below: str = "") -> None:
    axis.imshow(picture, interpolation="bicubic")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.set_title(above, fontsize=10, color=INK, pad=4)
    if letter:
        axis.set_title(f"{letter}", fontsize=11, color=INK, pad=4, loc="left", fontweight="bold")
    if below:
        axis.set_xlabel(below, fontsize=8, color="#555555", labelpad=3)


def _range(shown: Sequence[_Shown]) -> str:
    shares = [panel.share("content") for panel in shown]
    return f"{min(shares):.0%} to {max(shares):.0%}"


def _spoken(words) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
