"""The two ways to move a picture downhill: L-BFGS and Adam.

Both take a function ``evaluate`` from a picture x to (loss, gradient). PyTorch has them too, but
importing them there imports its compiler, which takes longer than many a first evaluation.
"""

import math
from collections import deque

import torch

#: How far L-BFGS's first step moves a pixel on average: 5 of 255 grey levels.
FIRST_STEP = 5 / 255

#: How far any step may try to move a pixel on average. Early on the curvature is not yet known, and
#: a step many times too long would be an evaluation spent on finding that out.
LONGEST_STEP = 25 / 255


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
        self._memory, self._next = like.new_empty(history, 2, *like.shape), 0

    def remember(self, s: torch.Tensor, y: torch.Tensor) -> None:
        """Keep copies of a step and forget the oldest one if there are too many.

        A step along which the gradient hardly grew is left out: it says nothing of the curvature.
        """
        curvature = _dot(s, y)
        if curvature > 1e-8 * s.norm().item() * y.norm().item():
            place = self._memory[self._next % self.maxlen]
            place[0], place[1] = s, y
            self._next += 1
            self.append((place[0], place[1], 1 / curvature))


def lbfgs(evaluate, x: torch.Tensor, precondition, steps: Steps) -> None:
    """Follow L-BFGS until no step lowers the loss any more, or ``evaluate`` raises an exception.

    The first guess of the inverse Hessian is ``precondition``, scaled by the latest step; it may change
    from step to step. A step is taken whole if it lowers the loss at all, and shortened if not: nearly
    every evaluation is a step. What the loss is multiplied by makes no difference.

    Args:
        evaluate: From a picture like x to (loss as a number, gradient like x).
        x: Where to start, (1, 3, H, W).
        precondition: Linear, symmetric and positive, from a gradient to a direction.
        steps: Where to remember steps. Handed on to a later call, it saves that call from learning
            the curvature anew.

    Source: Nocedal and Wright, "Numerical Optimization", 2006, algorithms 7.4 and 3.1.
    """
    loss, gradient = evaluate(x)
    while True:
        d = gradient.clone()
        factors = []
        for s, y, rho in reversed(steps):
            factors.append(rho * _dot(s, d))
            d.sub_(y, alpha=factors[-1])
        d = precondition(d)
        if steps:
            s, y, rho = steps[-1]
            d *= 1 / (rho * _dot(y, precondition(y)))
        else:  # nothing is known of the curvature yet
            d *= FIRST_STEP / max(d.abs().mean().item(), 1e-30)
        for s, y, rho in steps:
            d.add_(s, alpha=factors.pop() - rho * _dot(y, d))
        d *= -min(1, LONGEST_STEP / max(d.abs().mean().item(), 1e-30))
        slope = _dot(gradient, d)
        if not slope < 0:  # at a minimum, or misled by what was remembered
            if not steps:
                return
            steps.clear()
            continue

        t, new_loss = 1.0, math.inf
        for _ in range(20):
            new_loss, new_gradient = evaluate(x + t * d)
            if new_loss <= loss + 1e-4 * t * slope:
                break
            # The lowest point of the parabola through both losses with this slope, within bounds.
            parabola = -slope * t / (2 * (new_loss - loss - slope * t)) if new_loss < math.inf else 0.1
            t *= min(max(parabola, 0.1), 0.5)
        else:
            if not steps:
                return
            steps.clear()  # what was remembered misleads; once more along the gradient
            continue

        steps.remember(t * d, new_gradient - gradient)
        x, loss, gradient = x + t * d, new_loss, new_gradient


def adam(evaluate, x: torch.Tensor, learning_rate: float) -> None:
    """Follow Adam until ``evaluate`` raises an exception.

    Args:
        evaluate: As for ``lbfgs``.
        x: Where to start.
        learning_rate: About how far one step moves a pixel, in units of [0, 1].

    Source: Kingma and Ba, "Adam", 2015, algorithm 1, with its usual settings.
    """
    mean, square, n = torch.zeros_like(x), torch.zeros_like(x), 0
    while True:
        _, gradient = evaluate(x)
        n += 1
        mean = mean.lerp(gradient, 0.1)
        square = square.lerp(gradient**2, 0.001)
        x = x - learning_rate * (mean / (1 - 0.9**n)) / ((square / (1 - 0.999**n)).sqrt() + 1e-8)


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


def _dot(a: torch.Tensor, b: torch.Tensor) -> float:
    return torch.dot(a.flatten(), b.flatten()).item()
