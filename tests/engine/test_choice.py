"""How a machine's fastest way to compute is found, kept and corrected."""

import json
import math
import subprocess
import sys
import time

import pytest
import torch

from helpers.engine import choice
from helpers.engine.choice import Fastest, choose, correct, fastest, measure
from helpers.system.files import cache_folder


@pytest.fixture
def measured(monkeypatch, vgg19):
    """Pretend that a machine was measured, and return what is chosen there."""

    def pretend(precision, **milliseconds):
        monkeypatch.setattr(choice, "_known", {"cpu": Fastest(milliseconds)})
        way, note = choose(precision, vgg19)
        assert way.winograd and way.in_float32().precision == "float32"
        return way.precision, note

    return pretend


def test_the_gain_of_bfloat16_is_over_the_fastest_way_in_float32():
    assert Fastest({"float32": 10, "winograd": 6, "bfloat16": 2}).bfloat16_gain == 3
    assert Fastest({"float32": 10, "winograd": 6}).bfloat16_gain == 0


def test_winograd_is_taken_where_it_is_faster():
    assert Fastest({"float32": 10, "winograd": 6}).winograd
    assert Fastest({"float32": 10, "winograd": 10.5}).winograd  # the picture measured is small
    assert not Fastest({"float32": 10, "winograd": 12}).winograd
    assert not Fastest({"float32": 10}).winograd


@pytest.mark.parametrize(("milliseconds", "precision"), [(4, "bfloat16"), (5.5, "float32"), (20, "float32")])
def test_auto_is_bfloat16_where_an_evaluation_is_faster(milliseconds, precision, measured):
    assert measured("auto", float32=10, winograd=6, bfloat16=milliseconds) == (precision, "")


def test_a_precision_asked_for_is_used(measured):
    assert measured("bfloat16", float32=10, winograd=6, bfloat16=20) == ("bfloat16", "")
    assert measured("float32", float32=10, winograd=6, bfloat16=1) == ("float32", "")


def test_without_bfloat16_the_run_is_in_float32_and_says_so(measured):
    assert measured("auto", float32=10, winograd=6) == ("float32", "")
    assert measured("bfloat16", float32=10, winograd=6) == (
        "float32",
        "bfloat16 is not to be had on this machine; running in float32.",
    )
    assert "takes 67 times as long" in measured("bfloat16", float32=10, winograd=6, bfloat16=400)[1]


def test_an_unknown_precision_is_named(vgg19):
    with pytest.raises(ValueError, match=r"unknown precision 'half'.*float32"):
        choose("half", vgg19)


@pytest.fixture
def unmeasured(monkeypatch, tmp_path):
    """A machine of which nothing is known yet, quick to measure, and the list of its measurements."""
    calls = []
    monkeypatch.setattr(
        choice, "measure", lambda network: calls.append(network) or {"float32": 9.0, "winograd": 7.0}
    )
    monkeypatch.setattr(choice, "_known", {})
    monkeypatch.setenv("NST_CACHE", str(tmp_path / "new"))
    return calls


def test_the_fastest_way_is_measured_once_and_kept(unmeasured, vgg19, monkeypatch):
    threads = torch.get_num_threads()
    monkeypatch.setattr(choice, "measure", lambda network: unmeasured.append(network) or measure(network))
    answer = fastest(vgg19)
    assert torch.get_num_threads() == threads
    assert all(0 < ms < 1e4 for ms in answer.milliseconds.values())
    assert fastest(vgg19) == answer
    monkeypatch.setattr(choice, "_known", {})  # as a new process would begin
    assert fastest(vgg19) == answer
    assert len(unmeasured) == 1


def test_a_way_that_is_hopeless_in_a_small_picture_is_not_measured_in_a_large_one(vgg19, monkeypatch):
    asked, original, clock = [], choice.features, [0.0]

    def features(network, x, names, grams, way):
        asked.append((way.precision, x.shape[2:].numel()))
        clock[0] += x.shape[2:].numel() * (5 if way.precision == "bfloat16" else 1)
        return original(network, x, names, grams, choice.WAYS["float32"])

    monkeypatch.setattr(choice, "features", features)
    monkeypatch.setattr(choice.time, "thread_time", lambda: clock[0])
    times = measure(vgg19)
    assert {size for precision, size in asked if precision == "bfloat16"} == {32 * 42}
    assert {size for precision, size in asked if precision == "float32"} == {32 * 42, 96 * 128}
    assert times["bfloat16"] / times["float32"] == pytest.approx(5)


def test_the_answers_of_other_machines_are_kept_and_those_of_other_measurements_are_not(unmeasured, vgg19):
    cache_folder().mkdir(parents=True)
    path = cache_folder() / "fastest.json"
    other, old = {"milliseconds": {"float32": 3.0}}, {"winograd": True, "threads": 8, "milliseconds": {}}
    path.write_text(json.dumps({"another, cpu, torch 2, evaluation": other, "another, cpu": old}))
    fastest(vgg19)
    answers = json.loads(path.read_text())
    assert len(answers) == 2 and other in answers.values()


@pytest.mark.parametrize("content", ["", "[]", "{", "[1]", '{"x, evaluation": 1}', '{"x, evaluation": {}}'])
def test_a_damaged_answer_is_measured_anew(content, unmeasured, vgg19):
    cache_folder().mkdir(parents=True)
    path = cache_folder() / "fastest.json"
    path.write_text(content)
    fastest(vgg19)
    assert len(unmeasured) == 1
    assert len(json.loads(path.read_text())) >= 1


def test_a_folder_that_cannot_be_written_costs_only_the_answer(unmeasured, tmp_path, monkeypatch, vgg19):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NST_CACHE", str(tmp_path / "file" / "below"))
    assert math.isfinite(fastest(vgg19).milliseconds["float32"])


def test_a_run_that_sees_no_gain_takes_the_choice_of_bfloat16_back(unmeasured, vgg19, monkeypatch):
    monkeypatch.setattr(choice, "measure", lambda network: {"float32": 10, "winograd": 8, "bfloat16": 5})
    assert choose("auto", vgg19)[0].precision == "bfloat16"
    assert not correct(vgg19, {"bfloat16": 0.2, "float32": 0.3})
    assert choose("auto", vgg19)[0].precision == "bfloat16"
    assert correct(vgg19, {"bfloat16": 0.3, "float32": 0.2})
    assert choose("auto", vgg19)[0].precision == "float32"
    monkeypatch.setattr(choice, "_known", {})  # the next process knows it too
    assert choose("auto", vgg19)[0].precision == "float32"


@pytest.mark.slow
def test_twenty_probes_beside_two_busy_processes_choose_as_on_an_idle_machine(vgg19):
    def chosen():
        answer = Fastest(measure(vgg19))
        return answer.winograd, answer.bfloat16_gain >= choice.WORTH_ROUNDING

    alone = chosen()
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) for _ in "ab"
    ]
    try:
        time.sleep(1)
        same = [chosen() == alone for _ in range(20)]
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert sum(same) >= 19, same
