"""The estimate of a run's memory, and what it says when it does not fit."""

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers.engine import memory
from helpers.engine.memory import check_memory, memory_needed
from helpers.network import STYLE_LAYERS

CPU = torch.device("cpu")

# In a process of its own, since the peak of a process never falls again.
RUN = """
import json
from helpers import optimisers
from helpers.engine import memory_needed
from helpers.images import load_image
from helpers.network import VGG19
from helpers.synthesis import synthesise
def peak():  # getrusage would count the process that started this one
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return 1024 * int(lines["VmHWM"].split()[0])
optimisers.HISTORY_BYTES = 0  # the least history, full after a few evaluations
network = VGG19()
p, a = load_image("chenonceau", 384), load_image("starry_night", 384)
before = peak()
run = synthesise(network, p, a, evaluations=14, progress=False)
layers = [run.settings["content_layer"], *run.settings["style_weights"]]
grams = set(layers) - {"conv4_2"}
print(json.dumps([memory_needed(network, *p.shape[2:], layers, grams, 32), peak() - before]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's way of counting")
def test_the_estimate_is_near_what_a_run_takes():
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True)
    estimate, taken = json.loads(done.stdout)
    assert taken / 3 < estimate < 3 * taken, (estimate, taken)


def needed(network, height, width, layers, grams=()):
    return memory_needed(network, height, width, layers, grams, pictures=54)


def test_the_estimate_grows_with_the_picture_the_depth_and_max_pooling(vgg19, vgg19_max):
    usual = needed(vgg19, 384, 512, STYLE_LAYERS)
    assert 3 * usual < needed(vgg19, 3 * 384, 3 * 512, STYLE_LAYERS) < 9 * usual
    assert needed(vgg19, 384, 512, ["conv1_1"]) < usual < needed(vgg19_max, 384, 512, STYLE_LAYERS)
    assert memory_needed(vgg19, 384, 512, STYLE_LAYERS, (), pictures=154) > usual + 100 * 4 * 3 * 384 * 512


def test_features_that_no_loss_uses_count_one_byte_a_value(vgg19):
    deep, both = (needed(vgg19, 64, 96, layers) for layers in (["conv1_2"], ["conv1_1", "conv1_2"]))
    assert both - deep == pytest.approx(64 * 64 * 96 * 3 * 4 / 3, abs=2)


def test_the_widest_features_count_only_where_a_loss_wants_them_whole(vgg19):
    whole = needed(vgg19, 384, 512, STYLE_LAYERS)
    assert needed(vgg19, 384, 512, STYLE_LAYERS, grams=STYLE_LAYERS) < whole - 64 * 384 * 512 * 4


ALLOCATIONS = """
import torch
from helpers.engine.memory import freed_memory_kept
def resident():
    return 4096 * int(open("/proc/self/statm").read().split()[1])
def zeros():
    return torch.zeros(25_000_000)  # 100 MB
zeros()
before = resident()
with freed_memory_kept():
    zeros()
    within = resident() - before
after = resident() - before
kept = torch.zeros(25_000_000)
above = torch.ones(2_000_000)  # were both in the heap, its free part would not be at its end
del kept
print([within, after, resident() - before])
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's way of counting")
def test_freed_memory_is_kept_within_a_run_and_given_back_after_it():
    done = subprocess.run([sys.executable, "-c", ALLOCATIONS], capture_output=True, text=True, check=True)
    within, after, later = json.loads(done.stdout)
    assert after < 10e6 < 90e6 < within
    assert later < 10e6


def test_a_run_at_1024_pixels_needs_less_than_4_gigabytes(vgg19):
    layers = [*STYLE_LAYERS, "conv4_2"]
    assert memory_needed(vgg19, 768, 1024, layers, (), pictures=32) < 3.4e9  # beside 0.6 GB of the process


@pytest.fixture
def machine(monkeypatch):
    def pretend(free, total):
        monkeypatch.setattr(memory, "memory_available", lambda device: (free * 1e9, total * 1e9))

    return pretend


def square(height, width):
    return 100 * height * width


def test_a_run_that_fits_says_nothing(machine):
    machine(3, 8)
    assert check_memory(384, 512, square, CPU) == ""


def test_a_run_that_may_not_fit_says_what_it_needs_and_what_would_fit(machine):
    machine(0.1, 8)
    warning = check_memory(1200, 1600, square, CPU)
    assert warning == (
        "A picture of 1600 × 1200 px needs about 0.2 GB, and 0.1 GB of 8.0 GB are free; at size 1154 it "
        "would fit, or close other programs."
    )
    assert square(866, 1154) <= 0.1e9 < square(866, 1155)


def test_where_no_size_would_fit_none_is_named(machine):
    machine(0.1, 8)
    warning = check_memory(384, 512, lambda *_: 2e8, CPU)
    assert "no size would fit, or close other programs" in warning


@pytest.mark.parametrize("free", [0.3, 0.5, 1.0])
def test_the_size_that_is_said_to_fit_does(machine, free, vgg19):
    machine(free, 8)
    needs = functools.partial(needed, vgg19, layers=STYLE_LAYERS, grams=STYLE_LAYERS)
    size = int(re.search(r"at size (\d+)", check_memory(3 * 512, 4 * 512, needs, CPU))[1])
    assert needs(round(3 * size / 4), size) <= free * 1e9 < needs(round(3 * size / 4) + 30, size + 40)


def test_a_run_that_cannot_fit_is_refused_before_anything_is_computed(machine, vgg19, monkeypatch):
    from helpers.network import VGG19
    from helpers.synthesis import synthesise

    machine(0.02, 0.06)
    monkeypatch.setattr(VGG19, "preprocess", lambda *_: pytest.fail("the run had begun"))
    with pytest.raises(ValueError, match=r"a picture of 64 × 64 px needs about 0\.2 GB.*no size would fit"):
        synthesise(vgg19, torch.rand(1, 3, 64, 64), content_layer="conv2_1", progress=False)
