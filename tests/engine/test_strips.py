"""The first block in strips against the network layer by layer."""

import pytest
import torch

from helpers.engine import Way, features, strips
from helpers.engine.seam import first_block_in_strips
from helpers.losses import gram_matrix

FLOAT32 = Way("float32", winograd=False)


def relative_error(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.mark.parametrize(("height", "width"), [(24, 20), (25, 33), (9, 8), (2, 3)])
@pytest.mark.parametrize("strip", [1, 64 * 20 * 6, 2**20])
@pytest.mark.parametrize("batch", [1, 2])
def test_strips_have_the_whole_pictures_values_and_gradient(
    height, width, strip, batch, vgg19, monkeypatch, generator
):
    monkeypatch.setattr(strips, "STRIP", strip)
    x = torch.rand(batch, 3, height, width, generator=generator, requires_grad=True)
    layers = ["conv1_1", "pool1"]
    theirs = vgg19(x, layers)
    theirs = {"conv1_1": gram_matrix(theirs["conv1_1"]), "pool1": theirs["pool1"]}
    ours = dict(features(vgg19, x, layers, ["conv1_1"], FLOAT32))
    assert list(ours) == layers
    gradients = []
    for values in (ours, theirs):
        loss = sum((v / theirs[name].detach().norm()).square().sum() for name, v in values.items())
        gradients += torch.autograd.grad(loss, x)
    for name in layers:
        assert relative_error(ours[name], theirs[name]) < 1e-5
    # A feature so near to 0 that rounding decides the ReLU's side changes a few pixels' gradient.
    assert relative_error(*gradients) < 1e-3


def test_a_gram_matrix_that_is_not_asked_for_costs_no_gradient(vgg19, generator):
    x = torch.rand(1, 3, 20, 20, generator=generator, requires_grad=True)
    ((_, ours),) = features(vgg19, x, ["pool1"], [], FLOAT32)
    theirs = vgg19(x, "pool1")["pool1"]
    gradients = [torch.autograd.grad(F.square().sum(), x)[0] for F in (ours, theirs)]
    assert relative_error(*gradients) < 1e-3


def test_strips_of_every_height_cover_every_row_once():
    for height in range(2, 40):
        for rows in (2, 4, 10):
            x = torch.empty(1, 3, height, 8)
            parts = strips._strips(x, strips.STRIP // (8 * rows))
            assert [row for top, end in parts for row in range(top, end)] == list(range(height))
            assert all(end - top >= 2 and top % 2 == 0 for top, end in parts)


@pytest.mark.parametrize(
    ("layers", "grams", "pooling", "possible"),
    [
        (["conv1_1", "conv4_2"], ["conv1_1"], "average", True),
        (["conv4_2"], [], "average", True),
        (["conv1_1", "conv4_2"], [], "average", False),  # its features are wanted as a whole
        (["conv1_2", "conv4_2"], ["conv1_2"], "average", False),
        (["conv1_1"], ["conv1_1"], "average", False),  # nothing behind it is computed
        (["conv1_1", "conv4_2"], ["conv1_1"], "max", False),
    ],
)
def test_where_strips_are_possible(layers, grams, pooling, possible, request):
    network = request.getfixturevalue("vgg19" if pooling == "average" else "vgg19_max")
    assert first_block_in_strips(network, layers, grams) == possible


def test_back_propagation_through_strips_keeps_a_byte_a_value(vgg19, generator):
    x = torch.rand(1, 3, 32, 32, generator=generator, requires_grad=True)
    ((_, pooled),) = features(vgg19, x, ["pool1"], [], FLOAT32)
    picture, positive = pooled.grad_fn.saved_tensors
    assert picture.shape == x.shape
    assert positive.numel() * positive.element_size() == 64 * 32 * 32
