"""The network's first block in strips: from the picture to pool1, some rows at a time.

The features of conv1_1 take 50 MB at 512 × 384 px, those of conv1_2 as much, and so do their gradients.
They need never exist all at once: each strip of rows goes through both convolutions and the pooling
before the next begins, and on the way back likewise. What the style loss wants of conv1_1, its Gram
matrix, is a sum over positions and so a sum over strips. Back-propagation keeps one byte for each value
of conv1_2 and computes conv1_1 again, which costs a twentieth of conv1_2.
"""

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import avg_pool2d, pad

from helpers.engine.convolution import features, gradient_at_input, unpooled
from helpers.engine.gram import gram, gram_gradient
from helpers.engine.winograd import relu_backward

#: Values of one layer's features in a strip: 4 MB in float32.
STRIP = 2**20


def first_block(x: torch.Tensor, first: nn.Conv2d, second: nn.Conv2d, wanted: bool):
    """Return the features behind pooling, and the Gram matrix of those of the first layer.

    Args:
        x: (B, C, H, W), at least 2 × 2 positions.
        first: 3×3 convolution of fixed weights, with zero padding of 1; a ReLU follows.
        second: The same; a ReLU and average pooling follow.
        wanted: Whether to compute the Gram matrix.

    Returns:
        (B, N, H // 2, W // 2), and (B, N, N), or None if it is not wanted.
    """
    return _FirstBlock.apply(x, first, second, wanted)


class _FirstBlock(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, first, second, wanted):
        B, _, H, W = x.shape
        N, options = second.out_channels, {"device": x.device, "memory_format": torch.channels_last}
        pooled = torch.empty(B, N, H // 2, W // 2, dtype=x.dtype, **options)
        positive = torch.empty(B, N, H, W, dtype=torch.bool, **options)
        G = None
        for top, end in _strips(x, N):
            above, below = max(top - 1, 0), min(end + 1, H)
            F = _features(x, first, above, below)
            if wanted:  # a sum over positions is a sum over strips
                part = gram(F[:, :, top - above : end - above])
                G = part if G is None else G + part
            y = features(F, second)[:, :, top - above : end - above]
            torch.gt(y, 0, out=positive[:, :, top:end])
            pooled[:, :, top // 2 : end // 2] = avg_pool2d(y, 2)
        ctx.save_for_backward(x, positive)
        ctx.layers = first, second
        return pooled, G

    @staticmethod
    @once_differentiable
    def backward(ctx, pooled_gradient, G_gradient):
        (x, positive), (first, second) = ctx.saved_tensors, ctx.layers
        H, W = x.shape[2:]
        x_gradient = torch.zeros_like(x)
        for top, end in _strips(x, second.out_channels):
            above, below = max(top - 1, 0), min(end + 1, H)
            g = unpooled(pooled_gradient, above, below, W)
            g = gradient_at_input(g, second, y=positive[:, :, above:below], in_place=True)
            g = g[:, :, top - above : end - above]
            F = _features(x, first, top, end)
            if G_gradient is not None:
                g = g + gram_gradient(F, G_gradient)
            g = relu_backward(g, F, torch.empty_like(g))
            # The rows of the picture just above and below the strip have a share in its features too.
            g = gradient_at_input(pad(g, (0, 0, 1, 1)), first)
            x_gradient[:, :, above:below] += g[:, :, above - top + 1 : below - top + 1]
        return x_gradient, None, None, None


def _strips(x: torch.Tensor, channels: int) -> list[tuple[int, int]]:
    """Return the first row of every strip and the row behind it; all but the last are of even height."""
    H, W = x.shape[2:]
    # A strip fits a processor's cache. A GPU gets the whole picture: its cores want more work at once.
    rows = max(2, STRIP // (2 * channels * W) * 2) if x.device.type == "cpu" else H + H % 2
    tops = range(0, H - 1, rows)  # a single last row belongs to the strip above it
    return [(top, H if top == tops[-1] else top + rows) for top in tops]


def _features(x: torch.Tensor, layer: nn.Conv2d, top: int, end: int) -> torch.Tensor:
    """Return the rows from top to end of the layer's features, from these rows of x and their neighbours."""
    above, below = max(top - 1, 0), min(end + 1, x.shape[2])
    return features(x[:, :, above:below], layer)[:, :, top - above : end - above]
