"""How a machine's fastest way to compute is found and kept."""

import json
import math

import pytest
import torch

from helpers.engine import choice
from helpers.engine.choice import Fastest, choose, fastest
from helpers.system.files import cache_folder


def chosen(precision):
    way, note = choose(precision, torch.device("cpu"))
    assert (way.winograd, way.threads) == (True, 2)
    assert way.in_float32().precision == "float32"
    return way.precision, note


def of(milliseconds):
    return Fastest(winograd=True, threads=2, milliseconds=milliseconds)


@pytest.fixture
def measured(monkeypatch):
    """Pretend that a machine was measured."""

    def pretend(**milliseconds):
        monkeypatch.setattr(choice, "fastest", lambda device: of(milliseconds))

    return pretend


def test_the_gain_of_bfloat16_is_over_the_fastest_way_in_float32():
    assert of({"float32": 10, "winograd": 6, "bfloat16": 2}).bfloat16_gain == 3
    assert of({"float32": 10, "winograd": 6}).bfloat16_gain == 0


@pytest.mark.parametrize(("milliseconds", "precision"), [(1, "bfloat16"), (5, "float32"), (20, "float32")])
def test_auto_is_bfloat16_only_where_that_is_much_faster(milliseconds, precision, measured):
    measured(float32=10, winograd=6, bfloat16=milliseconds)
    assert chosen("auto") == (precision, "")


def test_a_precision_asked_for_is_used(measured):
    measured(float32=10, winograd=6, bfloat16=20)
    assert chosen("bfloat16") == ("bfloat16", "")
    assert chosen("float32") == ("float32", "")


def test_without_bfloat16_the_run_is_in_float32_and_says_so(measured):
    measured(float32=10)
    assert chosen("auto") == ("float32", "")
    assert chosen("bfloat16") == (
        "float32",
        "bfloat16 is not to be had on this machine; running in float32.",
    )
    measured(float32=10, bfloat16=400)
    assert "takes 40 times as long" in chosen("bfloat16")[1]


def test_an_unknown_precision_is_named():
    with pytest.raises(ValueError, match=r"unknown precision 'half'.*float32"):
        chosen("half")


@pytest.fixture
def unmeasured(monkeypatch, tmp_path):
    """A machine of which nothing is known yet, and the list of its measurements."""
    original, calls, threads = choice._measure, [], torch.get_num_threads()
    monkeypatch.setattr(choice, "_measure", lambda device: (calls.append(device), original(device))[1])
    monkeypatch.setenv("NST_CACHE", str(tmp_path / "new"))
    fastest.cache_clear()
    yield calls
    fastest.cache_clear()
    torch.set_num_threads(threads)  # a busy machine may have been fastest with fewer


def test_the_fastest_way_is_measured_once_and_kept(unmeasured):
    threads = torch.get_num_threads()
    answer = fastest()
    assert answer.threads == torch.get_num_threads() <= threads
    assert all(0 < ms < 1e4 for ms in answer.milliseconds.values())
    assert answer.winograd == (answer.milliseconds["winograd"] < answer.milliseconds["float32"])
    fastest.cache_clear()  # as a new process would begin
    torch.set_num_threads(threads)
    assert fastest() == answer
    assert unmeasured == ["cpu"]


def test_the_answers_of_other_machines_are_kept(unmeasured):
    cache_folder().mkdir(parents=True)
    path = cache_folder() / "fastest.json"
    path.write_text('{"another": {"winograd": true, "threads": 8, "milliseconds": {}}}')
    fastest()
    assert len(json.loads(path.read_text())) == 2
    assert unmeasured == ["cpu"]


@pytest.mark.parametrize("content", ["", "[]", "{", "[1]"])
def test_a_damaged_answer_is_measured_anew(content, unmeasured):
    cache_folder().mkdir(parents=True)
    path = cache_folder() / "fastest.json"
    path.write_text(content)
    fastest()
    assert unmeasured == ["cpu"]
    assert len(json.loads(path.read_text())) >= 1


def test_a_folder_that_cannot_be_written_costs_only_the_answer(unmeasured, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NST_CACHE", str(tmp_path / "file" / "below"))
    assert math.isfinite(fastest().milliseconds["float32"])
