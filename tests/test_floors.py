"""The house: which floor each module stands on, that imports go down only, and what a learner meets."""

import ast
import re
from pathlib import Path

import pytest

HELPERS = Path(__file__).resolve().parent.parent / "helpers"
README = HELPERS.parent / "README.md"

#: From the ground up.
FLOORS = (
    ("system",),
    ("engine",),
    ("images",),
    ("measures", "weights"),
    ("network",),
    ("losses", "controls"),
    ("optimisers",),
    ("objective",),
    ("painter",),
    ("record",),
    ("saved",),
    ("synthesis",),
    ("figures",),
    ("drawings",),
    ("paper", "widgets", "exercises"),
    ("arguments",),
    ("command_line",),
    ("__main__",),
)
PLACE = {name: number for number, names in enumerate(FLOORS) for name in names}
LESSON = (
    "images",
    "measures",
    "weights",
    "network",
    "losses",
    "objective",
    "optimisers",
    "painter",
    "synthesis",
    "record",
    "figures",
)


def room(path):
    """Return the name of the floor's room in which a module lies: a file, or the package it belongs to."""
    return path.relative_to(HELPERS).parts[0].removesuffix(".py")


def imported(path):
    """Return every module of the package that a file imports, as written."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            inner = node.module == "helpers"
            found += [f"helpers.{alias.name}" for alias in node.names] if inner else [node.module]
    return [name for name in found if name.split(".")[0] == "helpers" and name != "helpers"]


MODULES = sorted(path for path in HELPERS.glob("**/*.py") if path != HELPERS / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HELPERS)))
def test_imports_go_down_only(path):
    own = room(path)
    for name in imported(path):
        other = name.split(".")[1]
        assert other == own or PLACE[other] < PLACE[own], f"{own} imports {name}, which is not below it"


def test_no_package_imports_in_a_circle():
    for package in ("engine", "exercises", "paper", "system", "widgets"):
        inner = {path.stem: path for path in (HELPERS / package).glob("*.py") if path.stem != "__init__"}
        below = {
            name: {i.split(".")[2] for i in imported(path) if i.startswith(f"helpers.{package}.")}
            for name, path in inner.items()
        }
        while free := [name for name, others in below.items() if not others & below.keys()]:
            for name in free:
                del below[name]
        assert not below, f"{package}: {sorted(below)} import one another in a circle"


@pytest.mark.parametrize("name", LESSON)
def test_a_module_of_the_lesson_is_short_and_speaks_of_no_machinery(name):
    text = (HELPERS / f"{name}.py").read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    assert not re.search(r"\b(tiles|strips|memory_format|channels.last|malloc|winograd)\b", text, re.I)


def test_forward_and_the_loop_can_be_read_aloud():
    lines = {}
    for name in ("network", "synthesis"):
        for node in ast.walk(ast.parse((HELPERS / f"{name}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in ("forward", "__iter__"):
                body = [n for n in node.body if not isinstance(getattr(n, "value", None), ast.Constant)]
                lines[node.name] = body[-1].end_lineno - body[0].lineno + 1
    assert lines["forward"] <= 12
    assert lines["__iter__"] <= 20


def test_no_exception_steers_the_loop():
    for name in ("synthesis", "optimisers"):
        tree = ast.parse((HELPERS / f"{name}.py").read_text(encoding="utf-8"))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Try | ast.ClassDef)
                    and "Exception" in ast.dump(node)]  # fmt: skip


def test_the_readmes_drawing_has_every_room():
    drawing = README.read_text(encoding="utf-8").split("## What is where")[1].split("\n## ")[0]
    rooms = {room(path) for path in MODULES} - {"__main__"}
    assert not {name for name in rooms if not re.search(rf" {name}/? ", drawing)}
