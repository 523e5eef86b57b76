"""VGG19 against torchvision's own, and against what is known of its architecture."""

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from helpers import network as module
from helpers.images import load_image
from helpers.network import (
    CONVOLUTION_LAYERS,
    FULLY_CONNECTED,
    LAYERS,
    MEAN_ACTIVATIONS,
    VGG19,
    smallest_side,
)


def torchvision_features():
    with torch.device("meta"):  # without filling the fully connected layers with random numbers
        features = torchvision.models.vgg19(weights=None).features
    return features.to_empty(device="cpu")


def torchvision_twin(network):
    """torchvision's VGG19 with the same weights, as a list of layers without its in-place ReLUs."""
    layers = list(torchvision_features())
    convolutions = iter(CONVOLUTION_LAYERS)
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            layer.load_state_dict(getattr(network, next(convolutions)).state_dict())
        elif isinstance(layer, nn.ReLU):
            layers[i] = nn.ReLU(inplace=False)
        elif network.pooling == "average":
            layers[i] = nn.AvgPool2d(2)
    return layers


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_every_layer_agrees_with_torchvisions(pooling, vgg19, vgg19_max):
    network = vgg19_max if pooling == "max" else vgg19
    image = load_image("red_panda", 64)
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    h, expected = 255 * image.flip(1) - mean, []  # BGR, 0 to 255, minus the mean
    with torch.no_grad():
        for layer in torchvision_twin(network):
            h = layer(h)
            if not isinstance(layer, nn.Conv2d):  # features are taken after the ReLU
                expected.append(h)
        features = network(image, LAYERS)
    assert list(features) == list(LAYERS)
    for (name, F), theirs in zip(features.items(), expected, strict=True):
        rounding = 1e-5 * theirs.max().item()
        torch.testing.assert_close(F, theirs, rtol=1e-4, atol=rounding, msg=lambda m, n=name: f"{n}: {m}")


def test_vgg19_has_16_convolutions_and_5_poolings_and_leaves_out_86_percent(vgg19):
    kinds = [type(layer) for layer in vgg19.children()]
    assert kinds.count(nn.Conv2d) == 16
    assert kinds.count(nn.AvgPool2d) == 5
    kept, left_out = sum(p.numel() for p in vgg19.parameters()), sum(FULLY_CONNECTED.values())
    assert (kept, left_out) == (20_024_384, 123_642_856)
    assert round(left_out / (kept + left_out), 2) == 0.86
    with torch.device("meta"):
        classifier = torchvision.models.vgg19(weights=None).classifier
    assert sum(p.numel() for p in classifier.parameters()) == left_out


def test_pooling_is_average_by_default_and_max_on_request(vgg19, vgg19_max, p):
    assert vgg19.pooling == "average"
    for network, pool in ((vgg19, nn.functional.avg_pool2d), (vgg19_max, nn.functional.max_pool2d)):
        features = network(p, ["conv1_2", "pool1"])
        torch.testing.assert_close(features["pool1"], pool(features["conv1_2"], 2))


def test_features_are_rectified_and_no_later_layer_overwrites_them(vgg19, p):
    alone = vgg19(p, "conv4_2")["conv4_2"]
    together = vgg19(p, ["conv4_2", "conv4_3", "conv5_1"])["conv4_2"]
    assert torch.equal(alone, together)
    assert alone.min() == 0


def test_relu_is_out_of_place_so_values_before_it_survive(vgg19, p):
    before = []
    hook = vgg19.conv2_1.register_forward_hook(lambda _, __, output: before.append(output))
    vgg19(p, "conv2_2")
    hook.remove()
    assert before[0].min() < 0


def test_nothing_deeper_than_asked_is_computed(vgg19, p):
    computed = []
    hooks = [
        layer.register_forward_hook(lambda *_, name=name: computed.append(name))
        for name, layer in vgg19.named_children()
    ]
    vgg19(p, ["conv2_1", "conv1_1"])
    for hook in hooks:
        hook.remove()
    assert computed == ["conv1_1", "conv1_2", "pool1", "conv2_1"]


def test_weights_are_frozen_and_gradients_reach_the_picture(vgg19, p):
    x = p.clone().requires_grad_()
    vgg19(x, "conv3_1")["conv3_1"].sum().backward()
    assert x.grad.abs().max() > 0
    assert all(not w.requires_grad and w.grad is None for w in vgg19.parameters())


def test_described_shapes_are_the_real_ones(vgg19):
    image = torch.rand(1, 3, 37, 50)
    features = vgg19(image, LAYERS)
    for row in vgg19.describe(37, 50):
        assert features[row.name].shape == (1, row.channels, row.height, row.width)


@pytest.mark.parametrize("layer", ["conv1_1", "conv2_2", "pool3", "conv4_2"])
def test_receptive_field_is_the_support_of_the_gradient(layer, vgg19):
    # Equal positive weights stand in for the real ones, so that no path through a ReLU is closed.
    open_network = VGG19()
    for weight in open_network.parameters():
        weight.data.fill_(1e-3)
    x = torch.ones(1, 3, 160, 160, requires_grad=True)
    F = open_network(x, layer)[layer]
    F[0, 0, F.shape[2] // 2, F.shape[3] // 2].backward()
    side = (x.grad[0, 0] != 0).any(1).sum().item()
    assert side == next(row.receptive_field for row in vgg19.describe() if row.name == layer)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_normalising_divides_each_filter_by_its_mean_activation_and_nothing_else(pooling, p):
    original, normalised = VGG19(pooling=pooling), VGG19(pooling=pooling, normalised=True)
    means = np.load(MEAN_ACTIVATIONS)
    with torch.no_grad():
        F, F_n = original(p, CONVOLUTION_LAYERS), normalised(p, CONVOLUTION_LAYERS)
    for name in CONVOLUTION_LAYERS:
        m = torch.from_numpy(means[f"{pooling}/{name}"])
        assert torch.equal(normalised.divisors[name], m)
        scale = F_n[name].abs().max().item()
        torch.testing.assert_close(F_n[name], F[name] / m.view(1, -1, 1, 1), rtol=1e-4, atol=1e-5 * scale)


def test_there_is_a_mean_activation_of_every_filter_with_either_pooling():
    means = np.load(MEAN_ACTIVATIONS)
    assert set(means) == {
        f"{pooling}/{name}" for pooling in ("average", "max") for name in CONVOLUTION_LAYERS
    }
    for key, values in means.items():
        assert values.shape == (min(64 * 2 ** (int(key[-3]) - 1), 512),)
        assert (values > 0).all()


def test_a_filter_that_never_fires_is_not_blown_up(monkeypatch, tmp_path, p):
    means = dict(np.load(MEAN_ACTIVATIONS))
    means["average/conv1_1"][5] = 0
    np.savez(tmp_path / "means.npz", **means)
    monkeypatch.setattr(module, "MEAN_ACTIVATIONS", tmp_path / "means.npz")
    network = VGG19(normalised=True)
    assert network.divisors["conv1_1"][5] == pytest.approx(0.01)
    assert network(p, "conv2_1")["conv2_1"].isfinite().all()


def test_mean_activations_of_the_photograph_are_near_1_when_normalised(vgg19_normalised):
    features = vgg19_normalised(load_image("chenonceau", 224), ["conv1_1", "conv3_1", "conv5_1"])
    assert all(0.5 < F.mean() < 2 for F in features.values())


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("conv4_5", r"unknown layer 'conv4_5'; VGG19 has conv4_1 to conv4_4"),
        ("relu4_2", r"unknown layer 'relu4_2'; VGG19 has conv1_1 to conv5_4 and pool1 to pool5"),
        (["conv1_1", "conv1_1"], "given 2 times"),
        ([], "no layer given"),
    ],
)
def test_a_layer_that_cannot_be_had_is_named(layers, message, vgg19, p):
    with pytest.raises(ValueError, match=message):
        vgg19(p, layers)


def test_a_picture_too_small_for_the_layer_is_refused_and_the_smallest_is_not(vgg19):
    assert smallest_side("conv5_1") == 16
    vgg19(torch.rand(1, 3, 16, 16), "conv5_1")
    with pytest.raises(ValueError, match=r"20 × 15 px is too small for 'conv5_1'.*at least 16 px"):
        vgg19(torch.rand(1, 3, 15, 20), "conv5_1")
    with pytest.raises(ValueError, match=r"must be \(B, 3, H, W\)"):
        vgg19(torch.rand(3, 16, 16), "conv1_1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pooling": "min"}, "unknown pooling 'min'"),
        ({"weights": "torchvision", "normalised": True}, "known for weights='original' only"),
        ({"preprocessing": "caffe"}, "'original' has its own"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        VGG19(**arguments)


def test_fingerprint_tells_a_changed_weight():
    network = VGG19()
    before = network.fingerprint()
    assert network.fingerprint() == before
    network.conv5_4.bias.data[7] += 1e-3
    assert network.fingerprint() != before


@pytest.mark.parametrize(("cuda", "mps", "best"), [(1, 1, "cuda"), (0, 1, "mps"), (0, 0, "cpu")])
def test_the_fastest_device_there_is_comes_first(cuda, mps, best, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: bool(mps))
    assert module.best_device() == torch.device(best)
