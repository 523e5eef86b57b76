"""Winograd's minimal filtering: a 3×3 convolution in float32 from a quarter of the multiplications.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.
"""

import math
import threading
import weakref

import torch
from torch import nn

#: Fewest tiles of 4 × 4 positions for which Winograd's way is worth reading its larger kernels.
FEWEST_TILES = 32

#: Fewest tiles for which the kernels are transformed anew at every call: they fill four times the
#: memory of the weights, and making them takes the time of about 40 tiles.
KEPT_BELOW = 128

#: Tiles × channels that are worked on together, so that the intermediate values stay in the cache.
BAND = 32_768


def tiles(x: torch.Tensor) -> int:
    """Return how many tiles of 4 × 4 positions cover the feature maps x, (B, C, H, W)."""
    return math.ceil(x.shape[2] / 4) * math.ceil(x.shape[3] / 4)


def worth_it(x: torch.Tensor, layer: nn.Conv2d) -> bool:
    """Return whether a layer is wide enough, and its input x large enough, for Winograd's way."""
    wide = layer.in_channels >= 64 and layer.out_channels >= 128
    return wide and x.dtype == torch.float32 and tiles(x) >= FEWEST_TILES


_KEPT_KERNELS = weakref.WeakKeyDictionary()  # layer to (what its weights were, their transform)


def kernels(layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """Return the transformed kernels, kept from call to call where making them costs much of the time."""
    if tiles(x) >= KEPT_BELOW:
        return transformed_kernels(layer.weight, out=_scratch("U", layer.weight.numel() * 4))
    weight = (layer.weight.data_ptr(), layer.weight._version)
    if _KEPT_KERNELS.get(layer, (None,))[0] != weight:
        _KEPT_KERNELS[layer] = (weight, transformed_kernels(layer.weight))
    return _KEPT_KERNELS[layer][1]


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
