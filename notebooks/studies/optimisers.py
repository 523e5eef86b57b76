"""Ways to make the same loss small: ``python notebooks/studies/optimisers.py`` writes optimisers.json.

Three pairs at 64 px, three seeds, 60 evaluations each: L-BFGS with several lengths of memory, Adam with
several rates and betas, plain gradient descent with several steps, and the L-BFGS of PyTorch and of SciPy. Of
each run: the lowest loss divided by that of the helper's L-BFGS with the same start, how far its picture is
from that one's, and how much of it still has the colour of the start. Then L-BFGS and Adam once more with an
artwork of which every evaluation sees another piece, as in training with small batches. About a quarter of an
hour on one core.
"""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

from helpers.images import load_image, white_noise
from helpers.network import VGG19, best_device
from helpers.objective import Objective
from helpers.optimisers import AdamState, LBFGSState, Steps, adam, lbfgs

HERE = Path(__file__).resolve().parent
SIZE, EVALUATIONS, ALPHA, SEEDS = 64, 60, 3e-2, (0, 1, 2)
PAIRS = (
    ("chenonceau", "starry_night"),
    ("picos_de_europa", "night_cafe"),
    ("red_panda", "garden_at_bougival"),
)


class Enough(Exception):
    """All evaluations are used up."""


class Counted:
    """A loss of pictures in [0, 1] that counts its evaluations and keeps the best picture."""

    def __init__(self, objective: Objective):
        """Begin to count."""
        self.objective, self.losses, self.best = objective, [], None

    def __call__(self, x: torch.Tensor) -> tuple[float, torch.Tensor]:
        """Return loss and gradient, (1, 3, H, W)."""
        if len(self.losses) == EVALUATIONS:
            raise Enough
        x = x.detach().requires_grad_()
        total = self.objective(x)["total"]
        (gradient,) = torch.autograd.grad(total, x)
        if self.losses and np.isnan(self.losses[-1]):
            raise Enough  # no step leads back from NaN
        self.losses.append(total.item())
        if total.item() <= np.nanmin(self.losses):
            self.best = x.detach().clone()
        return self.losses[-1], gradient


def by_helper(loss: Counted, x: torch.Tensor, history: int) -> None:
    """Run the helper's L-BFGS."""
    pictures = lbfgs(LBFGSState(x, Steps(x, history)), loss.objective.coarse_first(x))
    x = next(pictures)
    while x is not None:
        x = pictures.send(loss(x))


def by_descent(loss: Counted, x: torch.Tensor, first: float) -> None:
    """Run gradient descent with a fixed step: the first one moves pixels by ``first`` grey levels."""
    t = None
    while True:
        gradient = loss(x)[1]
        t = t or first / 255 / gradient.abs().mean()
        x = x - t * gradient


def by_torch(loss: Counted, x: torch.Tensor, kind, **options) -> None:
    """Run an optimiser of PyTorch on a picture in grey levels."""
    x = (255 * x).requires_grad_()
    optimiser = kind([x], **options)

    def closure():
        value, gradient = loss(x / 255)
        x.grad = gradient / 255
        return value

    while True:
        optimiser.step(closure)


def by_scipy(loss: Counted, x: torch.Tensor) -> None:
    """Run SciPy's L-BFGS on a picture in grey levels."""
    shape = x.shape

    def function(values):
        y = torch.from_numpy(values).float().view(shape) / 255
        value, gradient = loss(y.to(x.device))
        return value, gradient.double().cpu().numpy().ravel() / 255

    start = 255 * x.double().cpu().numpy().ravel()
    minimize(function, start, jac=True, method="L-BFGS-B")


def coloured_as_start(x: torch.Tensor) -> float:
    """Return the share of tiles of 8 px whose mean colour is within 15 grey levels of that of the start."""
    mean = torch.tensor([0.485, 0.458, 0.408]).view(1, 3, 1, 1)
    tiles = torch.nn.functional.avg_pool2d(x.cpu().clamp(0, 1), 8)
    return ((tiles - mean).abs().amax(1) < 15 / 255).float().mean().item()


def at_random(objective: Objective, targets: list, x: torch.Tensor, optimiser: str, seed: int) -> float:
    """Run an optimiser that sees another target at every evaluation; return the loss for their mean.

    The mean of the squared distances to several Gram matrices is the squared distance to their mean, and a
    constant: so the loss for the mean is what the random ones are on average.
    """
    mean = {l: (sum(t[l][0] for t in targets) / len(targets), targets[0][l][1]) for l in targets[0]}
    generator = np.random.default_rng(seed)
    chosen = [mean] if optimiser.endswith("fixed") else targets
    if optimiser.startswith("L-BFGS"):
        at = LBFGSState(x, Steps(x, 60))
        pictures = lbfgs(at, objective.coarse_first(x))
    else:
        at = AdamState(x)
        pictures = adam(at, 15 / 255)
    x = next(pictures)
    for _ in range(EVALUATIONS):
        if x is None:
            break
        objective.targets = chosen[generator.integers(len(chosen))]
        x = x.detach().requires_grad_()
        total = objective(x)["total"]
        x = pictures.send((total.item(), torch.autograd.grad(total, x)[0]))
    objective.targets = mean
    with torch.no_grad():
        return objective(at.x)["total"].item()


def crops(a: torch.Tensor, seed: int, count: int = 8) -> list[torch.Tensor]:
    """Return random pieces of a picture, of half its height and width."""
    generator, (height, width) = np.random.default_rng(seed), (side // 2 for side in a.shape[2:])
    places = [(generator.integers(height), generator.integers(width)) for _ in range(count)]
    return [a[..., top : top + height, left : left + width] for top, left in places]


def methods() -> dict:
    """Return what is tried: name to (function, its arguments)."""
    tried = {f"L-BFGS, {m} steps": (by_helper, {"history": m}) for m in (60, 10, 3, 1)}
    adam, tol = torch.optim.Adam, {"tolerance_grad": 0, "tolerance_change": 0, "max_iter": 60, "max_eval": 60}
    for rate in (1, 5, 15, 50):
        tried[f"Adam, rate {rate}"] = (by_torch, {"kind": adam, "lr": rate})
    for betas in ((0.5, 0.999), (0.99, 0.999), (0.9, 0.9)):
        name = f"Adam, rate 15, betas {betas[0]} and {betas[1]}"
        tried[name] = (by_torch, {"kind": adam, "lr": 15, "betas": betas})
    for first in (0.3, 1, 3):
        tried[f"gradient descent, {first}"] = (by_descent, {"first": first})
    for search in (None, "strong_wolfe"):
        for lr in (0.1, 1, 10):
            options = {"kind": torch.optim.LBFGS, "lr": lr, "line_search_fn": search, **tol}
            tried[f"PyTorch, {'line search' if search else 'none'}, lr {lr}"] = (by_torch, options)
    tried["SciPy"] = (by_scipy, {})
    return tried


def main() -> None:
    """Make all runs and write the file."""
    network, rows = VGG19().to(best_device()), []
    for names in PAIRS:
        p, a = (load_image(name, size=SIZE).to(network.device) for name in names)
        objective, earlier = Objective(network, p, a, alpha=ALPHA), None
        for seed in SEEDS:
            x = white_noise(*p.shape[2:], seed=seed).to(network.device)
            reference = None
            for name, (run, options) in methods().items():
                loss = Counted(objective)
                with suppress(Enough):
                    run(loss, x, **options)
                losses, picture = np.array(loss.losses), loss.best.clamp(0, 1)
                reference = reference or (np.nanmin(losses), picture)
                row = {"pair": ", ".join(names), "seed": seed, "method": name, "evaluations": len(losses)}
                row["lowest ÷ L-BFGS"] = np.nanmin(losses) / reference[0]
                row["last is finite"] = bool(np.isfinite(losses[-1]))
                row["apart"] = 255 * (picture - reference[1]).abs().mean().item()
                row["coloured as the start"] = coloured_as_start(picture)
                rows.append(row)
                if name == "L-BFGS, 60 steps":
                    other = None if earlier is None else 255 * (picture - earlier).abs().mean().item()
                    rows[-1] |= {} if other is None else {"from another seed": other}
                    earlier = picture
            pieces = crops(load_image(names[1], size=2 * SIZE).to(network.device), seed)
            targets = [Objective(network, a=piece).targets for piece in pieces]
            best = None
            for optimiser in ("L-BFGS, fixed", "Adam, fixed", "L-BFGS, random", "Adam, random"):
                left = at_random(Objective(network, p, a, alpha=ALPHA), targets, x, optimiser, seed)
                best = best or left
                told = {"pair": ", ".join(names), "seed": seed, "method": optimiser}
                rows.append(told | {"loss ÷ L-BFGS, fixed": left / best})
            print(names, seed, flush=True)
    settings = {"size": SIZE, "evaluations": EVALUATIONS, "alpha": ALPHA}
    runs = [{k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in runs)
    text = f'{{"settings": {json.dumps(settings)},\n"runs": [\n{lines}\n]}}\n'
    (HERE / "optimisers.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
