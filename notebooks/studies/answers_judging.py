"""How results are judged: ``python notebooks/studies/answers_judging.py`` writes answers_judging.json.

Transfers of three photographs and three artworks with several α, seeds and kinds of pooling, each judged by
several numbers; and the losses of L-BFGS and Adam after equally many evaluations.
"""

import json
from itertools import product
from pathlib import Path

import numpy as np
import torch

from helpers.images import load_image, picture_names, white_noise
from helpers.measures import colour_difference, edge_match, grain, ssim
from helpers.network import VGG19, best_device
from helpers.objective import Objective
from helpers.synthesis import synthesise

HERE = Path(__file__).resolve().parent
SIZE, EVALUATIONS, SEEDS, ALPHAS = 64, 40, (0, 1, 2), (1e-2, 3e-2, 1e-1)
PHOTOGRAPHS = ("chenonceau", "picos_de_europa", "red_panda")
ARTWORKS = ("starry_night", "night_cafe", "garden_at_bougival")
OTHER_LAYERS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3")  # of the style, not minimised
RACE_SIZE, RACE_BUDGETS, RATES = 64, (5, 10, 20, 40, 80), (5, 15, 30)


def of_run(network, x, p=None, a=None, **options) -> dict[str, float]:
    """Return the losses of x."""
    with torch.no_grad():
        return {name: v.item() for name, v in Objective(network, p, a, **options)(x).items()}


def judged(networks, x, p, a, artwork: str) -> dict[str, float]:
    """Return every number of one picture; losses as parts of those of white noise."""
    noise, row = white_noise(*p.shape[2:]).to(p.device), {}
    average, with_max = networks["average"], networks["max"]
    tasks = {f"content {layer}": (average, {"p": p, "content_layer": layer}, "content") for layer in
             ("conv2_2", "conv3_2", "conv4_2", "conv5_2")}  # fmt: skip
    tasks["content max"] = with_max, {"p": p}, "content"
    tasks["style"] = average, {"a": a}, "style"
    tasks["style others"] = average, {"a": a, "style_layers": OTHER_LAYERS}, "style"
    tasks["style max"] = with_max, {"a": a}, "style"
    for name, (network, options, term) in tasks.items():
        row[name] = of_run(network, x, **options)[term] / of_run(network, noise, **options)[term]
    row |= {"ssim": ssim(x, p), "edges": edge_match(x, p), "grain": grain(x)}
    row["colours"] = colour_difference(x, a)
    works = {name: load_image(name, size=SIZE).to(p.device) for name in picture_names("style")}
    far = {
        name: of_run(average, x, a=work, style_layers=OTHER_LAYERS)["style"] for name, work in works.items()
    }
    row["found"] = min(far, key=far.get) == artwork
    return row


def transfers(networks) -> list[dict]:
    """Make and judge the transfers."""
    diagonal = list(zip(PHOTOGRAPHS, ARTWORKS, strict=True))
    asked = {(*pair, ALPHAS[1], 0, "average") for pair in product(PHOTOGRAPHS, ARTWORKS)}
    asked |= {("chenonceau", a, ALPHAS[1], s, k) for a in ARTWORKS for s in SEEDS for k in ("average", "max")}
    asked |= {(*pair, alpha, s, "average") for pair in diagonal for alpha in ALPHAS for s in SEEDS}
    rows, device = [], best_device()
    for photograph, artwork, alpha, seed, pooling in sorted(asked):
        p, a = (load_image(name, size=SIZE).to(device) for name in (photograph, artwork))
        options, used = {"seed": seed, "progress": False}, alpha
        if pooling == "max":  # the α that gives the same gradient ratio in the noise
            ratios = [
                synthesise(networks[k], p, a, alpha=alpha, evaluations=1, **options).gradient_ratios[0][1]
                for k in ("average", "max")
            ]
            used = alpha * ratios[0] / ratios[1]
        run = synthesise(networks[pooling], p, a, alpha=used, evaluations=EVALUATIONS, **options)
        row = {"photograph": photograph, "artwork": artwork, "alpha": alpha, "seed": seed, "pooling": pooling}
        rows.append(row | judged(networks, run.image, p, a, artwork))
        print(len(rows), len(asked), row, flush=True)
    return rows


def races(network) -> list[dict]:
    """Return the lowest loss of each optimiser after each budget of evaluations."""
    rows, device = [], best_device()
    for photograph, artwork in zip(PHOTOGRAPHS, ARTWORKS, strict=True):
        p, a = (load_image(name, size=RACE_SIZE).to(device) for name in (photograph, artwork))
        for rate in (None, *RATES):
            options = {"optimiser": "adam", "learning_rate": rate / 255} if rate else {}
            name = f"Adam {rate}" if rate else "L-BFGS"
            options |= {
                "alpha": 3e-2,
                "precision": "float32",
                "progress": False,
                "evaluations": RACE_BUDGETS[-1],
            }
            total = synthesise(network, p, a, **options).history["total"]
            rows.append({"photograph": photograph, "artwork": artwork, "optimiser": name})
            rows[-1] |= {f"{n}": min(total[:n]) / total[0] for n in RACE_BUDGETS}
            rows[-1]["last over best"] = total[-1] / min(total)
            rows[-1]["rises"] = float(np.mean(np.diff(total) > 0))
            print(rows[-1], flush=True)
    return rows


def rounded(row: dict) -> dict:
    """Return the row with four digits."""
    return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()}


def main() -> None:
    """Make all runs and write the file."""
    networks = {pooling: VGG19(pooling=pooling).to(best_device()) for pooling in ("average", "max")}
    settings = {"size": SIZE, "evaluations": EVALUATIONS, "race size": RACE_SIZE}
    study = {"settings": settings, "races": races(networks["average"]), "transfers": transfers(networks)}
    study |= {key: [rounded(row) for row in study[key]] for key in ("races", "transfers")}
    lines = [f'"settings": {json.dumps(settings)}']
    for key in ("races", "transfers"):
        lines.append(f'"{key}": [\n' + ",\n".join(json.dumps(row) for row in study[key]) + "\n]")
    (HERE / "answers_judging.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
