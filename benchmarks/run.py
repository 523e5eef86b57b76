"""Measure how fast the series computes, beside pastiche and beside the usual way in PyTorch.

    python benchmarks/run.py            every target; about 45 minutes on two CPU cores
    python benchmarks/run.py 1 5        these targets only; the others keep their last numbers

The results go into report.json, report.md and pictures/ beside this file; report.md says how each
target is measured.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from pastiche.pastiche import PasticheArtist
from torch.nn.functional import conv2d, interpolate
from torch.nn.grad import conv2d_input
from widgets import widgets

from helpers.engine import freed_memory_kept
from helpers.engine.choice import choose, fastest
from helpers.figures import loss_curves, show_images
from helpers.images import load_image, picture_path
from helpers.network import LAYERS, VGG19
from helpers.objective import Objective
from helpers.optimisers import history_length
from helpers.record import machine
from helpers.synthesis import Run, synthesise, white_noise

FOLDER = Path(__file__).resolve().parent
PAIRS = (("chenonceau", "starry_night"), ("red_panda", "ducks"), ("picos_de_europa", "night_cafe"))
CONTENT_LAYER = "conv4_2"
SIDES = (128, 256, 384, 512, 768, 1024, 1536)


def in_turn(functions: dict, repeats: int = 7) -> dict[str, float]:
    """Return each function's median time in seconds; all run once per round, in the same order."""
    times = {name: [] for name in functions}
    for round_ in range(repeats + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            if round_:  # the first round fills caches
                times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def gradient_of(objective, x):
    """Return a function without arguments that makes one evaluation, forward and backward."""

    def evaluate():
        x.grad = None
        objective(x)["total"].backward()

    return evaluate


def several(evaluate, evaluations, kept):
    """Return a function that makes several evaluations; with freed memory kept, as in our runs, or not."""

    def run():
        with freed_memory_kept() if kept else nullcontext():
            for _ in range(evaluations):
                evaluate()

    return run


def convolutions_alone(network, height, width, dtype):
    """Return a function that computes every convolution of an evaluation, forward and backward, on noise."""
    jobs, h, w = [], height, width
    for name in LAYERS[: LAYERS.index("conv5_1") + 1]:
        if name.startswith("pool"):
            h, w = h // 2, w // 2
            continue
        weight = getattr(network, name).weight.to(dtype, memory_format=torch.channels_last)
        N, C = weight.shape[:2]
        x, g = (torch.rand(1, n, h, w, dtype=dtype).to(memory_format=torch.channels_last) for n in (C, N))
        jobs.append((x, weight, g))

    def compute():
        for x, weight, g in jobs:
            conv2d(x, weight, padding=1)
            conv2d_input(x.shape, weight, g, padding=1)

    return compute


def one_evaluation(evaluations=5):
    """Target 1: one evaluation at 512 × 384, the mean of some in succession."""
    network, (p, a) = VGG19(), (load_image(name, 512) for name in PAIRS[0])
    height, width = p.shape[2:]
    pastiche = PasticheArtist(
        *(str(picture_path(PAIRS[0][0])), [str(picture_path(PAIRS[0][1]))]),
        pooling="avg", size=512, style_size=512, random_init=True,
    )  # fmt: skip
    with torch.no_grad():
        pastiche.pastiche.copy_(network.preprocess(white_noise(height, width)))
    x = white_noise(height, width).requires_grad_()
    ours = {precision: Objective(network, p, a) for precision in ("float32", "bfloat16")}
    ours["bfloat16"].way = replace(ours["float32"].way, precision="bfloat16")
    functions = {
        "pastiche": lambda: pastiche._calc_loss().backward(),
        "plain float32": gradient_of(Objective(network, p, a, engine="plain"), x),
        "ours, float32": gradient_of(ours["float32"], x),
        "ours, bfloat16": gradient_of(ours["bfloat16"], x),
        "convolutions alone, float32": convolutions_alone(network, height, width, torch.float32),
        "convolutions alone, bfloat16": convolutions_alone(network, height, width, torch.bfloat16),
    }
    others = ("pastiche", "plain float32")
    runs = {name: several(f, evaluations, name not in others) for name, f in functions.items()}
    with torch.set_grad_enabled(True):
        seconds = {name: s / evaluations for name, s in in_turn(runs, 5).items()}
    auto = choose("auto", network)[0].precision
    best = seconds[f"ours, {auto}"]
    alone = {d: seconds[f"convolutions alone, {d}"] for d in ("float32", "bfloat16")}
    rows = [
        ("1a", f"pastiche's time ÷ ours ({auto}), one evaluation", seconds["pastiche"] / best, 5, "≥"),
        ("1b", "ours ÷ convolutions alone in bfloat16", best / alone["bfloat16"], 1.6, "≤"),
        ("1c", "ours ÷ convolutions alone, float32", seconds["ours, float32"] / alone["float32"], 1.3, "≤"),
    ]
    return rows, {"seconds of one evaluation at 512 × 384": seconds}


def bfloat16_ends_where_float32_ends(size=160, evaluations=100):
    """Target 2: the final loss in float32 after the command's 100 evaluations, in either precision."""
    network, ratios, pictures, captions = VGG19(), {}, [], []
    for pair in PAIRS:
        p, a = (load_image(name, size) for name in pair)
        for init in ("noise", "content"):
            options = {"init": init, "evaluations": evaluations, "progress": False}
            runs = [synthesise(network, p, a, precision=d, **options) for d in ("float32", "bfloat16")]
            losses = [min(run.history["total"][-evaluations // 5 :]) for run in runs]  # those in float32
            ratios[f"{pair[0]}, {pair[1]}, from {init}"] = losses[1] / losses[0]
            if init == "noise":
                pictures += [run.image for run in runs]
                captions += [f"{pair[0]}, float32", "bfloat16"]
    figure = show_images(
        pictures, captions, "The same runs in float32 and in bfloat16 look the same", columns=6
    )
    (FOLDER / "pictures" / "precision.jpg").write_bytes(figure.data)
    worst = max(ratios.values())
    what = f"final loss, bfloat16 ÷ float32, worst of 6 runs ({size} px, {evaluations} evaluations)"
    return [("2", what, worst, 1.02, "≤")], {"final loss, bfloat16 ÷ float32": ratios}


def plain_lbfgs(objective, shape, seed, evaluations, enough=0.0):
    """Optimise the usual way and return the loss of every evaluation, and the seconds of each."""
    x = (white_noise(*shape, seed=seed, deviation=20 / 255) * 255).requires_grad_()
    options = {"tolerance_grad": 0, "tolerance_change": 0, "history_size": 20}
    optimiser = torch.optim.LBFGS([x], max_iter=evaluations, max_eval=evaluations, **options)
    losses, seconds, began = [], [], time.perf_counter()

    def closure():
        x.grad = None
        loss = objective(x / 255)["total"]
        loss.backward()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - began)
        return loss

    while len(losses) < evaluations:
        before = len(losses)
        optimiser.step(closure)
        if len(losses) - before < 2:  # stalled
            break
    return losses[:evaluations], seconds[:evaluations]


def first_at_most(losses, wanted):
    """Return at which evaluation a run reaches a loss; infinity if it never does."""
    return next((i + 1 for i, loss in enumerate(losses) if loss <= wanted), float("inf"))


def fewer_evaluations(size=96, seeds=3):
    """Target 3: evaluations until the loss that plain L-BFGS reaches after 200 and after 300."""
    network, reached, stalled, rows = VGG19(), {200: {}, 300: {}}, 0, []
    for pair in PAIRS:
        pictures = [load_image(name, size) for name in pair]
        for kind, (p, a) in {
            "content": (pictures[0], None), "style": (None, pictures[1]), "both": pictures
        }.items():  # fmt: skip
            objective = Objective(network, p, a)
            for seed in range(seeds):
                shape = (p if p is not None else a).shape[2:]
                plain, _ = plain_lbfgs(objective, shape, seed, 300)
                run = synthesise(
                    network, p, a, seed=seed, evaluations=300, progress=False, precision="float32"
                )
                ours = run.history["total"]
                stalled += run.stopped not in ("finished", "converged") or min(ours) > 0.2 * ours[0]
                for n in reached:
                    key = f"{pair[0] if p is not None else pair[1]}, {kind}"
                    reached[n].setdefault(key, []).append(first_at_most(ours, min(plain[:n])))
    for name, n, goal in (("3a", 200, 100), ("3b", 300, 180)):
        for kind in ("content", "style", "both"):
            values = [v for key, vs in reached[n].items() if key.endswith(kind) for v in vs]
            worst = "some runs never" if max(values) == float("inf") else f"worst {max(values)}"
            what = f"{kind}: evaluations to the loss of plain L-BFGS after {n}, median ({worst})"
            rows.append((name, what, statistics.median(values), goal, "≤"))
    rows.append(("3c", f"runs of {9 * seeds} that stalled or became NaN", stalled, 0, "≤"))
    return rows, {f"evaluations to plain L-BFGS's loss after {n}": v for n, v in reached.items()}


def timed_run(*pictures, **options):
    """Return a run and the seconds from its beginning to the end of each evaluation."""
    began = time.perf_counter()
    run, times = Run(*pictures, **options), []
    for _ in run:
        times.append(time.perf_counter() - began)
    return run.result, times


def wall_time_to_equal_loss(size=512, evaluations=200):
    """Target 3: seconds to the loss that the usual way reaches after 200 evaluations at 512 px."""
    network, (p, a) = VGG19(), (load_image(name, size) for name in PAIRS[0])
    losses, seconds = plain_lbfgs(Objective(network, p, a, engine="plain"), p.shape[2:], 0, evaluations)
    wanted = min(losses)
    usual = seconds[losses.index(wanted)]
    run, times = timed_run(network, p, a, evaluations=evaluations, frames=(60,))
    n = first_at_most(run.history["total"], wanted)
    ours = times[n - 1] if n < float("inf") else float("inf")  # never counts as 0, below any goal
    other = synthesise(network, p, a, seed=1, evaluations=60, progress=False).image
    pictures, captions = [run.frames[60], other], ["seed 0, 60 evaluations", "seed 1, 60 evaluations"]
    figure = show_images(pictures, captions, "Two noises give two different pictures", width=8)
    (FOLDER / "pictures" / "noises.jpg").write_bytes(figure.data)
    what = f"the usual way's seconds ÷ ours, to its loss after {evaluations} evaluations at {size} px"
    details = {"usual": usual, "ours": ours, "our evaluations": n}
    return [("3d", what, usual / ours, 7, "≥")], {"seconds to equal loss at 512 px": details}


def coarse_to_fine(size=1024, coarse=100, fine=40, full=75):
    """Target 3: half the size first, and the result as the start at full size, against full size only."""
    network, names = VGG19(), PAIRS[0]
    small, large = ([load_image(name, side) for name in names] for side in (size // 2, size))
    first, before = timed_run(network, *small, evaluations=coarse)
    start = interpolate(first.image, size=large[0].shape[2:], mode="bicubic", antialias=True).clamp(0, 1)
    second, after = timed_run(network, *large, init=start, evaluations=fine)
    after = [before[-1] + s for s in after]
    whole, seconds = timed_run(network, *large, evaluations=full)
    curves, x = {}, {}
    for name, run, times in (("from coarse to fine", second, after), ("full size only", whole, seconds)):
        curves[name] = [min(run.history["total"][: i + 1]) for i in range(len(times))]
        x[name] = times
    figure = loss_curves(curves, x_label="seconds since the start", y_label="total loss at full size", x=x)
    (FOLDER / "pictures" / "coarse_to_fine.png").write_bytes(figure.data)
    end = min(after[-1], seconds[-1])
    losses = {
        name: [loss for s, loss in zip(x[name], curve, strict=True) if s <= end][-1]
        for name, curve in curves.items()
    }
    return [], {f"total loss after equal seconds at {size} px": {"seconds": end, **losses}}


OURS = """
import json, sys, time
from helpers.images import load_image
from helpers.network import VGG19
from helpers.record import peak_memory
from helpers.synthesis import Run
network, size, n = VGG19(), int(sys.argv[1]), int(sys.argv[2])
p, a = load_image("chenonceau", size), load_image("starry_night", size)
times = [time.perf_counter() for _ in Run(network, p, a, evaluations=n)]
seconds = sorted(b - a for a, b in zip(times, times[1:]))
print(json.dumps([p.shape[2] * p.shape[3], seconds[len(seconds) // 2], peak_memory(network.device)]))
"""

PASTICHE = """
import sys
from pastiche.pastiche import PasticheArtist
from helpers.images import picture_path
from helpers.record import peak_memory
p, a = (str(picture_path(name)) for name in ("chenonceau", "starry_night"))
artist = PasticheArtist(p, [a], pooling="avg", size=512, style_size=512, random_init=True)
for _ in range(int(sys.argv[1])):
    artist.draw()
print(peak_memory(artist.pastiche.device))
"""


def output_of(script, *arguments, environment=None):
    """Run a script in a process of its own and return what it prints as JSON."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    environment = os.environ | (environment or {})
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def memory_and_cost():
    """Targets 4 and 6: peak memory and seconds of an evaluation against the size of the picture."""
    # As many evaluations as fill the history of L-BFGS; all sizes in turn, twice.
    evaluations = {side: history_length(3 * side // 4, side) + 4 for side in SIDES}
    rounds = [{side: output_of(OURS, side, n) for side, n in evaluations.items()} for _ in range(2)]
    pastiche = output_of(PASTICHE, 25)
    pixels = [rounds[0][side][0] / 1e6 for side in SIDES]
    seconds = [statistics.median(curve[side][1] for curve in rounds) for side in SIDES]
    memory = [max(curve[side][2] for curve in rounds) for side in SIDES]
    straight = [seconds[SIDES.index(512)] * x / pixels[SIDES.index(512)] for x in pixels]
    for name, values, label in (
        ("cost", {"measured": seconds, "straight line through 512 px": straight}, "seconds of an evaluation"),
        ("memory", {"peak of the process": [b / 1e9 for b in memory]}, "GB"),
    ):
        x = dict.fromkeys(values, pixels)
        figure = loss_curves(values, x_label="million pixels", y_label=label, x=x, logarithmic=False)
        (FOLDER / "pictures" / f"{name}.png").write_bytes(figure.data)
    at = dict(zip(SIDES, memory, strict=True))
    rows = [
        ("4a", f"peak GB of a run at 512 × 384 (pastiche {pastiche / 1e9:.2f})", at[512] / 1e9, 1.1, "≤"),
        ("4b", "peak GB of a run at 1024 × 768", at[1024] / 1e9, 4, "≤"),
        ("6", "seconds per pixel at 1536 px ÷ at 512 px", seconds[-1] / straight[-1], 1.25, "≤"),
    ]
    table = {
        f"{side} px": {"seconds": s, "GB": m / 1e9} for side, s, m in zip(SIDES, seconds, memory, strict=True)
    }
    return rows, {"growth": table}


# Each program runs as from its command line, and ends the moment it has its first loss and gradient.
OURS_FIRST = """
import os, sys
from helpers import command_line, synthesis
evaluate = synthesis.Run._evaluate
synthesis.Run._evaluate = lambda self, x: (evaluate(self, x), os._exit(0))
command_line.main(["transfer", *sys.argv[1:3], "--steps", "2", "--size", "256", "-o", "unused.png"])
"""

PASTICHE_FIRST = """
import os, sys
from pastiche.pastiche import PasticheArtist, main
draw = PasticheArtist.draw
PasticheArtist.draw = lambda self: (draw(self), os._exit(0))
options = "--size 256 --style-size 256 --num-steps 1 --pooling avg --random-init -o unused.png"
main(["pastiche", "-c", sys.argv[1], "-s", sys.argv[2], *options.split()])
"""


def start_up(repeats=5):
    """Target 5: from the start of a process to its first evaluation at 256 px."""
    pictures = [str(picture_path(name)) for name in PAIRS[0]]

    def process(script):
        command = [sys.executable, "-c", script, *pictures]
        return lambda: subprocess.run(command, capture_output=True, check=True)

    seconds = in_turn({"pastiche": process(PASTICHE_FIRST), "ours": process(OURS_FIRST)}, repeats)
    share = seconds["ours"] / seconds["pastiche"]
    return [("5", "start to first evaluation at 256 px, ours ÷ pastiche", share, 1 / 3, "≤")], {
        "start-up": seconds
    }


# Seconds of an evaluation, the median of those from the third on.
OURS_BESIDE = """
import json, statistics, sys, time
from helpers.images import load_image
from helpers.network import VGG19
from helpers.synthesis import Run
p, a = (load_image(name, 320) for name in ("chenonceau", "starry_night"))
times = [time.perf_counter()]
for _ in Run(VGG19(), p, a, evaluations=1000, precision=sys.argv[1]):
    times.append(time.perf_counter())
    if len(times) > 8 and times[-1] - times[0] > 6:
        break
print(json.dumps(statistics.median(b - a for a, b in zip(times[3:], times[4:]))))
"""

PASTICHE_BESIDE = """
import json, statistics, time
from pastiche.pastiche import PasticheArtist
from helpers.images import picture_path
p, a = (str(picture_path(name)) for name in ("chenonceau", "starry_night"))
artist = PasticheArtist(p, [a], pooling="avg", size=320, style_size=320, random_init=True)
seconds = []
for _ in range(5):
    began = time.perf_counter()
    artist._calc_loss().backward()
    seconds.append(time.perf_counter() - began)
print(json.dumps(statistics.median(seconds[1:])))
"""

#: Settings that stay for the whole of a run, by the environment.
FIXED = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "all threads": {"OMP_NUM_THREADS": str(torch.get_num_threads())},
    "all threads that do not spin": {
        "OMP_NUM_THREADS": str(torch.get_num_threads()), "GOMP_SPINCOUNT": "0",
    },
}  # fmt: skip


def beside_other_programs(rounds=1):
    """Target 7: an evaluation at 320 × 240 beside busy processes, with settings that stay and as we run."""
    details, rows = {}, []
    spin = [sys.executable, "-c", "while True: pass"]
    for neighbours in (0, 1, 2):
        busy = [subprocess.Popen(spin, start_new_session=True) for _ in range(neighbours)]
        found = {}
        try:
            for _ in range(rounds):
                for precision in ("float32", "auto"):
                    for name, environment in {"as we run": {}, **FIXED}.items():
                        value = output_of(OURS_BESIDE, precision, environment=environment)
                        found.setdefault(f"{precision}, {name}", []).append(value)
                found.setdefault("pastiche", []).append(output_of(PASTICHE_BESIDE))
        finally:
            for process in busy:
                process.kill()
                process.wait()
        seconds = {name: statistics.median(values) for name, values in found.items()}
        details[f"seconds of an evaluation at 320 × 240 beside {neighbours} busy processes"] = seconds
        for letter, precision in (("a", "float32"), ("b", "auto")):
            fixed = [seconds[f"{precision}, {name}"] for name in FIXED]
            share = seconds[f"{precision}, as we run"] / min(fixed)
            what = (
                f"beside {neighbours} busy processes, {precision}: our evaluation ÷ the best fixed setting's"
            )
            goal = 1.15 if neighbours else 1.03
            rows.append((f"7{neighbours}{letter}", what, share, goal, "≤"))
        share = seconds["auto, as we run"] / seconds["pastiche"]
        rows.append(
            (f"7{neighbours}c", f"beside {neighbours} busy processes: ours ÷ pastiche", share, 1, "≤")
        )
    return rows, details


TARGETS = {
    "1": [one_evaluation],
    "2": [bfloat16_ends_where_float32_ends],
    "3": [fewer_evaluations, wall_time_to_equal_loss, coarse_to_fine],
    "4": [memory_and_cost],
    "5": [start_up],
    "7": [beside_other_programs],
    "8": [widgets],
}


def write_report(report):
    """Write report.json and report.md from what is known."""
    report = json.loads(json.dumps(report), parse_constant=lambda _: None)  # JSON knows no infinity
    (FOLDER / "report.json").write_text(
        json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    lines = ["| target | what | measured | goal | met |", "| --- | --- | --- | --- | --- |"]
    for row in report["targets"]:
        goal = f"{row['comparison']} {row['goal']:.3g}"
        met = "yes" if row["met"] else "no"
        where = row.get("processor", report["machine"]["processor"])
        other = f" ({where})" if where != report["machine"]["processor"] else ""
        lines.append(f"| {row['target']} | {row['what']}{other} | {row['measured']:.3g} | {goal} | {met} |")
    about = dict(report["machine"])
    times = about.pop("milliseconds", {})
    milliseconds = ", ".join(f"{way} {ms:.1f} ms" for way, ms in times.items()) or "not measured there"
    fields = {
        "{table}": "\n".join(lines),
        "{machine}": ", ".join(f"{k} {v}" for k, v in about.items()),
        "{milliseconds}": milliseconds,
        "{lead}": lead(report["details"]),
    }
    text = (FOLDER / "report.template.md").read_text(encoding="utf-8")
    for field, value in fields.items():
        text = text.replace(field, value)
    (FOLDER / "report.md").write_text(text, encoding="utf-8")


def lead(details) -> str:
    """Return in words how many evaluations fewer ours need, and how often it needs more."""
    parts = []
    for n in (200, 300):
        runs = [v for vs in details[f"evaluations to plain L-BFGS's loss after {n}"].values() for v in vs]
        never = runs.count(None)
        ahead = [n - v if v is not None else float("-inf") for v in runs]
        parts.append(
            f"Of {len(runs)} runs at 96 px to its loss after {n}, the median is "
            f"{statistics.median(ahead):.0f} evaluations ahead, {sum(v < 0 for v in ahead) - never} are "
            f"behind, and {never} never get there."
        )
    return " ".join(parts)


def main() -> int:
    """Measure what the arguments name and write the report after each target."""
    chosen = sys.argv[1:] or list(TARGETS)
    path = FOLDER / "report.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"targets": [], "details": {}}
    here = {**machine(), "processor": processor(), "milliseconds": fastest(VGG19()).milliseconds}
    if "machine" not in report or set(chosen) == set(TARGETS):
        report["machine"] = here
    (FOLDER / "pictures").mkdir(exist_ok=True)
    for target in chosen:
        for measure in TARGETS[target]:
            began = time.perf_counter()
            rows, details = measure()
            names = {row[0] for row in rows}
            report["targets"] = [row for row in report["targets"] if row["target"] not in names]
            for name, what, measured, goal, comparison in rows:
                met = measured >= goal if comparison == "≥" else measured <= goal
                row = {"target": name, "what": what, "measured": measured, "comparison": comparison}
                row["processor"] = here["processor"]
                report["targets"].append({**row, "goal": goal, "met": bool(met)})
                verdict = "met" if met else "NOT met"
                print(f"{name}: {what}: {measured:.3g}, goal {comparison} {goal:.3g}: {verdict}")
            report["targets"].sort(key=lambda row: row["target"])
            report["details"] |= details
            write_report(report)
            print(f"({time.perf_counter() - began:.0f} s)", flush=True)
    return 0


def processor() -> str:
    """Return what the system says of its processor and which vector instructions PyTorch uses."""
    names = [platform.processor() or platform.machine()]
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")][:1]
        flags = next((line.split() for line in lines if line.startswith("flags")), [])
        names += [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags]
    return " ".join(names)


if __name__ == "__main__":
    sys.exit(main())
