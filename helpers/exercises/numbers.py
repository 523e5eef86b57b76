"""Checks of numbers: a guess, whose distance to the truth is told, and a measurement, which must agree."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

from helpers.exercises.verdict import Verdict, not_written, not_yet, right

#: A wrong number is taken for that of a known mistake if it differs by no more: three digits tell them apart.
KNOWN = 0.005


def a_number(value: Any) -> float | None:
    """Return a finite number as a float, and None for everything else."""
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return number if isfinite(number) else None


@dataclass(frozen=True)
class GuessCheck:
    """A guess before a run. Every guess passes; it is told how far off it is.

    Attributes:
        truth: Computes the true number, in seconds.
        unit: What stands behind the number, as in " %".
        range: The least and the largest guess that makes sense.
        why: What the truth shows.
    """

    truth: Callable[[], float]
    unit: str
    range: tuple[float, float]
    why: str

    def __call__(self, guess: Any) -> Verdict:
        """Return how far a guess is from the truth."""
        if guess is None or guess is ...:
            return not_written("put a number in the place of None, then run the cell. No guess is a bad one.")
        low, high = self.range
        number = a_number(guess)
        if number is None or not low <= number <= high:
            return not_yet(f"the guess is {guess!r}, and it must be a number from {low:g} to {high:g}.")
        truth = self.truth()
        ratio = max(number, truth) / max(min(number, truth), 1e-9)
        off = "nearly exact" if ratio < 1.1 else f"off by a factor of {ratio:.1f}"
        if not min(number, truth) > 0:
            off = f"off by {abs(number - truth):.3g}{self.unit}"
        return Verdict(
            True, f"Your guess: {number:g}{self.unit}. Measured: {truth:.3g}{self.unit}; {off}. {self.why}"
        )


@dataclass(frozen=True)
class MeasureCheck:
    """A number that the learner measures.

    Attributes:
        truth: Measures it, in seconds.
        wanted: What is to be measured.
        tolerance: Largest relative difference.
        mistakes: Pairs of a function that measures something else, and words.
        learnt: What to say when it is right.
    """

    truth: Callable[[], float]
    wanted: str
    tolerance: float
    mistakes: tuple[tuple[str, Callable[[], float]], ...]
    learnt: str

    def __call__(self, value: Any) -> Verdict:
        """Return whether a measured number agrees."""
        if value is None or value is ...:
            return not_written(f"measure {self.wanted}, and put the number in the place of None.")
        number = a_number(value)
        if number is None:
            return not_yet(f"one number is asked for, and {type(value).__name__} {value!r:.60} is given.")
        truth = self.truth()
        if abs(number - truth) <= self.tolerance * abs(truth):
            return right(f"{number:.3g}. {self.learnt}")
        off, words = min((abs(number / wrong() - 1), words) for words, wrong in self.mistakes)
        if off <= KNOWN:
            return not_yet(words)
        way = "more" if number > truth else "less"
        return not_yet(
            f"{number:.3g} is {way} than what the check measures. Compare picture, size, layer, pooling "
            "and form of the losses with those of the exercise, one after the other."
        )


@dataclass(frozen=True)
class RubricCheck:
    """An open exercise: the learner says which points of the rubric are met.

    Attributes:
        points: What each point asks, from the first to the last.
        enough: So many points pass.
    """

    points: tuple[str, ...]
    enough: int

    def __call__(self, met: Any) -> Verdict:
        """Return what is still open of the rubric."""
        if met is None or met is ...:
            return not_written("do the exercise, then list the points that you met, as in [1, 2, 4].")
        numbers = range(1, len(self.points) + 1)
        if not isinstance(met, list | tuple | set) or not all(
            isinstance(n, int) and n in numbers for n in met
        ):
            return not_yet(
                f"give a list of the points met, with numbers from 1 to {len(self.points)}, as in [1, 2, 4]."
            )
        missing = [f"{n}. {self.points[n - 1]}" for n in numbers if n not in met]
        passed = len(set(met)) >= self.enough
        words = f"{len(set(met))} of {len(self.points)} points: "
        words += "passed." if passed else f"not passed, {self.enough} are needed."
        if missing:
            words += " Still open:\n" + "\n".join(missing)
        return Verdict(passed, words)
