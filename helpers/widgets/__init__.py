"""Things to move with the mouse, where looking beats reading."""

from helpers.widgets.frames import frame_slider
from helpers.widgets.layers import layer_browser

__all__ = ["frame_slider", "layer_browser"]
