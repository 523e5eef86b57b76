"""The two drawings: what stands on them, and in their alt texts."""

import io

import pytest
import torch
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from helpers.drawings import _algorithm, _vgg19, draw_algorithm, draw_vgg19
from helpers.network import CHANNELS, FULLY_CONNECTED, LAYERS, STYLE_LAYERS


def words(figure):
    return [text.get_text() for text in figure.findobj(Text)]


def slabs(figure):
    return {s.get_gid(): s for s in figure.findobj(Rectangle) if s.get_gid()}


def test_every_layer_is_drawn_and_named_in_order():
    figure = _vgg19(())
    assert [w for w in words(figure) if w in LAYERS] == list(LAYERS)
    assert tuple(slabs(figure)) == LAYERS
    assert set(FULLY_CONNECTED) <= set(words(figure))
    assert "not used" in " ".join(words(figure))


def test_heights_follow_the_side_of_the_feature_maps_and_widths_their_number():
    drawn = slabs(_vgg19(()))
    for block, channels in CHANNELS.items():
        first, slab = drawn["conv1_1"], drawn[f"conv{block}_1"]
        assert slab.get_height() * 2 ** (block - 1) == pytest.approx(first.get_height())
        assert slab.get_width() * CHANNELS[1] == pytest.approx(first.get_width() * channels)
        assert drawn[f"pool{block}"].get_height() * 2 == pytest.approx(slab.get_height())


def test_the_layers_of_style_and_content_are_marked():
    figure = _vgg19(())
    assert words(figure).count("style") == len(STYLE_LAYERS)
    assert words(figure).count("content") == 1
    colours = {name: slab.get_facecolor() for name, slab in slabs(figure).items()}
    assert len({colours[name] for name in STYLE_LAYERS}) == 1
    assert list(colours.values()).count(colours["conv4_2"]) == 1


def test_a_highlighted_layer_is_framed_and_the_others_turn_pale():
    drawn = slabs(_vgg19(("conv3_2",)))
    assert [name for name, slab in drawn.items() if slab.get_alpha() == 1] == ["conv3_2"]
    assert drawn["conv3_2"].get_linewidth() > 2 * drawn["conv3_1"].get_linewidth()
    assert "Framed: conv3_2." in draw_vgg19("conv3_2").metadata["alt"]


def test_a_layer_that_vgg19_has_not_is_refused():
    with pytest.raises(ValueError, match="conv4_5"):
        draw_vgg19("conv4_5")


def test_the_algorithm_has_every_letter_and_says_what_stays():
    text = " ".join(words(_algorithm(())))
    for word in (
        " p ",
        " x ",
        " a ",
        "P",
        "F",
        "G",
        "A",
        "α",
        "β",
        "content loss",
        "style loss",
        "total loss",
    ):
        assert word in f" {text} "
    assert "does not change" in text
    assert "pixels of x only" in text


def test_the_algorithm_shows_three_pictures_or_none():
    pictures = [torch.rand(1, 3, height, 40) for height in (30, 20, 60)]
    assert len(_algorithm(pictures).axes[0].images) == 3
    with pytest.raises(ValueError, match="2 pictures"):
        draw_algorithm(pictures[:2])


@pytest.mark.parametrize("draw", [draw_vgg19, draw_algorithm])
def test_a_drawing_is_a_png_fit_for_a_slide_with_an_alt_text(draw):
    picture = draw()
    image = Image.open(io.BytesIO(picture.data))
    assert image.format == "PNG"
    assert 1200 < picture.width < 1366 < image.width
    assert len(picture.metadata["alt"]) > 200
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
