"""Things to move with the mouse, the finger or the keyboard, where looking beats reading.

``compare``, ``scrubber``, ``gram_explorer`` and ``layer_page`` need no kernel and work on exported pages;
``LiveRun`` and ``layer_browser`` compute.
"""

from helpers.widgets.compare import compare
from helpers.widgets.frames import frame_slider
from helpers.widgets.gram import gram_explorer
from helpers.widgets.layer_page import layer_page
from helpers.widgets.layers import layer_browser
from helpers.widgets.live import LiveRun
from helpers.widgets.scrubber import scrubber

__all__ = [
    "LiveRun",
    "compare",
    "frame_slider",
    "gram_explorer",
    "layer_browser",
    "layer_page",
    "scrubber",
]
