"""Colours, several artworks and masks: against cases by hand, and the limits in which they do nothing."""

import math

import numpy as np
import pytest
import torch

from helpers.controls import Style, as_styles, grey, in_colours_of, mask_at, with_colours_of
from helpers.images import load_image
from helpers.losses import gram_matrix, total_variation
from helpers.measures import luminance
from helpers.network import STYLE_LAYERS
from helpers.objective import Objective
from helpers.synthesis import Run, synthesise

LAYERS = {"conv1_1": 1.0, "conv3_1": 2.0}
SHALLOW = {"content_layer": "conv2_1", "style_layers": LAYERS}


def noise(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def sizes(count=6):
    generator = np.random.default_rng(0)
    return [tuple(int(n) for n in generator.integers(33, 80, 4)) for _ in range(count)]


def left_half(height=48, width=48):
    mask = torch.zeros(1, 1, height, width)
    mask[..., : width // 2] = 1
    return mask


@pytest.fixture(scope="module")
def ducks():
    return load_image("ducks", 56)


# Colours


@pytest.mark.parametrize("seed", range(5))
def test_with_colours_of_keeps_the_luminance_to_a_millionth_even_where_a_colour_does_not_exist(seed):
    x, p = noise(40, 30, seed), noise(40, 30, seed + 10)
    mixed = with_colours_of(x, p)
    assert mixed.min() >= 0 and mixed.max() <= 1
    assert np.abs(luminance(mixed) - luminance(x)).max() < 1e-6


def test_with_colours_of_has_the_colours_of_the_other_where_there_is_room_for_them():
    x, p = 0.45 + 0.1 * noise(20, 30), 0.45 + 0.1 * noise(20, 30, 1)
    colours = [y - torch.from_numpy(luminance(y)).float() for y in (with_colours_of(x, p), p)]
    assert (colours[0] - colours[1]).abs().max() < 1e-6
    assert (with_colours_of(p, p) - p).abs().max() < 1e-6


def test_a_white_pixel_has_no_colour_and_a_red_one_no_brighter_red():
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    assert with_colours_of(torch.ones_like(red), red).flatten().tolist() == pytest.approx([1, 1, 1])
    # Twice as bright as pure red: 0.598 = 0.598 + t · (0.701, -0.299, -0.299), and R reaches 1 first.
    t = (1 - 0.598) / 0.701
    wanted = [1, 0.598 - 0.299 * t, 0.598 - 0.299 * t]
    assert with_colours_of(torch.full_like(red, 0.598), red).flatten().tolist() == pytest.approx(
        wanted, abs=1e-6
    )


def test_grey_has_the_luminance_and_of_another_picture_mean_and_spread():
    a, p = noise(30, 20), 0.3 + 0.2 * noise(50, 40, 1)
    assert np.abs(grey(a)[0, 0].numpy() - luminance(a)).max() < 1e-6
    assert (grey(a)[:, 0] == grey(a)[:, 2]).all()
    matched = grey(a, like=p)[0, 0]
    assert matched.mean().item() == pytest.approx(luminance(p).mean(), abs=1e-5)
    assert matched.std().item() == pytest.approx(luminance(p).std(ddof=1), rel=1e-4)


def test_in_colours_of_moves_mean_and_covariance_and_nothing_if_they_are_equal():
    mixing = torch.tensor([[0.3, 0.1, 0.0], [0.0, 0.2, 0.1], [0.05, 0.0, 0.25]])
    a, p = 0.4 + 0.1 * noise(60, 50), 0.2 + torch.einsum("ij,bjhw->bihw", mixing, noise(40, 70, 1))
    moved = in_colours_of(a, p).flatten(2)[0]
    assert (moved.mean(1) - p.flatten(2)[0].mean(1)).abs().max() < 1e-5
    assert (torch.cov(moved) - torch.cov(p.flatten(2)[0])).abs().max() < 1e-5
    assert (in_colours_of(p, p) - p).abs().max() < 1e-4


def test_in_colours_of_a_plain_picture_is_plain():
    plain = torch.full((1, 3, 9, 9), 0.25)
    assert (in_colours_of(noise(12, 8), plain) - 0.25).abs().max() < 2e-3


# Masks


@pytest.mark.parametrize("height, width, high, wide", sizes())
@pytest.mark.parametrize("layer", ["conv1_1", "conv3_1", "pool3", "conv5_1"])
def test_a_mask_shrinks_as_the_picture_does(layer, height, width, high, wide, vgg19):
    mask = mask_at(layer, torch.rand(1, 1, high, wide), height, width)
    assert mask.shape[2:] == vgg19(noise(height, width), layer)[layer].shape[2:]
    assert mask.min() >= 0 and mask.max() <= 1
    assert (mask_at(layer, torch.ones(1, 1, high, wide), height, width) - 1).abs().max() < 1e-5


def test_half_a_mask_is_half_a_mask_at_every_layer():
    for layer in STYLE_LAYERS:
        mask = mask_at(layer, left_half(64, 64), 64, 64)
        assert mask.mean() == 0.5 and set(mask.unique().tolist()) == {0, 1}


def test_a_mask_that_a_layer_does_not_see_is_refused():
    speck = torch.zeros(1, 1, 33, 33)
    speck[..., 32, 32] = 1  # 33 px are two positions of 16 px, and the last row and column are in none
    with pytest.raises(ValueError, match="empty at conv5_1"):
        mask_at("conv5_1", speck, 33, 33)


# Styles in the objective


def test_a_mask_of_ones_is_no_mask(vgg19, p, ducks):
    x, ones = noise(*p.shape[2:]), torch.ones(1, 1, 17, 23)
    plain, masked = (Objective(vgg19, p, a, **SHALLOW)(x) for a in (ducks, Style(ducks, 3.0, ones, ones)))
    for name, value in plain.items():
        assert masked[name].item() == pytest.approx(value.item(), rel=1e-4)


def test_one_artwork_has_one_loss_whatever_its_weight_and_twice_the_same_too(vgg19, p, ducks):
    x = noise(*p.shape[2:])
    once = Objective(vgg19, p, ducks, **SHALLOW)(x)
    for a in (Style(ducks, 0.1), [Style(ducks, 0.3), Style(ducks, 5.0)]):
        again = Objective(vgg19, p, a, **SHALLOW)(x)
        assert again["total"].item() == pytest.approx(once["total"].item(), rel=1e-5)


def test_two_artworks_are_the_weighted_mean_of_each(vgg19, p, a, ducks):
    x = noise(*p.shape[2:])
    each = [Objective(vgg19, p, work, **SHALLOW)(x)["style"].item() for work in (a, ducks)]
    both = Objective(vgg19, p, [Style(a, 3.0), Style(ducks, 1.0)], **SHALLOW)(x)["style"].item()
    assert both == pytest.approx(0.75 * each[0] + 0.25 * each[1], rel=1e-5)


def test_behind_a_mask_the_gram_matrix_is_that_of_the_part(vgg19, ducks):
    """By hand: the style loss of the left half, by the features whose positions lie in the left half."""
    x = noise(48, 48)
    F, A = vgg19(x, "conv2_1")["conv2_1"][..., :12], vgg19(ducks, "conv2_1")["conv2_1"]
    difference = gram_matrix(F) / (24 * 12) - gram_matrix(A) / A[0, 0].numel()
    by_hand = difference.square().sum().item() / (4 * 128**2)
    masked = Objective(vgg19, a=Style(ducks, where=left_half()), style_layers=["conv2_1"])(x)
    assert masked["style"].item() == pytest.approx(by_hand, rel=1e-4)


def test_a_style_is_read_from_the_part_that_its_mask_shows(vgg19):
    a, mask = noise(48, 48, 2), left_half()
    x = noise(48, 48, 1)
    read = Objective(vgg19, a=Style(a, of=mask), style_layers=["conv1_1"]).targets["conv1_1"]
    F = vgg19(a, "conv1_1")["conv1_1"][..., :24]
    assert read[1].item() == 48 * 24
    assert (read[0] - gram_matrix(F)).norm() < 1e-4 * read[0].norm()
    assert Objective(vgg19, a=Style(a, of=mask))(x)["style"] > 0


@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_outside_the_mask_the_style_has_no_gradient(engine, vgg19, ducks):
    x = noise(48, 48).requires_grad_()
    objective = Objective(vgg19, a=Style(ducks, where=left_half()), style_layers=["conv2_1"], engine=engine)
    (gradient,) = torch.autograd.grad(objective(x)["total"], x)
    reach = 6  # conv2_1 sees ten pixels, five to each side of the pair that a position stands for
    assert gradient[..., : 24 - reach].abs().max() > 0
    assert not gradient[..., 24 + reach :].any()


def test_two_styles_in_two_regions_lower_each_its_own_loss(vgg19, a, ducks):
    left, x = left_half(), noise(48, 48)
    styles = [Style(a, where=left), Style(ducks, where=1 - left)]
    made = synthesise(vgg19, a=styles, init=x, style_layers=LAYERS, evaluations=20, progress=False).image

    def loss(picture, work, mask):
        return Objective(vgg19, a=Style(work, where=mask), style_layers=LAYERS)(picture)["style"].item()

    for inside, own, other in ((left, a, ducks), (1 - left, ducks, a)):
        assert loss(made, own, inside) < 0.2 * loss(x, own, inside)
        assert loss(made, own, inside) < 0.8 * loss(made, other, inside)


def test_both_engines_agree_on_masks_and_several_artworks(vgg19, p, a, ducks):
    x = noise(*p.shape[2:]).requires_grad_()
    styles = [Style(a, where=left_half(), of=left_half(20, 20)), Style(ducks, 0.5)]
    of_both = [Objective(vgg19, p, styles, alpha=1e-2, engine=engine) for engine in ("fast", "plain")]
    totals = [objective(x)["total"] for objective in of_both]
    gradients = [torch.autograd.grad(total, x)[0] for total in totals]
    assert totals[0].item() == pytest.approx(totals[1].item(), rel=1e-4)
    assert (gradients[0] - gradients[1]).norm() < 1e-3 * gradients[1].norm()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda a: Style(a, weight=0), "weight of an artwork is 0"),
        (lambda a: Style(a, weight=math.nan), "weight of an artwork is nan"),
        (lambda a: Style(a, where=torch.zeros(1, 1, 8, 8)), "0 everywhere"),
        (lambda a: Style(a, of=2 * torch.ones(1, 1, 8, 8)), "from 2 to 2"),
        (lambda a: Style(a, of=torch.ones(8, 8)), r"shape \(8, 8\)"),
        (lambda a: as_styles(["starry_night"]), "picture or a Style"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(make, message, a):
    with pytest.raises(ValueError, match=message):
        make(a)


# Total variation, and a run with all of it


def test_total_variation_is_a_term_with_its_weight(vgg19, p, a):
    x = noise(*p.shape[2:])
    without, with_it = (Objective(vgg19, p, a, tau=tau, **SHALLOW)(x) for tau in (0, 100))
    assert "variation" not in without
    wanted = without["total"].item() + 100 * total_variation(x).item()
    assert with_it["total"].item() == pytest.approx(wanted, rel=1e-6)


def test_the_gradient_in_parts_is_the_gradient_of_the_whole(vgg19, p, a):
    x = noise(*p.shape[2:]).requires_grad_()
    objective = Objective(vgg19, p, a, tau=1e3, alpha=1e-2, **SHALLOW)
    in_parts, ratio = objective.gradient(x, objective(x), parts=True)
    whole, _ = objective.gradient(x, objective(x))
    assert ratio > 0
    assert (in_parts - whole).norm() < 1e-4 * whole.norm()


def test_total_variation_takes_grain(vgg19, p, a):
    rough, smooth = (
        synthesise(vgg19, p, a, tau=tau, evaluations=15, progress=False, **SHALLOW).image for tau in (0, 1e5)
    )
    assert total_variation(smooth) < 0.8 * total_variation(rough)


def test_a_run_with_masks_is_taken_up_again_bit_for_bit_and_refused_with_another_mask(
    tmp_path, vgg19, p, a, ducks
):
    file, left = tmp_path / "run.pt", left_half(30, 30)
    styles = [Style(a, 2.0, left), Style(ducks, where=1 - left)]
    options = SHALLOW | {"evaluations": 8, "tau": 10.0, "checkpoint": file, "precision": "float32"}
    undisturbed = synthesise(vgg19, p, styles, progress=False, **options | {"checkpoint": None})
    run = Run(vgg19, p, styles, **options)
    for now in run:
        if now.number == 4:
            run.change(alpha=1e-2)
            run.change(alpha=1e-3)
            run.stop()
    again = Run(vgg19, p, styles, **options, resume=True)
    assert again.to_the_end(progress=False).evaluations == 8
    assert again.result.settings["artworks"][0] == {"weight": 2.0, "where": True, "of": False}
    assert undisturbed.evaluations == 8
    for other in ([Style(a, 2.0, left.flip(3)), styles[1]], [Style(a, 1.0, left), styles[1]]):
        with pytest.raises(ValueError, match=r"another run: .*(where 1|artworks)"):
            Run(vgg19, p, other, **options, resume=True)
