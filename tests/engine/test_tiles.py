"""Tiles: the numbers of the whole picture, and no seams."""

import pytest
import torch

from helpers.controls import Style
from helpers.engine import Way, features, memory_needed
from helpers.engine.seam import features as of_the_whole
from helpers.engine.tiles import tiles
from helpers.images import load_image, white_noise
from helpers.network import STYLE_LAYERS
from helpers.objective import Objective
from helpers.synthesis import synthesise

LAYERS = (*STYLE_LAYERS, "conv4_2")


def way(tile=None, precision="float32"):
    return Way(precision, winograd=False, tile=tile)


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("height, width, tile", [(169, 101, 64), (97, 163, 64), (150, 150, 100)])
def test_values_and_gradient_are_those_of_the_whole_picture(height, width, tile, pooling, vgg19, vgg19_max):
    network = vgg19_max if pooling == "max" else vgg19
    x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height)).requires_grad_()
    masks = {"conv3_1": torch.rand(2, 1, height // 4, width // 4)}
    whole = dict(of_the_whole(network, x, LAYERS, STYLE_LAYERS, way(), masks))
    parts = dict(features(network, x, LAYERS, STYLE_LAYERS, way(tile), masks))
    assert list(parts) == list(whole)
    for name, value in whole.items():
        assert parts[name].shape == value.shape
        assert (parts[name] - value).norm() < 1e-5 * value.norm()
    gradients = []
    for values in (whole, parts):
        loss = sum(
            ((F - 0.5 * whole[name].detach()) / whole[name].detach().norm()).square().sum()
            for name, F in values.items()
        )
        gradients.append(torch.autograd.grad(loss, x)[0])
    assert (gradients[0] - gradients[1]).norm() < 1e-3 * gradients[0].norm()


@pytest.mark.parametrize(
    "height, width, side", [(500, 700, 128), (64, 1000, 100), (129, 129, 64), (95, 2000, 64)]
)
def test_each_pixel_counts_in_one_tile_and_margins_are_wide_enough(height, width, side, vgg19):
    counted = torch.zeros(1, 1, height, width)
    for tile in tiles(vgg19, height, width, ["conv5_1"], side):
        tile.place(counted, 1).add_(1)
        for (first, end), (before, behind), length in (
            (tile.rows, tile.outer_rows, height),
            (tile.columns, tile.outer_columns, width),
        ):
            assert before == 0 or first - before >= 70  # how far conv5_1 looks beyond its own 16 × 16 pixels
            assert behind == length or behind - end >= 70
            assert first % 16 == 0 and before % 16 == 0
    assert (counted == 1).all()


def test_a_picture_no_larger_than_a_tile_is_computed_as_a_whole(vgg19, p):
    for (_, here), (_, there) in zip(
        features(vgg19, p, LAYERS, (), way(512)), of_the_whole(vgg19, p, LAYERS, (), way()), strict=True
    ):
        assert torch.equal(here, there)


def test_a_picture_from_tiles_is_the_picture_and_has_no_seams(vgg19):
    p, a = load_image("chenonceau", 128), load_image("starry_night", 128)
    options = {"alpha": 1e-2, "evaluations": 8, "precision": "float32", "progress": False}
    whole, parts = (synthesise(vgg19, p, a, tile=tile, **options) for tile in (None, 64))
    assert parts.settings["tile"] == 64
    for number, difference in ((0, 1e-5), (4, 1e-3), (7, 0.05)):  # rounding grows
        totals = [run.history["total"][number] for run in (parts, whole)]
        assert totals[0] == pytest.approx(totals[1], rel=difference)
    # The loss at every position of conv4_2, as the whole picture has it: beside the seams and elsewhere.
    made, wanted = (vgg19(image, "conv4_2")["conv4_2"] for image in (parts.image, p))
    loss = (made - wanted).square().sum(1)[0]  # (12, 16); a seam lies between columns 7 and 8
    beside = loss[:, [7, 8]].mean() / loss.mean()
    of_whole = (vgg19(whole.image, "conv4_2")["conv4_2"] - wanted).square().sum(1)[0]
    assert beside <= 1.05 * of_whole[:, [7, 8]].mean() / of_whole.mean()


def test_tiles_need_less_memory_by_the_estimate(vgg19):
    grams = set(STYLE_LAYERS)
    whole, parts = (
        memory_needed(vgg19, 2250, 3000, set(LAYERS), grams, pictures=18, tile=tile) for tile in (None, 384)
    )
    assert parts < 3.8e9 < whole


def test_bfloat16_comes_in_tiles_too(vgg19):
    x = white_noise(100, 150)
    whole, parts = (
        dict(features(vgg19, x, LAYERS, STYLE_LAYERS, way(tile, "bfloat16"))) for tile in (None, 64)
    )
    for name in LAYERS:
        assert parts[name].dtype == whole[name].dtype
        assert (parts[name].float() - whole[name].float()).norm() < 0.02 * whole[name].float().norm()


def test_the_plain_engine_has_no_tiles(vgg19, p):
    with pytest.raises(ValueError, match="needs the engine 'fast'"):
        synthesise(vgg19, p, tile=64, engine="plain", evaluations=1)


@pytest.mark.parametrize("tile", [63, 0, -1, 2.5, "512"])
def test_other_tiles_are_refused(tile, vgg19, p):
    with pytest.raises(ValueError, match=r"tile is .* at least 64"):
        synthesise(vgg19, p, tile=tile, evaluations=1)


def test_masks_work_in_tiles(vgg19):
    x, a = white_noise(128, 160), load_image("ducks", 96)
    mask = torch.zeros(1, 1, 40, 50)
    mask[..., :25] = 1
    losses = [
        Objective(vgg19, a=Style(a, where=mask, of=mask), engine=way(tile))(x)["style"].item()
        for tile in (None, 64)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
