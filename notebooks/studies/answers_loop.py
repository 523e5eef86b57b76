"""Starts, seeds, weights, statistics: ``python notebooks/studies/answers_loop.py`` writes its .json and .jpg.

Three pairs of photograph and artwork. Of each run: both losses as parts of what they are for white noise,
how well the edges are those of the photograph, and what another seed changes. Then textures of three artworks
from five statistics of the features, from four sets of layer weights, and from two artworks at once. About
thirteen minutes on one core. Names of parts (transfers, textures, weightings, mixtures) make these alone.
"""

import json
import sys
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import torch
from skimage.filters import gaussian

from helpers.figures import show_images
from helpers.images import load_image, to_array
from helpers.losses import gram_matrix
from helpers.measures import colour_difference, edge_match, luminance
from helpers.network import STYLE_LAYERS, VGG19, best_device
from helpers.objective import Objective
from helpers.optimisers import minimise
from helpers.synthesis import Run, synthesise, white_noise

HERE = Path(__file__).resolve().parent
SIZE, ALPHA, EVALUATIONS, LONG, SEEDS = 96, 2e-2, 60, 150, (0, 1, 2)
PAIRS = (
    ("chenonceau", "starry_night"),
    ("picos_de_europa", "garden_at_bougival"),
    ("red_panda", "night_cafe"),
)
ALPHAS = (1e-3, 5e-3, 2e-2, 1e-1, 5e-1)
SHALLOW = ("conv1_1", "conv2_1")
MOMENTS = (1, 5, 10, 20, 40, 60, 100, 150)


def rounded(value):
    """Return numbers with four digits, in whatever they stand."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def apart(one: torch.Tensor, other: torch.Tensor, blur: float = 0) -> float:
    """Return the mean difference of two pictures in grey levels of 255, after a blur in pixels."""
    difference = to_array(one) - to_array(other)
    return float(255 * np.abs(gaussian(difference, blur, channel_axis=2) if blur else difference).mean())


def judged(objective: Objective, x: torch.Tensor, p: torch.Tensor) -> dict:
    """Return the losses of a finished picture and the match of its edges with those of p."""
    with torch.no_grad():
        terms = objective(x.to(p.device))
    return {name: terms[name].item() for name in ("content", "style", "total")} | {"edges": edge_match(x, p)}


def gram(F: torch.Tensor) -> torch.Tensor:
    """Return G/M."""
    return gram_matrix(F) / F[0, 0].numel()


def covariance(F: torch.Tensor) -> torch.Tensor:
    """Return the covariances of the maps."""
    return gram(F - F.mean((2, 3), keepdim=True))


def correlation(F: torch.Tensor) -> torch.Tensor:
    """Return the correlations of the maps."""
    C = covariance(F)
    deviations = C.diagonal(dim1=1, dim2=2).clamp(min=1e-6).sqrt()
    return C / (deviations[:, None] * deviations[..., None])


def diagonal(F: torch.Tensor) -> torch.Tensor:
    """Return the diagonal of G/M: the mean square of each map."""
    return gram(F).diagonal(dim1=1, dim2=2)


def rest(F: torch.Tensor) -> torch.Tensor:
    """Return G/M with 0 in its diagonal."""
    G = gram(F)
    return G - torch.diag_embed(G.diagonal(dim1=1, dim2=2))


STATISTICS = {
    "G": gram,
    "covariance": covariance,
    "correlation": correlation,
    "diagonal": diagonal,
    "rest": rest,
}


def textures(network: VGG19) -> tuple[list[dict], list[torch.Tensor]]:
    """Match each statistic at the five layers, and return what is left of the style loss, and pictures."""
    rows, shown = [], []
    for _, name in PAIRS:
        a = load_image(name, size=64).to(network.device)
        judge, F_a = Objective(network, a=a, engine="plain"), network(a, STYLE_LAYERS)
        shown.append(a)
        for seed in SEEDS:
            noise = white_noise(*a.shape[2:], seed=seed).to(network.device)
            with torch.no_grad():
                of_noise = judge(noise)
            for kind, statistic in STATISTICS.items():
                wanted = {l: statistic(F) for l, F in F_a.items()}

                def loss(x, statistic=statistic, wanted=wanted):
                    parts = [
                        (statistic(F) - wanted[l]).square().sum() / wanted[l].square().sum()
                        for l, F in network(x, STYLE_LAYERS).items()
                    ]
                    return 1e6 * sum(parts)

                x = minimise(loss, noise, 40)
                with torch.no_grad():
                    terms = judge(x)
                left = {l: (terms[l] / of_noise[l]).item() for l in ("style", *STYLE_LAYERS)}
                light = {"brightness off": float(255 * (luminance(x).mean() - luminance(a).mean()))}
                light["contrast"] = float(luminance(x).std() / luminance(a).std())
                numbers = {"artwork": name, "seed": seed, "statistic": kind, "left": left, **light}
                rows.append(numbers | {"colours": colour_difference(x, a)})
                shown += [x] if seed == SEEDS[0] else []
        print("textures", name, flush=True)
    return rows, shown


def weightings(network: VGG19) -> list[dict]:
    """Make textures with four sets of layer weights, and return what is left at layers matched and not."""
    rows, others = [], [l.replace("_1", "_2") for l in STYLE_LAYERS]
    for _, name in PAIRS:
        a = load_image(name, size=SIZE).to(network.device)
        judge = Objective(network, a=a, style_layers=[*STYLE_LAYERS, *others], engine="plain")
        for seed in SEEDS:
            x = white_noise(*a.shape[2:], seed=seed).to(network.device).requires_grad_()
            of_noise = judge(x)
            norms = {
                l: torch.autograd.grad(of_noise[l], x, retain_graph=True)[0].norm().item()
                for l in STYLE_LAYERS
            }
            sets = {
                "equal": dict.fromkeys(STYLE_LAYERS, 1.0),
                "equal losses": {l: 1 / of_noise[l].item() for l in STYLE_LAYERS},
                "equal gradients": {l: 1 / norms[l] for l in STYLE_LAYERS},
                "64:16:4:1:1": dict(zip(STYLE_LAYERS, (64.0, 16.0, 4.0, 1.0, 1.0), strict=True)),
            }
            for kind, weights in sets.items():
                total = sum(weights.values())
                weights = {l: w / total for l, w in weights.items()}
                options = {"style_layers": weights, "seed": seed, "evaluations": 40, "progress": False}
                x = synthesise(network, a=a, **options).image.to(network.device)
                with torch.no_grad():
                    terms = judge(x)
                left = {l: (terms[l] / of_noise[l]).item() for l in (*STYLE_LAYERS, *others)}
                rows.append({"artwork": name, "seed": seed, "weights": kind, "left": left})
        print("weightings", name, flush=True)
    return rows


def mixtures(network: VGG19) -> list[dict]:
    """Let shallow layers follow one artwork and deep layers another, and return whose colours come out."""
    works = {name: load_image(name, size=SIZE).to(network.device) for _, name in PAIRS}
    targets = {name: Objective(network, a=work, engine="plain").targets for name, work in works.items()}
    rows = []
    for shallow, deep in permutations(works, 2):
        art = works[shallow]
        judge = Objective(network, a=art, engine="plain")
        judge.targets = {l: targets[shallow if l in SHALLOW else deep][l] for l in STYLE_LAYERS}
        for seed in SEEDS:
            with torch.no_grad():
                of_noise = judge(white_noise(*art.shape[2:], seed=seed).to(network.device))
            balanced = {l: of_noise["style"].item() / of_noise[l].item() for l in STYLE_LAYERS}
            for kind, weights in {"equal weights": STYLE_LAYERS, "equal losses": balanced}.items():
                run = Run(network, a=art, style_layers=weights, seed=seed, evaluations=40)
                run.objective.targets = judge.targets
                x = run.to_the_end(progress=False).image
                apart = {
                    f"from {end}": colour_difference(x, works[n])
                    for end, n in (("shallow", shallow), ("deep", deep))
                }
                rows.append({"weights": kind, "shallow": shallow, "deep": deep, "seed": seed, **apart})
    print("mixtures", flush=True)
    return rows


def transfers(network: VGG19) -> dict:
    """Make the runs with both pictures, and return their numbers."""
    done = {"runs": [], "seeds": [], "alphas": []}
    for names in PAIRS:
        p, a = (load_image(name, size=SIZE).to(network.device) for name in names)
        judge, pair = Objective(network, p, a, alpha=ALPHA, engine="plain"), " and ".join(names)
        noises = {seed: white_noise(*p.shape[2:], seed=seed).to(network.device) for seed in SEEDS}
        of_noise = judged(judge, noises[0], p)
        options = {"alpha": ALPHA, "evaluations": EVALUATIONS, "progress": False}
        third = load_image("citrus", size=SIZE).to(network.device)
        earlier = synthesise(network, p, third, **options).image.to(network.device)

        def note(start, seed, run, pair=pair, judge=judge, p=p, of_noise=of_noise):
            after = {n: min(run.history["total"][:n]) for n in MOMENTS if n <= len(run.history["total"])}
            numbers = judged(judge, run.image, p)
            left = {f"{name}_left": numbers[name] / of_noise[name] for name in ("content", "style")}
            kept = {"pair": pair, "start": start, "seed": seed, **numbers, **left}
            parts = {
                f"{name}_after": [
                    min(run.history[name][:n]) / run.history[name][0] for n in MOMENTS if n <= EVALUATIONS
                ]
                for name in ("content", "style")
            }
            done["runs"].append(kept | {"total_after": after} | (parts if start == "noise" else {}))

        pictures = {}
        for seed in SEEDS:
            long = synthesise(network, p, a, **options | {"evaluations": LONG}, seed=seed)
            note("noise, long", seed, long)
            run = synthesise(network, p, a, **options, seed=seed)
            pictures[seed] = run.image
            note("noise", seed, run)
            half = (p + noises[seed]) / 2
            note("half noise, half p", seed, synthesise(network, p, a, **options, init=half))
        for start, init in (("p", "content"), ("a", "style"), ("an earlier result", earlier)):
            note(start, None, synthesise(network, p, a, **options, init=init))
        for one, other in combinations(SEEDS, 2):
            x, y = pictures[one], pictures[other]
            numbers = {
                "as they are": apart(x, y),
                "blurred by 4 px": apart(x, y, 4),
                "edges": edge_match(x, y),
            }
            numbers |= {"from p": apart(x, p), "from p, blurred by 4 px": apart(x, p, 4)}
            done["seeds"].append({"pair": pair, "of seeds": [one, other], **numbers})
        for alpha in (*ALPHAS, 0.0):
            run = synthesise(network, p, a, **options | {"alpha": alpha})
            numbers = judged(judge, run.image, p)
            left = {f"{name}_left": numbers[name] / of_noise[name] for name in ("content", "style")}
            done["alphas"].append({"pair": pair, "alpha": alpha, "edges": numbers["edges"], **left})
        print(pair, flush=True)
    return done


def main(parts: list[str]) -> None:
    """Make the runs of the parts that are named, or of all, and write the files; other parts stay."""
    network, file = VGG19().to(best_device()), HERE / "answers_loop.json"
    done = json.loads(file.read_text(encoding="utf-8")) if parts else {}
    done["settings"] = {"size": SIZE, "alpha": ALPHA, "evaluations": EVALUATIONS, "moments": MOMENTS}
    if "transfers" in parts or not parts:
        done |= transfers(network)
    if "textures" in parts or not parts:
        done["textures"], shown = textures(network)
        captions = [
            "the artwork",
            "Gram matrix",
            "covariance",
            "correlation",
            "diagonal alone",
            "no diagonal",
        ]
        title = "Textures from five statistics: only the correlation loses the contrast"
        figure = show_images(shown, captions * len(PAIRS), columns=6, title=title, width=8)
        (HERE / "answers_loop.jpg").write_bytes(figure.data)
    for part in (weightings, mixtures):
        if part.__name__ in parts or not parts:
            done[part.__name__] = part(network)
    file.write_text(json.dumps(rounded(done), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
