"""What people ask for beside the paper: colours kept, several artworks, and masks that say where.

Everything is off by default, and works on the pictures around a run or on what the style loss compares;
the run itself stays the paper's. Pictures are (1, 3, H, W), RGB in [0, 1]; masks are (1, 1, H, W), 1 is in.

Source: Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer", CVPR 2017, sections 4 and 5.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.nn.functional import avg_pool2d, interpolate

from helpers.images import LUMINANCE
from helpers.network import smallest_side

#: Ways to treat colours: ``"keep"``, those of p (luminance transfer); ``"match"``, a in the colours of p.
COLOURS = ("keep", "match")


@dataclass(frozen=True, eq=False)
class Style:
    """An artwork, how much it counts, and where.

    Attributes:
        a: Artwork, (1, 3, H_a, W_a).
        weight: Its share, beside those of other artworks; positive.
        where: Mask on x, of any size: where x takes this style. None is everywhere.
        of: Mask on a, of any size: the part of a that the style is read from. None is all of it.

    Raises:
        ValueError: If the weight is not positive, or a mask is none, or has nothing in it.
    """

    a: torch.Tensor
    weight: float = 1.0
    where: torch.Tensor | None = None
    of: torch.Tensor | None = None

    def __post_init__(self):
        """Check what can be checked without x."""
        if not 0 < self.weight < math.inf:
            raise ValueError(f"the weight of an artwork is {self.weight!r}; it must be a positive number")
        for mask in (self.where, self.of):
            if mask is not None:
                _check_mask(mask)


def as_styles(a: torch.Tensor | Style | Iterable[Style] | None) -> tuple[Style, ...]:
    """Return an artwork, or one or several styles, or None, as a tuple of styles.

    Raises:
        ValueError: If an entry is neither a picture nor a style.
    """
    if a is None:
        return ()
    if isinstance(a, torch.Tensor | Style):
        a = (a,)
    styles = tuple(Style(one) if isinstance(one, torch.Tensor) else one for one in a)
    for style in styles:
        if not isinstance(style, Style):
            raise ValueError(f"an artwork is {style!r}; it must be a picture or a Style")
    return styles


def pictures_of(styles: tuple[Style, ...]) -> dict[str, torch.Tensor]:
    """Return every artwork and mask by its name: a, where and of; of several styles with their numbers."""
    pictures = {}
    for number, style in enumerate(styles, 1):
        end = f" {number}" if len(styles) > 1 else ""
        named = {"a": style.a, "where": style.where, "of": style.of}
        pictures |= {f"{name}{end}": picture for name, picture in named.items() if picture is not None}
    return pictures


def mask_at(layer: str, mask: torch.Tensor | None, height: int, width: int) -> torch.Tensor:
    """Return a mask for a layer's positions: how much of what each position stands for is in.

    It shrinks by average pooling, as the picture does on its way to the layer.

    Args:
        layer: Its name.
        mask: (1, 1, H_m, W_m) of any size, or None for a mask of ones.
        height: Of the picture in pixels.
        width: Of the picture in pixels.

    Returns:
        (1, 1, H_l, W_l), in [0, 1].

    Raises:
        ValueError: If nothing of it is left at this layer.
    """
    mask = torch.ones(1, 1, height, width) if mask is None else mask.float()
    if mask.shape[2:] != (height, width):
        mask = interpolate(mask, size=(height, width), mode="bilinear", antialias=True)
    mask = avg_pool2d(mask, smallest_side(layer)).clamp(0, 1)
    if not mask.any():
        raise ValueError(f"a mask is empty at {layer}: nothing of it is left; it must be larger there")
    return mask


def grey(image: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
    """Return a picture without its colours: its luminance, three times.

    Args:
        image: (1, 3, H, W).
        like: A picture whose luminance decides the mean and the standard deviation, or None to keep them.

    Returns:
        (1, 3, H, W), R = G = B; in [0, 1].
    """
    y = _luminance(image)
    if like is not None:
        wanted = _luminance(like)
        y = (y - y.mean()) / y.std().clamp(min=1e-6) * wanted.std() + wanted.mean()
    return y.clamp(0, 1).expand(-1, 3, -1, -1).clone()


def with_colours_of(x: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """Return a picture with the luminance of x and the colours of p: Y of the one, I and Q of the other.

    Where a colour so bright or so dark does not exist, it is made paler until it does; the luminance stays.

    Args:
        x: (1, 3, H, W).
        p: The same size.

    Returns:
        (1, 3, H, W), in [0, 1].

    Source: Gatys et al., "Preserving Color in Neural Artistic Style Transfer", 2016: luminance-only transfer.
    """
    y, colour = _luminance(x.clamp(0, 1)), p.to(x) - _luminance(p.to(x))
    # y + t · colour has luminance y for every t; t is the largest up to 1 that leaves each channel in [0, 1].
    room = torch.where(colour > 0, 1 - y, y) / colour.abs().clamp(min=1e-12)
    return (y + room.amin(1, keepdim=True).clamp(max=1) * colour).clamp(0, 1)


def in_colours_of(a: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """Return a with each pixel's colour moved so that mean and covariance of the colours are those of p.

    Args:
        a: (1, 3, H_a, W_a).
        p: (1, 3, H, W).

    Returns:
        The size of a; clipped to [0, 1].

    Source: as above, colour histogram matching, linear, with the symmetric roots of the covariances.
    """
    colours, wanted = a.flatten(2)[0].double(), p.flatten(2)[0].double()  # (3, M_a), (3, M)
    means = [values.mean(1, keepdim=True) for values in (colours, wanted)]
    there, here = (_root(torch.cov(values), power) for values, power in ((colours, -0.5), (wanted, 0.5)))
    moved = here @ there @ (colours - means[0]) + means[1]
    return moved.float().view_as(a).clamp(0, 1)


def _root(covariance: torch.Tensor, power: float) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.clamp(min=1e-8) ** power) @ vectors.mT


def _luminance(image: torch.Tensor) -> torch.Tensor:
    return torch.einsum("j,bjhw->bhw", image.new_tensor(LUMINANCE), image)[:, None]  # (1, 1, H, W)


def _check_mask(mask: torch.Tensor) -> None:
    if mask.ndim != 4 or mask.shape[:2] != (1, 1) or not torch.isfinite(mask).all():
        raise ValueError(f"a mask has shape {tuple(mask.shape)}; it must be (1, 1, H, W), without NaN")
    if mask.min() < 0 or mask.max() > 1:
        raise ValueError(f"a mask goes from {mask.min():g} to {mask.max():g}; it must stay in [0, 1]")
    if not mask.any():
        raise ValueError("a mask is 0 everywhere: nothing would be in it")
