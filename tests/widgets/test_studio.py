"""The studio without a browser: estimate, recipes, messages; and what the views ask of Python."""

import base64
import io
import time
from datetime import UTC, datetime

import pytest
import torch
from PIL import Image

from helpers.images import load_image, read_record, to_pil
from helpers.network import STYLE_LAYERS
from helpers.synthesis import synthesise
from helpers.widgets import Studio, alpha_beta_pad, layer_browser
from helpers.widgets.recipe import recipe


@pytest.fixture
def studio():
    page = Studio()
    page._set({"size": 64, "evaluations": 10})
    return page


def made(page):
    page._start.click()
    page.live.wait(60)
    end = time.perf_counter() + 10
    while not page.made and time.perf_counter() < end:
        time.sleep(0.01)
    return list(page.made.values())[-1]


def uploaded(name, content):
    about = {"type": "", "size": len(content), "last_modified": datetime.now(UTC)}
    return {"name": name, "content": memoryview(content), **about}


class Upload:
    """An upload as ipywidgets hands it over."""

    def __init__(self, name, content):
        self.value = ({"name": name, "content": memoryview(content)},)


def test_a_finished_picture_is_kept_with_its_recipe_and_the_recipe_makes_the_same_picture(studio, tmp_path):
    studio._set({"ratio": 3.3e-3, "seed": 7})
    studio._controls["content_layer"].value = "conv3_2"
    image, png = made(studio)
    file = tmp_path / "kept.png"
    file.write_bytes(png)
    settings = read_record(file)["settings"]
    assert (settings["p"], settings["a"], settings["seed"]) == ("chenonceau", "starry_night", 7)
    again = Studio()
    again._take_recipe(Upload("kept.png", png))
    assert "settings are those" in again._said.value
    other, _ = made(again)
    assert (other - image).abs().max() == 0


def test_the_estimate_grows_with_the_picture_and_the_number_of_evaluations(studio):
    studio._set({"size": 256, "evaluations": 100})
    seconds, memory = studio.estimate()
    studio._set({"size": 512})
    larger, more = studio.estimate()
    assert larger == pytest.approx(4 * seconds, rel=0.05) and more > 1.5 * memory
    studio._set({"evaluations": 50})
    assert studio.estimate()[0] == pytest.approx(larger / 2)
    assert "GB" in studio._estimate.value


GOOD = {
    "settings": {
        "style_weights": dict.fromkeys(STYLE_LAYERS, 0.2), "height": 96, "width": 128, "evaluations": 20,
        "alpha": 1e-3, "beta": 1, "seed": 0, "content_layer": "conv4_2", "pooling": "max", "init": "noise",
        "optimiser": "adam", "form": "printed",
    }
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("height", 10**9, "size 1000000000"),
        ("evaluations", "many", "not one of a transfer"),
        ("beta", 0, "not one of a transfer"),
        ("seed", -1, "seed -1"),
        ("content_layer", "../../etc/passwd", "content_layer"),
        ("content_layer", ["conv4_2"], "content_layer"),
        ("pooling", "__import__('os')", "pooling"),
        ("style_weights", {"pool9": 1}, "style layers"),
        ("form", "mean", "form 'mean'"),
        ("alpha", float("nan"), "ratio nan"),
    ],
)
def test_a_recipe_is_data_and_each_value_is_checked(name, value, words):
    assert recipe(GOOD)["size"] == 128 and recipe(GOOD)["style_layers"] == STYLE_LAYERS
    with pytest.raises(ValueError, match=words):
        recipe({"settings": GOOD["settings"] | {name: value}})


@pytest.mark.parametrize("record", [None, 3, [], {}, {"settings": 1}])
def test_what_is_no_record_is_refused(record):
    with pytest.raises(ValueError, match="has no settings"):
        recipe(record)


def test_a_damaged_file_is_told_and_the_page_lives(studio):
    box, name, preview = studio._choose["p"]
    upload, before = box.children[1], name.value
    upload.value = (uploaded("holiday.jpg", b"no picture"),)
    assert "holiday.jpg" in studio._said.value and "not a picture" in studio._said.value
    assert studio._folder.name not in studio._said.value
    assert name.value == before and made(studio)
    buffer, seen = io.BytesIO(), preview.value
    to_pil(load_image("red_panda", 40)).save(buffer, "PNG")
    upload.value = (uploaded("../../my panda.png", buffer.getvalue()),)
    assert name.value == "my panda.png" and preview.value != seen and not studio._said.value


def test_pictures_of_one_name_are_several_and_none_is_written_over(studio):
    def png(name):
        buffer = io.BytesIO()
        to_pil(load_image(name, 64)).save(buffer, "PNG")
        return buffer.getvalue()

    for key, name, label in (("p", "red_panda", "result.png"), ("a", "ducks", "result.png (2)")):
        studio._choose[key][0].children[1].value = (uploaded("result.png", png(name)),)
        assert studio._choose[key][1].value == label and not studio._said.value
    before = studio._pictures()
    assert torch.equal(before["p"], load_image("red_panda", 64))
    _, kept = made(studio)  # by a file of the studio's own
    studio._take_recipe(Upload("result.png", kept))
    assert all(torch.equal(picture, before[key]) for key, picture in studio._pictures().items())
    for odd in ("..", "../..", "", "a\\..", "/"):
        studio._choose["p"][0].children[1].value = (uploaded(odd, png("ducks")),)
        assert studio._choose["p"][1].value.startswith("picture") and not studio._said.value


def test_the_layer_browser_computes_any_layer_and_takes_a_picture_of_ones_own(vgg19):
    view = layer_browser(vgg19, size=48)
    view.asked = {"layer": "conv2_2", "number": 1}
    assert [layer["name"] for layer in view.data["layers"]] == ["conv2_2"]
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), "orange").save(buffer, "JPEG")
    picture = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    view.asked = {"picture": picture, "label": "mine.jpg", "number": 2}
    assert view.data["label"] == "mine.jpg" and "mine.jpg" in view.data["pictures"]
    view.asked = {"layer": "conv9_9", "number": 3}
    assert "conv9_9" in view.data["said"] and view.data["label"] == "mine.jpg"
    view.asked = {"name": "mine.jpg", "number": 4}
    assert view.data["said"] == "" and view.data["layers"][0]["name"] == "conv2_2"


def test_the_pad_computes_the_picture_at_the_point_and_tells_what_fails(vgg19, p, a):
    def transfer(ratio):
        if ratio > 1:
            raise ValueError("too much")
        return synthesise(vgg19, p, a, alpha=ratio, evaluations=2, progress=False)

    view = alpha_beta_pad({ratio: transfer(ratio) for ratio in (1e-3, 1)}, transfer)
    view.asked = {"ratio": 0.03, "number": 1}
    assert [entry["ratio"] for entry in view.data["pictures"]] == [1e-3, 0.03, 1]
    view.asked = {"ratio": 3.0, "number": 2}
    assert "too much" in view.data["said"] and len(view.data["pictures"]) == 3
    with pytest.raises(ValueError, match="two or more"):
        alpha_beta_pad({1e-3: transfer(1e-3)})
