"""The studio as `make studio` serves it: a real Voilà, a real browser, one's own files."""

import io
import os
import re
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from helpers.images import load_image, read_record, to_pil

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "helpers" / "widgets" / "page"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def served(tmp_path_factory, wait_for_address):
    home = tmp_path_factory.mktemp("studio")
    environment = os.environ | {"HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    environment |= {"JUPYTER_PATH": str(PAGE), "JUPYTER_CONFIG_PATH": str(PAGE)}
    log = home / "log.txt"
    command = [
        sys.executable,
        "-m",
        "voila",
        "notebooks/studio.ipynb",
        "--no-browser",
        f"--port={free_port()}",
    ]
    with log.open("w") as file:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield wait_for_address(server, log)
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture
def studio(page, served):
    page.goto(served)
    page.get_by_role("button", name="make the picture").wait_for(timeout=60_000)
    return page


def set_number(page, words, value):
    """Write a number into a slider's readout, as a person does."""
    row = page.locator(".widget-slider", has_text=words)
    readout = row.locator(".widget-readout")
    readout.click()
    readout.fill(str(value))
    readout.press("Enter")


def evaluations(page):
    return int(re.search(r"(\d+) of", page.get_by_role("status").last.inner_text())[1])


def choose_file(page, words, number, name, content):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=re.compile(words)).nth(number).click()
    chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})


def png(image):
    buffer = io.BytesIO()
    to_pil(image).save(buffer, "PNG")
    return buffer.getvalue()


def enormous():
    """Return the head of a PNG that says it has a million pixels in each direction."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 10**6, 10**6, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def test_ones_own_picture_becomes_a_picture_with_its_recipe_and_is_made_again(studio, tmp_path):
    page = studio
    estimate = page.get_by_text("more memory")
    before = estimate.inner_text()
    set_number(page, "longer side", 96)
    set_number(page, "evaluations", 20)
    page.wait_for_function("t => !document.body.innerText.includes(t)", arg=before)
    choose_file(page, "your own", 0, "mine.png", png(load_image("red_panda", 120)))
    page.locator("select", has_text="mine.png").wait_for()
    page.get_by_role("button", name="make the picture").click()
    link = page.get_by_role("link", name="save as PNG")
    link.wait_for(timeout=60_000)
    with page.expect_download() as download:
        link.click()
    kept = tmp_path / "kept.png"
    download.value.save_as(kept)
    settings = read_record(kept)["settings"]
    assert (settings["p"], settings["width"], settings["evaluations"]) == ("mine.png", 96, 20)
    set_number(page, "evaluations", 40)
    choose_file(page, "make this again", 0, "kept.png", kept.read_bytes())
    page.get_by_text("The settings are those of the picture").wait_for()
    page.get_by_role("button", name="make the picture").click()
    page.get_by_role("link", name="save as PNG").nth(1).wait_for(timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="save as PNG").nth(1).click()
    download.value.save_as(kept)
    assert read_record(kept)["settings"] == settings
    assert page.get_by_label("Where the border between the two pictures is").count() == 1  # to compare them


def test_it_starts_pauses_and_goes_on_where_it_was(studio):
    page = studio
    set_number(page, "longer side", 128)
    set_number(page, "evaluations", 500)
    page.get_by_role("button", name="make the picture").click()
    picture, curve = page.locator("img[src^=blob]").last, page.locator("svg polyline").first
    page.wait_for_function("document.querySelectorAll('svg polyline').length == 3")
    first, points = picture.get_attribute("src"), curve.get_attribute("points")
    page.wait_for_timeout(1500)
    assert len(curve.get_attribute("points")) > len(points) and picture.get_attribute("src") != first
    page.get_by_role("button", name="pause").click()
    page.get_by_text("Paused.").wait_for()
    n = evaluations(page)
    page.wait_for_timeout(700)
    assert evaluations(page) == n and len(curve.get_attribute("points").split(" ")) == n
    page.get_by_role("button", name=re.compile("start$")).click()
    longer = "n => document.querySelector('svg polyline').getAttribute('points').split(' ').length > n"
    page.wait_for_function(longer, arg=n)  # the curve so far is kept, and grows on
    page.get_by_role("button", name=re.compile("stop$")).click()
    page.get_by_text("Stopped.").wait_for()


@pytest.mark.parametrize("kind", ["no picture", "cut off", "too many pixels", "large"])
def test_a_wrong_damaged_or_huge_file_is_told_and_the_page_lives(kind, studio):
    page = studio
    files = {
        "no picture": b"hello",
        "cut off": png(load_image("red_panda", 200))[:3000],
        "too many pixels": enormous(),
        "large": b"\x89PNG\r\n\x1a\n" + bytes(30_000_000),  # more than a socket takes by itself
    }
    choose_file(page, "your own", 1, "theirs.png", files[kind])
    page.get_by_role("alert").wait_for(timeout=20_000)
    assert "theirs.png" in page.get_by_role("alert").inner_text()
    before = page.get_by_text("more memory").inner_text()
    page.get_by_role("button", name="a quick look").click()
    page.wait_for_function("t => !document.body.innerText.includes(t)", arg=before)


def test_every_control_of_the_studio_has_a_name(studio):
    for control in studio.locator("button:visible, select:visible, input:visible").all():
        name = control.evaluate(
            "e => e.getAttribute('aria-label') || e.textContent || e.labels?.[0]?.textContent || e.title"
        )
        assert name.strip(), control.evaluate("e => e.outerHTML")
