"""What a run saves of itself, and what of that may be taken up: anybody may have written the file."""

from types import NoneType
from typing import get_type_hints

import torch

from helpers.engine import Way
from helpers.optimisers import AdamState, LBFGSState
from helpers.record import SMALLEST_TILE, Synthesis
from helpers.system.checkpoint import Checkpoint, has_form

#: What a run knows beside its result, its optimiser and what it compares.
OWN = {"_best_x": torch.Tensor, "_best_loss": float, "_scale": float | None, "_changed_at": int}
COMPARED = {
    "p": torch.Tensor | None, "a": list[dict], "content_layer": str,
    "style_layers": dict[str, float] | list[str] | tuple[str, ...],
    "form": str, "alpha": float, "beta": float, "tau": float,
}  # fmt: skip
STEPS = {"memory": object, "next": int, "rho": list[float]}


def state_to_resume(checkpoint: Checkpoint, x: torch.Tensor, written: dict) -> dict:
    """Return the state in a run's checkpoint, with its ``Way``, once it is one that such a run can have.

    Args:
        checkpoint: Of the run.
        x: Its start, (1, 3, H, W).
        written: Its settings, as ``Settings.written_down`` returns them.

    Raises:
        FileNotFoundError, ValueError: As ``Checkpoint.load``.
    """
    state = checkpoint.load(x.device)
    with checkpoint.taken_up():
        optimiser = get_type_hints(AdamState if written["optimiser"] == "adam" else LBFGSState)
        form = {
            "result": get_type_hints(Synthesis),
            "compared": COMPARED,
            "optimiser": {name: STEPS if name == "steps" else each for name, each in optimiser.items()},
            "way": NoneType if state["way"] is None else get_type_hints(Way),
            "own": OWN,
        }
        if not has_form(state, form, x):
            raise ValueError("another form")
        result, way = Synthesis(**state["result"]), state["way"] and Way(**state["way"])
        lengths, n = {len(values) for values in result.history.values()}, result.evaluations
        known = result.settings.keys() - written.keys() <= get_type_hints(Way).keys()
        if not (known and written.keys() <= result.settings.keys()):
            raise ValueError("other settings")
        if way and way.tile is not None and way.tile < SMALLEST_TILE:
            raise ValueError(f"tiles of {way.tile}")
        if lengths != {n} or not (0 <= result.best < n and 0 <= state["own"]["_changed_at"] <= n):
            raise ValueError("a history with gaps")
    return state | {"way": way}
