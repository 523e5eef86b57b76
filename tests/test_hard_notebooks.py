"""Notebooks as readers run them: cells twice, in any order, from the middle, in odd places."""

import importlib.util
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("taskset"), reason="the ways to try are those of Linux")
spec = importlib.util.spec_from_file_location(
    "ways", Path(__file__).resolve().parent.parent / "benchmarks" / "notebooks.py"
)
ways = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ways)

WAYS = [way for way in ways.WAYS if way != "memory"]  # full size takes a quarter of an hour
ALL = [pytest.param(name, way, marks=pytest.mark.slow) for name in ways.NAMES for way in WAYS]


@pytest.mark.parametrize(("name", "way"), [("00", "order"), *ALL])
def test_a_notebook_ends_well(name, way):
    print(ways.WAYS[way](name, seed=0))
