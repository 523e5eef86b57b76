"""Figures 1, 2 and 3 of the paper: which panels each has.

What the paper fixes stands here: layers, weights, α/β. ``panels`` makes the pictures, ``drawing``
arranges them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from matplotlib.figure import Figure

from helpers.images import load_image, picture_names
from helpers.losses import PRESETS
from helpers.network import CONVOLUTION_LAYERS, STYLE_LAYERS, check_size
from helpers.paper import pictures
from helpers.paper.drawing import SUFFIXES, arrange, save_figure
from helpers.paper.panels import Panel, contact_sheet, make_panels, source_path
from helpers.system.files import check_file
from helpers.system.quick import quick_size

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

#: How much the gradient ratio of white noise grows in the printed form when the side of the picture doubles:
#: measured at 64, 128 and 256 px for three pairs of pictures (notebook 4).
RATIO_PER_DOUBLING = 3.7

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
    photograph, *paintings = [image.name for image in pictures.PAPER_IMAGES]
    here = {image.name for image in pictures.PAPER_IMAGES if pictures.local_path(image)}
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

    In the printed form the size matters too. Equation 1 is a sum over positions, equation 4 is not, so
    with the same α/β the gradient ratio grows with the picture. The mean form has no such factor.

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
        factor *= RATIO_PER_DOUBLING ** math.log2(as_at / size)
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
        OSError: If a file cannot be written; where that can be known, before anything is made.
        KeyboardInterrupt: If the user stops it. What was made by then is kept.
    """
    folder, settings_of = Path(folder), settings if callable(settings) else lambda number: settings
    figures = {number: figure_panels(number, settings_of(number)) for number in numbers}
    waiting = {number: {panel.key for panel in panels} for number, panels in figures.items()}
    paths = {number: folder / f"figure_{number}.png" for number in numbers}
    sheets = {number: folder / f"figure_{number}_contact_sheet.jpg" for number in numbers}
    files = [path.with_suffix(end) for path in paths.values() for end in SUFFIXES]
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*files, *sheets.values()):
        check_file(file, "a figure", {})

    def after(panels):
        keys = {panel.key for panel in panels}
        for number in [n for n, missing in waiting.items() if missing & keys]:
            waiting[number] -= keys
            contact_sheet(figures[number], folder / "panels", sheets[number])
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
    panels, all_layers = figure_panels(number, settings), number == 1 and settings.all_layers
    return arrange(number, panels, Path(folder) / "panels", all_layers, settings.as_at)


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
