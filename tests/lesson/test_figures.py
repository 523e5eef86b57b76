"""Figures and widgets show what they are given."""

import io

import numpy as np
import pytest
import torch
from IPython import display
from PIL import Image

from helpers import figures
from helpers.figures import (
    animate,
    colour_map,
    feature_map_grid,
    gram_heat_maps,
    loss_curves,
    show_images,
)


def opened(picture):
    assert isinstance(picture, display.Image)
    assert picture.metadata["alt"]
    return Image.open(io.BytesIO(picture.data))


def colour(rgb):
    return torch.tensor(rgb).view(1, 3, 1, 1).expand(1, 3, 40, 60)


def test_images_stand_in_their_order_with_their_captions_as_alt_text():
    picture = show_images([colour([1.0, 0, 0]), colour([0, 0, 1.0])], ["red one", "blue one"])
    assert "red one" in picture.metadata["alt"]
    pixels = np.asarray(opened(picture).convert("RGB"), dtype=int)
    left, right = (pixels[pixels.shape[0] // 2, pixels.shape[1] * k // 4] for k in (1, 3))
    assert left[0] > 200 > 60 > left[2]
    assert right[2] > 200 > 60 > right[0]


def test_only_a_white_picture_has_a_frame_that_says_where_it_ends():
    def darkest(rgb):
        return np.asarray(opened(show_images([colour(rgb)])).convert("L")).min()

    assert darkest([1.0, 1.0, 1.0]) < 225
    assert darkest([0.94, 0.94, 0.94]) > 230


def test_rows_are_filled_one_after_the_other_whatever_the_shapes():
    tall = colour([0, 1.0, 0]).transpose(2, 3)
    grey = np.full((40, 60), 0.5)
    images = [colour([1.0, 0, 0]), tall, colour([0, 0, 1.0]), np.stack([grey] * 3, axis=-1)]
    picture = show_images(images, columns=2, row_labels=["one", "two"], title="Four", note="a note")
    assert "Four" in picture.metadata["alt"]
    pixels = np.asarray(opened(picture).convert("RGB"), dtype=int)
    rows = {name: np.argwhere(mask(pixels)).mean(0) for name, mask in COLOURED.items()}
    assert rows["red"][0] == pytest.approx(rows["green"][0], abs=15)
    assert rows["red"][0] < rows["blue"][0]
    assert rows["red"][1] == pytest.approx(rows["blue"][1], abs=15)
    assert rows["red"][1] < rows["green"][1]


COLOURED = {
    name: lambda pixels, i=i: (pixels[..., i] > 200) & (pixels.sum(-1) < 330)
    for i, name in enumerate(["red", "green", "blue"])
}


def test_an_alt_text_of_ones_own_is_kept():
    assert show_images([colour([1.0, 0, 0])], alt="all red").metadata["alt"] == "all red"
    assert loss_curves({"one": [3.0, 2.0]}, alt="a line").metadata["alt"] == "a line"


def test_captions_must_match_the_pictures():
    with pytest.raises(ValueError, match="2 captions for 1 pictures"):
        show_images([colour([1.0, 0, 0])], ["one", "two"])


def test_feature_map_grid_shows_the_strongest_first():
    F = torch.zeros(1, 3, 8, 8)
    F[0, 2], F[0, 0] = 5, 1
    picture = feature_map_grid(F, count=2, title="conv9")
    assert opened(picture).width > 100
    assert "2 feature maps with the largest mean, of 3" in picture.metadata["alt"]


def test_feature_map_grid_numbers_the_maps_and_gives_their_means(monkeypatch):
    F = torch.zeros(1, 3, 8, 8)
    F[0, 2], F[0, 0, :4] = 5, 1
    shown = []
    monkeypatch.setattr(figures, "show_images", lambda images, captions, *_: shown.extend(captions))
    feature_map_grid(F)
    assert shown == ["2: 5", "0: 0.5", "1: 0"]


def test_a_colour_map_is_dark_at_the_least_value_and_bright_at_the_largest():
    brightness = colour_map(torch.tensor([[-3.0, 0.0, 7.0]])).sum(-1)[0]
    assert brightness[0] < brightness[1] < brightness[2]
    assert np.isfinite(colour_map(np.ones((2, 2)))).all()


def test_loss_curves_name_first_and_last_values():
    picture = loss_curves({"L-BFGS": [100.0, 10.0, 1.0], "Adam": [100.0, 50.0]}, "Losses")
    assert opened(picture).format == "PNG"
    assert "L-BFGS from 100 to 1" in picture.metadata["alt"]
    assert opened(loss_curves({"one": [3.0]})).width > 100


@pytest.mark.parametrize("logarithmic", [False, True])
def test_a_straight_line_is_straight_unless_the_axis_is_logarithmic(logarithmic):
    picture = loss_curves({"": [1.0, 50.0, 99.0]}, logarithmic=logarithmic)
    pixels = np.asarray(opened(picture).convert("RGB"), dtype=int)
    rows, columns = np.nonzero(pixels[..., 2] - pixels[..., 0] > 100)  # the line is blue
    bend = rows - np.polyval(np.polyfit(columns, rows, 1), columns)
    assert (np.abs(bend).max() > 10) == logarithmic


def test_gram_heat_maps_draw_every_matrix():
    G = torch.eye(5)
    assert opened(gram_heat_maps({"a": G[None], "b": 2 * G})).width > 200


def test_gram_heat_maps_share_one_scale():
    picture = gram_heat_maps({"weak": torch.ones(9, 9), "strong": torch.full((9, 9), 1e4)}, columns=2)
    pixels = np.asarray(opened(picture).convert("RGB"), dtype=int)
    row = pixels[pixels.shape[0] // 2].sum(-1)
    weak, strong = (row[round(len(row) * place)] for place in (0.2, 0.6))
    assert weak < 200 < 500 < strong


def test_an_animation_has_one_picture_a_frame_in_order():
    frames = {10: colour([0, 0, 1.0]), 0: colour([1.0, 0, 0]), 5: colour([0, 1.0, 0])}
    animation = opened(animate(frames))
    assert animation.format == "GIF"
    assert animation.n_frames == 3
    seen = []
    for i in range(3):
        animation.seek(i)
        seen.append(int(np.asarray(animation.convert("RGB"))[20, 30].argmax()))
    assert seen == [0, 1, 2]
    with pytest.raises(ValueError, match="no frames"):
        animate({})
