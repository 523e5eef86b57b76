"""Figures 1, 2 and 3 of the paper: which panels each has, and how they are arranged.

What the paper fixes stands here: layers, weights, α/β, arrangement. ``panels`` makes the pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from helpers import paper_images
from helpers.figures import INK
from helpers.images import load_image, picture_names, read_record, to_array
from helpers.losses import PRESETS
from helpers.network import CHANNELS, CONVOLUTION_LAYERS, CONVOLUTIONS, STYLE_LAYERS, check_size
from helpers.panels import Panel, contact_sheet, is_made, make_panels, source_path
from helpers.quick import quick_size

FIGURES = (1, 2, 3)

#: Layers of Figure 1's content reconstructions in the two versions of the paper.
CONTENT_LAYERS = {
    "arxiv": STYLE_LAYERS,
    "cvpr": ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2"),
}

#: α/β of Figure 2 (Figure 3 of the CVPR version) for the paintings B, C, D, E and F.
FIGURE_2_RATIOS = {
    "arxiv": {
        "shipwreck": 1e-3,
        "vangogh_starry_night": 1e-3,
        "the_scream": 1e-3,
        "femme_nue_assise": 1e-4,
        "composition_vii": 1e-4,
    },
    "cvpr": {
        "shipwreck": 1e-3,
        "vangogh_starry_night": 8e-4,
        "the_scream": 5e-3,
        "femme_nue_assise": 5e-4,
        "composition_vii": 5e-4,
    },
}
#: α/β for every other artwork; the paper gives it to most of its own. The citrus is a photograph, not a
#: painting, and its Gram matrices are far from any photograph's: at 1e-3 nothing of p is left.
OTHER_RATIO = 1e-3
CITRUS_RATIO = 2e-2

#: α/β of the columns of Figure 3.
FIGURE_3_RATIOS = (1e-5, 1e-4, 1e-3, 1e-2)


@dataclass(frozen=True)
class FigureSettings:
    """What one may choose of a figure; the rest is the paper's.

    Attributes:
        content: The photograph: a file, a picture of the series or one of the paper's.
        styles: Artworks, likewise. Figures 1 and 3 take the first. By default The Starry Night, and
            for Figure 2 every artwork of the series.
        version: ``"arxiv"`` (2015) or ``"cvpr"`` (2016): layers of Figure 1, α/β of Figure 2.
        all_layers: Figure 1 with all sixteen convolution layers.
        ratios: α/β instead of the paper's: one for Figure 2, one a column for Figure 3.
        as_at: Let α/β act as it would at this size in pixels; by default it is taken as it is.
        options: Settings of every ``Panel``: preset, weights, pooling, size, evaluations, seed.
    """

    content: str = "chenonceau"
    styles: tuple[str, ...] = ()
    version: str = "arxiv"
    all_layers: bool = False
    ratios: tuple[float, ...] = ()
    as_at: int | None = None
    options: dict = field(default_factory=dict)

    def styles_of(self, number: int) -> tuple[str, ...]:
        """Return the artworks of one figure."""
        if number == 2:
            return self.styles or tuple(picture_names("style"))
        return (self.styles or ("starry_night",))[:1]


def papers_own(settings: FigureSettings, number: int) -> FigureSettings:
    """Return the settings with the paper's own pictures instead of the series'.

    Figure 2 takes those of the paintings that are here. Figure 3 takes Composition VII if it is
    here, and The Starry Night if not.

    Raises:
        FileNotFoundError: If a picture that the figure cannot do without is not here.
    """
    photograph, *paintings = [image.name for image in paper_images.PAPER_IMAGES]
    here = {image.name for image in paper_images.PAPER_IMAGES if paper_images.local_path(image)}
    styles = ("vangogh_starry_night",)
    if number == 2:
        styles = tuple(name for name in paintings if name in here) or styles
    elif number == 3 and "composition_vii" in here:
        styles = ("composition_vii",)
    for name in (photograph, *styles):
        source_path(name)
    return replace(settings, content=photograph, styles=styles)


def figure_panels(number: int, settings: FigureSettings | None = None) -> list[Panel]:
    """Return the panels of a figure, in reading order.

    Figure 1: style reconstructions from growing subsets of layers, then content reconstructions.
    Figure 2: one photograph in each style. Figure 3: a row for each subset, a column for each α/β.

    Args:
        number: 1, 2 or 3.
        settings: What differs from the paper and the defaults.

    Raises:
        ValueError: If a setting is out of range; says which.
        FileNotFoundError: If there is no such picture.

    Source: Figures 1 to 3 and their legends; w_l = 1/(layers in use).
    """
    s = settings or FigureSettings()
    options = _checked_options(number, s)
    subsets = [STYLE_LAYERS[: n + 1] for n in range(5)]
    if number == 1:
        contents = CONTENT_LAYERS[s.version]
        if s.all_layers:
            contents = CONVOLUTION_LAYERS
            subsets = [CONVOLUTION_LAYERS[: n + 1] for n in range(16)]
        return [
            *(Panel(style=s.styles_of(1)[0], style_layers=subset, **options) for subset in subsets),
            *(Panel(content=s.content, content_layer=layer, **options) for layer in contents),
        ]

    def transfer(style, layers, ratio):
        return Panel(
            s.content,
            style,
            "conv4_2",
            layers,
            ratio,
            preset_alpha(ratio, options["preset"], quick_size(options["size"]), s.as_at),
            **options,
        )

    if number == 2:
        return [transfer(a, STYLE_LAYERS, _figure_2_ratio(a, s)) for a in s.styles_of(2)]
    ratios, (style,) = s.ratios or FIGURE_3_RATIOS, s.styles_of(3)
    return [transfer(style, subset, ratio) for subset in subsets for ratio in ratios]


def preset_alpha(ratio: float, preset: str, size: int | None = None, as_at: int | None = None) -> float:
    """Return the α, for β = 1, that a preset needs where the paper has α/β = ``ratio``.

    α/β has no meaning without network and form. The paper's numbers belong to its equations on the
    original network, the preset ``printed``: there α is the ratio. ``normalised`` needs 100 times as
    much for a like balance, the quotient of the two presets' own values.

    In the printed form the size matters too. Equation 1 is a sum over positions, equation 4 is not,
    so a picture half as wide and half as high needs four times the α. The mean form has no such factor.

    Args:
        ratio: α/β in the paper.
        preset: Name of a preset.
        size: Longer side of the picture in pixels.
        as_at: The size at which α/β is to act as ``ratio`` does. The CVPR version has about 512 px,
            the arXiv version names no size.

    Raises:
        ValueError: If the ratio is no positive number, or as_at none of pixels.
    """
    if not 0 < ratio < float("inf"):
        raise ValueError(f"α/β is {ratio!r}; it must be a positive number")
    if as_at is not None and not 1 <= as_at < float("inf"):
        raise ValueError(f"as_at is {as_at!r}; it must be a size in pixels")
    own, printed = PRESETS[preset], PRESETS["printed"]
    factor = (own.alpha / own.beta) / (printed.alpha / printed.beta)
    if as_at and size and own.form == "printed":
        factor *= (as_at / size) ** 2
    return float(f"{ratio * factor:.6g}")  # without the last digits of the product


def make_figures(numbers: Sequence[int], settings, folder: str | Path, **options) -> list[Path]:
    """Make figures as PNG and PDF files, with everything they need.

    ``folder`` gets ``figure_1.png``, ``figure_1.pdf``, ``figure_1.txt`` (what can be seen, for readers
    who cannot see it), ``figure_1_contact_sheet.jpg``, which grows with every panel, and ``panels/``.

    Args:
        numbers: 1, 2 or 3, or several of them.
        settings: A ``FigureSettings``, or a function from a figure's number to one.
        folder: Made if it is missing.
        options: Of ``make_panels``: scheduler, workers, report.

    Returns:
        The PNG files.

    Raises:
        ValueError, FileNotFoundError: As ``figure_panels``, before anything is made.
        KeyboardInterrupt: If the user stops it. What was made by then is kept.
    """
    folder, settings_of = Path(folder), settings if callable(settings) else lambda number: settings
    figures = {number: figure_panels(number, settings_of(number)) for number in numbers}
    waiting = {number: {panel.key for panel in panels} for number, panels in figures.items()}
    paths = {number: folder / f"figure_{number}.png" for number in numbers}

    def after(panels):
        keys = {panel.key for panel in panels}
        for number in [n for n, missing in waiting.items() if missing & keys]:
            waiting[number] -= keys
            sheet = folder / f"figure_{number}_contact_sheet.jpg"
            contact_sheet(figures[number], folder / "panels", sheet)
            if not waiting[number]:
                save_figure(*draw_figure(number, settings_of(number), folder), paths[number])

    every = [panel for panels in figures.values() for panel in panels]
    make_panels(every, folder / "panels", after=after, **options)
    return list(paths.values())


def draw_figure(number: int, settings: FigureSettings, folder: str | Path) -> tuple[Figure, str]:
    """Arrange the panels of a figure as in the paper.

    Args:
        number: 1, 2 or 3.
        settings: As for ``figure_panels``.
        folder: Where ``make_figures`` was told to put them.

    Returns:
        The figure, and what can be seen in it, in words.

    Raises:
        FileNotFoundError: If a panel is missing.
    """
    panels = figure_panels(number, settings)
    shown = [_Shown(panel, Path(folder) / "panels") for panel in panels]
    if number == 1 and settings.all_layers:
        figure, alt = _draw_all_layers(shown)
    else:
        figure, alt = {1: _draw_figure_1, 2: _draw_figure_2, 3: _draw_figure_3}[number](shown)
    note = panels[0].caption
    if number > 1 and (factor := panels[0].alpha / panels[0].ratio) != 1:
        at = f", as at {settings.as_at} px" if settings.as_at and panels[0].preset == "printed" else ""
        note += f"; α/β in the paper's units{at}: here × {factor:.3g}"
    figure.supxlabel(note, fontsize=8, color="#666666", x=0.01, ha="left")
    return figure, f"{alt} Made with: {note}."


def save_figure(figure: Figure, alt: str, path: Path) -> None:
    """Write a figure as PNG and PDF, and its alt text as a text file and inside both."""
    title = alt.split(".")[0]
    figure.savefig(path, dpi=200, metadata={"Title": title, "Description": alt})
    figure.set_layout_engine("none")  # it has done its work
    for picture in figure.findobj(AxesImage):
        picture.set_interpolation("none")  # in a PDF the panels' own pixels, not some that were made up
    # Type 42 keeps letters as letters: they can be searched, and edited by a printer.
    with rc_context({"pdf.fonttype": 42}):
        # Without its date the same figure is the same file.
        properties = {"Title": title, "Subject": alt, "CreationDate": None}
        figure.savefig(path.with_suffix(".pdf"), metadata=properties)
    path.with_suffix(".txt").write_text(alt + "\n", encoding="utf-8")


def power(ratio: float) -> str:
    """Return a number as 10⁻³ or 5·10⁻⁴, for Matplotlib."""
    digits, exponent = f"{ratio:.0e}".split("e")
    factor = "" if digits == "1" else rf"{digits}\cdot"
    return f"${factor}10^{{{int(exponent)}}}$"


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
        return [Path(source).stem.replace("_", " ") if source else "" for source in sources]


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
    _show(axes[0], shown[0].p, f"photograph: {shown[0].names[0]}", "A")
    for letter, axis, panel in zip("BCDEFGHIJKLMNOPQRSTUVWXYZ", axes[1:], shown, strict=False):
        heading = f"{panel.names[1]}, α/β = {power(panel.panel.ratio)}"
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


def _figure_2_ratio(style: str, s: FigureSettings) -> float:
    if s.ratios:
        return s.ratios[0]
    name = Path(style).stem.lower()
    if name == "citrus":
        return CITRUS_RATIO
    name = "vangogh_starry_night" if name == "starry_night" else name  # another scan of the same painting
    return FIGURE_2_RATIOS[s.version].get(name, OTHER_RATIO)


def _checked_options(number: int, s: FigureSettings) -> dict:
    options = {"preset": "printed", "size": 256, "evaluations": 100} | s.options
    choices = (("figure", number, FIGURES), ("version", s.version, tuple(CONTENT_LAYERS)))
    for name, value, allowed in (*choices, ("preset", options["preset"], tuple(PRESETS))):
        if value not in allowed:
            raise ValueError(f"unknown {name} {value!r}; choose from {allowed}")
    evaluations, size = options["evaluations"], options["size"]
    if not isinstance(evaluations, int) or evaluations < 1:
        raise ValueError(f"evaluations is {evaluations!r}; it must be a whole number of at least 1")
    for ratio in s.ratios:
        preset_alpha(ratio, options["preset"], size, s.as_at)
    if number == 2 and len(s.ratios) > 1:
        raise ValueError(f"{len(s.ratios)} values of α/β; Figure 2 takes one, Figure 3 one a column")
    deepest = CONVOLUTION_LAYERS[-1] if s.all_layers else "conv5_2"
    for source in (s.content, *s.styles_of(number)):
        check_size(load_image(source_path(source), size), deepest)
    return options
