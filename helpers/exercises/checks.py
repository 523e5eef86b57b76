"""All exercises by name, and the one function that a notebook calls."""

from difflib import get_close_matches
from typing import Any

from helpers.exercises import after, content, layers, statistics_of_maps, style, transfer
from helpers.exercises.kept import save
from helpers.exercises.questions import SELF_CHECKS, Scored
from helpers.exercises.verdict import Verdict

#: Notebook → name of the exercise → its check.
EXERCISES = {
    1: layers.EXERCISES,
    2: content.EXERCISES,
    3: style.EXERCISES,
    4: transfer.EXERCISES,
    6: statistics_of_maps.EXERCISES | after.EXERCISES,
}


def names() -> list[str]:
    """Return the names of all exercises and self-checks."""
    return [name for exercises in EXERCISES.values() for name in exercises] + [
        f"self-check {number}" for number in SELF_CHECKS
    ]


def check(name: str, answer: Any) -> Verdict:
    """Check an answer and say in words what is right or wrong with it. What passes is kept for ``progress``.

    Args:
        name: Name of an exercise, as its cell has it.
        answer: A function, a number or a list, as the exercise asks.

    Raises:
        ValueError: If there is no such exercise.
    """
    checks = {key: value for exercises in EXERCISES.values() for key, value in exercises.items()}
    checks |= {f"self-check {number}": value for number, value in SELF_CHECKS.items()}
    if name not in checks:
        near = get_close_matches(str(name), checks, n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(checks)}"
        raise ValueError(f"no exercise {name!r}; {meant}")
    verdict = checks[name](answer)
    score = verdict.score if isinstance(verdict, Scored) else int(verdict.passed)
    if score and (note := save(name, score)):
        return Verdict(verdict.passed, f"{verdict.words}\n{note}")
    return verdict
