"""How many threads compute: what the container allows, what others leave, what the user says."""

import math
import os
import subprocess
import sys
import time

import pytest
import torch

from helpers.engine import container, cores, memory
from helpers.engine.cores import Cores, Neighbours, allowed
from helpers.engine.pace import Pace
from helpers.engine.seam import Way


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads(), Cores._given
    yield
    torch.set_num_threads(before[0])
    Cores._given = before[1]


@pytest.fixture
def groups(monkeypatch, tmp_path):
    """A folder of control groups, and the process in the group /a/b."""
    monkeypatch.setattr(container, "MOUNT", tmp_path)
    monkeypatch.setattr(container, "OWN", tmp_path / "own")
    (tmp_path / "own").write_text("0::/a/b\n5:cpu,cpuacct:/a/b\n4:memory:/a/b\n")

    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return write


@pytest.mark.parametrize("folder", ["", "a/", "a/b/"])
def test_the_quota_of_version_2_counts_wherever_above_it_stands(groups, folder):
    groups(folder + "cpu.max", "150000 100000\n")
    assert container.cores() == 1.5


def test_the_tightest_quota_counts_and_no_quota_is_no_limit(groups):
    groups("a/cpu.max", "300000 100000\n")
    groups("a/b/cpu.max", "max 100000\n")
    assert container.cores() == 3
    groups("cpu/a/b/cpu.cfs_quota_us", "50000\n")
    groups("cpu/a/b/cpu.cfs_period_us", "100000\n")
    assert container.cores() == 0.5


def test_without_control_groups_nothing_is_limited(monkeypatch, tmp_path):
    monkeypatch.setattr(container, "MOUNT", tmp_path / "none")
    monkeypatch.setattr(container, "OWN", tmp_path / "none")
    assert container.cores() == math.inf and container.memory() == (math.inf, math.inf)


def test_a_quota_limits_the_threads_to_whole_cores_and_never_to_none(groups):
    groups("cpu.max", "20000 100000\n")
    assert allowed() == 1
    groups("cpu.max", "max 100000\n")
    assert allowed() == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def test_memory_that_the_container_has_left_counts_what_it_can_give_up(groups):
    groups("a/b/memory.max", "1000000000\n")
    groups("a/b/memory.current", "700000000\n")
    groups("a/b/memory.stat", "anon 5\ninactive_file 100000000\n")
    assert container.memory() == (400_000_000, 1_000_000_000)
    assert memory.memory_available(torch.device("cpu")) == (400_000_000, 1_000_000_000)


def test_memory_limits_of_version_1_count_and_its_number_for_no_limit_does_not(groups):
    groups("memory/memory.limit_in_bytes", "9223372036854771712\n")
    groups("memory/memory.usage_in_bytes", "1\n")
    assert container.memory() == (math.inf, math.inf)
    groups("memory/a/memory.limit_in_bytes", "600000000\n")
    groups("memory/a/memory.usage_in_bytes", "500000000\n")
    assert container.memory() == (100_000_000, 600_000_000)


def picture(height):
    return torch.zeros(1, 3, height, height * 4 // 3)


@pytest.fixture
def others(monkeypatch):
    """Pretend that other programs keep so many cores busy, on a machine with eight."""

    def pretend(busy):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr(cores, "_FIRST", 8)
        monkeypatch.setattr(cores, "allowed", lambda: 8)
        monkeypatch.setattr(cores._NEIGHBOURS, "busy", lambda: busy)
        torch.set_num_threads(8)

    return pretend


@pytest.mark.parametrize(("busy", "threads"), [(0, 8), (0.3, 8), (1, 7), (2.2, 6), (7.9, 1), (30, 1)])
def test_every_core_that_others_keep_busy_costs_a_thread(busy, threads, others):
    others(busy)
    assert Cores().share() == threads == torch.get_num_threads()


def test_threads_come_back_when_the_others_are_done(others):
    others(6)
    shared = Cores()
    assert shared.share() == 2
    others(0)
    assert shared.share() == 8
    others(5)
    assert Cores().share() == 3
    assert Cores().most == 8  # a run begun now still knows how many there could be


def test_what_the_user_set_stays(others, monkeypatch):
    others(7)
    torch.set_num_threads(5)
    assert Cores().share() == 5
    torch.set_num_threads(8)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert Cores().share() == 8


def test_a_worker_of_several_has_its_part_and_shares_that(others, monkeypatch):
    others(0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as Dask sets it
    monkeypatch.setattr(Cores, "limit", 4)
    assert Cores().share() == 4
    others(1)
    assert Cores().share() == 3


def test_a_pace_gives_the_threads_back(others, vgg19):
    others(6)
    with Pace(vgg19) as pace:
        assert torch.get_num_threads() == 2
        with pace.evaluation(Way("float32", False), picture(96)) as threads:
            assert threads == 2
    assert torch.get_num_threads() == 8 and len(pace.last) == 1


def told_by_a_pace(network, monkeypatch, x):
    """What a pace says of five evaluations of a picture in each precision, bfloat16 the slower one."""
    told = []
    monkeypatch.setattr("helpers.engine.pace.correct", lambda network, seconds: told.append(seconds))
    with Pace(network) as pace:
        for precision, seconds in (("bfloat16", 0.02), ("float32", 0.001)):
            for _ in range(5):
                with pace.evaluation(Way(precision, False), x):
                    time.sleep(seconds)
    return told


def test_a_pace_that_saw_both_precisions_tells_their_seconds(others, vgg19, monkeypatch):
    others(0)
    (seconds,) = told_by_a_pace(vgg19, monkeypatch, picture(96))
    assert seconds["bfloat16"] > 2 * seconds["float32"]


def test_small_pictures_say_nothing_of_the_choice(others, vgg19, monkeypatch):
    others(0)
    assert not told_by_a_pace(vgg19, monkeypatch, picture(95))


def test_before_anything_is_known_of_others_no_more_threads_than_allowed(others, monkeypatch):
    others(None)
    monkeypatch.setattr(Cores, "_given", 8)
    monkeypatch.setattr(cores, "allowed", lambda: 3)
    assert Cores().share() == 3


def test_a_busy_neighbour_is_seen_and_this_process_is_not():
    neighbours = Neighbours()
    end = time.perf_counter() + 0.5
    while time.perf_counter() < end:
        pass
    alone = neighbours.busy()
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    try:
        time.sleep(0.5)
        neighbours.busy()
        time.sleep(1)
        beside = neighbours.busy()
    finally:
        process.kill()
        process.wait()
    assert beside > 0.4  # all of a core, or what is left of one where others compute too
    assert alone >= 0


def test_too_little_time_is_no_answer():
    neighbours = Neighbours()
    assert neighbours.busy() is None
