"""A 3×3 convolution with its ReLU, and average pooling, each with a way back of its own.

Nearly all of the time of a run goes into the network's convolutions, forward and backward. The ReLU
overwrites the convolution's output, and back-propagation keeps one byte a value where nothing else
needs the features.
"""

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad, relu
from torch.nn.grad import conv2d_input

from helpers.engine.winograd import kernels, relu_backward, winograd, worth_it


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
    if use_winograd and worth_it(x, layer):
        return winograd(x, kernels(layer, x), layer.bias)
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
    if use_winograd and worth_it(gradient, layer):
        return winograd(gradient, kernels(layer, gradient).mT, turned=True, y=y)
    if y is not None:
        gradient = relu_backward(gradient, y, gradient if in_place else torch.empty_like(gradient))
    B, _, H, W = gradient.shape
    weight = layer.weight.to(gradient.dtype)
    return conv2d_input((B, layer.in_channels, H, W), weight, gradient, padding=1)


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
