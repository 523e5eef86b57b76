"""Write the exercises into notebooks 1 to 4 and 6, the self-checks into 0 to 6, and the ways into notebook 0.

    python notebooks/exercises.py          every notebook
    python notebooks/exercises.py 3 4      these

The texts are in ``notebooks/exercises/01.md`` to ``04.md``: an introduction, then for each exercise a
heading ``### 1 · Title``, a line of difficulty and minutes, the task, a block ``python stub NAME`` with
what the learner finds, and the parts ``#### Hint`` and ``#### Solution``, which are folded. The self-check
is made from ``helpers/exercises/self_checks`` and stands at the end. Cells written here have the tag
"exercise"; they are replaced each time, all others stay. They need nothing of the lesson, so they are run
on their own, and the lesson's outputs stay as they are. The text ``00.md`` goes behind "Ways
through it" in notebook 0.
"""

import copy
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]

import run  # noqa: E402

from helpers.exercises.checks import EXERCISES  # noqa: E402
from helpers.exercises.questions import SELF_CHECKS, Question  # noqa: E402

TAG = "exercise"
TEXTS = FOLDER / "exercises"
BEFORE = "## Questions people ask"
WAYS = "### Ways through it"
SETUP = "import torch\n\nfrom helpers.exercises import check"

STUB = re.compile(r"^```python stub ([\w -]+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Exercise:
    """An exercise as text.

    Attributes:
        name: What ``check`` knows it by.
        task: Markdown, with its heading.
        stub: The code that the learner finds.
        hint: Markdown, to be folded.
        solution: Markdown, to be folded; its first block of code is the solution.
    """

    name: str
    task: str
    stub: str
    hint: str
    solution: str

    @property
    def code(self) -> str:
        """The code of the solution."""
        return CODE.search(self.solution)[1]

    @property
    def answer(self) -> str:
        """The name that the check is given: the last function of the stub, or its variable."""
        functions = re.findall(r"^def (\w+)", self.stub, re.MULTILINE)
        return functions[-1] if functions else re.match(r"\w+", self.stub)[0]

    @property
    def cell(self) -> str:
        """The code cell: the stub, then its check."""
        function = self.stub.startswith("def ") or "\ndef " in self.stub
        space = "\n\n\n" if function and "print(" not in self.stub else "\n"
        return f'{self.stub.rstrip()}{space}check("{self.name}", {self.answer})'


def read(number: int) -> tuple[str, list[Exercise]]:
    """Return the introduction and the exercises of a notebook."""
    text = (TEXTS / f"{number:02}.md").read_text(encoding="utf-8")
    head, *parts = re.split(r"^(?=### )", text, flags=re.MULTILINE)
    exercises = []
    for part in parts:
        task, hint, solution = re.split(r"^#### (?:Hint|Solution)\n", part, flags=re.MULTILINE)
        stub = STUB.search(task)
        task = STUB.sub("", task).strip()
        exercises.append(Exercise(stub[1], task, stub[2], hint.strip(), solution.strip()))
    return head.strip(), exercises


def folded(title: str, text: str) -> str:
    """Return Markdown that is folded; the empty lines let its formulas and code be set."""
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"


def exercise_cells(number: int) -> list[nbformat.NotebookNode]:
    """Return the cells of the section "Exercises" of a notebook."""
    head, exercises = read(number)
    cells = [new_markdown_cell(head), new_code_cell(SETUP)]
    for e in exercises:
        below = folded("Hint", e.hint) + "\n\n" + folded("Solution", e.solution)
        cells += [new_markdown_cell(e.task), new_code_cell(e.cell), new_markdown_cell(below)]
    return marked(cells, number, "exercise")


def asked(number: int, question: Question) -> str:
    """Return a question with its choices as Markdown."""
    choices = [f"    - **{letter}** {text}" for letter, text in question.choices.items()]
    return "\n".join([f"{number}. {question.text}", *choices])


def answered(number: int, question: Question) -> str:
    """Return the answer to a question, and why each wrong choice is wrong, as Markdown."""
    if not question.choices:
        return f"{number}. **{question.right:g}.** {question.why['']}"
    lines = [f"{number}. **{question.right}.** {question.why[question.right]}"]
    lines += [f"    - Not {c}: {why}" for c, why in question.why.items() if c != question.right]
    return "\n".join(lines)


SELF_CHECK = """## Self-check

Ten questions on this notebook. Write your answers into the cell below them: a letter, or a number. The check counts the right ones and says why a wrong choice is wrong. Eight of ten are a good result. Your best result stays in your table of progress."""  # noqa: E501


def self_check_cells(number: int) -> list[nbformat.NotebookNode]:
    """Return the cells of the section "Self-check" of a notebook."""
    questions = SELF_CHECKS[number].questions
    text = "\n\n".join(asked(i, q) for i, q in enumerate(questions, 1))
    answers = "\n".join(answered(i, q) for i, q in enumerate(questions, 1))
    code = f'from helpers.exercises import check\n\nanswers = {{}}\ncheck("self-check {number}", answers)'
    table = f"from helpers.exercises import progress\n\nprogress({number})"
    cells = [new_markdown_cell(f"{SELF_CHECK}\n\n{text}"), new_code_cell(code)]
    cells += [new_markdown_cell(folded("All answers, with reasons", answers))]
    cells += [new_markdown_cell(PROGRESS), new_code_cell(table)]
    return marked(cells, number, "self-check")


PROGRESS = """### Your progress

What a check passed is kept in a small file in the cache folder, from one day to the next. `progress()` without a number shows all notebooks."""  # noqa: E501


def marked(cells: list[nbformat.NotebookNode], number: int, part: str) -> list[nbformat.NotebookNode]:
    """Tag cells as written here, with the same names each time."""
    for i, cell in enumerate(cells):
        cell["id"] = f"{part}-{number}-{i}"
        cell.metadata = {"tags": [TAG]}
    return cells


def is_ours(cell: nbformat.NotebookNode) -> bool:
    """Return whether a cell was written here."""
    return TAG in cell.metadata.get("tags", ())


def place(notebook: nbformat.NotebookNode, number: int) -> None:
    """Put the cells of a notebook in, in place of those that are there.

    Raises:
        ValueError: If the notebook lacks the heading at which they belong.
    """
    cells = [cell for cell in notebook.cells if not is_ours(cell)]

    def place_of(heading: str) -> int:
        at = [i for i, cell in enumerate(cells) if starts(cell, heading)]
        if len(at) != 1:
            raise ValueError(
                f"notebook {number} has {len(at)} cells that begin with {heading!r}; it must be one"
            )
        return at[0]

    if number == 0:
        at = place_of(WAYS) + 1
        text = (TEXTS / "00.md").read_text(encoding="utf-8").strip()
        cells[at:at] = marked([new_markdown_cell(text)], 0, "ways")
    if number in EXERCISES:
        at = place_of(BEFORE)
        cells[at:at] = exercise_cells(number)
    notebook.cells = cells + self_check_cells(number)


def starts(cell: nbformat.NotebookNode, heading: str) -> bool:
    """Return whether a cell begins with a heading."""
    return cell.cell_type == "markdown" and cell.source.startswith(heading)


def with_outputs(notebook: nbformat.NotebookNode) -> None:
    """Run the cells written here in a fresh kernel, with an empty table of progress, and count all anew."""
    ours = [cell for cell in notebook.cells if is_ours(cell)]
    with tempfile.TemporaryDirectory() as cache:
        before = os.environ.get("NST_CACHE")
        os.environ["NST_CACHE"] = cache
        try:
            alone = nbformat.v4.new_notebook(cells=ours)
            NotebookClient(alone, timeout=120, kernel_name="python3", resources=_here()).execute()
        finally:
            os.environ.pop("NST_CACHE")
            if before is not None:
                os.environ["NST_CACHE"] = before
    count = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = count


def _here() -> dict:
    return {"metadata": {"path": str(FOLDER)}}


def written(notebook: nbformat.NotebookNode, number: int) -> nbformat.NotebookNode:
    """Return a notebook with its exercises, their outputs and, where it was right, the hash of its code."""
    notebook = copy.deepcopy(notebook)
    # The hash says that outputs belong to the code. Ours are made here; it stays true if it was.
    whole = notebook.metadata.get(run.HASH_KEY) == run.source_hash(notebook)
    place(notebook, number)
    with_outputs(notebook)
    if whole:
        notebook.metadata[run.HASH_KEY] = run.source_hash(notebook)
    return notebook


def write(number: int, folder: Path = FOLDER) -> bool:
    """Bring one notebook up to date; return whether it changed."""
    (path,) = folder.glob(f"{number:02}_*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    now = written(notebook, number)
    if nbformat.writes(now) == nbformat.writes(notebook):
        return False
    nbformat.write(now, path)
    return True


def main() -> int:
    """Write the notebooks that the arguments name, or all."""
    for number in [int(a) for a in sys.argv[1:]] or list(SELF_CHECKS):
        print(f"notebook {number}: {'written' if write(number) else 'as it should be'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
