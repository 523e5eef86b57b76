"""Damaged files that are no pictures: each is read as what it is, or refused with the one documented error.

Records and recipes, panels, checkpoints, the live runs' files, weights, and what the cache folder keeps.
Their bytes are damaged as those of pictures are; and whole files are made of them in which one value is
another, such as a list for a number, which no sum of bytes shows.

python benchmarks/fuzz_files.py [number of files] [kind ...]
"""

import io
import json
import os
import random
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from fuzz_pictures import damaged, table
from ipywidgets import Widget
from PIL import Image, PngImagePlugin

from helpers.engine import choice
from helpers.exercises import kept, progress
from helpers.images import DESCRIPTION, RECORD_KEY, load_image, read_record
from helpers.network import VGG19
from helpers.paper import panels
from helpers.record import make_record
from helpers.synthesis import Run
from helpers.widgets.live import LiveRun
from helpers.widgets.recipe import recipe

FILES = 6000

#: What may stand in JSON where another value should.
ODD_JSON = (
    "[]", "{}", "null", "true", "-1", "0", "1e999", "-1e999", "NaN", "1e-320", "9" * 400, "9" * 5000, '""',
    '"\\ud800"', '"\\u0000"', '"../../etc/passwd"', '"/etc/passwd"', '"http://127.0.0.1/x.png"', '"<b>&"',
    '"' + "long" * 20_000 + '"', "[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, "[1]",
    "\udcff",
)  # fmt: skip


class Bytes:
    """A pickle of it makes a hundred bytes into many when it is read."""

    def __reduce__(self):
        """Return the call."""
        return bytearray, (1_000_000_000,)


def _shared() -> list:
    """Return lists within lists, each twice: few in a file, and 2^40 for who walks through them."""
    value = []
    for _ in range(40):
        value = [value, value]
    return value


ODD = (
    [], {}, None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), "", "words", ("a", 1), [1, "a"],
    {"a": 1}, {1: "a"}, torch.zeros(2), torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 18, 24, dtype=torch.int64),
    torch.full((1, 3, 18, 24), float("nan")), torch.zeros(1).expand(1 << 20, 1 << 20), Bytes(), _shared(),
)  # fmt: skip


def changed(value, odd, chance: random.Random):
    """Return nested dicts and lists with one value in them replaced, left out or put in."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.1:
        return odd
    value = value.copy()
    key = chance.choice([*value] if isinstance(value, dict) else range(len(value)))
    fault = chance.random()
    if fault < 0.1:
        del value[key]
    elif fault < 0.2:
        if isinstance(value, dict):
            value["another"] = odd
        else:
            value.append(odd)
    else:
        value[key] = changed(value[key], odd, chance)
    return value


def changed_json(value, chance: random.Random) -> bytes:
    """Return JSON in which one value is odd, or one name stands twice."""
    text, odd = json.dumps(changed(value, "odd value", chance)), chance.choice(ODD_JSON)
    if chance.random() < 0.1 and text.startswith("{"):
        name = json.dumps(chance.choice([*value]))
        text = f"{text[:-1]}, {name}: {odd}}}"
    return text.replace('"odd value"', odd).encode(errors="surrogateescape")


def packed(value, chance: random.Random) -> bytes:
    """Return a file of tensors in a form that PyTorch writes, or one that expands when it is read."""
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=chance.random() < 0.85)
    if not zipfile.is_zipfile(file) or chance.random() < 0.6:
        return file.getvalue()
    other, expands, broken = io.BytesIO(), chance.random() < 0.3, chance.random() < 0.7
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(other, "w") as new:
        for entry in old.infolist():
            data, way = old.read(entry), zipfile.ZIP_STORED
            if expands and entry.filename.endswith(("data.pkl", "data/0")):
                data, way = data + bytes(5_000_000), zipfile.ZIP_DEFLATED
            elif broken and entry.filename.endswith("data.pkl"):
                data = damaged(data, chance)  # with a sum that fits
            new.writestr(entry.filename, data, way)
    return other.getvalue()


def timed(action: Callable[[], bool], path: Path, errors: tuple = ()) -> tuple[str, float]:
    """Return how an action on a file ended and its seconds of processor time, which no neighbour changes."""
    began = time.process_time()
    try:
        end = "read" if action() else "refused"
    except errors as error:
        said = str(error)
        end = (
            "refused"
            if len(said) < 1500 and (path.stem in said or "record" in said)
            else f"error: {said:.200}"
        )
    except Exception as error:
        end = f"{type(error).__name__}: {error}"[:200]
    return end, time.process_time() - began


def _data(kind: str, number: int | None, whole: Callable, odd: Callable) -> bytes:
    """Return the file of a number: damaged bytes, or one odd value in a whole file."""
    chance = random.Random(f"{kind} {number}")
    if number is None:
        return whole(chance)
    return odd(chance) if chance.random() < 0.6 else damaged(whole(chance), chance)


def _picture(text: bytes, chance: random.Random) -> bytes:
    """Return a small picture whose record is that text."""
    file, exif, words = io.BytesIO(), Image.Exif(), PngImagePlugin.PngInfo()
    ending = chance.choice(("PNG", "JPEG", "WEBP")) if len(text) < 60_000 else "WEBP"
    exif[DESCRIPTION] = f"{RECORD_KEY}: ".encode() + text
    words.add(b"iTXt", RECORD_KEY.encode() + b"\0\0\0\0\0" + text)
    picture = Image.linear_gradient("L").resize((24, 18)).convert("RGB")
    picture.save(file, ending, **({"pnginfo": words} if ending == "PNG" else {"exif": exif}))
    return file.getvalue()


def records() -> Callable:
    """Return the trial of pictures with a record: read, and turned into a recipe of the studio."""
    network, (p, a) = VGG19(), _pictures()
    record = make_record(Run(network, p, a, evaluations=12).to_the_end(progress=False), network, p="a.jpg")
    record |= {"seconds": 1.0, "peak_memory_bytes": 10**9}  # the same bytes every time
    record["settings"] |= {"height": 96, "width": 128}
    recipe(record)

    def attempt(number, path):
        path.write_bytes(
            _data(
                "record", number,
                lambda chance: _picture(json.dumps(record).encode(), chance),
                lambda chance: _picture(changed_json(record, chance), chance),
            )
        )  # fmt: skip
        return timed(lambda: bool(recipe(read_record(path))), path, (ValueError,))

    return attempt


def made_panels() -> Callable:
    """Return the trial of panels: only one that is whole, and made as it says, counts as made."""
    panel = panels.Panel(content="chenonceau", content_layer="conv1_1", size=24, evaluations=1)
    with tempfile.TemporaryDirectory() as folder:
        panels.make_panels([panel], folder, report=lambda line: None)
        whole = (Path(folder) / panel.file).read_bytes()
        record = read_record(Path(folder) / panel.file)
        picture = load_image(Path(folder) / panel.file)

    def attempt(number, path):
        def odd(chance):
            text, file = changed_json(record, chance), io.BytesIO()
            words = PngImagePlugin.PngInfo()
            words.add(b"iTXt", RECORD_KEY.encode() + b"\0\0\0\0\0" + text)
            Image.open(io.BytesIO(whole)).save(file, "PNG", pnginfo=words)
            return file.getvalue()

        place = path.with_name(panel.file)
        place.write_bytes(_data("panel", number, lambda chance: whole, odd))
        end, seconds = timed(lambda: panels.is_made(panel, path.parent), place)
        right = end != "read" or torch.equal(load_image(place), picture)
        return end if right else "another picture", seconds

    return attempt


def _pictures() -> tuple[torch.Tensor, torch.Tensor]:
    torch.set_num_threads(1)
    return load_image("chenonceau", 24), load_image("starry_night", 24)


def checkpoints(optimiser: str) -> Callable:
    """Return the trial of checkpoints: taken up, one more evaluation made, and its record written."""
    network, (p, a) = VGG19(), _pictures()
    settings = {"evaluations": 5, "optimiser": optimiser, "precision": "float32", "alpha": 1e-2}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.pt"
        run = Run(network, p, a, **settings, checkpoint=path, every=1e9)
        for now in run:
            if now.number == 2:
                run.change(alpha=2e-2)
            if now.number == 4:
                break
        run.save()
        whole = torch.load(path, weights_only=True)

    def take_up(path):
        run = Run(network, p, a, **settings, checkpoint=path, every=1e9, resume=True)
        result = run.to_the_end(progress=False)
        json.dumps(make_record(result, network), allow_nan=False)
        assert result.image.shape == p.shape and str(result)
        return True

    def attempt(number, path):
        def odd(chance):
            return packed(changed(whole, chance.choice(ODD), chance), chance)

        path.write_bytes(_data(optimiser, number, lambda chance: packed(whole, chance), odd))
        return timed(lambda: take_up(path), path, (ValueError,))

    return attempt


def live_runs() -> Callable:
    """Return the trial of a live run's file: it is taken up, or gives way to a new run."""
    network, (p, a) = VGG19(), _pictures()
    file = choice.cache_folder() / "fuzz.live.pt"
    run = LiveRun(network, p, a, name="fuzz", evaluations=4)
    for _ in run.run:
        pass
    whole = torch.load(file, weights_only=True)

    def attempt(number, path):
        def odd(chance):
            return packed(changed(whole, chance.choice(ODD), chance), chance)

        path.write_bytes(_data("live", number, lambda chance: packed(whole, chance), odd))
        file.write_bytes(path.read_bytes())
        ended = timed(
            lambda: LiveRun(network, p, a, name="fuzz", evaluations=4).run.result.evaluations > 0, path
        )
        Widget.close_all()  # or they would all be kept, with their runs
        return ended

    return attempt


def weights() -> Callable:
    """Return the trial of weight files: a network that computes, or one error."""
    p, _ = _pictures()
    state = {name: torch.zeros(1).expand(values.shape) for name, values in VGG19().state_dict().items()}

    def build(path):
        return bool(VGG19(path)(p, "conv1_1")["conv1_1"].isfinite().all())

    def attempt(number, path):
        def odd(chance):
            return packed(changed(state, chance.choice(ODD), chance), chance)

        path.write_bytes(_data("weights", number, lambda chance: packed(state, chance), odd))
        return timed(lambda: build(path), path, (ValueError,))

    return attempt


def measured() -> Callable:
    """Return the trial of what was measured once: it is used, or measured anew."""
    choice.measure = lambda network: {"float32": 2.0}
    network = SimpleNamespace(device="cpu")
    whole = {choice._key("cpu"): {"milliseconds": {"float32": 3.0, "winograd": 2.0, "bfloat16": 1.0}}}

    def use(path):
        choice._known.clear()
        way, _ = choice.choose("auto", network)
        seconds = choice.fastest(network).seconds(96, 128, way)
        assert 0 < seconds < 1e7, f"{seconds} seconds"
        return choice.fastest(network).milliseconds != {"float32": 2.0}

    def attempt(number, path):
        file = choice.cache_folder() / "fastest.json"
        text = json.dumps(whole).encode()
        file.write_bytes(
            _data("fastest", number, lambda chance: text, lambda chance: changed_json(whole, chance))
        )
        return timed(lambda: use(path), path)

    return attempt


def reached() -> Callable:
    """Return the trial of a learner's progress: shown, or put aside with a note and never lost."""
    file = choice.cache_folder() / kept.FILE
    whole = {
        "gram_matrix": {"score": 1.0, "on": "2026-01-01"},
        "self-check 1": {"score": 4, "on": "2026-01-02"},
    }

    def attempt(number, path):
        text = json.dumps(whole).encode()
        data = _data("progress", number, lambda chance: text, lambda chance: changed_json(whole, chance))
        file.write_bytes(data)

        def show():
            table, (_, note) = str(progress()), kept.load()
            kept.save("gram_matrix")
            found = [other for other in file.parent.glob("exercises*") if other.read_bytes() == data]
            aside = [other for other in found if "damaged" in other.name]
            assert ("damaged" in table) == bool(aside) and not note, "a file was lost"
            for other in aside:
                other.unlink()
            return not aside

        return timed(show, path)

    return attempt


KINDS = {
    "records": records,
    "panels": made_panels,
    "L-BFGS": lambda: checkpoints("lbfgs"),
    "Adam": lambda: checkpoints("adam"),
    "live runs": live_runs,
    "weights": weights,
    "fastest": measured,
    "progress": reached,
}


def main(number: int = FILES, *kinds: str) -> int:
    """Try so many files, shared out among some kinds or all; return how many ended otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NST_CACHE"] = folder
        return table({kind: KINDS[kind] for kind in kinds or KINDS}, number)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2]), *sys.argv[2:]) > 0)
