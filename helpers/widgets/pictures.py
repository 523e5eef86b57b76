"""Pictures as the browser shows them."""

import io

import ipywidgets
import torch

from helpers.images import to_pil


def picture(image: torch.Tensor, width: int) -> ipywidgets.Image:
    """Return a widget that shows a picture, (1, 3, H, W), so many pixels wide."""
    return ipywidgets.Image(value=jpeg(image), format="jpeg", width=width)


def jpeg(image: torch.Tensor, width: int | None = None, smooth: bool = True) -> bytes:
    """Return a picture as a JPEG file's bytes, resized to a width if one is given."""
    picture, buffer = to_pil(image), io.BytesIO()
    if width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), 2 if smooth else 0)
    picture.save(buffer, format="JPEG", quality=82)
    return buffer.getvalue()
