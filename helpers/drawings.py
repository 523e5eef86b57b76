"""Two drawings that explain: the network VGG19, and the whole algorithm.

Like the functions of ``helpers.figures``, both return an ``IPython.display.Image`` with an alt text.
They are wide enough for a slide, and compute nothing.
"""

from collections.abc import Iterable, Sequence

import torch
from IPython.display import Image as Picture
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from helpers.figures import COLOURS, INK, to_picture
from helpers.images import to_array
from helpers.network import CHANNELS, FULLY_CONNECTED, LAYERS, STYLE_LAYERS, check_layers

CONTENT_LAYER = "conv4_2"
SIDE = 224  # of the pictures on which VGG19 was trained, in pixels

BLUE, VERMILION, GREEN, ORANGE = (COLOURS[i] for i in (0, 1, 2, 4))
PALE = "#B8C4CC"


def draw_vgg19(highlight: str | Iterable[str] = ()) -> Picture:
    """Draw VGG19: a slab for each of its layers, with the layers of the paper's Figure 2 in colour.

    Heights are in proportion to the side of the feature maps of a 224 × 224 picture, widths to their
    number. The three fully connected layers, which the method does not use, are pale and crossed out.

    Args:
        highlight: One layer name or several to put a frame round. All others turn pale.

    Raises:
        ValueError: If a layer is unknown or given twice.

    Source: Simonyan and Zisserman 2014, configuration E; Gatys et al. 2015, Methods.
    """
    layers = [highlight] if isinstance(highlight, str) else list(highlight)
    framed = check_layers(layers) if layers else ()
    alt = (
        f"VGG19 from left to right: {', '.join(LAYERS)}; then {', '.join(FULLY_CONNECTED)}, crossed out: "
        "not used. From block to block the feature maps become smaller and more. "
        f"Marked for style: {', '.join(STYLE_LAYERS)}; for content: {CONTENT_LAYER}."
    )
    return to_picture(_vgg19(framed), alt + (f" Framed: {', '.join(framed)}." if framed else ""))


def draw_algorithm(pictures: Sequence[torch.Tensor] = ()) -> Picture:
    """Draw the whole algorithm: three pictures, one frozen network, two losses, and the way back to x.

    Args:
        pictures: p, a and x to show at their places, each (1, 3, H, W), RGB in [0, 1]; or none.

    Raises:
        ValueError: If there are pictures, but not three.

    Source: Methods and equation 7.
    """
    if len(pictures) not in (0, 3):
        raise ValueError(f"{len(pictures)} pictures; give p, a and x, or none")
    alt = (
        "The algorithm from left to right: the photograph p, the generated image x and the artwork a go "
        "through the same frozen network VGG19. From p come features P, from x features F and Gram matrices "
        "G, from a Gram matrices A. P and F give the content loss, G and A the style loss, and α times "
        "the one plus β times the other the total loss. An arrow leads from the total loss back through "
        "the network to the pixels of x: only x changes, the network does not."
    )
    return to_picture(_algorithm(pictures), alt)


def _vgg19(framed: Sequence[str]) -> Figure:
    figure, axis = _canvas(13.4, 5.3)
    place, tallest, label_at = 0.55, 3.0, -1.72
    axis.add_patch(
        Rectangle((0.1, -tallest / 2), 0.05, tallest, facecolor="white", edgecolor=INK, linewidth=1.2)
    )
    _say(axis, 0.125, label_at, "picture, RGB", rotation=90, va="top")
    edges, side = {}, SIDE
    for name in LAYERS:
        block, pool = int(name[4]), name.startswith("pool")
        side //= 2 if pool else 1
        width = 0.1 if pool else CHANNELS[block] * 0.0009
        place += 0.04 if pool else max(0.0, 0.15 - width / 2)
        colour = ORANGE if pool else BLUE if name == CONTENT_LAYER else VERMILION
        coloured = pool or name in (*STYLE_LAYERS, CONTENT_LAYER)
        _slab(axis, name, place, width, tallest * side / SIDE, colour if coloured else PALE, framed)
        middle = place + width / 2
        strong = name in STYLE_LAYERS or name == CONTENT_LAYER
        ink = "#8A5F00" if pool else colour if strong else INK
        _say(axis, middle, label_at, name, rotation=90, va="top", colour=ink, bold=strong or name in framed)
        if strong:
            word = "content" if name == CONTENT_LAYER else "style"
            _say(axis, middle, label_at - 0.92, word, va="top", size=11.5, colour=colour, bold=True)
        left, _ = edges.get(block, (place, 0))
        edges[block] = (left, place + width)
        place += width + (0.3 if pool else max(0.13, 0.15 - width / 2))
    side = SIDE
    for block, (left, right) in edges.items():
        words = f"block {block}\n{side} × {side}\n{CHANNELS[block]} maps"
        _say(axis, (left + right) / 2, 1.62, words, va="bottom")
        side //= 2
    _crossed_out(axis, place + 0.1, label_at)
    note = f"height of a slab: side of its feature maps, for a {SIDE} × {SIDE} picture; width: their number"
    _say(axis, 0.1, -3.15, note, size=11, colour="#666666", ha="left", va="top")
    axis.set(xlim=(-0.1, place + 1.75), ylim=(-3.45, 2.5))
    return figure


def _slab(axis, name, left, width, height, colour, framed) -> None:
    frame = (
        {"edgecolor": "black", "linewidth": 2.6} if name in framed else {"edgecolor": INK, "linewidth": 0.6}
    )
    alpha = 0.3 if framed and name not in framed else 1
    slab = Rectangle(
        (left, -height / 2), width, height, facecolor=colour, alpha=alpha, gid=name, zorder=2, **frame
    )
    axis.add_patch(slab)


def _crossed_out(axis, left, label_at) -> None:
    """Draw the three fully connected layers, which are not used."""
    for i, name in enumerate(FULLY_CONNECTED):
        height = 0.7 if name == "fc8" else 1.5
        slab = Rectangle(
            (left + 0.5 * i, -height / 2), 0.12, height, facecolor="#F4F4F4", edgecolor="#AAAAAA"
        )
        axis.add_patch(slab)
        middle = left + 0.5 * i + 0.06
        _say(axis, middle, label_at, name, rotation=90, va="top", colour="#767676")
    for ends in ((-0.85, 0.85), (0.85, -0.85)):
        axis.plot((left - 0.15, left + 1.27), ends, color="#888888", linewidth=1.8)
    _say(axis, left + 0.56, 1.62, "fully connected\nlayers:\nnot used", va="bottom", colour="#767676")


def _algorithm(pictures: Sequence[torch.Tensor]) -> Figure:
    figure, axis = _canvas(13.4, 6.2)
    rows = {
        "p": (5.2, "photograph", BLUE),
        "x": (3.1, "generated image", GREEN),
        "a": (1.0, "artwork", VERMILION),
    }
    shown = dict(zip("pax", pictures, strict=False))
    for letter, (y, words, colour) in rows.items():
        _picture(axis, letter, y, words, colour, shown.get(letter))
    _say(axis, 1.2, 2.38, "starts as white noise", va="top", colour=GREEN)

    network = Polygon([(3.5, 0.2), (5.7, 0.75), (5.7, 5.45), (3.5, 6.0)], facecolor="#E9EEF1", edgecolor=INK)
    axis.add_patch(network)
    _say(axis, 4.6, 4.5, "VGG19", size=16, bold=True)
    _say(axis, 4.6, 4.06, "the same for all three")
    _say(axis, 4.6, 2.05, "frozen:\nthe network\ndoes not change")

    boxes = {
        "P": (5.2, BLUE, "features\nof p"), "F": (4.0, BLUE, "features\nof x"),
        "G": (2.2, VERMILION, "Gram mat-\nrices of x"), "A": (1.0, VERMILION, "Gram mat-\nrices of a"),
    }  # fmt: skip
    for letter, (y, colour, words) in boxes.items():
        _box(axis, (6.5, y - 0.38), 0.72, 0.76, letter, colour, 17)
        _say(axis, 7.32, y, words, ha="left", colour=colour)
    _say(axis, 7.1, 5.68, "P and F at conv4_2", va="bottom", colour=BLUE)
    at = "G and A at conv1_1, conv2_1,\nconv3_1, conv4_1 and conv5_1"
    _say(axis, 7.2, 0.54, at, va="top", colour=VERMILION)
    _box(axis, (9.0, 4.12), 1.75, 0.96, "content loss\nP against F", BLUE, 13)
    _box(axis, (9.0, 1.12), 1.75, 0.96, "style loss\nA against G", VERMILION, 13)
    _box(axis, (11.5, 2.5), 1.75, 1.2, "total loss\nα · content\n+ β · style", INK, 13)

    for y in (5.2, 1.0):
        _arrow(axis, (2.12, y), (3.42, y), INK)
        _arrow(axis, (5.76, y), (6.42, y), INK)
    _arrow(axis, (2.12, 3.4), (3.42, 3.4), INK)
    _arrow(axis, (5.76, 3.72), (6.42, 4.0), INK)
    _arrow(axis, (5.76, 2.48), (6.42, 2.2), INK)
    for start, end in (((8.32, 5.2), (8.92, 4.8)), ((8.32, 4.0), (8.92, 4.4))):
        _arrow(axis, start, end, BLUE)
    for start, end in (((8.38, 2.2), (8.92, 1.8)), ((8.38, 1.0), (8.92, 1.4))):
        _arrow(axis, start, end, VERMILION)
    _arrow(axis, (10.83, 4.5), (12.1, 3.78), BLUE, "α")
    _arrow(axis, (10.83, 1.7), (12.1, 2.42), VERMILION, "β")
    # The way back: from the loss, through the network, to the picture.
    _arrow(axis, (11.42, 3.1), (5.76, 3.1), GREEN, wide=True)
    axis.plot((5.7, 3.5), (3.1, 2.9), color=GREEN, linewidth=3, linestyle=(0, (1.5, 1)))
    _arrow(axis, (3.44, 2.9), (2.12, 2.9), GREEN, wide=True)
    way_back = "gradient of the total loss, by back-propagation"
    _say(axis, 8.6, 3.18, way_back, va="bottom", colour=GREEN, bold=True)
    _say(axis, 8.6, 3.0, "changes the pixels of x only; then the next evaluation", va="top", colour=GREEN)
    axis.set(xlim=(-0.05, 13.35), ylim=(-0.1, 6.2))
    return figure


def _picture(axis, letter, y, words, colour, image) -> None:
    left, bottom, width, height = 0.35, y - 0.64, 1.7, 1.28
    if image is None:
        _say(axis, 1.2, y, letter, size=24, colour=colour, bold=True)
    else:
        array = to_array(image)
        rows = min(round(array.shape[1] * height / width), array.shape[0])  # the middle, in the frame's shape
        columns = min(round(rows * width / height), array.shape[1])
        top, side = (array.shape[0] - rows) // 2, (array.shape[1] - columns) // 2
        frame = (left, left + width, bottom, bottom + height)
        axis.imshow(array[top : top + rows, side : side + columns], extent=frame, aspect="auto", zorder=1)
        _say(axis, 0.16, y, letter, size=20, colour=colour, bold=True)
    axis.add_patch(
        Rectangle((left, bottom), width, height, facecolor="none", edgecolor=colour, linewidth=2, zorder=3)
    )
    _say(axis, 1.2, y + 0.68, words, va="bottom", colour=colour, bold=True)


def _box(axis, corner, width, height, words, colour, size) -> None:
    shape = FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.1", facecolor="white",
                           edgecolor=colour, linewidth=1.8)  # fmt: skip
    axis.add_patch(shape)
    middle = (corner[0] + width / 2, corner[1] + height / 2)
    _say(axis, *middle, words, size=size, colour=colour, bold=True)


def _arrow(axis, start, end, colour, words="", wide=False) -> None:
    style = {"linewidth": 3, "mutation_scale": 22} if wide else {"linewidth": 1.6, "mutation_scale": 15}
    axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", color=colour, shrinkA=0, shrinkB=0, **style))
    if words:
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + (0.24 if start[1] > end[1] else -0.24))
        _say(axis, *middle, words, ha="left", size=16, colour=colour, bold=True)


def _say(axis, x, y, words, colour=INK, size=12, bold=False, **more) -> None:
    options = {"ha": "center", "va": "center", "linespacing": 1.25} | more
    axis.text(x, y, words, color=colour, fontsize=size, fontweight="bold" if bold else "normal", **options)


def _canvas(width: float, height: float):
    figure = Figure(figsize=(width, height), layout="constrained")
    axis = figure.subplots()
    axis.set_axis_off()
    return figure, axis
