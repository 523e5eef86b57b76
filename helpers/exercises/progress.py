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
        ValueError: If that notebook has no exercises.
    """
    if notebook is not None and notebook not in EXERCISES:
        raise ValueError(f"notebook {notebook!r} has no exercises; choose from {sorted(EXERCISES)}")
    reached, note = load()
    lines, done, all_ = [], 0, 0
    for number in [notebook] if notebook is not None else sorted(EXERCISES):
        lines.append(f"Notebook {number}")
        for name in EXERCISES[number]:
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
    lines.append(f"{done} of {all_} exercises done")
    return Table(lines + ([note] if note else []))
