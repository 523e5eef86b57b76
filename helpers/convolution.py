"""A 3×3 convolution with its ReLU, computed the fastest way that this machine has.

Nearly all of the time of a run goes into the network's convolutions, forward and backward. There
are three ways to compute one:

* directly in float32: nine multiplications for each output value and input channel;
* in float32 with Winograd's minimal filtering: the same result, up to rounding, from a quarter of
  the multiplications;
* directly in bfloat16, numbers of half the size with 8 bits of precision: several times faster
  where the processor multiplies matrices of them, slower where it does not.

Which is fastest cannot be read off a processor's name. ``fastest`` measures once and keeps the answer.
"""

import functools
import json
import math
import os
import platform
import threading
import time
import weakref
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad, relu
from torch.nn.grad import conv2d_input

from helpers.cache import cache_folder

PRECISIONS = ("auto", "float32", "bfloat16")

#: Fewest tiles of 4 × 4 positions for which Winograd's way is worth reading its larger kernels.
FEWEST_TILES = 32

#: Fewest tiles for which the kernels are transformed anew at every call: they fill four times the
#: memory of the weights, and making them takes the time of about 40 tiles.
KEPT_BELOW = 128

#: Tiles × channels that are worked on together, so that the intermediate values stay in the cache.
BAND = 32_768


def convolution_relu(
    x: torch.Tensor, layer: nn.Conv2d, *, kept: bool = True, winograd: bool = False
) -> torch.Tensor:
    """Return relu(layer(x)) for a 3×3 convolution of fixed weights.

    It computes in the data type of x. The result is a new tensor, and back-propagation reaches x
    only: the weights are constants, unless they ask for a gradient.

    Args:
        x: (B, C, H, W).
        layer: With zero padding of 1; its weights are float32.
        kept: Whether the result is used by anything but the next layer, and so stays in memory anyway.
            If not, back-propagation keeps only where it is positive, in a quarter of the bytes.
        winograd: Compute Winograd's way where this layer and picture are large enough for it.

    Returns:
        (B, N, H, W), in channels-last layout.
    """
    if layer.weight.requires_grad:  # a network that is being trained
        return relu(layer(x))
    return _ConvolutionReLU.apply(x, layer, kept, winograd)


def tiles(x: torch.Tensor) -> int:
    """Return how many tiles of 4 × 4 positions cover the feature maps x, (B, C, H, W)."""
    return math.ceil(x.shape[2] / 4) * math.ceil(x.shape[3] / 4)


class _ConvolutionReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, layer, kept, use_winograd):
        y = features(x, layer, use_winograd)
        ctx.layer, ctx.winograd, ctx.kept = layer, use_winograd, kept
        ctx.save_for_backward(y if kept else y > 0)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (y,) = ctx.saved_tensors
        # A result that only the next layer used has a gradient that nobody else will look at.
        x_gradient = gradient_at_input(gradient, ctx.layer, ctx.winograd, y, in_place=not ctx.kept)
        return x_gradient, None, None, None


def features(x: torch.Tensor, layer: nn.Conv2d, use_winograd: bool = False) -> torch.Tensor:
    """Return relu(layer(x)), a new tensor that autograd knows nothing of; see ``convolution_relu``."""
    if use_winograd and _worth_it(x, layer):
        return winograd(x, _kernels(layer, x), layer.bias)
    return conv2d(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype), padding=1).relu_()


def gradient_at_input(
    gradient: torch.Tensor,
    layer: nn.Conv2d,
    use_winograd: bool = False,
    y: torch.Tensor | None = None,
    in_place: bool = False,
) -> torch.Tensor:
    """Return the gradient at a convolution's input from that at its output.

    Args:
        gradient: (B, N, H, W).
        layer: As in ``convolution_relu``.
        use_winograd: As there.
        y: If a ReLU follows the layer, its output or where that is positive; the gradient given is
            then the one behind the ReLU.
        in_place: Whether the gradient given may be overwritten.

    Returns:
        (B, C, H, W).
    """
    if use_winograd and _worth_it(gradient, layer):
        return winograd(gradient, _kernels(layer, gradient).mT, turned=True, y=y)
    if y is not None:
        gradient = relu_backward(gradient, y, gradient if in_place else torch.empty_like(gradient))
    B, _, H, W = gradient.shape
    weight = layer.weight.to(gradient.dtype)
    return conv2d_input((B, layer.in_channels, H, W), weight, gradient, padding=1)


def _worth_it(x: torch.Tensor, layer: nn.Conv2d) -> bool:
    wide = layer.in_channels >= 64 and layer.out_channels >= 128
    return wide and x.dtype == torch.float32 and tiles(x) >= FEWEST_TILES


_KEPT_KERNELS = weakref.WeakKeyDictionary()  # layer to (what its weights were, their transform)


def _kernels(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Return the transformed kernels, kept from call to call where making them costs much of the time."""
    if tiles(x) >= KEPT_BELOW:
        return transformed_kernels(layer.weight, out=_scratch("U", layer.weight.numel() * 4))
    weight = (layer.weight.data_ptr(), layer.weight._version)
    if _KEPT_KERNELS.get(layer, (None,))[0] != weight:
        _KEPT_KERNELS[layer] = (weight, transformed_kernels(layer.weight))
    return _KEPT_KERNELS[layer][1]


def average_pooling(x: torch.Tensor) -> torch.Tensor:
    """Return the means of 2 × 2 positions, (B, N, H, W) → (B, N, H // 2, W // 2).

    As ``nn.AvgPool2d(2)``, but nothing is kept for back-propagation.
    """
    return _AveragePooling.apply(x)


class _AveragePooling(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.size = x.shape[2:]
        return avg_pool2d(x, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        return unpooled(gradient, 0, *ctx.size)


def unpooled(gradient: torch.Tensor, top: int, end: int, width: int) -> torch.Tensor:
    """Return the rows from top to end of the gradient before average pooling.

    Each of four positions has a quarter of the mean's gradient; a last odd row or column has none.

    Args:
        gradient: Behind pooling, (B, N, H // 2, W // 2).
        top: Row of the result's beginning, of H.
        end: Row behind the result, at most H.
        width: W.

    Returns:
        (B, N, end - top, W).
    """
    rows = gradient[:, :, top // 2 : (end + 1) // 2] / 4
    rows = interpolate(rows, scale_factor=2, mode="nearest")[:, :, top % 2 :][:, :, : end - top]
    missing = width - rows.shape[3], end - top - rows.shape[2]
    return pad(rows, (0, missing[0], 0, missing[1])) if any(missing) else rows


def relu_backward(gradient: torch.Tensor, y: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Write the gradient where the ReLU's output y is positive, and 0 elsewhere; y may be just (y > 0)."""
    if y.dtype == torch.bool:
        return torch.mul(gradient, y.view(torch.uint8), out=out)  # faster than by bool
    return torch.ops.aten.threshold_backward.grad_input(gradient, y, 0, grad_input=out)


# Winograd's minimal filtering F(4 × 4, 3 × 3). The product of two polynomials can be had from
# their values at enough points: evaluate, multiply value by value, interpolate. A convolution is
# that product read backwards. In one dimension, 4 outputs of a kernel of 3 take 6 values of the
# input, 6 points, and so 6 multiplications instead of 12; in two dimensions 36 instead of 144.
POINTS = (0.0, 1.0, -1.0, 2.0, 0.5)  # and infinity, where a polynomial's value is its last coefficient


def _values(coefficients: int) -> torch.Tensor:
    """Return the (6, coefficients) matrix that evaluates a polynomial at all points."""
    rows = [[x**j for j in range(coefficients)] for x in POINTS]
    return torch.tensor([*rows, [0.0] * (coefficients - 1) + [1.0]], dtype=torch.float64)


def _both_ways(matrix: torch.Tensor) -> torch.Tensor:
    """Return the matrix that does to rows and columns of a tile what the given one does to one of them."""
    return torch.kron(matrix, matrix).float()


_input, _output = torch.linalg.inv(_values(6)).T, _values(4).T  # (6, 6), (4, 6)
KERNEL, INPUT, OUTPUT = _both_ways(_values(3)), _both_ways(_input), _both_ways(_output)

# Back-propagation convolves with each kernel turned by 180°. Turning reverses a polynomial's
# coefficients, and x² · g(1/x) is the reversed g: so the values of a turned kernel are the old ones
# in another order, point for reciprocal point, times x². Hence the points above: with them one set of
# transformed kernels serves both directions.
_reciprocal = [5, 1, 2, 4, 3, 0]
_squares = torch.tensor([1.0, 1.0, 1.0, 4.0, 0.25, 1.0], dtype=torch.float64)
TURNED_INPUT = _both_ways((_squares[:, None] * _input)[_reciprocal])
TURNED_OUTPUT = _both_ways(_output[:, _reciprocal])


def transformed_kernels(weight: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
    """Return the values of 3×3 kernels at the 36 points, (N, C, 3, 3) → (36, C, N)."""
    N, C = weight.shape[:2]
    flat = weight.permute(2, 3, 1, 0).reshape(9, C * N)
    return torch.mm(KERNEL, flat, out=None if out is None else out.view(36, C * N)).view(36, C, N)


_kept_scratch = threading.local()


def _scratch(name: str, *shape: int) -> torch.Tensor:
    """Return memory for a value that nothing needs after the call; the same memory every time."""
    numbers = math.prod(shape)
    kept = vars(_kept_scratch)
    if name not in kept or kept[name].numel() < numbers:
        kept[name] = torch.empty(numbers)
    return kept[name][:numbers].view(shape)


def winograd(
    x: torch.Tensor,
    U: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    turned: bool = False,
    y: torch.Tensor | None = None,
) -> torch.Tensor:
    """Convolve with 3×3 kernels and zero padding from a quarter of the multiplications.

    Args:
        x: (B, C, H, W), float32.
        U: What ``transformed_kernels`` returns, (36, C, N).
        bias: (N,); with it the ReLU follows, without it neither is applied.
        turned: Turn each kernel by 180°, as back-propagation does.
        y: (B, C, H, W), output of a ReLU or where it is positive; elsewhere x counts as 0.

    Returns:
        (B, N, H, W), in channels-last layout, up to rounding what ``conv2d`` returns.

    Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.
    """
    (B, C, H, W), N = x.shape, U.shape[2]
    into, out_of = (TURNED_INPUT, TURNED_OUTPUT) if turned else (INPUT, OUTPUT)
    rows, columns = math.ceil(H / 4), math.ceil(W / 4)  # of tiles
    band = max(1, min(rows, BAND // (columns * C)))
    result = x.new_empty(B, 4 * rows, 4 * columns, N)
    padded = _scratch("padded", 4 * band + 2, 4 * columns + 2, C).zero_()
    for image in range(B):
        source = x[image].permute(1, 2, 0)  # (H, W, C)
        for r in range(0, rows, band):
            n = min(band, rows - r)
            T = n * columns
            # Rows 4r - 1 to 4(r + n) of the picture, zeros where it has none.
            first, last = max(4 * r - 1, 0), min(4 * (r + n) + 1, H)
            inside = slice(first - 4 * r + 1, last - 4 * r + 1)
            padded[: inside.start] = 0
            padded[inside.stop :] = 0
            target = padded[inside, 1 : W + 1]
            if y is None:
                target.copy_(source[first:last])
            else:
                rectified = y[image].permute(1, 2, 0)[first:last]
                relu_backward(source[first:last], rectified, target)
            s = padded.stride(0)
            d = _scratch("d", 6, 6, n, columns, C)
            d.copy_(padded.as_strided(d.shape, (s, C, 4 * s, 4 * C, 1)))
            V = torch.mm(into, d.view(36, T * C), out=_scratch("V", 36, T * C)).view(36, T, C)
            # (36, T, C) @ (36, C, N): one product for each of the 36 points
            M = torch.bmm(V, U, out=_scratch("M", 36, T, N))
            Y = torch.mm(out_of, M.view(36, T * N), out=_scratch("Y", 16, T * N))
            Y = Y.view(4, 4, n, columns, N)
            target = result[image, 4 * r : 4 * (r + n)].view(n, 4, columns, 4, N)
            if bias is None:
                target.copy_(Y.permute(2, 0, 3, 1, 4))
            else:
                torch.add(Y.permute(2, 0, 3, 1, 4), bias, out=target).relu_()
    return result[:, :H, :W].permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Fastest:
    """How one device computes convolutions fastest, as measured.

    Attributes:
        winograd: Whether Winograd's way is faster than the direct one, in float32.
        threads: How many threads are fastest, of the number that PyTorch chose or fewer.
        milliseconds: Time of a 256 → 256 layer at 48 × 64 positions, by way of computing;
            without an entry ``"bfloat16"`` where the device cannot.
    """

    winograd: bool
    threads: int
    milliseconds: dict[str, float]

    @property
    def bfloat16_gain(self) -> float:
        """How many times faster bfloat16 is than the fastest way in float32; 0 where there is none."""
        times = dict(self.milliseconds)
        return min(times.values()) / low if (low := times.pop("bfloat16", 0)) else 0.0


@functools.cache
def fastest(device: str = "cpu") -> Fastest:
    """Return how this device computes fastest, measured in under a second and kept in the cache folder.

    It is kept so that the same seed gives the same picture next time: the ways differ in the last
    digits. Removing ``fastest.json`` from the cache folder measures anew.

    Args:
        device: Such as ``"cpu"`` or ``"cuda:0"``.
    """
    path, threads = cache_folder() / "fastest.json", torch.get_num_threads()
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else f"{device}, {threads} threads"
    key = f"{platform.node()}, {name}, torch {torch.__version__}"
    try:
        answers = dict(json.loads(path.read_text(encoding="utf-8")))
        answer = Fastest(**answers[key]) if key in answers else None
    except (OSError, ValueError, TypeError):  # none yet, or not a file of ours
        answers, answer = {}, None
    if answer is None:
        answer = _measure(device)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps({**answers, key: asdict(answer)}, indent=2), encoding="utf-8")
            os.replace(part, path)
        except OSError:
            pass  # a machine where nothing can be kept measures every time
    torch.set_num_threads(answer.threads)
    return answer


def _measure(device: str) -> Fastest:
    x = torch.rand(1, 256, 48, 64, device=device).to(memory_format=torch.channels_last)
    w = torch.rand(256, 256, 3, 3, device=device).to(memory_format=torch.channels_last)
    bias = torch.zeros(256, device=device)
    threads, times = torch.get_num_threads(), {}
    with torch.no_grad():
        times["float32"] = _milliseconds(lambda: conv2d(x, w, bias, padding=1), device)
        while device == "cpu" and threads > 1:  # fewer are faster where a container may not use all
            torch.set_num_threads(threads // 2)
            halved = _milliseconds(lambda: conv2d(x, w, bias, padding=1), device)
            if halved > 0.9 * times["float32"]:
                break
            threads, times["float32"] = threads // 2, halved
        torch.set_num_threads(threads)
        if device == "cpu":
            times["winograd"] = _milliseconds(lambda: winograd(x, transformed_kernels(w), bias), device)
        try:
            x, w, bias = (t.bfloat16() for t in (x, w, bias))
            times["bfloat16"] = _milliseconds(lambda: conv2d(x, w, bias, padding=1), device)
        except RuntimeError:
            pass  # no bfloat16 here
    return Fastest(times.get("winograd", math.inf) < times["float32"], threads, times)


def _milliseconds(f, device: str) -> float:
    """Return the least of three times, after one that is not counted."""
    times = []
    for _ in range(4):
        began = time.perf_counter()
        f()
        if device != "cpu":
            torch.accelerator.synchronize()
        times.append(1e3 * (time.perf_counter() - began))
    return round(min(times[1:]), 3)


def choose_precision(precision: str, device: torch.device) -> tuple[str, str]:
    """Return the precision to use, and a sentence to show where it is not the one asked for.

    Args:
        precision: ``"auto"``: bfloat16 where it is at least 1.5 times as fast as the fastest way in
            float32; or ``"float32"`` or ``"bfloat16"``.
        device: Where the network is.

    Raises:
        ValueError: If the precision is another.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; choose from {PRECISIONS}")
    if precision == "float32":
        return precision, ""
    gain = fastest(str(device)).bfloat16_gain
    if precision == "auto":
        return ("bfloat16" if gain >= 1.5 else "float32"), ""
    if gain < 0.1:
        what = f"takes {1 / gain:.0f} times as long as float32" if gain else "is not to be had"
        return "float32", f"bfloat16 {what} on this machine; running in float32."
    return precision, ""
