"""One switch for the tests: with NST_QUICK=1 set, everything runs small and short.

The notebooks and the command line never mention it. It keeps what they do and
shrinks how much: pictures to 48 px, runs to 4 evaluations.
"""

import os

QUICK = os.environ.get("NST_QUICK", "") not in ("", "0")


def quick_size(size: int | None) -> int | None:
    """Return the longer side in pixels to use for a picture."""
    return size if not QUICK else min(size or 48, 48)


def quick_evaluations(evaluations: int) -> int:
    """Return the number of evaluations to run."""
    return evaluations if not QUICK else min(evaluations, 4)
