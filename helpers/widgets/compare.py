"""Before and after: two pictures in one place, and a border to drag."""

import torch
from IPython.display import HTML

from helpers.widgets.view import picture_url, static


def compare(pictures: dict[str, torch.Tensor], width: int = 420) -> HTML:
    """Return a slider between two of several pictures; it needs no kernel.

    Args:
        pictures: Label to picture, (1, 3, H, W), RGB in [0, 1]; two at least. The first decides the shape.
        width: On the page, in pixels.

    Raises:
        ValueError: If there are fewer than two.
    """
    if len(pictures) < 2:
        raise ValueError(f"{len(pictures)} picture to compare; there must be two or more")
    return static("compare", compare_data(pictures, width), "Slider between pictures: " + ", ".join(pictures))


def compare_data(pictures: dict[str, torch.Tensor], width: int) -> dict:
    """Return what the view shows; arguments as those of ``compare``."""
    first = next(iter(pictures.values()))
    shown = [{"label": label, "url": picture_url(image, width)} for label, image in pictures.items()]
    return {"pictures": shown, "width": width, "height": round(width * first.shape[2] / first.shape[3])}
