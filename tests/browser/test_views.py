"""The views that need no kernel, on a plain page: each is moved, and what a person would see is checked."""

import pytest

from helpers.images import load_image
from helpers.synthesis import synthesise
from helpers.widgets import alpha_beta_pad, compare, gram_explorer, layer_page, scrubber


@pytest.fixture(scope="module")
def views(vgg19, p, a):
    run = synthesise(vgg19, p, a, alpha=2e-2, evaluations=6, frames=[0, 2, 4, 6], progress=False)
    options = {"evaluations": 4, "progress": False}
    sweep = {ratio: synthesise(vgg19, p, a, alpha=ratio, **options) for ratio in (1e-3, 1e-1, 10)}
    return {
        "pad": alpha_beta_pad(sweep, width=200),
        "compare": compare({"p": p, "a": load_image("starry_night", 64), "x": run.image}, width=200),
        "scrubber": scrubber(run, width=200),
        "gram": gram_explorer(vgg19, a, "conv2_1", count=6),
        "layers": layer_page(vgg19, load_image("chenonceau", 96), "chenonceau", ("conv1_1", "conv3_1")),
    }


@pytest.fixture
def shown(page, views, tmp_path):
    def show(name, dark=False):
        style = "<style>body{background:#111;color:#ddd}</style>" if dark else ""
        file = tmp_path / f"{name}.html"
        file.write_text(
            f"<!doctype html><meta charset=utf-8>{style}<body>{views[name].data}", encoding="utf-8"
        )
        page.goto(file.as_uri())
        return page

    return show


def test_the_border_between_two_pictures_follows_the_mouse_and_the_keyboard(shown):
    page = shown("compare")
    stage, range_ = page.locator(".nst > div").nth(1), page.get_by_role("slider")
    before = stage.screenshot()
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 20)
    page.mouse.up()
    assert int(range_.input_value()) > 85
    assert stage.screenshot() != before
    range_.press("ArrowLeft")
    assert int(range_.input_value()) < 90
    page.get_by_label("right picture").select_option("2")
    assert "x" in range_.get_attribute("aria-valuetext")


def test_the_scrubber_moves_picture_and_marker_together_plays_and_saves(shown):
    page = shown("scrubber")
    image, marker, range_ = page.locator("img"), page.locator("svg > line").last, page.get_by_role("slider")
    last, place = image.get_attribute("src"), float(marker.get_attribute("x1"))
    range_.press("Home")
    assert image.get_attribute("src") != last and float(marker.get_attribute("x1")) < place
    assert page.locator("output").inner_text() == "the start"
    page.get_by_role("button", name="play").click()
    page.wait_for_function("document.querySelector('input').value === '3'")
    assert image.get_attribute("src") == last
    with page.expect_download() as download:
        page.get_by_role("link", name="save as WebP").click()
    from PIL import Image

    with Image.open(download.value.path()) as film:
        assert film.format == "WEBP" and film.n_frames == 4


def test_shuffled_positions_leave_the_gram_matrix_as_it_was(shown):
    page = shown("gram")
    matrix, said = page.locator("canvas").first, page.get_by_role("status")
    matrix.hover(position={"x": 100, "y": 200})
    first = said.inner_text()
    matrix.press("ArrowUp")
    assert said.inner_text() != first
    before, product = matrix.screenshot(), page.locator("canvas").nth(3).screenshot()
    page.get_by_role("button", name="shuffle").click()
    assert page.locator("canvas").nth(3).screenshot() != product
    assert matrix.screenshot() == before
    assert float(said.inner_text().rsplit(" ", 1)[1].rstrip(".")) < 1e-6


def test_a_position_in_a_map_frames_what_it_depends_on(shown):
    page = shown("layers")
    assert page.locator("canvas").count() == 9
    page.get_by_role("radio", name="conv3_1").click()
    assert page.get_by_role("radio", name="conv3_1").get_attribute("aria-checked") == "true"
    page.locator("canvas").first.hover(position={"x": 50, "y": 30})
    frame = page.locator(".field")
    field = 24 * 320 / 96
    assert frame.bounding_box()["width"] == pytest.approx(field, abs=1)
    assert "24 × 24 px" in page.get_by_role("status").inner_text()
    first = page.locator("figcaption").first.inner_text()
    page.locator("img[alt=chenonceau]").hover(position={"x": 10, "y": 10})
    assert page.locator("figcaption").first.inner_text() != first


def test_the_point_between_style_and_content_brings_the_nearest_picture(shown):
    page = shown("pad")
    image, point, words = page.locator("img"), page.get_by_role("slider"), page.get_by_role("status")
    assert image.get_attribute("alt") == "x with α/β 0.10"
    middle, box = image.get_attribute("src"), point.locator("..").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.98 * box["width"], box["y"] + 20)
    page.mouse.up()
    assert image.get_attribute("alt") == "x with α/β 10" and image.get_attribute("src") != middle
    assert "nearest computed picture has 10" in words.inner_text()
    point.press("Home")
    assert image.get_attribute("alt") == "x with α/β 0.0010"
    assert "0.001" in point.get_attribute("aria-valuetext")


@pytest.mark.parametrize("name", ["compare", "scrubber", "gram", "layers", "pad"])
def test_every_control_has_a_name_for_a_screen_reader_and_can_be_reached(name, shown):
    page = shown(name, dark=True)
    for control in page.locator("button, select, input, a, canvas[tabindex='0']").all():
        label = control.evaluate(
            "e => e.getAttribute('aria-label') || e.ariaLabel || e.textContent || e.labels?.[0]?.textContent"
        )
        assert label.strip(), control.evaluate("e => e.outerHTML")
    assert all(image.get_attribute("alt") for image in page.locator("img").all())
