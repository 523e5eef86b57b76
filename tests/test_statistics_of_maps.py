"""Exercises on statistics of feature maps: solutions pass, mistakes get their words, no mutant passes."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

from helpers.exercises.functions import FunctionCheck
from helpers.exercises.statistics_of_maps import EXERCISES

HERE = Path(__file__).resolve().parent


def script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


others = script(HERE / "test_exercises.py")


def texts():
    """Return the exercises of the part file, read as those of a notebook are."""
    found = []
    text = (HERE.parent / "notebooks" / "06_part_before_exercises.md").read_text(encoding="utf-8")
    for part in re.split(r"^(?=### )", text, flags=re.MULTILINE)[1:]:
        task, hint, solution = re.split(r"^#### (?:Hint|Solution)\n", part, flags=re.MULTILINE)
        stub = others.exercises.STUB.search(task)
        task = others.exercises.STUB.sub("", task).strip()
        found.append(others.exercises.Exercise(stub[1], task, stub[2], hint.strip(), solution.strip()))
    return {e.name: e for e in found}


ALL = texts()
FUNCTIONS = [name for name, c in EXERCISES.items() if isinstance(c, FunctionCheck)]


def done(code, name):
    space = {"torch": torch}
    exec(compile(code, "<cell>", "exec"), space)
    return space[ALL[name].answer]


OTHER_WAYS = {
    "maximum mean discrepancy": [
        """def f(F, A, kernel):
    both = torch.cat([F, A], 1)
    M, M_a = F.shape[1], A.shape[1]
    signs = torch.cat([torch.full((M,), 1 / M), torch.full((M_a,), -1 / M_a)]).to(F.dtype)
    return signs.double() @ kernel(both, both) @ signs.double()""",
        """def f(F, A, kernel):
    total = 0
    for S, T, factor in ((F, F, 1), (A, A, 1), (F, A, -1), (A, F, -1)):
        total = total + factor * kernel(S, T).sum() / (S.shape[1] * T.shape[1])
    return total""",
    ],
}
WRONG = {
    "maximum mean discrepancy": [
        ("2 * kernel", "kernel", "counts once"),
        ("inside - 2", "inside + 2", "is added"),
        (".mean()", ".sum()", "sums over pairs"),
        ("- 2 * kernel(F, A).mean()", "", "one of the numbers"),
        (
            "return inside - 2 * kernel(F, A).mean()",
            "return (inside - 2 * kernel(F, A).mean()).sqrt()",
            "root",
        ),
        ("kernel(F, F).mean()", "kernel(F, F).diagonal().mean()", "one of the numbers"),
        ("kernel(F, A).mean()", "kernel(F, A).mean().item()", "no gradient"),
    ],
}
SAME = {
    "maximum mean discrepancy": {"kernel(A, F)": "a kernel is symmetric, and a mean over pairs has no order"},
}


def test_every_text_has_a_check():
    assert list(ALL) == list(EXERCISES)


@pytest.mark.parametrize("name", ALL)
def test_the_solution_passes_and_the_stub_does_not(name):
    verdict = EXERCISES[name](done(ALL[name].code, name))
    assert verdict.passed, verdict.words
    assert EXERCISES[name](done(ALL[name].stub, name)).words.startswith("Not written yet: ")


@pytest.mark.parametrize(("name", "code"), [(n, code) for n, codes in OTHER_WAYS.items() for code in codes])
def test_another_right_way_passes(name, code):
    space = {"torch": torch}
    exec(code, space)
    verdict = EXERCISES[name](space["f"])
    assert verdict, verdict.words


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_listed_mistake_gets_its_own_words(name):
    mistakes = EXERCISES[name].mistakes
    assert len(mistakes) >= 5 and len({m.words for m in mistakes}) == len(mistakes)
    for mistake in mistakes:
        assert EXERCISES[name](mistake.computes).words == f"Not yet: {mistake.words}"


@pytest.mark.parametrize(
    ("name", "old", "new", "words"), [(n, *w) for n, found in WRONG.items() for w in found]
)
def test_a_plausible_wrong_answer_gets_the_words_meant_for_it(name, old, new, words):
    assert old in ALL[name].code
    verdict = EXERCISES[name](done(ALL[name].code.replace(old, new), name))
    assert not verdict and re.search(words, verdict.words), verdict.words


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_mutant_passes_that_does_something_else(name):
    codes = list(others.mutants(ALL[name].code))
    wrong = [code for code in codes if EXERCISES[name](done(code, name))]
    assert len(codes) >= 15
    assert not [code for code in wrong if not any(part in code for part in SAME.get(name, ()))], wrong


def test_the_quadratic_kernel_is_the_style_loss_and_the_linear_one_the_distance_of_the_means():
    F, A = torch.randn(4, 7, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    mmd = EXERCISES["maximum mean discrepancy"].reference
    grams = (F @ F.mT / 7 - A @ A.mT / 5).square().sum()
    assert torch.isclose(mmd(F, A, lambda F, A: (F.mT @ A) ** 2), grams)
    means = (F.mean(1) - A.mean(1)).square().sum()
    assert torch.isclose(mmd(F, A, lambda F, A: F.mT @ A), means)


def test_what_the_text_says_of_the_measured_number_is_so():
    assert 5 < EXERCISES["features without variation"].truth() < 10, "more than nine tenths of the loss"
