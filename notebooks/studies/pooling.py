"""Average against max pooling: ``python notebooks/studies/pooling.py`` writes pooling.json and pooling.jpg.

Three pictures, three seeds, both kinds of pooling: a photograph rebuilt from conv4_1, and a texture from the
five style layers. Of each run: the gradient at the first pixels, the loss that is left, and the picture.
"""

import json
from pathlib import Path

import numpy as np
import torch
from skimage.filters import gaussian
from skimage.metrics import structural_similarity

from helpers.figures import show_images
from helpers.images import load_image, to_array
from helpers.network import VGG19, best_device
from helpers.objective import Objective
from helpers.synthesis import synthesise, white_noise

HERE = Path(__file__).resolve().parent
SIZE, EVALUATIONS, SEEDS = 96, 40, (0, 1, 2)
PHOTOGRAPHS = ("chenonceau", "picos_de_europa", "red_panda")
ARTWORKS = ("starry_night", "night_cafe", "garden_at_bougival")
PERIODS = (16, 8, 4)


def brightness(picture: torch.Tensor) -> np.ndarray:
    """Return the mean of red, green and blue, (H, W), in [0, 1]."""
    return to_array(picture).mean(2)


def grain(picture: torch.Tensor) -> float:
    """Return the standard deviation of what a blur of 1 px takes from the brightness."""
    grey = brightness(picture)
    return float((grey - gaussian(grey, 1)).std())


def pattern(grey: np.ndarray, period: int) -> float:
    """Return the standard deviation of the mean tile of ``period`` × ``period`` pixels."""
    height, width = (side - side % period for side in grey.shape)
    tiles = grey[:height, :width].reshape(height // period, period, width // period, period)
    return float(tiles.mean((0, 2)).std())


def grid(picture: torch.Tensor, period: int) -> float:
    """Return how much stronger a pattern repeats at a period than one pixel beside it: 1 is no grid."""
    grey = brightness(picture)
    fine = grey - gaussian(grey, period / 2)
    return pattern(fine, period) / np.mean([pattern(fine, period - 1), pattern(fine, period + 1)])


def gradient(objective: Objective, x: torch.Tensor) -> tuple[float, float]:
    """Return ‖∇ log L‖ at the pixels of x, and how even it is: 1 is the same size everywhere."""
    x = x.clone().requires_grad_()
    objective(x)["total"].log().backward()
    g = x.grad
    return g.norm().item(), (g.abs().mean() ** 2 / (g**2).mean()).item()


def measured(network: VGG19, kind: str, original: torch.Tensor, seed: int) -> tuple[dict, torch.Tensor]:
    """Make one picture and return its numbers and it."""
    pictures = {"p": original} if kind == "content" else {"a": original}
    options = {"content_layer": "conv4_1"}
    run = synthesise(network, **pictures, **options, seed=seed, evaluations=EVALUATIONS, progress=False)
    noise = white_noise(*original.shape[2:], seed=seed).to(network.device)
    norm, evenness = gradient(Objective(network, **pictures, **options), noise)
    totals, x = run.history["total"], run.image
    numbers = {"gradient": norm, "evenness": evenness, "loss_left": min(totals) / totals[0]}
    numbers["grain"] = grain(x) / grain(original)
    numbers |= {f"grid_{period}": grid(x, period) for period in PERIODS}
    if kind == "content":
        alike = {"data_range": 1, "channel_axis": 2}
        numbers["ssim"] = float(structural_similarity(to_array(original), to_array(x), **alike))
        numbers["psnr"] = float(-10 * np.log10(((to_array(original) - to_array(x)) ** 2).mean()))
    return numbers, x


def main() -> None:
    """Make all runs and write the two files."""
    networks = {pooling: VGG19(pooling=pooling).to(best_device()) for pooling in ("average", "max")}
    rows, shown = [], []
    for kind, names in (("content", PHOTOGRAPHS), ("style", ARTWORKS)):
        for name in names:
            original = load_image(name, size=SIZE).to(best_device())
            pictures = [original]
            for seed in SEEDS:
                for pooling, network in networks.items():
                    numbers, x = measured(network, kind, original, seed)
                    rows.append({"kind": kind, "picture": name, "seed": seed, "pooling": pooling, **numbers})
                    pictures.append(x)
            shown += pictures[:3] if name == names[0] else []
    settings = {"size": SIZE, "evaluations": EVALUATIONS, "content_layer": "conv4_1"}
    text = json.dumps({"settings": settings, "runs": rows}, indent=1)
    (HERE / "pooling.json").write_text(text + "\n", encoding="utf-8")
    captions = ["photograph", "conv4_1, average pooling", "conv4_1, max pooling"]
    captions += ["artwork", "texture, average pooling", "texture, max pooling"]
    (HERE / "pooling.jpg").write_bytes(show_images(shown, captions, columns=3).data)


if __name__ == "__main__":
    main()
