"""Files that are no pictures, as a stranger may have made them; benchmarks/fuzz_files.py tries thousands."""

import importlib.util
import io
import json
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image, PngImagePlugin

from helpers.engine import choice
from helpers.images import RECORD_KEY, read_record, save_image
from helpers.network import STYLE_LAYERS
from helpers.system import tensors
from helpers.widgets import Studio

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def fuzz():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
        spec = importlib.util.spec_from_file_location("fuzz_files", BENCHMARKS / "fuzz_files.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


KINDS = ("records", "panels", "L-BFGS", "Adam", "live runs", "weights", "fastest", "progress")


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_as_what_it_is_or_refused(kind, fuzz, tmp_path, monkeypatch):
    monkeypatch.setenv("NST_CACHE", str(tmp_path))
    monkeypatch.setattr(choice, "measure", choice.measure)  # the trial sets another
    monkeypatch.setattr(choice, "_known", {} if kind == "fastest" else choice._known)
    attempt, counts, threads = fuzz.KINDS[kind](), {"read": 0, "refused": 0}, torch.get_num_threads()
    for number in range(40):
        end, seconds = attempt(number, tmp_path / "damaged.bin")
        assert end in counts, f"{kind} {number}: {end}"
        assert seconds < 2, f"{kind} {number}"
        counts[end] += 1
    assert counts["refused"] > 5 and sum(counts.values()) == 40
    assert attempt(None, tmp_path / "damaged.bin")[0] == "read"
    torch.set_num_threads(threads)


def test_all_kinds_are_tried(fuzz):
    assert tuple(fuzz.KINDS) == KINDS


class Calls:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


def saved(path, value, **options):
    torch.save(value, path, **options)
    return path


def zipped(path, way, times=1):
    """A file of tensors packed anew, each entry so many times in the list of contents."""
    file = io.BytesIO()
    torch.save({"a": torch.zeros(1000)}, file)
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(path, "w", way) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        new.filelist *= times
    return path


@pytest.mark.parametrize("bomb", ["deflated", "listed often", "bytearray", "bytearray, old form", "a path"])
def test_a_file_that_would_expand_or_call_is_refused_before_it_is_loaded(bomb, tmp_path, monkeypatch):
    path = tmp_path / "x.pt"
    old = {"_use_new_zipfile_serialization": False}
    {
        "deflated": lambda: zipped(path, zipfile.ZIP_DEFLATED),
        "listed often": lambda: zipped(path, zipfile.ZIP_STORED, times=1000),
        "bytearray": lambda: saved(path, Calls(bytearray, 10**10)),
        "bytearray, old form": lambda: saved(path, Calls(bytearray, 10**10), **old),
        "a path": lambda: saved(path, Calls(Path, "x")),
    }[bomb]()
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(ValueError, match=r"x.pt' is no readable file of tensors"):
        tensors.read_tensors(path)


@pytest.mark.parametrize("new", [True, False])
def test_files_of_tensors_in_both_forms_are_read(new, tmp_path):
    value = {"a": torch.arange(6.0).view(2, 3), "b": [torch.nn.Parameter(torch.ones(2)), 1, "c", None]}
    path = saved(tmp_path / "x.pt", value, _use_new_zipfile_serialization=new)
    read = tensors.read_tensors(path)
    assert torch.equal(read["a"], value["a"]) and read["b"][1:] == [1, "c", None]


def with_record(path, record):
    return save_image(torch.zeros(1, 3, 8, 8), path, record)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "http://127.0.0.1/x.png", "\\\\host\\x", "\ud800"]
)
def test_a_recipe_names_no_file(name, tmp_path, monkeypatch):
    settings = {
        "style_weights": dict.fromkeys(STYLE_LAYERS, 0.2), "height": 96, "width": 128, "evaluations": 20,
        "alpha": 1e-3, "beta": 1, "seed": 0, "content_layer": "conv4_2", "pooling": "max", "init": "noise",
        "optimiser": "adam", "form": "printed", "p": name, "a": name,
    }  # fmt: skip
    page, file = Studio(), with_record(tmp_path / "x.png", {"settings": settings})
    names = [chooser.value for _, chooser, _ in page._choose.values()]
    upload = type("Upload", (), {"value": ({"name": "x.png", "content": memoryview(file.read_bytes())},)})
    monkeypatch.setattr("helpers.widgets.studio.load_image", lambda source, *_: opened.append(source))
    opened = []
    page._take_recipe(upload)
    assert [chooser.value for _, chooser, _ in page._choose.values()] == names
    assert page._controls["optimiser"].value == "adam"  # the rest is taken
    assert "the PNG has its name only" in page._said.value and len(page._said.value) < 400
    page._said.value.encode()  # no half of a letter
    assert all(str(source) in names for source in opened)


def test_a_record_is_read_without_the_pixels_of_its_picture(tmp_path, monkeypatch):
    words = PngImagePlugin.PngInfo()
    words.add_itxt(RECORD_KEY, json.dumps({"settings": {}}))
    Image.new("1", (9000, 9000)).save(tmp_path / "x.png", pnginfo=words)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("80 million pixels were read"))
    assert read_record(tmp_path / "x.png") == {"settings": {}}
