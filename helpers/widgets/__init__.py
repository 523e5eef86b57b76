"""Things to move with the mouse, the finger or the keyboard, where looking beats reading.

``compare``, ``scrubber``, ``gram_explorer``, ``layer_page`` and ``alpha_beta_pad`` need no kernel and work on
exported pages; ``LiveRun``, ``layer_browser`` and ``Studio`` compute.
"""

from helpers.widgets.compare import compare
from helpers.widgets.gram import gram_explorer
from helpers.widgets.layer_page import layer_page
from helpers.widgets.layers import layer_browser
from helpers.widgets.live import LiveRun
from helpers.widgets.pad import alpha_beta_pad
from helpers.widgets.scrubber import scrubber
from helpers.widgets.studio import Studio

__all__ = [
    "LiveRun",
    "Studio",
    "alpha_beta_pad",
    "compare",
    "gram_explorer",
    "layer_browser",
    "layer_page",
    "scrubber",
]
