"""Five statistics of the same features: ``python notebooks/studies/style_statistics.py``.

It writes style_statistics.json and style_statistics.jpg. Textures of three artworks from each statistic, and
transfers of two pairs that keep the same content loss; each result is judged by all five statistics. How far
the transfers lie apart is compared with what another noise changes.
"""

import json
from functools import cache
from pathlib import Path
from time import process_time

import torch

from helpers.figures import show_images
from helpers.images import load_image, white_noise
from helpers.network import STYLE_LAYERS, VGG19, best_device
from helpers.optimisers import minimise

HERE = Path(__file__).resolve().parent
SIZE, EVALUATIONS, CONTENT_LEFT, STIFFNESS = 128, 60, 0.2, 20
ARTWORKS = ("citrus", "starry_night", "garden_at_bougival")
PAIRS = (("chenonceau", "starry_night"), ("red_panda", "citrus"))


@cache
def normal(rows: int, columns: int, seed: int) -> torch.Tensor:
    """Return normally distributed numbers, (rows, columns), the same for each seed."""
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def gram(F, A, seed=0):
    """Squared distance of the Gram matrices, each divided by its number of positions."""
    return (F @ F.mT / F.shape[2] - A @ A.mT / A.shape[2]).square().sum()


def mean_and_deviation(F, A, seed=0):
    """Squared distance of the means of all maps, and of their standard deviations."""
    return (F.mean(2) - A.mean(2)).square().sum() + (F.std(2) - A.std(2)).square().sum()


def histogram(F, A, seed=0):
    """Squared distance of the sorted values, map by map."""
    return (F.sort(2).values - A.sort(2).values).square().mean()


def gaussian(F, A, seed=0):
    """Squared maximum mean discrepancy with a Gaussian kernel, from random cosines."""
    N = F.shape[1]
    W = normal(4 * N, N, seed).to(F) / (2 * A.var(2).sum()).sqrt()
    b = normal(4 * N, 1, seed + 1).to(F) * 100  # spread so far that, as an angle, it is uniform
    return 2 * ((W @ F + b).cos().mean(2) - (W @ A + b).cos().mean(2)).square().mean()


@cache
def rotation(N: int, seed: int) -> torch.Tensor:
    """Return a random rotation, (N, N)."""
    return torch.linalg.qr(normal(N, N, seed))[0]


def sliced(F, A, seed=0):
    """Squared distance of the sorted values along the axes of a random rotation."""
    R = rotation(F.shape[1], seed).to(F)
    return histogram(R @ F, R @ A)


STATISTICS = {
    "Gram matrix": gram,
    "mean and deviation": mean_and_deviation,
    "histograms": histogram,
    "Gaussian kernel": gaussian,
    "sliced Wasserstein": sliced,
}


def features(network: VGG19, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the features of the five style layers and of conv4_2, (1, N_l, M_l) each."""
    return {l: F.flatten(2) for l, F in network(x, (*STYLE_LAYERS, "conv4_2")).items()}


def style_left(distance, A: dict, noise: dict, seed: int = 0):
    """Return a function of features: the distance to A as a part of white noise's, mean of five layers."""
    start = {l: distance(noise[l], A[l], seed) for l in STYLE_LAYERS}
    return lambda F: sum(distance(F[l], A[l], seed) / start[l] for l in STYLE_LAYERS) / len(STYLE_LAYERS)


def content_left(P: dict, noise: dict):
    """Return a function of features: the content loss at conv4_2 as a part of white noise's."""
    start = (noise["conv4_2"] - P["conv4_2"]).square().sum()
    return lambda F: (F["conv4_2"] - P["conv4_2"]).square().sum() / start


def runs(network: VGG19, a: torch.Tensor, p: torch.Tensor | None = None) -> tuple[dict, dict]:
    """Return a picture from each statistic, and what is left of each loss; random ones are drawn anew."""
    start, pictures, rows = white_noise(*a.shape[2:]).to(a.device), {}, {}
    A, noise = features(network, a), features(network, start)
    judges = {name: style_left(distance, A, noise, seed=100) for name, distance in STATISTICS.items()}
    if p is not None:
        judges["content"] = content_left(features(network, p), noise)
    begin = dict.fromkeys(STATISTICS, start)
    if p is not None:
        begin["Gram matrix, another noise"] = white_noise(*a.shape[2:], seed=1).to(a.device)
    for name, start in begin.items():
        style = style_left(STATISTICS[name.split(",")[0]], A, noise)

        def loss(x, style=style):
            F = features(network, x)
            over = 0 if p is None else (judges["content"](F) - CONTENT_LEFT).relu()
            return style(F) + STIFFNESS * over**2

        begun = process_time()
        x = pictures[name] = minimise(loss, start, EVALUATIONS)
        seconds = process_time() - begun
        with torch.no_grad():
            F = features(network, x)
            rows[name] = {judge: float(f"{left(F).item():.4g}") for judge, left in judges.items()}
        apart = 255 * (x - pictures["Gram matrix"]).abs().mean().item()
        rows[name] |= {"apart": round(apart, 1), "seconds": round(seconds, 1)}
        print(name, rows[name], flush=True)
    return pictures, rows


def main() -> None:
    """Make all runs and write both files."""
    torch.set_num_threads(1)  # so that the processor's time is the time of the run
    network = VGG19().to(best_device())
    numbers = {"size": SIZE, "evaluations": EVALUATIONS, "content": CONTENT_LEFT, "stiffness": STIFFNESS}
    numbers |= {"textures": {}, "transfers": {}}
    shown, captions = [], []
    for photograph, artwork in PAIRS:
        p, a = (load_image(name, SIZE).to(network.device) for name in (photograph, artwork))
        height, width = (min(p.shape[i], a.shape[i]) for i in (2, 3))  # sorted values need one size
        p, a = p[..., :height, :width], a[..., :height, :width]
        pictures, rows = runs(network, a, p)
        numbers["transfers"][f"{photograph}, {artwork}"] = rows
        shown += [p, a, *pictures.values()]
        captions += ["the photograph", "the artwork", *pictures]
    for artwork in ARTWORKS:
        pictures, rows = runs(network, load_image(artwork, SIZE).to(network.device))
        numbers["textures"][artwork] = rows
    (HERE / "style_statistics.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    (HERE / "style_statistics.jpg").write_bytes(show_images(shown, captions, columns=4).data)


if __name__ == "__main__":
    main()
