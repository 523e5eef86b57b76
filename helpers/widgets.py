"""Things to move with the mouse, where looking beats reading."""

import io

import ipywidgets
import torch

from helpers.figures import colour_map
from helpers.images import to_pil
from helpers.network import CONVOLUTION_LAYERS, VGG19
from helpers.synthesis import Synthesis


def frame_slider(result: Synthesis, width: int = 384) -> ipywidgets.Widget:
    """Return a slider through the frames of a run.

    It needs no running kernel: all frames are in the page, and the browser switches between them.

    Args:
        result: A run made with ``frames``.
        width: Width of the picture on the page, in pixels.

    Raises:
        ValueError: If the run kept no frames.
    """
    if not result.frames:
        raise ValueError("the run kept no frames; ask for some with synthesise(..., frames=[0, 10, 20])")
    evaluations = sorted(result.frames)
    pages = [
        ipywidgets.VBox([_picture(result.frames[n], width), ipywidgets.Label(f"evaluation {n}")])
        for n in evaluations
    ]
    stack = ipywidgets.Stack(pages, selected_index=0)
    slider = ipywidgets.IntSlider(0, 0, len(pages) - 1, description="frame", readout=False)
    play = ipywidgets.Play(value=0, min=0, max=len(pages) - 1, interval=300, show_repeat=False)
    ipywidgets.jslink((play, "value"), (slider, "value"))
    ipywidgets.jslink((slider, "value"), (stack, "selected_index"))
    return ipywidgets.VBox([ipywidgets.HBox([play, slider]), stack])


def layer_browser(network: VGG19, images: dict[str, torch.Tensor], width: int = 320) -> ipywidgets.Widget:
    """Return a browser of feature maps: choose picture, layer and feature map.

    Maps are ordered by mean activation, strongest first. Features are computed when chosen.

    Args:
        network: A ``VGG19``.
        images: Label to picture, (1, 3, H, W), RGB in [0, 1].
        width: Width of each picture on the page, in pixels.
    """
    picture = ipywidgets.Dropdown(options=list(images), description="picture")
    layer = ipywidgets.SelectionSlider(options=CONVOLUTION_LAYERS, description="layer")
    rank = ipywidgets.BoundedIntText(1, min=1, max=64, description="map no.")
    left, right = (ipywidgets.Image(format="jpeg", width=width) for _ in range(2))
    label = ipywidgets.Label()

    def update(_=None):
        with torch.no_grad():
            F = network(images[picture.value].to(network.device), layer.value)[layer.value][0].cpu()
        rank.max = F.shape[0]
        means = F.mean((1, 2))
        index = means.argsort(descending=True)[rank.value - 1].item()
        left.value = _jpeg(images[picture.value], width)
        map_picture = torch.from_numpy(colour_map(F[index])).permute(2, 0, 1)
        right.value = _jpeg(map_picture, width, smooth=False)
        label.value = (
            f"{layer.value}, feature map {index} of {F.shape[0]}: {F.shape[2]} × {F.shape[1]} positions, "
            f"mean {means[index]:.3g}, largest {F[index].max():.3g}"
        )

    for control in (picture, layer, rank):
        control.observe(update, names="value")
    update()
    return ipywidgets.VBox([ipywidgets.HBox([picture, layer, rank]), ipywidgets.HBox([left, right]), label])


def _picture(image: torch.Tensor, width: int) -> ipywidgets.Image:
    return ipywidgets.Image(value=_jpeg(image), format="jpeg", width=width)


def _jpeg(image: torch.Tensor, width: int | None = None, smooth: bool = True) -> bytes:
    picture, buffer = to_pil(image), io.BytesIO()
    if width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), 2 if smooth else 0)
    picture.save(buffer, format="JPEG", quality=82)
    return buffer.getvalue()
