"""The figures that the notebooks show again and again.

Every function returns an ``IPython.display.Image``: the last line of a cell shows it, ``.data``
holds its bytes, and it carries an alt text for readers who cannot see it. Figures of pictures are
JPEG, figures of lines PNG.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from IPython.display import Image as Picture
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from helpers.images import to_array, to_pil

#: Colours that stay apart in greyscale and for colour-blind readers (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK = "#333333"
WIDTH = 9.0  # inches of a full-width figure
DPI = 110  # twice as many dots are stored as shown where it pays: lines and letters


def to_picture(figure: Figure, alt: str, photo: bool = False) -> Picture:
    """Turn a Matplotlib figure into a picture that a notebook shows.

    Args:
        figure: The figure.
        alt: One sentence that says what can be seen.
        photo: Store as JPEG; otherwise as PNG.
    """
    buffer, width = io.BytesIO(), round(figure.get_figwidth() * 96)
    figure.set_facecolor("white")
    options = {"format": "jpeg", "pil_kwargs": {"quality": 74}} if photo else {"format": "png"}
    figure.savefig(buffer, dpi=DPI * (1 if photo else 1.3), bbox_inches="tight", pad_inches=0.08, **options)
    if not photo:  # lines and letters have few colours: a palette takes a third of the bytes
        drawn, buffer = Image.open(buffer).convert("RGB"), io.BytesIO()
        drawn.quantize(128, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    data = buffer.getvalue()
    width = round(Image.open(io.BytesIO(data)).width / (DPI * (1 if photo else 1.3)) * 96)
    return Picture(data, format=options["format"], width=width, metadata={"alt": alt})


def show_images(
    images: Sequence[torch.Tensor | np.ndarray],
    captions: Sequence[str] = (),
    alt: str | None = None,
    columns: int | None = None,
    title: str = "",
    note: str = "",
    row_labels: Sequence[str] = (),
    width: float = WIDTH,
) -> Picture:
    """Show pictures side by side, each with a caption above it.

    Args:
        images: (1, 3, H, W) tensors of RGB in [0, 1], or (H, W) or (H, W, 3) arrays.
        captions: One a picture, or none.
        alt: Alt text; by default the captions.
        columns: Pictures in a row; by default all.
        title: Above the figure.
        note: Below the figure, small: which network made it.
        row_labels: One for each row, at its left.
        width: Of the figure, in inches.

    Raises:
        ValueError: If there are captions, but not one for each picture.
    """
    if captions and len(captions) != len(images):
        raise ValueError(f"{len(captions)} captions for {len(images)} pictures; give one for each")
    arrays = [to_array(i) if isinstance(i, torch.Tensor) else np.asarray(i) for i in images]
    columns = columns or len(arrays)
    rows = -(-len(arrays) // columns)
    panel = (width - 0.25 * bool(row_labels)) / columns
    # Row heights follow the pictures, so that a wide and a tall one keep their shapes.
    heights = []
    for first in range(0, len(arrays), columns):
        shape = max(array.shape[0] / array.shape[1] for array in arrays[first : first + columns])
        lines = max((c.count("\n") + 1 for c in captions[first : first + columns] if c), default=0)
        heights.append(panel * shape + 0.21 * lines)
    figure = Figure(figsize=(width, sum(heights) + 0.35 * bool(title) + 0.06 * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.02)
    axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for i, axis in enumerate(axes.flat):
        axis.set_axis_off()
        if i >= len(arrays):
            continue
        axis.imshow(arrays[i], cmap="gray", interpolation="nearest" if arrays[i].shape[0] < 48 else None)
        if isinstance(images[i], torch.Tensor) and arrays[i][0].min() > 0.95:
            # A white picture would not end without a frame.
            axis.set_axis_on()
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(color="0.7", linewidth=0.6)
        if captions:
            axis.set_title(captions[i], fontsize=10, color=INK, pad=4)
        if row_labels and i % columns == 0:
            axis.text(
                -0.04, 0.5, row_labels[i // columns], transform=axis.transAxes, rotation=90,
                ha="right", va="center", fontsize=10, color=INK,
            )  # fmt: skip
    _title_and_note(figure, title, note)
    spoken = "; ".join(c.replace("\n", ", ") for c in captions)
    return to_picture(figure, alt or f"{title or 'Pictures'}: {spoken}", photo=True)


def feature_map_grid(
    F: torch.Tensor, count: int = 16, columns: int = 8, title: str = "", alt: str | None = None
) -> Picture:
    """Show the feature maps with the largest mean activation, strongest first.

    Args:
        F: Features of one layer, (1, N, H, W).
        count: How many to show.
        columns: Maps in a row.
        title: Above the figure.
        alt: Alt text; by default made from the title.
    """
    maps = F[0].detach().float().cpu()
    means = maps.mean((1, 2))
    strongest = means.argsort(descending=True)[:count].tolist()
    # Each map has its own scale: the point is where it fires, not how strongly.
    arrays = [colour_map(maps[i]) for i in strongest]
    captions = [f"{i}: {means[i]:.3g}" for i in strongest]
    alt = alt or f"{title}: the {len(strongest)} feature maps with the largest mean, of {len(means)}"
    return show_images(arrays, captions, alt, columns, title)


def colour_map(values: torch.Tensor | np.ndarray, name: str = "magma") -> np.ndarray:
    """Return an (H, W, 3) picture of an (H, W) array, dark at its least value, bright at its largest."""
    values = np.asarray(values, dtype=np.float64)
    span = values.max() - values.min()
    return colormaps[name]((values - values.min()) / (span or 1))[..., :3]


def loss_curves(
    curves: Mapping[str, Sequence[float]],
    title: str = "",
    x_label: str = "evaluation",
    y_label: str = "loss",
    x: Mapping[str, Sequence[float]] | None = None,
    alt: str | None = None,
    width: float = WIDTH * 0.75,
    logarithmic: bool = True,
) -> Picture:
    """Draw losses against evaluations, each labelled at its end.

    Args:
        curves: Label to values, one an evaluation.
        title: Above the figure.
        x_label: Below the figure.
        y_label: At the left.
        x: Label to positions on the horizontal axis; by default 1, 2, 3, ...
        alt: Alt text; by default the labels with their first and last values.
        width: Of the figure, in inches.
        logarithmic: Whether the vertical axis is logarithmic; if not, it begins at 0.
    """
    figure = Figure(figsize=(width, width * 0.5), layout="constrained")
    axis = figure.subplots()
    ends = []
    for i, (label, values) in enumerate(curves.items()):
        places = list(x[label]) if x else list(range(1, len(values) + 1))
        axis.plot(places, values, color=COLOURS[i % len(COLOURS)], linewidth=1.8)
        ends.append((places[-1], values[-1], label, COLOURS[i % len(COLOURS)]))
    if logarithmic:
        axis.set_yscale("log")
    else:
        axis.set_ylim(bottom=0)
    axis.set_xlabel(x_label, color=INK)
    axis.set_ylabel(y_label, color=INK)
    if title:
        axis.set_title(title, loc="left", fontsize=11, color=INK)
    _plain(axis)
    _direct_labels(axis, ends)
    spoken = "; ".join(f"{k} from {v[0]:.3g} to {v[-1]:.3g}" for k, v in curves.items())
    return to_picture(figure, alt or f"{title or y_label} by {x_label}: {spoken}")


def gram_heat_maps(
    grams: Mapping[str, torch.Tensor],
    title: str = "",
    count: int = 64,
    alt: str | None = None,
    columns: int = 4,
) -> Picture:
    """Draw Gram matrices as pictures of log(1 + G), all on one scale.

    Args:
        grams: Label to Gram matrix, (1, N, N) or (N, N), each divided by its number of positions.
        title: Above the figure.
        count: Draw the first so many rows and columns.
        alt: Alt text.
        columns: Matrices in a row.
    """
    arrays = {}
    for label, G in grams.items():
        arrays[label] = np.log1p(G.detach().float().cpu().reshape(G.shape[-2:])[:count, :count].numpy())
    top = max(float(a.max()) for a in arrays.values())
    columns = min(columns, len(arrays))
    rows = -(-len(arrays) // columns)
    figure = Figure(figsize=(2.4 * columns + 0.7, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (label, values) in zip(axes.flat, arrays.items(), strict=False):
        axis.set_axis_on()
        picture = axis.imshow(values, cmap="magma", vmin=0, vmax=top)
        axis.set_title(label, fontsize=10, color=INK)
        axis.set_xticks([])
        axis.set_yticks([])
    axes[0, 0].set_xlabel("feature map j", color=INK)
    axes[0, 0].set_ylabel("feature map i", color=INK)
    figure.colorbar(picture, ax=axes, shrink=0.8, label="log(1 + G/M)")
    _title_and_note(figure, title, "")
    return to_picture(figure, alt or f"{title or 'Gram matrices'} as heat maps: {', '.join(arrays)}")


def animate(
    frames: Mapping[int, torch.Tensor], milliseconds: int = 200, size: int = 256, alt: str | None = None
) -> Picture:
    """Make an animated GIF of a run that notebooks, browsers and GitHub play.

    Args:
        frames: Evaluation to picture, as in ``Synthesis.frames``.
        milliseconds: Time each is shown; the last stays ten times as long.
        size: Longer side in pixels.
        alt: Alt text.

    Raises:
        ValueError: If there are no frames.
    """
    if not frames:
        raise ValueError("no frames to animate; ask for some with synthesise(..., frames=[0, 10, 20])")
    pictures = []
    for evaluation in sorted(frames):
        picture = to_pil(frames[evaluation])
        scale = size / max(picture.size)
        picture = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(picture)
        place, colours = (6, picture.height - 18), {"fill": "white", "stroke_fill": "black"}
        draw.text(place, str(evaluation), stroke_width=2, **colours)
        pictures.append(picture.quantize(128, dither=Image.Dither.NONE))
    durations = [milliseconds] * (len(pictures) - 1) + [10 * milliseconds]
    buffer, rest = io.BytesIO(), {"save_all": True, "append_images": pictures[1:]}
    pictures[0].save(buffer, format="GIF", duration=durations, loop=0, optimize=True, **rest)
    evaluations = f"evaluations {min(frames)} to {max(frames)}"
    alt = alt or f"Animation of a run from {evaluations}"
    # Announced as PNG: viewers of notebooks show no output of type GIF, but a browser looks at the
    # first bytes of a picture, not at its announced type, and plays it.
    return Picture(buffer.getvalue(), format="png", width=pictures[0].width, metadata={"alt": alt})


def _plain(axis) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color("#999999")
    axis.tick_params(colors=INK)
    axis.grid(axis="y", color="#e6e6e6", linewidth=0.7)
    axis.set_axisbelow(True)


def _direct_labels(axis, ends) -> None:
    """Write each label at the end of its line, pushed apart where lines end close together."""
    axis.autoscale_view()  # matplotlib would find the limits later, when it draws
    to_height = axis.transData + axis.transAxes.inverted()
    last = -np.inf
    for x, y, label, colour in sorted(ends, key=lambda end: end[1]):
        height = max(to_height.transform((x, y))[1] if y > 0 else 0, last + 0.065)
        last = height
        axis.annotate(
            label, (x, height), xycoords=("data", "axes fraction"), xytext=(6, 0), textcoords="offset points",
            va="center", color=colour, fontsize=10, annotation_clip=False,
        )  # fmt: skip


def _title_and_note(figure, title, note) -> None:
    if title:
        figure.suptitle(title, fontsize=12, color=INK, x=0.01, ha="left")
    if note:
        figure.supxlabel(note, fontsize=8, color="#777777", x=0.01, ha="left")
