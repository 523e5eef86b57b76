"""Self-checks: ten questions a notebook, with a reason for every choice."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.exercises.numbers import a_number
from helpers.exercises.verdict import Verdict

FOLDER = Path(__file__).parent / "self_checks"

#: So many right answers of ten pass.
ENOUGH = 8


@dataclass(frozen=True)
class Question:
    """A question with choices, or one whose answer is a number.

    Attributes:
        text: As Markdown.
        right: The letter of the right choice, or the number.
        choices: Letter → text; empty for a number.
        why: Letter → why this choice is right or wrong; for a number the key is "".
    """

    text: str
    right: str | float
    choices: dict[str, str]
    why: dict[str, str]

    def is_right(self, answer: Any) -> bool:
        """Return whether an answer is right; a number to one per cent."""
        if self.choices:
            return str(answer).strip().lower() == self.right
        number = a_number(answer)
        return number is not None and abs(number - self.right) <= 0.01 * abs(self.right)

    def reason(self, answer: Any) -> str:
        """Return why an answer is wrong."""
        if self.choices:
            letter = str(answer).strip().lower()
            if letter not in self.choices:
                return f"{answer!r} is no choice; give one of {', '.join(self.choices)}."
            return f"{letter}: {self.why[letter]}"
        if a_number(answer) is None:
            return f"{answer!r} is no number."
        return f"{answer} is not right. Try again; the folded answers say why."


def read(number: int) -> tuple[Question, ...]:
    """Return the questions of a notebook in their order."""
    text = (FOLDER / f"{number}.md").read_text(encoding="utf-8")
    questions = []
    for part in re.split(r"^\d+\. ", text, flags=re.MULTILINE)[1:]:
        first, *lines = part.strip().splitlines()
        choices, why, right = {}, {}, None
        for line in lines:
            answer, reason = (half.strip() for half in line.split(" | "))
            if answer.startswith("= "):
                right, why[""] = float(answer[2:]), reason
                continue
            star, letter, words = re.fullmatch(r"- (\*?)([a-d])\) (.+)", answer).groups()
            choices[letter], why[letter] = words, reason
            right = letter if star else right
        questions.append(Question(first.strip(), right, choices, why))
    return tuple(questions)


@dataclass(frozen=True, repr=False)
class Scored(Verdict):
    """A verdict that counts right answers."""

    score: int = 0


@dataclass(frozen=True)
class SelfCheck:
    """The questions of one notebook, to be called with a dict from number to answer."""

    questions: tuple[Question, ...]

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self.questions)

    def __call__(self, answers: Any) -> Scored:
        """Return how many answers are right, and why the others are not."""
        numbers = range(1, len(self) + 1)
        if answers is None or answers is ... or answers == {}:
            return Scored(False, "Not written yet: answers is a dict, such as {1: 'b', 2: 10}.")
        if not isinstance(answers, dict) or not set(answers) <= set(numbers):
            return Scored(False, f"Not yet: give a dict whose keys are numbers from 1 to {len(self)}.")
        given = {n: answers[n] for n in numbers if answers.get(n) is not None}
        wrong = {n: a for n, a in given.items() if not self.questions[n - 1].is_right(a)}
        score = len(given) - len(wrong)
        lines = [f"{score} of {len(self)} right."]
        lines += [f"{n}. {self.questions[n - 1].reason(a)}" for n, a in wrong.items()]
        if open_ := [str(n) for n in numbers if n not in given]:
            lines.append(f"Not answered: {', '.join(open_)}.")
        return Scored(score >= ENOUGH, "\n".join(lines), score)


SELF_CHECKS = {int(path.stem): SelfCheck(read(int(path.stem))) for path in sorted(FOLDER.glob("*.md"))}
