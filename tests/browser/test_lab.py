"""Live widgets in a real JupyterLab: run by a kernel, moved by a person."""

import io
import re

import nbformat
import pytest
from PIL import Image


@pytest.fixture
def in_lab(page, lab, lab_folder):
    """Open a notebook of these cells, run it, and return the page."""

    def open_(name, *sources):
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(notebook, lab_folder / name)
        page.goto(f"{lab}lab/workspaces/{name[:-6]}/tree/{name}?token=test")
        page.locator(".jp-Notebook .jp-CodeCell").last.wait_for(timeout=60_000)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        return page

    return open_


LIVE = """from helpers.images import load_image
from helpers.network import VGG19
from helpers.widgets import LiveRun
import helpers.system.quick as quick
quick.QUICK = False
p, a = load_image("chenonceau", 96), load_image("starry_night", 96)
live = LiveRun(VGG19(), p, a, name=None, alpha=2e-3, evaluations=400)
live"""


def test_a_live_run_leaves_the_kernel_free_and_marks_what_is_changed(in_lab):
    page = in_lab("live.ipynb", LIVE, "6 * 7")
    page.get_by_role("button", name=re.compile("start$")).click(timeout=60_000)
    page.wait_for_function("document.querySelectorAll('.jp-OutputArea svg polyline').length == 3")
    # Another cell answers while the run goes on.
    page.locator(".jp-CodeCell").last.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    page.locator(".jp-CodeCell").last.get_by_text("42").wait_for(timeout=10_000)
    assert "Running" in page.get_by_role("status").filter(has_text="evaluations").inner_text()
    page.get_by_label("pooling").select_option("max")
    page.locator("svg text", has_text="pooling").wait_for(timeout=10_000)
    page.get_by_label("content layer").select_option("conv2_1")
    page.locator("svg text", has_text="conv2_1").wait_for(timeout=10_000)
    page.get_by_role("button", name="pause").click()
    page.get_by_text("Paused.").wait_for()
    # A page that is loaded again shows the run where it is.
    said = page.get_by_role("status").filter(has_text="evaluations").inner_text()
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_role("menuitem", name=re.compile("^Save Notebook(?! As)")).click()
    page.get_by_text("Saving completed").wait_for(timeout=20_000)
    page.reload()
    again = page.get_by_role("status").filter(has_text="evaluations")
    again.wait_for(timeout=60_000)
    number = re.search(r"(\d+) of", said)[1]
    assert f"{number} of" in again.inner_text()


BROWSER = """from helpers.network import VGG19
from helpers.widgets import layer_browser
layer_browser(VGG19(), size=64)"""


def test_the_layer_browser_takes_a_file_and_computes_the_layer_that_is_clicked(in_lab):
    page = in_lab("layers.ipynb", BROWSER)
    page.get_by_role("radio", name="conv3_1").wait_for(timeout=60_000)
    assert page.get_by_role("radio", name="conv3_1").get_attribute("aria-checked") == "true"
    page.get_by_role("radio", name="conv2_2").click()
    page.get_by_text("conv2_2: 128 feature maps").wait_for(timeout=10_000)
    page.get_by_label("picture", exact=True).select_option("red_panda")
    page.locator("img[alt=red_panda]").wait_for(timeout=10_000)
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40), "orange").save(buffer, "PNG")
    file = {"name": "mine.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    page.get_by_label("a picture of your own").set_input_files(file)
    page.locator("img[alt='mine.png']").wait_for(timeout=10_000)
    wrong = {"name": "wrong.png", "mimeType": "image/png", "buffer": b"hello"}
    page.get_by_label("a picture of your own").set_input_files(wrong)
    page.get_by_text("wrong.png is not a picture").wait_for(timeout=10_000)
