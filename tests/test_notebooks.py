"""The stored notebooks are whole, and run from a fresh kernel."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
LESSONS = [
    "00_start_here",
    "01_vgg19_layers",
    "02_content_reconstruction",
    "03_style_reconstruction",
    "04_style_transfer",
    "05_paper_figures",
    "06_before_and_after",
]
HANDBOOK = ["07_questions_on_the_method", "08_questions_in_practice"]
NAMES = LESSONS + HANDBOOK

spec = importlib.util.spec_from_file_location("run", FOLDER / "run.py")
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)


@pytest.fixture(params=NAMES)
def notebook(request):
    return nbformat.read(FOLDER / f"{request.param}.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_no_other_notebooks():
    pages = ["studio"]  # to use, not to read: it is stored without outputs
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES + pages


def test_it_is_valid_and_ran_from_top_to_bottom_without_errors(notebook):
    nbformat.validate(notebook)
    ids = [cell["id"] for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert [cell.execution_count for cell in code_cells(notebook)] == list(
        range(1, len(code_cells(notebook)) + 1)
    )
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]


def test_its_outputs_belong_to_its_code(notebook):
    assert notebook.metadata[run.HASH_KEY] == run.source_hash(notebook), "run: make notebooks"


def test_the_hash_tells_changed_code_and_ignores_prose(notebook):
    before = run.source_hash(notebook)
    notebook.cells[0].source += " more prose"
    assert run.source_hash(notebook) == before
    code_cells(notebook)[0].source += "\n"
    assert run.source_hash(notebook) != before


@pytest.mark.parametrize("name", NAMES)
def test_it_stays_under_two_megabytes(name):
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 2_000_000


def test_code_cells_are_short(notebook):
    long = [cell.source for cell in code_cells(notebook) if cell.source.count("\n") >= 25]
    assert not long, long[0]


@pytest.mark.parametrize("name", LESSONS)
def test_it_has_the_parts_of_a_lesson(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert text.startswith("# ")
    for part in ("**Goals.**", "minutes to read", "## Recap", "## Questions people ask"):
        assert part in text
    assert text.count("**What to see.**") >= 3
    assert not re.search(r"\b(READ|RECAP|ANSWER)_|\bHOLE\b|@@", text), "a reading was left unwritten"


def test_every_picture_has_a_text_for_those_who_cannot_see_it(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for alt, path in re.findall(r"!\[(.*?)\]\((.*?)\)", cell.source):
                assert len(alt) > 20
                assert (FOLDER / path).is_file(), path
            for tag in re.findall(r"<img[^>]*>", cell.source):
                assert re.search(r'alt="[^"]{20,}"', tag), tag
            continue
        for output in cell.outputs:
            for kind in output.get("data", {}):
                if kind.startswith("image/"):
                    assert output.metadata[kind]["alt"]


def test_it_runs_from_a_fresh_kernel(notebook, monkeypatch):
    monkeypatch.setenv("NST_QUICK", "1")
    # What the text says of the numbers is true of full sizes only; make notebooks checks it there.
    notebook.cells = [cell for cell in notebook.cells if "check" not in cell.metadata.get("tags", ())]
    # The guard of conftest.py ends at this process; a kernel's downloads would go to a closed port.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    # The kernel announces on stderr that it listens on loopback; nothing to learn from that here.
    resources = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    errors = [o for cell in code_cells(notebook) for o in cell.outputs if o.get("name") == "stderr"]
    assert not errors, errors
