"""The layer browser with a kernel: any layer, and a picture of one's own."""

import base64
import io

from PIL import Image

from helpers.images import from_pil, load_image, picture_names
from helpers.network import VGG19, check_layers
from helpers.widgets.layer_page import layer_data
from helpers.widgets.module import Module, module


def layer_browser(
    network: VGG19, start: str = "chenonceau", layer: str = "conv3_1", size: int = 256
) -> Module:
    """Return VGG19 to click, with the strongest nine feature maps of any layer for any picture.

    The picture is one of the series, a file of one's own, or what the camera sees; it stays on this machine.

    Args:
        network: A ``VGG19``.
        start: Name of the first picture.
        layer: The first layer.
        size: Longer side of the picture in the network, in pixels.
    """
    now = {"image": load_image(start, size), "label": start, "layer": layer}
    others, own = {name: load_image(name, 192) for name in picture_names()}, {}

    def data() -> dict:
        shown = layer_data(network, now["image"], now["label"], (now["layer"],), others)
        return shown | {"asks": True, "said": "", "pictures": [*others, *own]}

    def answer(asked: dict) -> dict:
        before = dict(now)
        try:
            now.update(_wanted(asked, own, size))
            return data()
        except Exception as error:  # in the page nobody would see it
            now.update(before)
            return data() | {"said": str(error)}

    return module("layers", data(), answer)


def _wanted(asked: dict, own: dict, size: int) -> dict:
    """Return what changes; a picture of one's own is kept in ``own``."""
    if "layer" in asked:
        return {"layer": check_layers(asked["layer"])[0]}
    if "picture" in asked:
        file = io.BytesIO(base64.b64decode(asked["picture"].partition(",")[2]))
        own[asked["label"]] = from_pil(Image.open(file), size)
        return {"image": own[asked["label"]], "label": asked["label"]}
    name = asked["name"]
    return {"image": own[name] if name in own else load_image(name, size), "label": name}
