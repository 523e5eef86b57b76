"""Fast convolutions against PyTorch's own in double precision."""

import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d

from helpers.engine import winograd as winograd_module
from helpers.engine.convolution import average_pooling, convolution_relu
from helpers.engine.winograd import transformed_kernels, winograd


def relative_error(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.fixture
def layer(generator):
    layer = torch.nn.Conv2d(64, 128, 3, padding=1).requires_grad_(False)
    layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) / 24)
    layer.bias.copy_(torch.randn(128, generator=generator) / 24)
    return layer


@pytest.mark.parametrize(("height", "width"), [(24, 24), (25, 27), (30, 22), (1, 5), (47, 130)])
def test_winograds_way_is_a_convolution(height, width, generator):
    x = torch.randn(2, 8, height, width, generator=generator)
    w = torch.randn(16, 8, 3, 3, generator=generator)
    ours = winograd(x, transformed_kernels(w))
    assert relative_error(ours, conv2d(x.double(), w.double(), padding=1)) < 1e-5


def test_winograds_way_in_bands_is_the_same_convolution(generator, monkeypatch):
    x, w = torch.randn(1, 8, 37, 21, generator=generator), torch.randn(4, 8, 3, 3, generator=generator)
    whole = winograd(x, transformed_kernels(w))
    monkeypatch.setattr(winograd_module, "BAND", 6 * 8)  # one row of tiles at a time
    assert relative_error(winograd(x, transformed_kernels(w)), whole) < 1e-5


def test_one_set_of_transformed_kernels_also_convolves_with_turned_kernels(generator):
    x, w = torch.randn(1, 16, 23, 30, generator=generator), torch.randn(16, 8, 3, 3, generator=generator)
    turned = w.flip(2, 3).transpose(0, 1).double()
    ours = winograd(x, transformed_kernels(w).mT, turned=True)
    assert relative_error(ours, conv2d(x.double(), turned, padding=1)) < 1e-5


@pytest.mark.parametrize("use_winograd", [False, True])
@pytest.mark.parametrize("kept", [False, True])
def test_convolution_and_relu_have_pytorchs_values_and_gradient(use_winograd, kept, layer, generator):
    x = torch.randn(1, 64, 29, 26, generator=generator)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(1, 128, 29, 26, generator=generator)
    y = convolution_relu(x, layer, kept=kept, winograd=use_winograd)
    exact = x.detach().double().requires_grad_()
    before_relu = conv2d(exact, layer.weight.double(), layer.bias.double(), padding=1)
    theirs = before_relu.relu()
    weight = weight * (before_relu.detach().abs() > 1e-3)  # nearer to 0, rounding decides the ReLU's side
    assert relative_error(y, theirs) < 1e-5
    assert y.min() == 0
    (gradient,) = torch.autograd.grad((y * weight).sum(), x)
    (expected,) = torch.autograd.grad((theirs * weight).sum(), exact)
    assert relative_error(gradient, expected) < 1e-5


def test_weights_that_ask_for_a_gradient_get_one(layer, generator):
    x = torch.randn(1, 64, 24, 24, generator=generator)
    layer.requires_grad_(True)
    convolution_relu(x, layer, winograd=True).sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_kernels_are_transformed_again_when_the_weights_change(layer, generator):
    x = torch.randn(1, 64, 24, 24, generator=generator)
    before = convolution_relu(x, layer, winograd=True)
    layer.weight.mul_(2)
    assert relative_error(convolution_relu(x, layer, winograd=True), before) > 0.5


def test_back_propagation_keeps_a_byte_a_value_where_nothing_else_needs_the_features(layer, generator):
    x = torch.randn(1, 64, 24, 24, generator=generator).requires_grad_()
    for kept, bytes_each in ((True, 4), (False, 1)):
        (saved,) = convolution_relu(x, layer, kept=kept).grad_fn.saved_tensors
        assert saved.element_size() == bytes_each


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (2, 5, 9, 12), (1, 4, 7, 11)])
def test_average_pooling_is_pytorchs_and_keeps_nothing(shape, generator):
    x = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    y = average_pooling(x)
    assert y.grad_fn.saved_tensors == ()
    torch.testing.assert_close(y, avg_pool2d(x, 2))
    assert torch.autograd.gradcheck(average_pooling, x)
