"""The handbook, notebooks 7 and 8: every entry has its parts, and every way to find one is up to date."""

import importlib.util
import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"

spec = importlib.util.spec_from_file_location("handbook", FOLDER / "handbook.py")
handbook = importlib.util.module_from_spec(spec)
spec.loader.exec_module(handbook)

ENTRIES = handbook.read()
STORED = {name: nbformat.read(FOLDER / name, as_version=4) for name in handbook.NAMES}

ENTRY = "### 4. Why `noise`?\n\n**Because of x.** More *words*.\n\nAnd a derivation."
CLOSING = "*How sure:* one seed. · *Words:* noise 잡음; start 시작"
TABLE = "Before:\n\n| # | Is it so? | Yes. | fact 사실 | [notebook 1](01_a.ipynb#B-c) |"


@pytest.fixture
def small():
    picture = new_output("display_data", {"image/png": "abc"})
    cells = [new_markdown_cell("## Starts"), new_markdown_cell(TABLE), new_markdown_cell(ENTRY)]
    cells += [new_code_cell("show()", outputs=[picture]), new_markdown_cell(CLOSING)]
    return new_notebook(cells=cells)


def test_an_entry_is_read_with_all_its_parts(small):
    row, entry = handbook.entries("07_x.ipynb", small)
    assert (entry.number, entry.group, entry.question) == (4, "Starts", "Why `noise`?")
    assert (entry.answer, entry.line) == ("**Because of x.** More *words*.", "Because of x.")
    assert entry.words == ["noise 잡음", "start 시작"] and entry.figure == ("image/png", "abc")
    assert entry.place == "07_x.ipynb#4.-Why-noise?"
    assert (row.question, row.line, row.place, row.words) == (
        "Is it so?",
        "Yes.",
        "01_a.ipynb#B-c",
        ["fact 사실"],
    )
    assert row.figure is None


def test_a_saying_that_is_not_so_is_not_taken_for_the_answer():
    text = "### 1. Is it?\n\n**Often said, and not so: “it is”.** **It is not.** See below."
    (entry,) = handbook.entries("07_x.ipynb", new_notebook(cells=[new_markdown_cell(text)]))
    assert entry.line == "It is not."


def test_numbers_are_given_in_order_and_again_in_the_same_way(small):
    assert handbook.numbered(small, 7) == 9
    assert [entry.number for entry in handbook.entries("07_x.ipynb", small)] == [7, 8]
    assert handbook.numbered(small, 7) == 9


def test_a_link_whose_text_is_a_question_follows_it(small):
    small.cells.append(new_markdown_cell("See [Why `noise`?](old) and [not a question of ours?](a#b)."))
    handbook.numbered(small, 9)
    handbook.linked(small, handbook.entries("07_x.ipynb", small))
    assert small.cells[-1].source == (
        "See [Why `noise`?](07_x.ipynb#10.-Why-noise?) and [not a question of ours?](a#b)."
    )


def test_the_search_field_and_the_sheet_hold_every_entry_and_no_markup_of_theirs(small):
    found = handbook.entries("07_x.ipynb", small)
    found[1].answer = "a < b & **c**"
    assert "a &lt; b &amp; <strong>c</strong>" in handbook.page(found)
    assert handbook.page(found).count("<li ") == handbook.sheet(found).count("<td>Because") + 1 == 2


def test_there_are_a_hundred_answers_numbered_through_both_notebooks():
    assert [entry.number for entry in ENTRIES] == list(range(1, len(ENTRIES) + 1))
    assert len(ENTRIES) >= 100
    questions = [entry.question for entry in ENTRIES]
    assert len(set(questions)) == len(questions)


def test_every_answer_begins_with_its_sentence_and_has_at_most_60_words():
    for entry in ENTRIES:
        assert entry.line and len(entry.line.split()) <= 45, f"{entry.number}: {entry.line!r}"
        assert len(entry.answer.split()) <= 60, f"{entry.number}: {len(entry.answer.split())} words"
        plain = handbook.MYTH.sub("", entry.answer)
        assert plain.startswith("**") or plain == entry.line, f"{entry.number}: the answer is not first"


def test_every_answer_says_how_sure_it_is_and_has_words_in_two_languages():
    for name, notebook in STORED.items():
        text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        for part in re.split(r"^(?=##)", text, flags=re.MULTILINE):
            if part.startswith("### "):
                assert "*How sure:*" in part, f"{name}: {part[:60]}"
    for entry in ENTRIES:
        assert any(re.search("[가-힣]", word) for word in entry.words), f"{entry.number}: {entry.words}"


def test_every_link_leads_to_a_heading():
    headings = {}
    for path in FOLDER.glob("0*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                for heading in re.findall(r"^#{1,4} (.+)$", cell.source, re.MULTILINE):
                    place = unquote(handbook.anchor(heading.strip()))
                    headings.setdefault(path.name, set()).add(place)
    for name, notebook in STORED.items():
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        for path, place in re.findall(r"\]\((0\d_\w+\.ipynb)?(?:#([^)\s]+))?\)", text):
            if place:
                assert unquote(place) in headings[path or name], f"{name}: {path}#{place}"


@pytest.mark.parametrize("name", handbook.NAMES)
def test_the_stored_search_field_is_what_the_script_would_write(name):
    notebook = STORED[name]
    (field,) = [cell for cell in notebook.cells if cell.source.endswith(handbook.SEARCH)]
    assert field.outputs[0].data["text/html"] == handbook.page(ENTRIES), "run: python notebooks/handbook.py"


def test_the_stored_index_of_words_is_what_the_script_would_write():
    cells = [cell for notebook in STORED.values() for cell in notebook.cells]
    (index,) = [cell for cell in cells if handbook.INDEX_KEY in cell.metadata]
    assert index.source == handbook.index(ENTRIES), "run: python notebooks/handbook.py"


def test_the_sheet_has_a_row_for_every_answer(tmp_path, capsys):
    assert handbook.main(["--sheet", str(tmp_path / "a" / "sheet.html")]) == 0
    page = (tmp_path / "a" / "sheet.html").read_text(encoding="utf-8")
    assert page.count("<tr><td>") == len(ENTRIES) and "http" not in page.replace("https://doi.org", "")
