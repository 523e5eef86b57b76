"""A painter: a small feed-forward network that is trained for one artwork, and then paints in one pass.

The loop changes the pixels of one picture. Training changes the weights of a network instead, so that one
pass through it makes both losses small, for photographs that it has not seen.

Source: Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution",
ECCV 2016; instance normalisation from Ulyanov, Vedaldi and Lempitsky, arXiv 1607.08022; enlarging before the
convolution from Odena, Dumoulin and Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import interpolate, pad, relu

from helpers.engine import Pace
from helpers.losses import content_loss, layer_style_loss, total_loss
from helpers.network import STYLE_LAYERS, positions
from helpers.objective import Objective, chosen_way

#: What is compared. conv5_1 is left out: of a crop of 96 px it has 6 × 6 positions, for 512 maps.
CONTENT_LAYER, LAYERS = "conv4_2", STYLE_LAYERS[:4]
#: α/β of the mean form, original network: at 128 × 96 px as much as 0.01 in the printed form.
ALPHA = 2000.0


def convolution(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a convolution with reflected borders, and instance normalisation behind it."""
    # A bias would be subtracted again with the mean of its map; the normalisation has its own.
    filters = nn.Conv2d(before, after, kernel, stride, kernel // 2, padding_mode="reflect", bias=False)
    return nn.Sequential(filters, nn.InstanceNorm2d(after, affine=True))


class Painter(nn.Module):
    """Photograph in, painting out, for one artwork; about 100,000 weights.

    What it computes, at a quarter of the photograph's size, is enlarged and added to the photograph, so that
    a short training suffices. The same filters serve every size: strokes keep their size in pixels.

    Args:
        maps: Numbers of feature maps at full, half and quarter size.
        blocks: Number of residual blocks at quarter size: two convolutions, added to what went in.
    """

    def __init__(self, maps: tuple[int, int, int] = (16, 32, 32), blocks: int = 4):
        super().__init__()
        full, half, quarter = maps
        self.reduce = nn.Sequential(
            convolution(3, full, kernel=9), nn.ReLU(),
            convolution(full, half, stride=2), nn.ReLU(),
            convolution(half, quarter, stride=2), nn.ReLU(),
        )  # fmt: skip
        self.blocks = nn.ModuleList(
            nn.Sequential(convolution(quarter, quarter), nn.ReLU(), convolution(quarter, quarter))
            for _ in range(blocks)
        )
        self.enlarge = nn.ModuleList([convolution(quarter, half), convolution(half, full)])
        self.paint = nn.Conv2d(full, 3, 9, padding=4, padding_mode="reflect")
        for w in self.paint.parameters():
            nn.init.zeros_(w)  # at first a painting is the photograph, paler

    def forward(self, p: torch.Tensor) -> torch.Tensor:
        """Return paintings of photographs, both (B, 3, H, W), RGB in [0, 1]; sides of at least 16 px."""
        height, width = p.shape[2:]
        h = pad(p - 0.5, (0, -width % 4, 0, -height % 4), mode="reflect")
        h = self.reduce(h)  # (B, 32, H / 4, W / 4)
        for block in self.blocks:
            h = h + block(h)
        for layer in self.enlarge:
            h = relu(layer(interpolate(h, scale_factor=2)))  # (B, 16, H, W) in the end
        return torch.sigmoid(2 * (p - 0.5) + self.paint(h)[..., :height, :width])


def load_painter(path: str | Path) -> Painter:
    """Return a trained painter, from a file of its weights in half precision."""
    painter = Painter()
    painter.load_state_dict(torch.load(path, weights_only=True))
    return painter.requires_grad_(False)


def random_crops(pictures, side: int, batch: int = 1, seed: int = 0) -> Iterator[torch.Tensor]:
    """Yield batches of crops for ever: of any picture, at any place and scale, mirrored half of the time.

    Args:
        pictures: (1, 3, H, W) each, sides of at least ``side``.
        side: Of the crops in pixels: (batch, 3, side, side) is yielded.
        batch: Number of crops in a batch.
        seed: Any whole number.
    """
    generator = torch.Generator().manual_seed(seed)

    def crop() -> torch.Tensor:
        chance = torch.rand(5, generator=generator).tolist()
        picture = pictures[int(chance[0] * len(pictures))]
        cut = side + int(chance[1] * (min(picture.shape[2:]) - side + 1))  # made smaller to side afterwards
        top, left = (int(c * (s - cut + 1)) for c, s in zip(chance[2:4], picture.shape[2:], strict=True))
        piece = picture[..., top : top + cut, left : left + cut]
        piece = interpolate(piece, (side, side), mode="bilinear", antialias=True)
        return piece.flip(3) if chance[4] < 0.5 else piece

    while True:
        yield torch.cat([crop() for _ in range(batch)])


def train(painter, network, a, crops, steps, alpha=ALPHA, rate=3e-3, begin=0, optimiser=None):
    """Change the painter's weights, step by step, until its paintings have a small loss.

    The loss is equation 7 in the form ``"mean"``, which does not depend on the size of a picture: what is
    learnt on crops then holds for whole pictures. It is the mean over the crops of a batch.

    Args:
        painter: Changed in place.
        network: A frozen ``VGG19``.
        a: Artwork, (1, 3, H_a, W_a), RGB in [0, 1].
        crops: Batches of photographs, (B, 3, S, S), one for each step.
        steps: Number of steps.
        alpha: Weight of the content loss; that of the style loss is 1.
        rate: Of Adam. Over the last 40 % of the steps it falls to 0.
        begin: Number of steps that were made before, of a training taken up again.
        optimiser: Of the training taken up again, by default a new one.

    Yields:
        The losses of a batch before its step: a dict of content, style and total.
    """
    way, _ = chosen_way(None, network, "auto")
    target = Objective(network, a=a, style_layers=LAYERS, form="mean", engine=way)
    # Squared gradients are forgotten after a hundred steps, not a thousand: those of the first are huge.
    optimiser = optimiser or torch.optim.Adam(painter.parameters(), betas=(0.9, 0.99))
    pace = Pace(network)  # computes with as many threads as other programs leave cores for
    for n, p in zip(range(begin, steps), crops, strict=False):
        optimiser.param_groups[0]["lr"] = rate * min(1, (steps - n) / (0.4 * steps))
        with pace, pace.evaluation(None, p):
            x, losses = painter(p), {"style": 0}
            with torch.no_grad():
                P = dict(target.features(p, [CONTENT_LAYER], []))[CONTENT_LAYER]
            for name, value in target.features(x, [*LAYERS, CONTENT_LAYER], LAYERS):
                if name == CONTENT_LAYER:
                    losses["content"] = content_loss(value.float(), P.float(), "mean").mean()  # equation 1
                else:
                    A, M_a = target.targets[name]
                    E = layer_style_loss(value, A, positions(name, x), M_a, "mean").mean()  # equation 4
                    losses["style"] = losses["style"] + target.style_weights[name] * E  # equation 5
            losses["total"] = total_loss(losses["content"], losses["style"], alpha, 1.0)  # equation 7
            optimiser.zero_grad()
            (losses["total"] / target.dark_loss).backward()
            nn.utils.clip_grad_norm_(painter.parameters(), 1.0)
            optimiser.step()
        yield {name: value.item() for name, value in losses.items()}
