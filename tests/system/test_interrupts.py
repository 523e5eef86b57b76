"""Signals and kills at random moments: the best picture is written, or the old one stays; nothing between."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
import torch
from PIL import Image

from helpers.images import load_image, read_record, save_image
from helpers.system.interrupts import SIGNALS, Watch, stopped_by_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")
COMMAND = [sys.executable, "-m", "helpers", "transfer", "chenonceau", "starry_night"]
COMMAND += ["--size", "64", "--steps", "50", "--precision", "float32"]

#: Python itself takes some hundredths of a second before the program's first line; until then its own
#: handlers are at work.
FIRST_LINE = 0.2


def begin(folder, *options):
    output = ["-o", str(folder / "x.png"), "--json", str(folder / "x.json")]
    checkpoint = ["--checkpoint", str(folder / "run.pt")]
    return subprocess.Popen(
        [*COMMAND, *output, *checkpoint, *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=as_in_a_terminal,
    )  # fmt: skip


def as_in_a_terminal():
    """Let no signal be ignored: nohup, and a shell's background, hand that on to all their children."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def old_picture(folder):
    save_image(torch.full((1, 3, 8, 8), 0.25), folder / "x.png")
    return (folder / "x.png").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The picture of a run that nobody disturbs, and its seconds, the fewest of three times."""
    seconds = []
    for i in range(3):  # the first fills caches, and another program may have been busy
        folder, began = tmp_path_factory.mktemp(f"undisturbed{i}"), time.monotonic()
        process = begin(folder, "--every", "0")
        process.communicate(timeout=120)
        assert process.returncode == 0
        seconds.append(time.monotonic() - began)
    return load_image(folder / "x.png"), min(seconds)


def one_signal(number, seconds, folder):
    """Send a signal so many seconds after the start, check what is left, and say in a word what happened."""
    old = old_picture(folder)
    process = begin(folder, "--every", "0")  # a checkpoint after every evaluation tells that there was one
    time.sleep(seconds)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors, errors
    assert {path.name for path in folder.iterdir()} <= {"x.png", "x.json", "run.pt"}
    with Image.open(folder / "x.png") as picture:
        picture.load()
    if (folder / "x.png").read_bytes() == old:
        assert not (folder / "run.pt").exists(), "an evaluation was over, and its picture is lost"
        assert not (folder / "x.json").exists()
        assert process.returncode == 128 + number
        assert errors == "interrupted before anything was made\n"
        return "before the first evaluation was over"
    record = read_record(folder / "x.png")
    if (folder / "x.json").exists():
        assert json.loads((folder / "x.json").read_text()) == record
    # At the very end Python has given the signals back to the system.
    assert process.returncode in (0, 128 + number, -number)
    if record["stopped"] == "interrupted":
        assert process.returncode == 128 + number
        assert signal.Signals(number).name in record["message"]
        assert (folder / "x.json").exists()
    return record["stopped"]


def one_kill(seconds, folder, expected, every=0.3):
    """Kill a run, take it up again, and say what happened; it must end as if nothing had been."""
    old = old_picture(folder)
    process = begin(folder, "--every", str(every))
    time.sleep(seconds)
    process.kill()
    killed = time.time()
    process.communicate(timeout=120)
    if not (folder / "run.pt").exists():
        assert (folder / "x.png").read_bytes() == old
        return "before the first checkpoint"
    # Besides the seconds between two checkpoints: one evaluation, and the writing.
    finished = process.returncode == 0
    assert finished or killed - (folder / "run.pt").stat().st_mtime < every + 3
    again = begin(folder, "--resume")
    _, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert torch.equal(load_image(folder / "x.png"), expected)
    return "taken up again"


def counted(tries, tmp_path, one):
    """Make so many tries at random moments and return how often what happened."""
    happened = Counter()
    for i in range(tries):
        folder = tmp_path / str(i)
        folder.mkdir()
        happened[one(i, folder)] += 1
    print(dict(happened))
    return happened


@pytest.mark.parametrize("tries", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_a_signal_at_any_moment_loses_nothing(tries, tmp_path, undisturbed):
    moment, end = random.Random(tries), undisturbed[1]
    happened = counted(
        tries,
        tmp_path,
        lambda i, folder: one_signal(SIGNALS[i % len(SIGNALS)], moment.uniform(FIRST_LINE, end), folder),
    )
    assert happened.total() == tries


@pytest.mark.parametrize("tries", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_a_kill_loses_no_more_than_the_seconds_since_the_last_checkpoint(tries, tmp_path, undisturbed):
    moment, end = random.Random(tries), undisturbed[1]
    happened = counted(
        tries,
        tmp_path,
        lambda i, folder: one_kill(moment.uniform(end / 2, end), folder, undisturbed[0]),
    )
    assert happened["taken up again"] >= tries / 3


def test_a_signal_that_the_caller_ignores_is_ignored(tmp_path):
    def as_nohup_does():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    command = [*COMMAND[:-4], "--size", "32", "--steps", "3", "-o", str(tmp_path / "x.png")]
    process = subprocess.Popen(command, preexec_fn=as_nohup_does, stdout=subprocess.DEVNULL)
    time.sleep(FIRST_LINE)
    process.send_signal(signal.SIGHUP)
    assert process.wait() == 0


class Told:
    """Stands for a run that has made so many evaluations."""

    def __init__(self, evaluations):
        self.result, self.reasons = self, []
        self.evaluations = evaluations

    def stop(self, why):
        self.reasons.append(why)


def test_within_a_run_the_stop_button_stops_and_afterwards_it_is_as_before(stop_button):
    run = Told(1)
    with stopped_by_signals(run):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # an impatient second one loses nothing either
    assert run.reasons == ["SIGINT", "SIGINT"]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


def test_a_signal_that_would_end_the_process_at_once_is_left_to_do_so():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with stopped_by_signals(Told(1)):
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGTERM, before)


def test_exit_codes_are_as_usual():
    watch = Watch()
    assert watch.exit_code == 0
    watch.run = Told(1)
    watch._handle(signal.SIGTERM, None)
    watch._handle(signal.SIGINT, None)
    assert watch.exit_code == 143  # the first one counts
    assert watch.run.reasons == ["SIGTERM", "SIGINT"]
