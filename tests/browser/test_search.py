"""The handbook's search field finds answers without a kernel: on an exported page, and in JupyterLab."""

import importlib.util
from pathlib import Path

import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import expect

FOLDER = Path(__file__).resolve().parent.parent.parent / "notebooks"

spec = importlib.util.spec_from_file_location("handbook", FOLDER / "handbook.py")
handbook = importlib.util.module_from_spec(spec)
spec.loader.exec_module(handbook)

FIRST = handbook.NAMES[0]


def search(page, words):
    """Type words into the field, and return the questions that are shown, the best first."""
    page.locator(".nst-search input").first.fill(words)
    expect(page.locator(".nst-search").first.get_by_role("status")).to_contain_text("found")
    return page.locator(".nst-search").first.locator("li b").all_inner_texts()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    for name in handbook.NAMES:
        exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="")
        text, _ = exporter.from_filename(str(FOLDER / name))
        (folder / name.replace(".ipynb", ".html")).write_text(text, encoding="utf-8")
    return folder


def test_it_finds_answers_on_an_exported_page(page, exported):
    page.goto((exported / FIRST.replace(".ipynb", ".html")).as_uri())
    everything = page.locator(".nst-search li")
    assert everything.count() == len(handbook.read())
    found = search(page, "gram diagonal")
    assert 0 < len(found) < 30 and "diagonal" in found[0].lower()
    assert search(page, "그람 행렬")
    assert not search(page, "xylophone")


def test_its_links_lead_to_the_evidence_on_exported_pages(page, exported):
    page.goto((exported / FIRST.replace(".ipynb", ".html")).as_uri())
    search(page, "gram diagonal")
    page.locator(".nst-search a", has_text="evidence").first.click()
    expect(page.locator("h3", has_text="diagonal")).to_be_in_viewport()
    page.evaluate("scrollTo(0, 0)")
    search(page, "perceptual factors space colour scale")
    page.locator(".nst-search a", has_text="evidence").first.click()
    expect(page.locator("h3", has_text="perceptual factors")).to_be_in_viewport()
    assert handbook.NAMES[1].replace(".ipynb", ".html") in page.url


def test_it_finds_answers_in_jupyterlab_before_any_kernel_runs_a_cell(page, lab):
    page.goto(f"{lab}lab/tree/{FIRST}?token=test")
    page.locator(".nst-search input").first.wait_for(timeout=60_000)
    assert "diagonal" in search(page, "gram diagonal")[0].lower()
