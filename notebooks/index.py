"""Write the index of questions in notebook 0: every question of the series, and where it is answered.

    python notebooks/index.py

A question of the series is bold, begins a paragraph and stands below a notebook's heading
"## Questions people ask". The index is the cell of notebook 0 whose metadata has "question_index": true.
"""

import re
import sys
from pathlib import Path

import nbformat

FOLDER = Path(__file__).resolve().parent
HOME = "00_start_here.ipynb"
SECTION = "## Questions people ask"
KEY = "question_index"

QUESTION = re.compile(r"^\*\*(?!\s)((?:(?!\*\*|\n\s*\n).)*?\?)[\"”’')]*\*\*", re.MULTILINE | re.DOTALL)
CODE_BLOCK = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)

HEAD = """## Where each question is answered

Every question of the lessons, in the order of the notebooks. Nearly all are answered by an experiment.
The handbook ([notebook 7](07_questions_on_the_method.ipynb),
[notebook 8](08_questions_in_practice.ipynb)) answers many more, and has a field to search all of them.

| question | answered in |
| --- | --- |
"""


def questions(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the bold questions below the heading "## Questions people ask", as Markdown, in order."""
    found, inside = [], False
    for cell in notebook.cells:
        if cell.cell_type != "markdown" or cell.metadata.get(KEY):
            continue
        # A cell may hold the end of one section and the beginning of the next.
        for part in re.split(r"^(?=##? )", CODE_BLOCK.sub("", cell.source), flags=re.MULTILINE):
            if re.match(r"##? ", part):
                inside = part.startswith(SECTION)
            if inside:
                found += [" ".join(question.split()) for question in QUESTION.findall(part)]
    return found


def index(folder: Path = FOLDER) -> str:
    """Return the text of the index: a table with a row for each question of the notebooks in a folder."""
    rows = []
    for path in sorted(folder.glob("0*.ipynb")):
        title = f"notebook {int(path.stem[:2])}"
        link = f"[{title}]({path.name}{SECTION.replace('## ', '#').replace(' ', '-')})"
        notebook = nbformat.read(path, as_version=4)
        rows += [f"| {_in_a_table(question)} | {link} |" for question in questions(notebook)]
    return HEAD + "\n".join(rows)


def _in_a_table(question: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", question)


def index_cell(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the cell of a notebook that holds the index.

    Raises:
        ValueError: If there is none, or more than one.
    """
    cells = [cell for cell in notebook.cells if cell.metadata.get(KEY)]
    if len(cells) != 1:
        raise ValueError(f'{len(cells)} cells of {HOME} have "{KEY}": true in their metadata; it must be one')
    return cells[0]


def main() -> int:
    """Write the index into notebook 0, if it is not there already."""
    path = FOLDER / HOME
    notebook = nbformat.read(path, as_version=4)
    cell, text = index_cell(notebook), index()
    if cell.source == text:
        print(f"{HOME}: the index is as it should be")
    else:
        cell.source = text
        nbformat.write(notebook, path)
        print(f"{HOME}: index of {text.count('](')} questions written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
