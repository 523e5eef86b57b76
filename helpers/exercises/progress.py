"""The table of one's own progress."""

from helpers.exercises.checks import EXERCISES
from helpers.exercises.kept import load
from helpers.exercises.questions import SELF_CHECKS


class Table:
    """The table of progress; as the last line of a cell it is shown."""

    def __init__(self, lines: list[str]):
        self.lines = lines

    def __repr__(self) -> str:
        """Return the table in plain text."""
        return "\n".join(self.lines)


def progress(notebook: int | None = None) -> Table:
    """Return the table of exercises and self-checks, and which are done.

    Args:
        notebook: Number of a notebook, or None for all.

    Raises:
        ValueError: If that notebook has neither.
    """
    numbers = sorted(EXERCISES | SELF_CHECKS)
    if notebook is not None and notebook not in numbers:
        raise ValueError(f"notebook {notebook!r} has no exercises and no self-check; choose from {numbers}")
    reached, note = load()
    lines, done, all_ = [], 0, 0
    for number in [notebook] if notebook is not None else numbers:
        lines.append(f"Notebook {number}")
        for name in EXERCISES.get(number, ()):
            passed = name in reached
            done, all_ = done + passed, all_ + 1
            when = f", {reached[name].get('on', '')}" if passed else ""
            lines.append(f"  {'✓' if passed else '·'} {name}{when}")
        if number in SELF_CHECKS:
            name = f"self-check {number}"
            best = (
                f"{reached[name].get('score', 0):g} of {len(SELF_CHECKS[number])}" if name in reached else "·"
            )
            lines.append(f"  {name}: {best}")
    if all_:
        lines.append(f"{done} of {all_} exercises done")
    return Table(lines + ([note] if note else []))
