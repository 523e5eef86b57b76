"""The grain of an empty sky, measured: ``python notebooks/studies/grain.py`` writes grain.json and grain.jpg.

A transfer at 320 pixels with average pooling and one with max pooling; then how strongly the brightness
varies, period by period, in the sky of the photograph, of the painting and of both transfers.
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers.figures import show_images
from helpers.images import load_image, to_array
from helpers.network import VGG19, best_device
from helpers.synthesis import synthesise

HERE = Path(__file__).resolve().parent
SIZE, EVALUATIONS, ALPHA = 320, 100, 1e-3
PHOTOGRAPH, PAINTING = "picos_de_europa", "starry_night"

#: Periods in pixels of the picture, from coarse to fine.
BANDS = {"16–8": (8, 16), "8–6": (6, 8), "6–4": (4, 6), "4–3": (3, 4), "3–2": (2, 3), "below 2": (0, 2)}

#: The empty part of the photograph's sky and the painting's sky, as (top, bottom, left, right) shares.
SKY = {PHOTOGRAPH: (0.0, 0.16, 0.5, 0.92), PAINTING: (0.0, 0.6, 0.2, 1.0)}


def sky_of(image: torch.Tensor, name: str) -> np.ndarray:
    """Return the brightness of the sky in grey levels, (H, W)."""
    brightness = to_array(image) @ np.array([0.299, 0.587, 0.114]) * 255
    top, bottom, left, right = SKY[name]
    height, width = brightness.shape
    return brightness[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]


def spectrum(sky: np.ndarray, tile: tuple[int, int]) -> dict[str, float]:
    """Return the rms of the brightness in every band, in grey levels, as the mean over tiles of one size."""
    height, width = tile
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    period = 1 / np.maximum(f, 1e-9)
    powers = []
    for top in range(0, sky.shape[0] - height + 1, height // 2):
        for left in range(0, sky.shape[1] - width + 1, width // 2):
            piece = sky[top : top + height, left : left + width]
            piece = (piece - np.average(piece, weights=window)) * window
            powers.append(np.abs(np.fft.fft2(piece)) ** 2 / (height * width * (window**2).sum()))
    power = np.mean(powers, 0)  # sums up to the variance
    within = {name: (period >= least) & (period < most) for name, (least, most) in BANDS.items()}
    return {name: float(np.sqrt(power[mask].sum())) for name, mask in within.items()}


def order(sky: np.ndarray) -> float:
    """Return how far the gradients of brightness share a direction in windows of 16 px: 0 none, 1 all.

    It is the mean coherence of the structure tensor: (largest - least) / (largest + least eigenvalue).
    """
    dy, dx = np.gradient(sky)
    values = []
    for top in range(0, sky.shape[0] - 15, 8):
        for left in range(0, sky.shape[1] - 15, 8):
            u, v = dx[top : top + 16, left : left + 16], dy[top : top + 16, left : left + 16]
            xx, yy, xy = (u * u).sum(), (v * v).sum(), (u * v).sum()
            values.append(np.hypot(xx - yy, 2 * xy) / max(xx + yy, 1e-9))
    return float(np.mean(values))


def main() -> None:
    """Make the pictures, measure them, write both files."""
    device = best_device()
    p, a = (load_image(name, SIZE).to(device) for name in (PHOTOGRAPH, PAINTING))
    pictures, skies, runs = {"photograph": p, "painting": a}, {}, {}
    for pooling in ("average", "max"):
        network = VGG19(pooling=pooling).to(device)
        runs[pooling] = synthesise(network, p, a, alpha=ALPHA, evaluations=EVALUATIONS)
        pictures[f"{pooling} pooling"] = runs[pooling].image
    skies = {n: sky_of(i, PAINTING if n == "painting" else PHOTOGRAPH) for n, i in pictures.items()}
    tile = skies["photograph"].shape
    numbers = {
        "size": SIZE, "evaluations": EVALUATIONS, "alpha": ALPHA, "sky": tile,
        "rms": {name: spectrum(sky, tile) for name, sky in skies.items()},
        "order": {name: order(sky) for name, sky in skies.items()},
        "losses": {n: {k: r.history[k][r.best] for k in ("content", "style")} for n, r in runs.items()},
        "ratio": {n: r.gradient_ratios[0][1] for n, r in runs.items()},
    }  # fmt: skip
    (HERE / "grain.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    height, width = tile
    cut = {name: image for name, image in pictures.items()}
    top, left = int(SKY[PAINTING][0] * a.shape[2]), int(0.3 * a.shape[3])
    crops = [a[..., top : top + height, left : left + width]]
    left = int(SKY[PHOTOGRAPH][2] * p.shape[3])
    crops += [
        cut[n][..., :height, left : left + width] for n in ("photograph", "average pooling", "max pooling")
    ]
    crops = [torch.nn.functional.interpolate(c, scale_factor=3, mode="nearest") for c in crops]
    names = ["painting", "photograph", "average pooling", "max pooling"]
    shown = [pictures[n] for n in names] + crops
    picture = show_images(shown, [*names, *(f"{n}: sky × 3" for n in names)], columns=4, width=11)
    (HERE / "grain.jpg").write_bytes(picture.data)
    print(json.dumps(numbers, indent=1), Image.open(HERE / "grain.jpg").size)


if __name__ == "__main__":
    main()
