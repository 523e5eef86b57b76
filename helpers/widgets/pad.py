"""α/β to drag: the nearest picture of a computed sweep at once, the exact one on request."""

import math

from IPython.display import HTML

from helpers.record import Synthesis
from helpers.widgets.module import Module, module
from helpers.widgets.view import picture_url, static


def alpha_beta_pad(sweep: dict[float, Synthesis], compute=None, width: int = 300) -> HTML | Module:
    """Return a point to drag between style and content, with the picture and both losses.

    Args:
        sweep: α/β to the run with it; two at least.
        compute: From α/β to such a run, for ratios between; with it the pad needs a kernel, without it none.
        width: Of the picture on the page, in pixels.

    Raises:
        ValueError: If there are fewer than two, or an α/β is not positive.
    """
    if len(sweep) < 2 or min(sweep) <= 0:
        raise ValueError(f"the sweep has α/β {sorted(sweep)}; it must have two or more, all positive")
    runs, first = dict(sweep), next(iter(sweep.values())).image

    def data(said: str = "") -> dict:
        ends = math.log10(min(runs)), math.log10(max(runs))
        return {
            "pictures": [_entry(ratio, run, width) for ratio, run in sorted(runs.items())],
            "width": width,
            "height": round(width * first.shape[2] / first.shape[3]),
            "low": ends[0],
            "high": ends[1],
            "asks": compute is not None,
            "said": said,
        }

    def answer(asked: dict) -> dict:
        try:
            ratio = float(asked["ratio"])
            runs[ratio] = compute(ratio)
            return data(f"Computed in {runs[ratio].seconds:.1f} s: α/β {ratio:.2g}.")
        except Exception as error:  # in the page nobody would see it
            return data(f"Not computed: {error}")

    if compute:
        return module("pad", data(), answer)
    return static("pad", data(), f"α/β to drag: pictures from {min(runs):.2g} to {max(runs):.2g}")


def _entry(ratio: float, run: Synthesis, width: int) -> dict:
    left = {name: run.history[name][run.best] / run.history[name][0] for name in ("content", "style")}
    return {"ratio": ratio, "url": picture_url(run.image, width), **left}
