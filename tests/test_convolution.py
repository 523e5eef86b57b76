"""Fast convolutions against PyTorch's own in double precision, and how a machine's fastest way is found."""

import json
import math

import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d

from helpers import convolution
from helpers.cache import cache_folder
from helpers.convolution import (
    Fastest,
    average_pooling,
    choose_precision,
    convolution_relu,
    fastest,
    transformed_kernels,
    winograd,
)

CPU = torch.device("cpu")


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
    monkeypatch.setattr(convolution, "BAND", 6 * 8)  # one row of tiles at a time
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


def of(milliseconds):
    return Fastest(winograd=True, threads=2, milliseconds=milliseconds)


@pytest.fixture
def measured(monkeypatch):
    """Pretend that a machine was measured."""

    def pretend(**milliseconds):
        monkeypatch.setattr(convolution, "fastest", lambda device: of(milliseconds))

    return pretend


def test_the_gain_of_bfloat16_is_over_the_fastest_way_in_float32():
    assert of({"float32": 10, "winograd": 6, "bfloat16": 2}).bfloat16_gain == 3
    assert of({"float32": 10, "winograd": 6}).bfloat16_gain == 0


@pytest.mark.parametrize(("milliseconds", "precision"), [(1, "bfloat16"), (5, "float32"), (20, "float32")])
def test_auto_is_bfloat16_only_where_that_is_much_faster(milliseconds, precision, measured):
    measured(float32=10, winograd=6, bfloat16=milliseconds)
    assert choose_precision("auto", CPU) == (precision, "")


def test_a_precision_asked_for_is_used(measured):
    measured(float32=10, winograd=6, bfloat16=20)
    assert choose_precision("bfloat16", CPU) == ("bfloat16", "")
    assert choose_precision("float32", CPU) == ("float32", "")


def test_without_bfloat16_the_run_is_in_float32_and_says_so(measured):
    measured(float32=10)
    assert choose_precision("auto", CPU) == ("float32", "")
    assert choose_precision("bfloat16", CPU) == (
        "float32",
        "bfloat16 is not to be had on this machine; running in float32.",
    )
    measured(float32=10, bfloat16=400)
    assert "takes 40 times as long" in choose_precision("bfloat16", CPU)[1]


def test_an_unknown_precision_is_named():
    with pytest.raises(ValueError, match=r"unknown precision 'half'.*float32"):
        choose_precision("half", CPU)


@pytest.fixture
def unmeasured(monkeypatch, tmp_path):
    """A machine of which nothing is known yet, and the list of its measurements."""
    original, calls, threads = convolution._measure, [], torch.get_num_threads()
    monkeypatch.setattr(convolution, "_measure", lambda device: (calls.append(device), original(device))[1])
    monkeypatch.setenv("NST_CACHE", str(tmp_path / "new"))
    fastest.cache_clear()
    yield calls
    fastest.cache_clear()
    torch.set_num_threads(threads)  # a busy machine may have been fastest with fewer


def test_the_fastest_way_is_measured_once_and_kept(unmeasured):
    threads = torch.get_num_threads()
    answer = fastest()
    assert answer.threads == torch.get_num_threads() <= threads
    assert all(0 < ms < 1e4 for ms in answer.milliseconds.values())
    assert answer.winograd == (answer.milliseconds["winograd"] < answer.milliseconds["float32"])
    fastest.cache_clear()  # as a new process would begin
    torch.set_num_threads(threads)
    assert fastest() == answer
    assert unmeasured == ["cpu"]


def test_the_answers_of_other_machines_are_kept(unmeasured):
    cache_folder().mkdir(parents=True)
    path = cache_folder() / "fastest.json"
    path.write_text('{"another": {"winograd": true, "threads": 8, "milliseconds": {}}}')
    fastest()
    assert len(json.loads(path.read_text())) == 2
    assert unmeasured == ["cpu"]


@pytest.mark.parametrize("content", ["", "[]", "{", "[1]"])
def test_a_damaged_answer_is_measured_anew(content, unmeasured):
    cache_folder().mkdir(parents=True)
    path = cache_folder() / "fastest.json"
    path.write_text(content)
    fastest()
    assert unmeasured == ["cpu"]
    assert len(json.loads(path.read_text())) >= 1


def test_a_folder_that_cannot_be_written_costs_only_the_answer(unmeasured, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NST_CACHE", str(tmp_path / "file" / "below"))
    assert math.isfinite(fastest().milliseconds["float32"])


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_gpu_computes_the_same_features_and_gradients(device, vgg19):
    there = torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()
    if not there:
        pytest.skip(f"no {device} here")
    from copy import deepcopy

    network = deepcopy(vgg19).to(device)
    x = torch.rand(1, 3, 64, 64).requires_grad_()
    for dtype, close in ((torch.float32, 1e-2), (torch.bfloat16, 5e-2)):
        ((_, ours),) = network.stream(x.to(device), "conv3_1", dtype)
        theirs = vgg19(x, "conv3_1")["conv3_1"]
        assert relative_error(ours.float().cpu(), theirs) < close
        gradients = [torch.autograd.grad(F.float().square().sum(), x)[0] for F in (ours, theirs)]
        assert relative_error(*gradients) < 4 * close
