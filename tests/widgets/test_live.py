"""A live run starts, waits, goes on, changes and is taken up again; two do not compute at once."""

import time

import pytest

from helpers.widgets import LiveRun, live
from helpers.widgets.curves import curves


def made(vgg19, p, a, name=None, **settings):
    return LiveRun(vgg19, p, a, name=name, **{"evaluations": 40, "alpha": 2e-2} | settings)


def until(condition, seconds=60):
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "it did not happen"
        time.sleep(0.01)


def count(widget):
    return widget.run.result.evaluations


def test_it_starts_pauses_and_goes_on_from_the_same_loss(vgg19, p, a):
    widget = made(vgg19, p, a)
    widget.start()
    until(lambda: count(widget) >= 3)
    widget.pause()
    widget.wait(30)
    n, totals = count(widget), list(widget.run.result.history["total"])
    time.sleep(0.2)
    assert count(widget) == n < 40 and "Paused" in widget._status.value
    widget.start()
    until(lambda: not widget.is_running)
    assert widget.run.result.history["total"][:n] == totals
    assert count(widget) == 40 and "Finished" in widget._status.value


def test_pause_and_stop_while_it_stands_still_do_not_end_the_next_start(vgg19, p, a):
    widget = made(vgg19, p, a, evaluations=5)
    widget.pause()
    widget.stop()
    widget.start()
    widget.wait(30)
    assert count(widget) == 5


def test_a_step_is_one_evaluation(vgg19, p, a):
    widget = made(vgg19, p, a)
    for n in (1, 2):
        widget.step()
        widget.wait(30)
        assert count(widget) == n


def test_picture_and_curves_follow_the_run(vgg19, p, a):
    widget = made(vgg19, p, a)
    before = widget._image.value, widget._curves.value
    widget._steps = 3
    widget._go()
    widget.wait(30)
    assert widget._image.value != before[0] and widget._curves.value.count("polyline") == 3
    assert "3 of 40 evaluations" in widget._status.value


def test_what_is_changed_on_the_spot_counts_at_once_and_is_marked(vgg19, p, a):
    widget = made(vgg19, p, a)
    widget._steps = 4
    widget._go()
    widget.wait(30)
    widget._ratio.value = live.RATIOS[-1]
    widget._pooling.value = "max"
    widget._layer.value = "conv3_1"
    assert widget.run.objective.alpha == live.RATIOS[-1]
    assert widget.run.objective.network.pooling == "max" and widget.run.objective.content_layer == "conv3_1"
    assert [n for n, _ in widget.run.result.changes] == [4, 4, 4]
    assert widget._curves.value.count('class="m"') == 3
    widget.step()
    widget.wait(30)
    assert count(widget) == 5


def test_a_change_while_it_runs_waits_for_the_end_of_the_evaluation(vgg19, p, a):
    widget = made(vgg19, p, a)
    widget.start()
    until(lambda: count(widget) >= 2)
    widget._ratio.value = live.RATIOS[0]
    until(lambda: widget.run.result.changes)
    widget.pause()
    widget.wait(30)
    ((n, changed),) = widget.run.result.changes
    assert n >= 2 and changed["alpha"] == live.RATIOS[0]


def test_of_two_runs_the_second_waits_and_says_so(vgg19, p, a):
    first, second = made(vgg19, p, a), made(vgg19, p, a)
    first.start()
    until(lambda: count(first) >= 1)
    second.start()
    until(lambda: "Waits" in second._status.value)
    assert count(second) == 0
    first.pause()
    until(lambda: count(second) >= 1)
    second.pause()
    second.wait(30)


def test_a_saved_run_is_taken_up_by_the_same_call_and_another_one_replaces_it(
    vgg19, p, a, tmp_path, monkeypatch
):
    monkeypatch.setenv("NST_CACHE", str(tmp_path))
    widget = made(vgg19, p, a, name="test")
    widget._steps = 3
    widget._go()
    widget.wait(30)
    again = made(vgg19, p, a, name="test")
    assert count(again) == 3 and "Taken up" in again._status.value
    assert count(made(vgg19, p, a, name="test", seed=5)) == 0


def test_begin_again_begins_from_white_noise_with_the_loss_chosen_now(vgg19, p, a):
    widget = made(vgg19, p, a)
    widget.step()
    widget.wait(30)
    widget._ratio.value = live.RATIOS[-1]
    widget.begin_again()
    assert count(widget) == 0 and widget.run.objective.alpha == live.RATIOS[-1]


def test_a_run_that_fails_says_so_and_lets_others_compute(vgg19, p, a, monkeypatch):
    widget = made(vgg19, p, a)
    monkeypatch.setattr(widget.run, "_evaluate", lambda x: 1 / 0)
    widget.start()
    widget.wait(30)
    assert "division by zero" in widget._status.value
    assert live._MACHINE.acquire(blocking=False)
    live._MACHINE.release()


def test_curves_of_nothing_of_zeros_and_of_one_value_are_drawn():
    assert "no loss computed" in curves({"total": []})
    assert "polyline" in curves({"total": [3.0]})
    assert "polyline" in curves({"total": [3.0, 0.0, float("inf"), 2.0]})


@pytest.mark.parametrize("values", [[1e9, 1e3], [5.0, 4.9]])
def test_curves_stay_inside_their_frame(values):
    points = curves({"total": values}).split('points="')[1].split('"')[0]
    for point in points.split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= 420 and 0 <= y <= 230


def test_without_a_folder_to_save_in_it_runs_and_says_so(vgg19, p, a, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NST_CACHE", str(tmp_path / "file" / "folder"))
    widget = made(vgg19, p, a, name="nowhere", evaluations=2)
    assert "Ready. It will not be saved: " in widget._status.value
    widget.start()
    widget.wait(30)
    assert count(widget) == 2 and "Finished" in widget._status.value
