"""Feed-forward networks and stability.

``python notebooks/studies/answers_papers.py`` writes answers_papers.json. First part: a small network is
trained to transfer one style in one pass, once on a single photograph and once on random crops of five,
three seeds each; then it meets three photographs that it never saw. Second part: a
photograph moves by two pixels, or gets weak noise; how much does the result change?
"""

import json
from pathlib import Path

import torch
from skimage import data
from torch import nn

from helpers.images import load_image, white_noise
from helpers.losses import content_loss, gram_matrix, style_loss
from helpers.network import STYLE_LAYERS, VGG19, best_device, positions
from helpers.objective import Objective
from helpers.synthesis import synthesise

HERE = Path(__file__).resolve().parent
SIZE, ALPHA, EVALUATIONS, SEEDS, STEPS, BATCH = 64, 3e-2, 30, (0, 1, 2), 200, 2
TRAINED_ON = ("astronaut", "chelsea", "coffee", "rocket", "stereo_motorcycle")
PHOTOGRAPHS = ("chenonceau", "picos_de_europa", "red_panda")
ARTWORKS = ("starry_night", "night_cafe", "garden_at_bougival", "ducks", "citrus")


def square(image: torch.Tensor, size: int = SIZE) -> torch.Tensor:
    """Return the middle of a picture as a square of this size."""
    side = min(image.shape[2:])
    top, left = (image.shape[2] - side) // 2, (image.shape[3] - side) // 2
    image = image[..., top : top + side, left : left + side]
    return nn.functional.interpolate(image, (size, size), mode="bilinear", antialias=True)


def small_network() -> nn.Sequential:
    """Return a network from photograph to picture: down to half the side, and up again."""
    pad = {"padding": 1, "padding_mode": "reflect"}
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, **pad), nn.InstanceNorm2d(16, affine=True), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, **pad), nn.InstanceNorm2d(32, affine=True), nn.ReLU(),
        nn.Conv2d(32, 32, 3, **pad), nn.InstanceNorm2d(32, affine=True), nn.ReLU(),
        nn.Conv2d(32, 32, 3, **pad), nn.InstanceNorm2d(32, affine=True), nn.ReLU(),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(32, 16, 3, **pad), nn.InstanceNorm2d(16, affine=True), nn.ReLU(),
        nn.Conv2d(16, 3, 3, **pad), nn.Sigmoid(),
    )  # fmt: skip


def trained(network: VGG19, a: torch.Tensor, photographs: list[torch.Tensor], crops: bool, seed: int):
    """Return a small network, trained with the total loss on crops of photographs, or on whole ones."""
    torch.manual_seed(seed)
    layers, weights = {*STYLE_LAYERS, "conv4_2"}, dict.fromkeys(STYLE_LAYERS, 1 / 5)
    targets = {l: (gram_matrix(F), positions(l, a)) for l, F in network(a, STYLE_LAYERS).items()}
    student = small_network().to(network.device)
    optimiser = torch.optim.Adam(student.parameters(), 5e-3)
    for _ in range(STEPS):
        batch = []
        for i in torch.randint(len(photographs), (BATCH if crops else 1,)).tolist():
            photo = photographs[i]
            if crops:
                top, left = (int(torch.randint(side - SIZE + 1, ())) for side in photo.shape[2:])
                photo = photo[..., top : top + SIZE, left : left + SIZE]
                photo = photo.flip(3) if torch.rand(()) < 0.5 else photo
            batch.append(photo)
        p = torch.cat(batch)
        P, F = network(p, "conv4_2")["conv4_2"], network(student(p), layers)
        loss = (ALPHA * content_loss(F["conv4_2"], P) + style_loss(F, targets, weights)).mean()
        optimiser.zero_grad()
        (loss / 1e7).backward()
        optimiser.step()
    return student.requires_grad_(False)


def feed_forward(network: VGG19) -> list[dict]:
    """Return the total losses of both kinds of training, as multiples of what optimisation reaches."""
    a = square(load_image("starry_night").to(network.device))
    of_skimage = [getattr(data, name)() for name in TRAINED_ON]
    of_skimage = [p[0] if isinstance(p, tuple) else p for p in of_skimage]
    tensors = [
        torch.from_numpy(p.copy()).permute(2, 0, 1)[None].float().to(network.device) / 255 for p in of_skimage
    ]
    large, whole = [square(t, 96) for t in tensors], [square(t) for t in tensors]
    rows, tests = [], {}
    for name in PHOTOGRAPHS:
        p = square(load_image(name).to(network.device))
        objective = Objective(network, p, a, alpha=ALPHA)
        run = synthesise(
            network, p, a, alpha=ALPHA, evaluations=EVALUATIONS, precision="float32", progress=False
        )
        tests[name] = (p, objective, objective(run.image)["total"].item())
        rows += [
            {"kind": "noise", "photograph": name, "times": objective(white_noise(SIZE, SIZE))["total"].item()}
        ]
        rows += [{"kind": "photograph", "photograph": name, "times": objective(p)["total"].item()}]
        for row in rows[-2:]:
            row["times"] /= tests[name][2]
    for seed in SEEDS:
        one = trained(network, a, [whole[seed]], False, seed)
        many = trained(network, a, large, True, seed)
        own = Objective(network, whole[seed], a, alpha=ALPHA)
        best = synthesise(
            network, whole[seed], a, alpha=ALPHA, evaluations=EVALUATIONS, precision="float32", progress=False
        )
        times = own(one(whole[seed]))["total"].item() / own(best.image)["total"].item()
        rows.append({"kind": "one, its own", "seed": seed, "photograph": TRAINED_ON[seed], "times": times})
        for name, (p, objective, reached) in tests.items():
            for kind, student in (("one", one), ("many", many)):
                times = objective(student(p))["total"].item() / reached
                rows.append({"kind": kind, "seed": seed, "photograph": name, "times": times})
    return rows


def shift(network: VGG19) -> list[dict]:
    """Return how much the result changes when the photograph moves by two pixels, in grey levels."""
    rows, a = [], load_image("starry_night", SIZE).to(network.device)
    for name in PHOTOGRAPHS:
        wide = square(load_image(name).to(network.device), SIZE + 2)
        first, second = wide[..., :-2, :-2], wide[..., 2:, 2:]
        run = {"alpha": ALPHA, "evaluations": EVALUATIONS, "precision": "float32", "progress": False}
        for seed in SEEDS:
            x = synthesise(network, first, a, seed=seed, **run).image
            moved = nn.functional.pad(x[..., 2:, 2:], (0, 2, 0, 2), mode="replicate")
            starts = {
                "another noise": {"seed": seed + 10},
                "the same noise": {"seed": seed},
                "the last result": {"init": x},
                "the last result, moved": {"init": moved},
            }
            for start, options in starts.items():
                y = synthesise(network, second, a, **options, **run).image
                change = 255 * (x[..., 2:, 2:] - y[..., :-2, :-2]).abs().mean().item()
                rows.append({"photograph": name, "seed": seed, "start": start, "change": change})
        # No noise in it, so no seed.
        x, y = (synthesise(network, photo, a, init="content", **run).image for photo in (first, second))
        change = 255 * (x[..., 2:, 2:] - y[..., :-2, :-2]).abs().mean().item()
        rows.append({"photograph": name, "start": "the photograph", "change": change})
    return rows


def weak_noise(network: VGG19) -> list[dict]:
    """Return how much the result changes when each pixel of p changes by about one grey level."""
    rows = []
    for artwork in ARTWORKS:
        a = load_image(artwork, SIZE).to(network.device)
        trace = sum(F.square().sum().item() / F[0].numel() for F in network(a, STYLE_LAYERS).values())
        for seed, name in enumerate(PHOTOGRAPHS):
            p = square(load_image(name).to(network.device))
            torch.manual_seed(seed)
            q = (p + torch.randn_like(p) / 255).clamp(0, 1)
            run = {
                "alpha": ALPHA,
                "evaluations": EVALUATIONS,
                "precision": "float32",
                "progress": False,
                "seed": seed,
            }
            x, y = (synthesise(network, photo, a, **run).image for photo in (p, q))
            change, before = (255 * (one - other).abs().mean().item() for one, other in ((x, y), (p, q)))
            rows.append(
                {"artwork": artwork, "photograph": name, "trace": trace, "before": before, "change": change}
            )
    return rows


def rounded(value):
    """Return the value with four digits in each number."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    """Make all runs and write the file."""
    network = VGG19().to(best_device())
    settings = {"size": SIZE, "alpha": ALPHA, "evaluations": EVALUATIONS, "steps": STEPS, "batch": BATCH}
    settings["trained_on"] = TRAINED_ON
    parts = {"settings": settings, "shift": shift(network), "weak_noise": weak_noise(network)}
    parts["feed_forward"] = feed_forward(network)
    text = json.dumps(rounded(parts), indent=None, separators=(",", ":")).replace("},{", "},\n{")
    (HERE / "answers_papers.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
