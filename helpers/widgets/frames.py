"""A slider through a run: its pictures, evaluation by evaluation."""

import ipywidgets

from helpers.record import Synthesis
from helpers.widgets.pictures import picture


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
        ipywidgets.VBox([picture(result.frames[n], width), ipywidgets.Label(f"evaluation {n}")])
        for n in evaluations
    ]
    stack = ipywidgets.Stack(pages, selected_index=0)
    slider = ipywidgets.IntSlider(0, 0, len(pages) - 1, description="frame", readout=False)
    play = ipywidgets.Play(value=0, min=0, max=len(pages) - 1, interval=300, show_repeat=False)
    ipywidgets.jslink((play, "value"), (slider, "value"))
    ipywidgets.jslink((slider, "value"), (stack, "selected_index"))
    return ipywidgets.VBox([ipywidgets.HBox([play, slider]), stack])
