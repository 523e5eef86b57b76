"""The seam between the lesson and the engine: features of a picture for a network, layer by layer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import nn

from helpers.engine.convolution import average_pooling, convolution_relu
from helpers.engine.gram import gram
from helpers.engine.strips import first_block


@dataclass(frozen=True)
class Way:
    """How the engine computes a run; part of the run's settings, since it decides the last digits.

    Attributes:
        precision: Of the features: ``"float32"`` or ``"bfloat16"``.
        winograd: Whether float32 convolutions go Winograd's way where they are large enough.
        tile: Side in pixels of the tiles of a picture larger than that, or None for the whole at once.
    """

    precision: str
    winograd: bool
    tile: int | None = None

    def in_float32(self) -> "Way":
        """Return the same way in float32."""
        return replace(self, precision="float32")


def features(
    network: nn.Module,
    image: torch.Tensor,
    layers: Iterable[str],
    grams: Iterable[str],
    way: Way,
    masks: dict[str, torch.Tensor] | None = None,
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what ``network(image, layers)`` returns, up to rounding, one layer at a time and faster.

    Of the whole picture at once: tiles are up to ``helpers.engine.tiles``, which calls this for each.

    Each value can be used before the next is computed, and back-propagation reaches the image only.
    Of the network it needs ``preprocess`` and its list of layers: 3×3 convolutions, each followed by a
    ReLU, and 2×2 poolings.

    Args:
        network: Such as a ``VGG19``. Its weights are laid out anew in memory; their values stay.
        image: (B, 3, H, W), RGB in [0, 1].
        layers: Names of layers of the network.
        grams: Those of them of which only the Gram matrix, (B, N, N), is wanted.
        way: How to compute.
        masks: Of layers in ``grams``, (R, 1, H_l, W_l): features are multiplied by each of the R before
            their Gram matrices, (R, N, N), are computed. One picture only, then.

    Yields:
        (layer, features or Gram matrix) in the network's order; features in the way's precision.
    """
    layers, grams, masks = set(layers), set(grams), masks or {}

    def gram_of(name, F):
        return gram(F * masks[name].to(F.dtype) if name in masks else F)

    names = names_until_deepest(network, layers)
    _lay_out(network)
    dtype = getattr(torch, way.precision)
    h = network.preprocess(image).to(dtype, memory_format=torch.channels_last)
    if first_block_in_strips(network, layers, grams - masks.keys()):
        first, second, pool = names[:3]
        h, G = first_block(h, getattr(network, first), getattr(network, second), first in grams)
        if first in layers:
            yield first, G
        if pool in layers:
            yield pool, gram_of(pool, h) if pool in grams else h
        names = names[3:]
    for name in names:
        layer = getattr(network, name)
        if isinstance(layer, nn.Conv2d):
            h = convolution_relu(h, layer, kept=name in layers, winograd=way.winograd)
        else:
            h = average_pooling(h) if isinstance(layer, nn.AvgPool2d) else layer(h)
        if name in layers:
            yield name, gram_of(name, h) if name in grams else h


def names_until_deepest(network: nn.Module, layers: Iterable[str]) -> list[str]:
    """Return the names of the network's layers until the deepest of those given."""
    names = [name for name, _ in network.named_children()]
    return names[: 1 + max(names.index(layer) for layer in layers)]


def first_block_in_strips(network: nn.Module, layers: Iterable[str], grams: Iterable[str]) -> bool:
    """Return whether the first two convolutions' features, the largest, need never exist as a whole.

    They need not if two convolutions and average pooling come first and are computed, the second
    convolution is not asked for, and of the first at most the Gram matrix.
    """
    names = names_until_deepest(network, layers)
    kinds = [type(getattr(network, name)) for name in names[:3]]
    if kinds != [nn.Conv2d, nn.Conv2d, nn.AvgPool2d] or getattr(network, names[0]).weight.requires_grad:
        return False
    return names[1] not in layers and (names[0] not in layers or names[0] in grams)


def _lay_out(network: nn.Module) -> None:
    """Put the weights in the order in memory in which convolutions read them fastest, once."""
    for layer in network.children():
        if isinstance(layer, nn.Conv2d) and not layer.weight.is_contiguous(memory_format=torch.channels_last):
            layer.to(memory_format=torch.channels_last)
