"""Train a painter for The Starry Night: ``python notebooks/studies/painter.py [SECONDS]``.

It writes painter_starry_night.pt, the weights in half precision, and painter.json. A training that is not
finished after so many seconds is taken up again by the next call. With ``loop`` for SECONDS it makes what the
painter is compared with: the losses of the loop with the same objective.
"""

import json
import platform
import sys
import time
from itertools import chain
from pathlib import Path

import torch

from helpers.images import load_image, picture_names
from helpers.network import VGG19
from helpers.painter import ALPHA, LAYERS, Painter, random_crops, train
from helpers.synthesis import Run
from helpers.system.files import cache_folder

HERE = Path(__file__).resolve().parent
STYLE, STYLE_SIZE, HELD_OUT, SIDE, BATCH, RATE = "starry_night", 256, "chenonceau", 96, 1, 3e-3
ROUNDS = (1400, 1200)  # steps; in each round the rate falls to 0, and the next begins with the whole rate
TEST_SIZE = 128
UNFINISHED = cache_folder() / "painter.pt"


def training(seconds: float) -> dict:
    """Train until the end, or for so many seconds, and return what is known of the training."""
    torch.manual_seed(0)
    painter, network, a = Painter(), VGG19(), load_image(STYLE, STYLE_SIZE)
    optimiser = torch.optim.Adam(painter.parameters(), betas=(0.9, 0.99))
    state = {"done": 0, "seconds": 0.0, "losses": []}
    if UNFINISHED.exists():
        state = torch.load(UNFINISHED, weights_only=True)
        painter.load_state_dict(state["painter"])
        optimiser.load_state_dict(state["optimiser"])
    names = [name for name in picture_names() if name not in (STYLE, HELD_OUT)]
    crops = random_crops([load_image(name) for name in names], SIDE, BATCH, seed=state["done"])
    began = time.perf_counter()
    done_before = [sum(ROUNDS[:number]) for number in range(len(ROUNDS))]
    rounds = (
        train(painter, network, a, crops, steps, ALPHA, RATE, max(0, state["done"] - before), optimiser)
        for steps, before in zip(ROUNDS, done_before, strict=True)
    )
    for losses in chain.from_iterable(rounds):
        state["done"] += 1
        state["losses"].append(losses)
        if state["done"] % 100 == 0:
            print(state["done"], f"{time.perf_counter() - began:.0f} s", losses, flush=True)
        if time.perf_counter() - began > seconds:
            break
    state["seconds"] += time.perf_counter() - began
    state |= {"painter": painter.state_dict(), "optimiser": optimiser.state_dict()}
    UNFINISHED.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, UNFINISHED)
    return state | {"trained on": names}


def loop() -> dict:
    """Return the losses of the loop on the held-out photograph: of the best picture after each evaluation."""
    p, a = load_image(HELD_OUT, TEST_SIZE), load_image(STYLE, STYLE_SIZE)
    run = Run(VGG19(), p, a, style_layers=LAYERS, form="mean", alpha=ALPHA, evaluations=200)
    best = {name: [] for name in ("content", "style", "total")}
    for _ in run:
        for name, losses in best.items():
            losses.append(round(run.result.history[name][run.result.best], 4))
    return {"size": TEST_SIZE, "seconds": round(run.result.seconds, 1), **best}


def write(**parts) -> None:
    """Put parts into painter.json, in place of those that are there."""
    path = HERE / "painter.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(record | parts) + "\n", encoding="utf-8")


def main() -> None:
    """Train, or go on with it, and run the loop when the training is finished."""
    limit = sys.argv[1] if len(sys.argv) > 1 else "inf"
    if limit == "loop":
        return write(loop=loop())
    state = training(float(limit))
    print(f"{state['done']} of {sum(ROUNDS)} steps, {state['seconds']:.0f} s")
    half = {name: weights.half() for name, weights in state["painter"].items()}
    torch.save(half, HERE / f"painter_{STYLE}.pt")
    whole = range(0, state["done"] - state["done"] % 50, 50)
    means = {
        name: [round(sum(step[name] for step in state["losses"][i : i + 50]) / 50, 4) for i in whole]
        for name in ("content", "style", "total")
    }
    settings = {
        "artwork": STYLE, "size of the artwork": STYLE_SIZE, "held out": HELD_OUT, "side of a crop": SIDE,
        "trained on": state["trained on"], "batch": BATCH, "steps": sum(ROUNDS), "rounds": ROUNDS,
        "rate": RATE, "alpha": ALPHA,
        "torch": torch.__version__, "machine": platform.machine(), "threads": torch.get_num_threads(),
    }  # fmt: skip
    write(settings=settings, done=state["done"], seconds=round(state["seconds"]), means=means)


if __name__ == "__main__":
    main()
