"""Numbers in the notebooks' prose: each is held by a check that runs with the notebook, or is a listed fact.

A check is an ``assert condition, "words"`` in a cell tagged ``check``, which readers do not see.
Its words are words of the prose. ``facts/NAME.txt`` lists phrases with numbers that no run decides: years,
counts of layers, settings.
"""

import ast
import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
FACTS = Path(__file__).resolve().parent / "facts"
NAMES = sorted(path.stem for path in FOLDER.glob("0*.ipynb"))

NUMERAL = re.compile(
    r"\d[\d.,]*|\b(?:half|halves|third|thirds|quarter|quarters|fifth|fifths|tenth|tenths|hundredth|thousandth|twice"
    r"|double[sd]?|tw[oi]fold|threefold|fourfold|tenfold|per cent)\b",
    re.IGNORECASE,
)
#: What holds numbers that state nothing: code, formulas, links, names, places in the text, lists.
SILENT = re.compile(
    r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>|https?://\S+|arXiv[ \d.]+"
    r"|^\s*\d+\.\s|^#+ \d* ?·?|^\|.*\|\s*$"
    r"|\bVGG ?19\b|\bCVPR 20\d\d\b|\b(?:[Nn]otebooks?|[Ee]quations?|[Ss]ections?|[Ff]igures?|[Ss]teps?)"
    r" \d+(?:(?:,| and| to| or|–) ?\d+)*|\b\d+ minutes to read.*$|\bconv\d_\d\b|\bpool\d\b",
    re.DOTALL | re.MULTILINE,
)


def squeezed(text):
    return " ".join(text.split())


def prose(notebook):
    """Return the text of every markdown cell; those of exercises are held by test_exercises.py."""
    cells = [cell for cell in notebook.cells if "exercise" not in cell.metadata.get("tags", ())]
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def is_check(cell):
    return cell.cell_type == "code" and "check" in cell.metadata.get("tags", ())


def words_of_checks(notebook):
    """Return the messages of all asserts in check cells."""
    words = []
    for cell in filter(is_check, notebook.cells):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Assert):
                assert isinstance(node.msg, ast.Constant), f"a check without words: {ast.unparse(node)}"
                words.append(squeezed(node.msg.value))
    return words


def facts_of(name):
    path = FACTS / f"{name}.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [squeezed(line) for line in lines if line.strip() and not line.startswith("#")]


def unheld(texts, held):
    """Return the numerals, each with its surroundings, that stand in none of the phrases held."""
    found = []
    for text in texts:
        text = squeezed(text)
        covered = [False] * len(text)
        for phrase in held:
            for match in re.finditer(re.escape(phrase), text):
                covered[match.start() : match.end()] = [True] * len(phrase)
        for match in NUMERAL.finditer(text):
            if not all(covered[match.start() : match.start() + 1]):
                found.append(f"…{text[max(match.start() - 40, 0) : match.end() + 30]}…")
    return found


def spoken(text):
    """Return the text without what is silent, each piece replaced by a mark that no phrase crosses."""
    return SILENT.sub(lambda match: "·" if "\n" not in match[0] else "·\n", text)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def test_every_number_in_the_prose_is_held_by_a_check_or_is_a_fact(name):
    notebook = read(name)
    held = [squeezed(spoken(words)) for words in words_of_checks(notebook) + facts_of(name)]
    loose = unheld(map(spoken, prose(notebook)), held)
    assert not loose, f"{len(loose)} numbers that nothing holds:\n" + "\n".join(loose)


def test_the_words_of_every_check_and_fact_stand_in_the_prose(name):
    notebook = read(name)
    text = squeezed(" ¶ ".join(prose(notebook)))
    stale = [words for words in words_of_checks(notebook) + facts_of(name) if words not in text]
    assert not stale, "checks or facts of sentences that are gone:\n" + "\n".join(stale)


def test_checks_are_hidden_from_readers(name):
    for cell in filter(is_check, read(name).cells):
        assert cell.metadata["jupyter"]["source_hidden"] is True
        assert {"remove-cell", "hide-input"} & set(cell.metadata["tags"])
        assert not cell.outputs


def test_a_loose_number_is_found_and_a_held_one_is_not():
    texts = ["The loss falls to 3 % of it. From `conv4_1` on, in notebook 3, a third is left."]
    assert len(unheld(map(spoken, texts), [])) == 2
    assert len(unheld(map(spoken, texts), ["falls to 3 %"])) == 1
    assert unheld(map(spoken, texts), ["falls to 3 %", "a third is left"]) == []
