"""Through a run: its pictures, and the place on its loss curve."""

import base64
import io

import torch
from IPython.display import HTML

from helpers.images import to_pil
from helpers.record import Synthesis
from helpers.widgets import curves
from helpers.widgets.view import picture_url, static


def scrubber(result: Synthesis, width: int = 300, film: bool = True) -> HTML:
    """Return a slider through the frames of a run; it needs no kernel.

    Args:
        result: A run made with ``frames``.
        width: Of the picture on the page, in pixels.
        film: Whether the page also holds the frames as an animated WebP, to save.

    Raises:
        ValueError: If the run kept no frames.
    """
    if not result.frames:
        raise ValueError("the run kept no frames; ask for some with synthesise(..., frames=[0, 10, 20])")
    totals, count = result.history["total"], max(result.evaluations, 2)
    best = [min(totals[:n]) for n in range(1, len(totals) + 1)]
    right, left = curves.WIDTH - 90, curves.LEFT
    frames = [
        {
            "number": n,
            "url": picture_url(image, width),
            "loss": f"{best[n - 1]:.3g}" if n else "",
            "x": round(left + (right - left) * (max(n, 1) - 1) / (count - 1), 1),
        }
        for n, image in sorted(result.frames.items())
    ]
    first = result.image
    data = {"frames": frames, "width": width, "height": round(width * first.shape[2] / first.shape[3])}
    data |= {"curves": curves.curves({"total": totals}), "bottom": curves.HEIGHT - curves.BOTTOM}
    data["film"] = film and animation_url([result.frames[n] for n in sorted(result.frames)], width)
    return static("scrubber", data, f"Slider through a run of {result.evaluations} evaluations")


def animation_url(pictures: list[torch.Tensor], width: int) -> str:
    """Return pictures as the address of an animated WebP that is inside it."""
    frames, buffer = [to_pil(picture) for picture in pictures], io.BytesIO()
    size = (width, max(1, round(frames[0].height * width / frames[0].width)))
    frames = [frame.resize(size) for frame in frames]
    times = [250] * (len(frames) - 1) + [2000]
    frames[0].save(
        buffer, format="WEBP", save_all=True, append_images=frames[1:], duration=times, loop=0, quality=55
    )
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
