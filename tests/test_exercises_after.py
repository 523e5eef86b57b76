"""The exercises on what came after the paper: solutions pass, and mistakes get their words."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

from helpers.exercises.after import EXERCISES

HERE = Path(__file__).resolve().parent


def script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


writer, others = script(HERE.parent / "notebooks" / "exercises.py"), script(HERE / "test_exercises.py")


def parts():
    text = (writer.TEXTS / "after.md").read_text(encoding="utf-8")
    for part in re.split(r"^(?=### )", text, flags=re.MULTILINE)[1:]:
        task, hint, solution = re.split(r"^#### (?:Hint|Solution)\n", part, flags=re.MULTILINE)
        stub = writer.STUB.search(task)
        yield writer.Exercise(stub[1], writer.STUB.sub("", task).strip(), stub[2], hint, solution)


ALL = {e.name: e for e in parts()}

#: Other right ways, and what people write instead: change of the solution, from, to; words in the answer.
OTHER_WAYS = {
    "instance normalisation": """def f(F, scale, shift):
    y = torch.nn.functional.batch_norm(F.flatten(0, 1)[None], None, None, training=True, eps=1e-5)
    return y.view_as(F) * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)""",
    "enlarge": """def f(F, w):
    large = F.repeat_interleave(2, 2).repeat_interleave(2, 3)
    large = torch.cat([large[:, :, 1:2], large, large[:, :, -2:-1]], 2)
    return torch.conv2d(torch.cat([large[..., 1:2], large, large[..., -2:-1]], 3), w)""",
}
WRONG = {
    "instance normalisation": [
        (
            "F.mean((2, 3), keepdim=True)",
            "F.mean((0, 2, 3), keepdim=True)",
            "one picture, but not for a batch",
        ),
        ("(centred**2).mean((2, 3), keepdim=True)", "F.var((2, 3), keepdim=True)", "less one"),
        (".sqrt()", "", "root is missing"),
        (" + 1e-5", "", "ε is missing"),
        ("scale[:, None, None] * ", "", "scale is missing"),
        (" + shift[:, None, None]", "", "one of the numbers"),
        ("shift[:, None, None]", "shift", "stops with RuntimeError"),
    ],
    "enlarge": [
        ('mode="reflect"', 'mode="constant"', "filled with zeros"),
        ("scale_factor=2", 'scale_factor=2, mode="bilinear"', "mixed while enlarging"),
        ("scale_factor=2", "scale_factor=3", "shape"),
        ("(1, 1, 1, 1)", "(0, 0, 0, 0)", "shape"),
    ],
}
CASES = [(name, *wrong) for name, found in WRONG.items() for wrong in found]

#: Mutants that do the same as the solution: what they contain, and why it is the same.
SAME = {
    "instance normalisation": ("(3, 2)", "(-2, 3)"),  # a mean has no order; −2 is dimension 2 of four
    "enlarge": (),
}


def done(code, name):
    space = {"torch": torch}
    exec(code, space)
    return space[ALL[name].answer] if name in ALL else space["f"]


def test_texts_and_checks_belong_together():
    assert list(ALL) == list(EXERCISES) == list(WRONG) == list(OTHER_WAYS)
    for e in ALL.values():
        assert re.fullmatch(r"(●○○|●●○|●●●) · \d+ minutes · teaches: .{10,}", e.task.splitlines()[2])
        lines = {line.split("#")[0].strip() for line in e.code.splitlines()[1:]}
        assert not [line for line in lines if len(line) > 18 and line in e.task + e.stub + e.hint]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_and_another_right_way_pass_and_the_stub_is_told(name, capsys):
    check = EXERCISES[name]
    assert check(done(ALL[name].code, name)), check(done(ALL[name].code, name)).words
    assert check(done(OTHER_WAYS[name], "")), check(done(OTHER_WAYS[name], "")).words
    words = check(done(ALL[name].stub, name)).words
    bug = "Find the bug" in ALL[name].task
    assert words.startswith("Not yet: as given, " if bug else "Not written yet: ")


@pytest.mark.parametrize("name", EXERCISES)
def test_every_listed_mistake_gets_its_own_words(name):
    mistakes = EXERCISES[name].mistakes
    assert len({m.words for m in mistakes}) == len(mistakes) >= 5
    for mistake in mistakes:
        assert EXERCISES[name](mistake.computes).words == f"Not yet: {mistake.words}"


@pytest.mark.parametrize(("name", "old", "new", "words"), CASES)
def test_a_plausible_wrong_answer_gets_the_words_meant_for_it(name, old, new, words):
    assert old in ALL[name].code
    verdict = EXERCISES[name](done(ALL[name].code.replace(old, new), name))
    assert not verdict and re.search(words, verdict.words), verdict.words


@pytest.mark.parametrize("name", EXERCISES)
def test_no_mutant_passes_that_does_something_else(name):
    mutants = list(others.mutants(ALL[name].code))
    passed = [code for code in mutants if EXERCISES[name](done(code, name))]
    assert len(mutants) >= 15
    assert not [code for code in passed if not any(part in code for part in SAME[name])], passed
