"""What a check answers: passed or not, and words."""

import textwrap
from dataclasses import dataclass

WIDTH = 96


@dataclass(frozen=True)
class Verdict:
    """The answer of a check. As the last line of a cell it shows its words.

    Attributes:
        passed: Whether the exercise is done.
        words: What is right, or what is wrong and why.
    """

    passed: bool
    words: str

    def __bool__(self) -> bool:
        """Return whether the exercise is done."""
        return self.passed

    def __repr__(self) -> str:
        """Return the words, in lines that fit a page."""
        return "\n".join(textwrap.fill(line, WIDTH) for line in self.words.splitlines())


def right(words: str) -> Verdict:
    """Return a verdict that passes."""
    return Verdict(True, f"Right: {words}")


def not_yet(words: str) -> Verdict:
    """Return a verdict for what is there and wrong."""
    return Verdict(False, f"Not yet: {words}")


def not_written(words: str) -> Verdict:
    """Return a verdict for a stub."""
    return Verdict(False, f"Not written yet: {words}")
