"""The index of questions in notebook 0 lists every question of the series, as its script would write it."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"

spec = importlib.util.spec_from_file_location("index", FOLDER / "index.py")
index = importlib.util.module_from_spec(spec)
spec.loader.exec_module(index)


def asked(*texts):
    return index.questions(new_notebook(cells=[new_markdown_cell(text) for text in texts]))


def test_the_stored_index_is_what_the_script_would_write():
    home = nbformat.read(FOLDER / index.HOME, as_version=4)
    assert index.index_cell(home).source == index.index(), "run: python notebooks/index.py"


def test_every_notebook_has_questions_and_every_link_leads_to_a_notebook():
    links = re.findall(r"\]\((\S+?)#(\S+?)\)", index.index())
    lessons = {path.name for path in FOLDER.glob("0[0-6]*.ipynb")}  # 7 and 8, the handbook, have their own
    assert {name for name, _ in links} == lessons
    for name, heading in set(links):
        cells = nbformat.read(FOLDER / name, as_version=4).cells
        assert any(f"## {heading.replace('-', ' ')}" in cell.source for cell in cells)


def test_only_bold_questions_below_the_heading_are_taken():
    text = (
        "## Questions people ask\n\n**Why noise?** Because **so**. **Really?**\n\n**No question.** And why?"
    )
    assert asked(
        "**Guess: which?** Wait.", text, "**And then?**\n\nYes.", "## After\n\n**Not this one?**"
    ) == [
        "Why noise?",
        "And then?",
    ]
    assert asked("## Before\n\n**No?**\n\n## Questions people ask\n\n**Yes?**\n\n### Below\n\n**Also?**") == [
        "Yes?",
        "Also?",
    ]


def test_a_question_may_have_two_sentences_run_over_two_lines_and_hold_code():
    text = "## Questions people ask\n\n**Why `Gram`?\nWould *means* not do?** No.\n\n```\n**Code?**\n```"
    assert asked(text) == ["Why `Gram`? Would *means* not do?"]


def test_code_cells_are_not_read():
    cells = [new_markdown_cell("## Questions people ask"), new_code_cell("**kwargs?**")]
    assert index.questions(new_notebook(cells=cells)) == []


def test_a_bar_in_a_question_does_not_break_the_table(tmp_path):
    cells = [new_markdown_cell("## Questions people ask\n\n**What is |x|?** Its size.")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "03_bars.ipynb")
    row = "| What is \\|x\\|? | [notebook 3](03_bars.ipynb#Questions-people-ask) |"
    assert index.index(tmp_path) == index.HEAD + row


@pytest.mark.parametrize("count", [0, 2])
def test_a_notebook_without_one_place_for_the_index_is_refused(count):
    cells = [new_markdown_cell("index", metadata={index.KEY: True}) for _ in range(count)]
    with pytest.raises(ValueError, match=f"{count} cells"):
        index.index_cell(new_notebook(cells=cells))
