"""The seam: what the engine yields against the network's own forward, its reference."""

from copy import deepcopy

import pytest
import torch

from helpers.engine import Way, features, seam
from helpers.engine.gram import gram_gradient
from helpers.images import load_image
from helpers.losses import gram_matrix
from helpers.network import LAYERS, VGG19

FLOAT32 = Way("float32", winograd=False)
WINOGRAD = Way("float32", winograd=True)


def relative_error(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.mark.parametrize("grams", [False, True])
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("way", [FLOAT32, WINOGRAD], ids=["direct", "winograd"])
@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_has_the_references_values_and_gradient_at_the_pixels(
    layer, way, pooling, grams, vgg19, vgg19_max
):
    network = vgg19_max if pooling == "max" else vgg19
    x = load_image("red_panda", 101).requires_grad_()  # 101 × 67: tiles and poolings have odd ends
    ((name, ours),) = features(network, x, [layer], [layer] if grams else [], way)
    theirs = network(x, layer)[layer]
    theirs = gram_matrix(theirs) if grams else theirs
    assert name == layer
    assert relative_error(ours, theirs) < 1e-5
    gradients = [
        torch.autograd.grad((F / theirs.detach().norm()).square().sum(), x)[0] for F in (ours, theirs)
    ]
    assert relative_error(*gradients) < 1e-3


@pytest.mark.parametrize("way", [FLOAT32, WINOGRAD], ids=["direct", "winograd"])
def test_several_layers_come_in_the_networks_order_and_their_gradients_add_up(way, vgg19):
    x = load_image("red_panda", 101).requires_grad_()
    layers, grams = ["conv5_1", "conv1_1", "pool2", "conv2_2"], ["conv1_1", "pool2"]
    ours, theirs = dict(features(vgg19, x, layers, grams, way)), vgg19(x, layers)
    assert list(ours) == list(theirs)
    theirs = {name: gram_matrix(F) if name in grams else F for name, F in theirs.items()}
    gradients = []
    for values in (ours, theirs):
        loss = sum((F / theirs[name].detach().norm()).square().sum() for name, F in values.items())
        gradients.append(torch.autograd.grad(loss, x)[0])
    assert relative_error(*gradients) < 1e-3


def test_bfloat16_features_are_those_of_float32_to_two_digits(vgg19, p):
    for name, F in features(vgg19, p, ["conv1_1", "conv4_2"], [], Way("bfloat16", False)):
        assert F.dtype == torch.bfloat16
        assert 1e-5 < relative_error(F.float(), vgg19(p, name)[name]) < 0.02


def test_grams_of_bfloat16_features_are_in_float32(vgg19, p):
    for _, G in features(vgg19, p, ["conv1_1", "conv4_2"], ["conv1_1", "conv4_2"], Way("bfloat16", False)):
        assert G.dtype == torch.float32


def test_the_network_keeps_its_values(p):
    network = VGG19()
    before = network.fingerprint()
    list(features(network, p, ["conv5_4"], [], WINOGRAD))
    assert network.fingerprint() == before


def test_a_network_that_is_being_trained_gets_gradients(p):
    network = VGG19().requires_grad_(True)
    for _, G in features(network, p, ["conv2_1"], ["conv2_1"], WINOGRAD):
        G.sum().backward()
    assert network.conv1_1.weight.grad.abs().sum() > 0


def test_nothing_deeper_than_asked_is_computed(vgg19, monkeypatch, p):
    original, computed = seam.convolution_relu, []
    monkeypatch.setattr(
        seam, "convolution_relu", lambda h, *how, **more: computed.append(how) or original(h, *how, **more)
    )
    list(features(vgg19, p, ["conv2_2"], [], FLOAT32))
    assert [layer for (layer,) in computed] == [vgg19.conv2_1, vgg19.conv2_2]  # the first block is in strips


def test_a_gram_matrixs_gradient_in_bfloat16_has_the_error_of_one_rounding(generator):
    F = torch.randn(2, 64, 9, 7, generator=generator).relu().bfloat16()
    at_G = torch.randn(2, 64, 64, generator=generator)
    x = F.float().requires_grad_()
    (theirs,) = torch.autograd.grad((gram_matrix(x) * at_G).sum(), x)
    ours = gram_gradient(F, at_G)
    assert ours.dtype == torch.bfloat16 and ours.shape == F.shape
    assert 1e-4 < relative_error(ours.float(), theirs) < 0.005


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_gpu_computes_the_same_features_and_gradients(device, vgg19):
    there = torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()
    if not there:
        pytest.skip(f"no {device} here")
    network = deepcopy(vgg19).to(device)
    x = torch.rand(1, 3, 64, 64).requires_grad_()
    for precision, close in (("float32", 1e-2), ("bfloat16", 5e-2)):
        ((_, ours),) = features(network, x.to(device), ["conv3_1"], [], Way(precision, False))
        theirs = vgg19(x, "conv3_1")["conv3_1"]
        assert relative_error(ours.float().cpu(), theirs) < close
        gradients = [torch.autograd.grad(F.float().square().sum(), x)[0] for F in (ours, theirs)]
        assert relative_error(*gradients) < 4 * close
