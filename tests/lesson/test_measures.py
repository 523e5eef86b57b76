"""Numbers of a picture, each against a case that one can work out by hand."""

import math

import pytest
import torch

from helpers.measures import (
    colour_difference,
    edge_match,
    grain,
    luminance,
    mean_and_spread,
    psnr,
    ssim,
    structure_size,
)


@pytest.fixture
def picture():
    return torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))


def waves(period, side=64):
    """A picture whose brightness is a cosine with this period, to the right."""
    wave = 0.5 + 0.4 * torch.cos(2 * math.pi * torch.arange(side) / period)
    return wave.expand(1, 3, side, side)


def test_psnr_of_an_error_of_a_tenth_is_20_decibels(picture):
    dark = picture * 0.5
    assert psnr(dark + 0.1, dark) == pytest.approx(20, abs=1e-4)


def test_ssim_and_edges_of_a_picture_with_itself_are_1_and_fall_with_noise(picture):
    assert ssim(picture, picture) == pytest.approx(1)
    assert edge_match(picture, picture) == pytest.approx(1)
    assert edge_match(1 - picture, picture) == pytest.approx(1, abs=1e-5)  # an edge has no sign
    assert ssim(picture.flip(3), picture) < 0.2 and abs(edge_match(picture.flip(3), picture)) < 0.3


def test_luminance_weighs_green_most():
    red, green, blue = (luminance(torch.eye(3)[i].view(1, 3, 1, 1)).item() for i in range(3))
    assert (red, green, blue) == pytest.approx((0.299, 0.587, 0.114), abs=1e-6)


def test_histograms_with_nothing_in_common_differ_by_1_wherever_the_pixels_are(picture):
    assert colour_difference(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 9, 5)) == 1
    assert colour_difference(picture, picture.flip(2)) == 0
    half = torch.cat([torch.zeros(1, 3, 4, 2), torch.ones(1, 3, 4, 2)], 3)
    assert colour_difference(half, torch.ones(1, 3, 4, 4)) == pytest.approx(0.5)


def test_grain_is_what_is_fine(picture):
    assert grain(torch.full((1, 3, 16, 16), 0.3)) == pytest.approx(0, abs=1e-3)
    assert grain(waves(32)) < 0.1 * grain(waves(4))


def test_structures_twice_as_large_have_twice_the_size(picture):
    rough = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    sizes = [structure_size(rough.repeat_interleave(k, 2).repeat_interleave(k, 3)) for k in (2, 4)]
    assert sizes[1] / sizes[0] == pytest.approx(2, rel=0.25)


def test_mean_and_spread_is_that_of_a_sample():
    assert mean_and_spread([1, 2, 3]) == "2 ± 1"
    assert mean_and_spread([4]) == "4"
