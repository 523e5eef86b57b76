"""Does the size of the artwork set the size of the strokes? ``python notebooks/studies/strokes.py`` tells.

It writes strokes.json and strokes.jpg. Three pairs at 256 px, the artwork at three sizes, two seeds; and
textures of the three artworks, without a photograph. Of each picture: how large its structures are.
"""

import json
from pathlib import Path

import numpy as np
import torch
from skimage.filters import gaussian

from helpers.figures import show_images
from helpers.images import load_image
from helpers.measures import luminance, structure_size
from helpers.network import VGG19, best_device
from helpers.synthesis import synthesise

HERE = Path(__file__).resolve().parent
SIZE, ARTWORK_SIZES, SEEDS, EVALUATIONS, ALPHA = 256, (512, 256, 128), (0, 1), 60, 1e-3
PAIRS = (
    ("chenonceau", "starry_night"),
    ("picos_de_europa", "night_cafe"),
    ("red_panda", "garden_at_bougival"),
)
PERIODS = (2, 4, 8, 16, 32)  # pixels; the bands between them are one octave wide


def frequencies(shape) -> np.ndarray:
    """Return the frequency of every coefficient of ``np.fft.fft2``, in 1/px."""
    return np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :])


def beyond(y: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Return a brightness without its part that is, band by band, a multiple of another brightness."""
    Y, P, f = np.fft.fft2(y - y.mean()), np.fft.fft2(of - of.mean()), frequencies(y.shape)
    for least, most in zip((0, *PERIODS), (*PERIODS, np.inf), strict=True):
        band = (f > 1 / most) & (f <= (1 / least if least else np.inf))
        Y[band] -= P[band] * (Y[band] * P[band].conj()).real.sum() / (abs(P[band]) ** 2).sum()
    return np.fft.ifft2(Y).real


def mean_period(y: np.ndarray) -> float:
    """Return the geometric mean period of a brightness in pixels, by power, between 2 and 32 px."""
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in y.shape))
    f = frequencies(y.shape)
    band = (f >= 1 / PERIODS[-1]) & (f <= 1 / PERIODS[0])
    power = abs(np.fft.fft2((y - y.mean()) * window)) ** 2
    return float(np.exp((power * -np.log(np.maximum(f, 1e-9)))[band].sum() / power[band].sum()))


def width(y: np.ndarray) -> float:
    """Return the autocorrelation length in pixels of what a blur of 8 px takes from a brightness."""
    fine = torch.from_numpy(0.5 + (y - gaussian(y, 8)) / 4).clamp(0, 1).expand(1, 3, -1, -1)
    return structure_size(fine)


def numbers(image: torch.Tensor, p: torch.Tensor | None = None) -> dict[str, float]:
    """Return the three sizes of a picture, or of what is in it beyond a photograph."""
    y = luminance(image)
    y = y if p is None else beyond(y, luminance(p))
    return {"structures": structure_size(image), "mean period": mean_period(y), "width": width(y)}


def main() -> None:
    """Make all runs and write the two files."""
    network, rows, shown = VGG19().to(best_device()), [], []
    options = {"alpha": ALPHA, "evaluations": EVALUATIONS, "progress": False}
    for content, style in PAIRS:
        p = load_image(content, size=SIZE).to(network.device)
        for size in ARTWORK_SIZES:
            a, told = load_image(style, size=size).to(network.device), {"artwork": style, "size": size}
            rows.append({"kind": "artwork", **told, **numbers(a)})
            texture = synthesise(network, a=a, size=tuple(p.shape[2:]), **options).image
            rows.append({"kind": "texture", **told, "seed": 0, **numbers(texture)})
            for seed in SEEDS:
                x = synthesise(network, p, a, seed=seed, **options).image
                rows.append({"kind": "transfer", **told, "seed": seed, **numbers(x, p)})
                if seed == 0:
                    shown.append(x[..., -160:, 48:208])
            print(*rows[-4:], sep="\n", flush=True)
    settings = {"size": SIZE, "evaluations": EVALUATIONS, "alpha": ALPHA, "pairs": PAIRS}
    runs = [{k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    lines = ",\n".join(json.dumps(row) for row in runs)
    text = f'{{"settings": {json.dumps(settings)},\n"pictures": [\n{lines}\n]}}\n'
    (HERE / "strokes.json").write_text(text, encoding="utf-8")
    captions = [f"artwork at {size} px" for size in ARTWORK_SIZES] + [""] * 6
    (HERE / "strokes.jpg").write_bytes(show_images(shown, captions, columns=3, width=6).data)


if __name__ == "__main__":
    main()
