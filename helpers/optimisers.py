"""The two ways to move a picture downhill: L-BFGS and Adam.

Each is a generator. It yields the picture at which it wants the loss, and is sent (loss, gradient) of
that picture: so whoever asks for the pictures keeps the loop. What it knows lies in a state outside
of it. A new generator with the same state goes on where the last one was, to the last bit.

PyTorch has both, but importing them there imports its compiler, which takes longer than many a first
evaluation, and its L-BFGS calls the loss from inside.
"""

import math
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch

from helpers.system.quick import quick_evaluations

#: How far L-BFGS's first step moves a pixel on average: 5 of 255 grey levels.
FIRST_STEP = 5 / 255

#: How far any step may try to move a pixel on average. Early on the curvature is not yet known, and
#: a step many times too long would be an evaluation spent on finding that out.
LONGEST_STEP = 25 / 255

#: Memory in bytes for the steps that L-BFGS remembers: 100 steps at most, 10 at least where these
#: fit in the second number, and else as many as fit, 3 at least.
HISTORY_BYTES, MOST_HISTORY_BYTES = 100e6, 500e6

OPTIMISERS = ("lbfgs", "adam")

#: What both are: pictures come out, (loss, gradient) of the last one goes in.
Pictures = Generator[torch.Tensor | None, tuple[float, torch.Tensor], None]


def history_length(height: int, width: int) -> int:
    """Return how many steps L-BFGS remembers for a picture of this size in pixels."""
    step = 2 * 4 * 3 * height * width
    return int(min(max(HISTORY_BYTES // step, min(10, max(MOST_HISTORY_BYTES // step, 3))), 100))


class Steps(deque):
    """The latest steps of L-BFGS: (s, y, 1 / sᵀy), a step and the change of the gradient along it.

    In fewer digits they would take less memory, but what is rounded off acts like noise, and a shallow
    layer hardly sees noise in fine colours: in bfloat16 it stays in the picture.

    Args:
        like: A picture of the size and on the device of the run.
        history: How many steps to remember; each takes the memory of two pictures.
    """

    def __init__(self, like: torch.Tensor, history: int):
        """Reserve the memory at once: pieces that live long between pieces that do not would waste more."""
        super().__init__(maxlen=history)
        # Each begins at a multiple of 64 bytes: elsewhere a sum over it may end in other last digits.
        self._memory = like.new_empty(history, 2, -(-like.numel() // 16) * 16)
        self._shape, self._next = like.shape, 0

    def remember(self, s: torch.Tensor, y: torch.Tensor) -> None:
        """Keep copies of a step and forget the oldest one if there are too many.

        A step along which the gradient hardly grew is left out: it says nothing of the curvature.
        """
        curvature = _dot(s, y)
        if curvature > 1e-8 * s.norm().item() * y.norm().item():
            pair = self._pair(self._next)
            pair[0].copy_(s)
            pair[1].copy_(y)
            self._next += 1
            self.append((*pair, 1 / curvature))

    def direction(self, gradient: torch.Tensor, precondition: Callable) -> torch.Tensor:
        """Return where to go: minus the gradient times a guess of the inverse Hessian.

        Source: Nocedal and Wright, "Numerical Optimization", 2006, algorithm 7.4.
        """
        d = gradient.clone()
        factors = []
        for s, y, rho in reversed(self):
            factors.append(rho * _dot(s, d))
            d.sub_(y, alpha=factors[-1])
        d = precondition(d)
        if self:
            s, y, rho = self[-1]
            d *= 1 / (rho * _dot(y, precondition(y)))
        else:  # nothing is known of the curvature yet
            d *= FIRST_STEP / max(d.abs().mean().item(), 1e-30)
        for s, y, rho in self:
            d.add_(s, alpha=factors.pop() - rho * _dot(y, d))
        return d.mul_(-min(1, LONGEST_STEP / max(d.abs().mean().item(), 1e-30)))

    def saved(self) -> dict:
        """Return everything as data, for a checkpoint."""
        return {"memory": self._memory, "next": self._next, "rho": [rho for _, _, rho in self]}

    def restore(self, saved: dict) -> None:
        """Become what was saved.

        Raises:
            ValueError: If that was of another picture, or more than there can be.
        """
        memory, steps = saved["memory"], len(saved["rho"])
        if (memory.shape, memory.dtype) != (self._memory.shape, self._memory.dtype):
            raise ValueError(f"steps of shape {tuple(memory.shape)}")
        if not steps <= min(saved["next"], self.maxlen):
            raise ValueError(f"{steps} steps")
        self.clear()
        self._memory, self._next = saved["memory"].to(self._memory.device), saved["next"]
        for i, rho in enumerate(saved["rho"], self._next - len(saved["rho"])):
            self.append((*self._pair(i), rho))

    def _pair(self, i: int) -> list[torch.Tensor]:
        place = self._memory[i % self.maxlen, :, : self._shape.numel()]
        return [half.view(self._shape) for half in place]


@dataclass
class LBFGSState:
    """All that L-BFGS knows.

    Attributes:
        x: The picture that the next step starts from, (1, 3, H, W).
        steps: What it remembers of earlier steps.
        loss: At x, once it is known.
        gradient: At x, once it is known.
        direction: Of the step that is being tried, if one is.
        t: How much of that step is tried.
        tries: How often it was shortened.
    """

    x: torch.Tensor
    steps: Steps
    loss: float = math.inf
    gradient: torch.Tensor | None = None
    direction: torch.Tensor | None = None
    t: float = 1.0
    tries: int = 0


def lbfgs(at: LBFGSState, precondition: Callable[[torch.Tensor], torch.Tensor]) -> Pictures:
    """Yield the pictures at which L-BFGS wants (loss, gradient), then None where no step lowers the loss.

    The first guess of the inverse Hessian is ``precondition``, scaled by the latest step; it may change
    from step to step. A step is taken whole if it lowers the loss at all, and shortened if not: nearly
    every evaluation is a step. What the loss is multiplied by makes no difference.

    Args:
        at: Where to start or to go on; changed on the way.
        precondition: Linear, symmetric and positive, from a gradient to a direction.

    Source: Nocedal and Wright, "Numerical Optimization", 2006, algorithms 7.4 and 3.1.
    """
    if at.gradient is None:
        at.loss, at.gradient = yield at.x
    while True:
        if at.direction is None:
            at.direction, at.t, at.tries = at.steps.direction(at.gradient, precondition), 1.0, 0
        slope = _dot(at.gradient, at.direction)
        if slope < 0 and at.tries < 20:
            s = at.t * at.direction
            loss, gradient = yield at.x + s
            if loss <= at.loss + 1e-4 * at.t * slope:
                at.steps.remember(s, gradient - at.gradient)
                at.x, at.loss, at.gradient, at.direction = at.x + s, loss, gradient, None
            else:  # to the lowest point of the parabola through both losses with this slope, within bounds
                parabola = -slope * at.t / (2 * (loss - at.loss - slope * at.t)) if loss < math.inf else 0.1
                at.t, at.tries = at.t * min(max(parabola, 0.1), 0.5), at.tries + 1
        elif at.steps:  # what was remembered misleads; once more along the gradient
            at.steps.clear()
            at.direction = None
        else:
            break
    yield None


@dataclass
class AdamState:
    """All that Adam knows: the picture x, running means of gradient and square, and how many it has seen."""

    x: torch.Tensor
    mean: torch.Tensor | None = None
    square: torch.Tensor | None = None
    n: int = 0


def adam(at: AdamState, learning_rate: float) -> Pictures:
    """Yield the pictures at which Adam wants (loss, gradient), without end.

    Args:
        at: Where to start or to go on; changed on the way.
        learning_rate: About how far one step moves a pixel, in units of [0, 1].

    Source: Kingma and Ba, "Adam", 2015, algorithm 1, with its usual settings.
    """
    if at.n == 0:
        at.mean, at.square = torch.zeros_like(at.x), torch.zeros_like(at.x)
    while True:
        _, gradient = yield at.x
        at.n += 1
        at.mean = at.mean.lerp(gradient, 0.1)
        at.square = at.square.lerp(gradient**2, 0.001)
        mean, square = at.mean / (1 - 0.9**at.n), at.square / (1 - 0.999**at.n)
        at.x = at.x - learning_rate * mean / (square.sqrt() + 1e-8)


def coarse_first(shape, device, largest: float, power: float = 1.0):
    """Return a function, a preconditioner, that moves coarse structures more than fine ones.

    It divides every frequency of the gradient by that frequency, or a power of it. Deep layers look
    at coarse structures, and pixel by pixel it takes many steps to move those together. The minima
    stay where they are; the way there is shorter.

    Args:
        shape: (1, 3, H, W) of the picture.
        device: Where it is.
        largest: In pixels; structures larger than this move no more than those of this size.
        power: Of the frequency.
    """
    height, width = shape[-2:]
    fy = torch.fft.fftfreq(height, device=device)[:, None]
    fx = torch.fft.rfftfreq(width, device=device)[None, :]
    # The mean brightness has frequency 0; it counts as the lowest other one.
    f = (fx**2 + fy**2).sqrt().clamp(min=1 / min(largest, max(height, width)))
    return lambda v: torch.fft.irfft2(torch.fft.rfft2(v) / f**power, s=(height, width))


def minimise(loss: Callable, x: torch.Tensor, evaluations: int, largest: float = 136) -> torch.Tensor:
    """Return the picture that L-BFGS makes of x for a loss of one's own.

    Args:
        loss: From a picture (1, 3, H, W), RGB in [0, 1], to a scalar; autograd goes through it.
        x: Where to start, (1, 3, H, W), on the device of what the loss computes with.
        evaluations: How often the loss is computed.
        largest: In pixels, see :func:`coarse_first`.

    Returns:
        The picture with the lowest loss, (1, 3, H, W), clipped to [0, 1].
    """
    at = LBFGSState(x, Steps(x, history=min(evaluations, 50)))
    pictures = lbfgs(at, coarse_first(x.shape, x.device, largest))
    x = next(pictures)
    for _ in range(quick_evaluations(evaluations)):
        if x is None:
            break  # no step lowers the loss any more
        x = x.detach().requires_grad_()
        value = loss(x)
        (gradient,) = torch.autograd.grad(value, x)
        x = pictures.send((value.item(), gradient))
    return at.x.detach().clamp(0, 1)


def _dot(a: torch.Tensor, b: torch.Tensor) -> float:
    return torch.dot(a.flatten(), b.flatten()).item()
