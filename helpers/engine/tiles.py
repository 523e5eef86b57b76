"""Features of a picture larger than memory: tile by tile, with the numbers of the whole picture.

A Gram matrix is a sum over positions and so a sum over tiles, and a position's features depend on few
pixels around it. So each tile is computed with a margin as wide as the deepest layer looks, and only what
lies inside the margin counts. On the way back every tile is computed again. Nothing is approximate, so
there are no seams; the price is a second way forward and the margins.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from helpers.engine import memory, seam
from helpers.engine.gram import gram
from helpers.engine.seam import Way, names_until_deepest


class Tile(NamedTuple):
    """Rows and columns of a picture in pixels: those that count, and those that are computed."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    outer_rows: tuple[int, int]
    outer_columns: tuple[int, int]

    def cut(self, image: torch.Tensor) -> torch.Tensor:
        """Return the part of a picture, (B, C, H, W), that is computed."""
        return image[:, :, slice(*self.outer_rows), slice(*self.outer_columns)]

    def inner(self, F: torch.Tensor, stride: int) -> torch.Tensor:
        """Return the features that count, of those of the part that is computed."""
        rows, columns = (
            slice((first - outer) // stride, end // stride - outer // stride)
            for (first, end), (outer, _) in ((self.rows, self.outer_rows), (self.columns, self.outer_columns))
        )
        return F[:, :, rows, columns]

    def place(self, F: torch.Tensor, stride: int) -> torch.Tensor:
        """Return the part of a layer's features of the whole picture that this tile gives."""
        (top, bottom), (left, right) = self.rows, self.columns
        return F[:, :, top // stride : bottom // stride, left // stride : right // stride]


def tiles(network: nn.Module, height: int, width: int, layers: Iterable[str], side: int) -> list[Tile]:
    """Return the tiles of a picture.

    Args:
        network: As for ``features``.
        height: Of the picture in pixels.
        width: Of the picture in pixels.
        layers: The layers that are wanted; the deepest decides the margin.
        side: Of a tile without its margin, rounded up to what the network can halve as often as it does.
    """
    stride, field = _reach(network, layers)
    margin, side = -(-field // stride) * stride, -(-side // stride) * stride

    def cuts(length):
        # What is left at the end, if it is less than half a tile, belongs to the tile before it.
        firsts = [first for first in range(0, length, side) if length - first >= side / 2] or [0]
        return list(zip(firsts, [*firsts[1:], length], strict=True))

    def outer(length, first, end):
        return max(first - margin, 0), min(end + margin, length)

    return [
        Tile(rows, columns, outer(height, *rows), outer(width, *columns))
        for rows in cuts(height)
        for columns in cuts(width)
    ]


def features(
    network: nn.Module,
    image: torch.Tensor,
    layers: Iterable[str],
    grams: Iterable[str],
    way: Way,
    masks: dict[str, torch.Tensor] | None = None,
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what ``seam.features`` yields, with the memory of one tile if the way says so."""
    if not way.tile or max(image.shape[2:]) <= way.tile:
        yield from seam.features(network, image, layers, grams, way, masks)
        return
    names = [name for name in names_until_deepest(network, layers) if name in set(layers)]
    values = _Tiles.apply(image, network, names, set(grams), way, masks or {})
    yield from zip(names, values, strict=True)


def memory_needed(
    network: nn.Module, height: int, width: int, layers, grams, pictures: int, tile: int | None = None
) -> int:
    """Return about how many bytes a run adds; see ``memory.memory_needed``, and ``Way`` for the tile."""
    if not tile or max(height, width) <= tile:
        return memory.memory_needed(network, height, width, layers, grams, pictures)
    _, _, *outer = zip(*tiles(network, height, width, layers, tile), strict=True)
    rows, columns = (max(end - first for first, end in cuts) for cuts in outer)
    # Features that are compared position by position exist as a whole: of x, of p, and their gradient.
    whole = 0
    for name in set(layers) - set(grams):
        stride, channels = _reach(network, [name])[0], _channels(network, name)
        whole += 3 * 4 * channels * (height // stride) * (width // stride)
    one = memory.memory_needed(network, rows, columns, layers, (), pictures=0)
    return int(one + (whole + pictures * 4 * 3 * height * width) * 4 / 3)


class _Tiles(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, network, names, grams, way, masks):
        ctx.plan = network, names, grams, way, masks
        ctx.tiles = tiles(network, *image.shape[2:], names, way.tile)
        ctx.save_for_backward(image)
        wholes = {}
        for tile in ctx.tiles:
            for name, value, stride in _of_tile(tile, tile.cut(image), *ctx.plan):
                if name in grams:
                    wholes[name] = wholes[name] + value if name in wholes else value
                    continue
                if name not in wholes:
                    size = (side // stride for side in image.shape[2:])
                    wholes[name] = value.new_empty(*value.shape[:2], *size)
                tile.place(wholes[name], stride).copy_(value)
        return tuple(wholes[name] for name in names)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients):
        (image,), (_, names, grams, *_) = ctx.saved_tensors, ctx.plan
        gradients = dict(zip(names, gradients, strict=True))
        image_gradient = torch.zeros_like(image)
        for tile in ctx.tiles:
            with torch.enable_grad():
                part, product = tile.cut(image).detach().requires_grad_(), 0
                for name, value, stride in _of_tile(tile, part, *ctx.plan):
                    gradient = gradients[name]
                    gradient = gradient if name in grams else tile.place(gradient, stride)
                    product = product + (gradient * value).sum()
                tile.cut(image_gradient).add_(torch.autograd.grad(product, part)[0])
        return image_gradient, None, None, None, None, None


def _of_tile(tile, part, network, names, grams, way, masks) -> Iterator[tuple[str, torch.Tensor, int]]:
    """Yield (layer, its features or Gram matrices of the positions that count, stride)."""
    for name, F in seam.features(network, part, names, (), way):
        stride = _reach(network, [name])[0]
        F = tile.inner(F, stride)
        if name in grams:
            F = gram(F * tile.place(masks[name], stride).to(F.dtype) if name in masks else F)
        yield name, F, stride


def _reach(network: nn.Module, layers: Iterable[str]) -> tuple[int, int]:
    """Return how many pixels lie between two positions of the deepest layer, and how far one looks."""
    stride, field = 1, 0
    for name in names_until_deepest(network, layers):
        if isinstance(getattr(network, name), nn.Conv2d):
            field += stride  # 3×3: one position on each side; poolings look at what is theirs alone
        else:
            stride *= 2
    return stride, field


def _channels(network: nn.Module, layer: str) -> int:
    """Return N_l: that of the last convolution down to the layer."""
    parts = [getattr(network, name) for name in names_until_deepest(network, [layer])]
    return [part.out_channels for part in parts if isinstance(part, nn.Conv2d)][-1]
