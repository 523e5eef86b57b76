"""A browser of feature maps: what each layer makes of a picture."""

import ipywidgets
import torch

from helpers.figures import colour_map
from helpers.network import CONVOLUTION_LAYERS, VGG19
from helpers.widgets.pictures import jpeg


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
        left.value = jpeg(images[picture.value], width)
        map_picture = torch.from_numpy(colour_map(F[index])).permute(2, 0, 1)
        right.value = jpeg(map_picture, width, smooth=False)
        label.value = (
            f"{layer.value}, feature map {index} of {F.shape[0]}: {F.shape[2]} × {F.shape[1]} positions, "
            f"mean {means[index]:.3g}, largest {F[index].max():.3g}"
        )

    for control in (picture, layer, rank):
        control.observe(update, names="value")
    update()
    return ipywidgets.VBox([ipywidgets.HBox([picture, layer, rank]), ipywidgets.HBox([left, right]), label])
