"""The total loss as a function of the picture x alone: p, a, the weights and the network held fixed."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf

import torch
from tqdm.auto import tqdm

from helpers.controls import Style, as_styles, mask_at
from helpers.engine import Way, check_memory, choose, features, memory_needed
from helpers.losses import (
    PRESETS,
    check_form,
    content_loss,
    equal_weights,
    gram_matrix,
    layer_style_loss,
    total_loss,
    total_variation,
)
from helpers.network import LAYERS, STYLE_LAYERS, VGG19, check_layers, check_size, positions
from helpers.optimisers import coarse_first, history_length

#: What computes features: ``"fast"``, the engine; or ``"plain"``, the network's own ``forward`` and
#: autograd, with the same numbers up to rounding, slower and in more memory.
ENGINES = ("fast", "plain")
ENGINE = os.environ.get("NST_ENGINE") or "fast"


class Objective:
    """The loss of x: equation 7 with p, a and the network held fixed.

    Args:
        network: A frozen ``VGG19``.
        p: Photograph, (1, 3, H, W), RGB in [0, 1], or None for style alone.
        a: Artwork, (1, 3, H_a, W_a), RGB in [0, 1], or None for content alone; or one or several
            ``Style``, whose weights are divided by their sum.
        content_layer: Where content is compared.
        style_layers: Where style is compared, with w_l = 1/number of layers; or
            a dict from layer to w_l.
        form: ``"printed"`` or ``"mean"``.
        alpha: Weight of the content loss.
        beta: Weight of the style loss.
        tau: Weight of the total variation of x, against grain; the paper has none.
        engine: ``"fast"`` or ``"plain"``, by default the environment variable NST_ENGINE or ``"fast"``;
            or how exactly the first is to compute.

    Raises:
        ValueError: If both pictures are missing, or a layer, weight or size is not usable.
    """

    def __init__(
        self,
        network: VGG19,
        p: torch.Tensor | None = None,
        a: torch.Tensor | Style | Iterable[Style] | None = None,
        content_layer: str = "conv4_2",
        style_layers: Iterable[str] | dict[str, float] = STYLE_LAYERS,
        form: str = "printed",
        alpha: float = PRESETS["printed"].alpha,
        beta: float = PRESETS["printed"].beta,
        tau: float = 0.0,
        engine: str | Way | None = None,
    ):
        """Compute the features of p and the Gram matrices of a, once."""
        self.content_layer, self.style_weights = compared_layers(
            p, as_styles(a) or None, content_layer, style_layers
        )
        _check_balance(alpha, beta, tau, self.content_layer, self.style_weights)
        check_form(form)
        self.network, self.form, self.alpha, self.beta, self.tau = network, form, alpha, beta, tau
        self.layers = check_layers({self.content_layer, *self.style_weights} - {None})
        #: Layers of which no features are needed, only their Gram matrix.
        self.grams = tuple(name for name in self.layers if name != self.content_layer)
        way = engine if isinstance(engine, Way) else chosen_way(engine, network)[0]
        self.way = way and way.in_float32()
        self.styles = as_styles(a)
        weights = torch.tensor([style.weight for style in self.styles])
        self.shares = (weights / weights.sum()).to(network.device)  # (K,), one for each artwork
        with torch.no_grad():
            if p is not None:
                check_size(p, self.content_layer)
                # Computed the same way as the features of x, so that the content loss of p is exactly 0.
                P = self.features(p.to(network.device))
                self.P = next(F for name, F in P if name == self.content_layer)
            of_each = [self._target(style) for style in self.styles]
        #: Layer to (A, M_a) of the artwork; of K artworks, (K, N, N) and (K, 1, 1).
        self.targets = of_each[0] if len(of_each) == 1 else _together(of_each)
        self.way, self.dark_loss = way, self._of_dark_features()

    def __call__(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return every loss term of x, each a scalar: E_l by layer, content, style and total."""
        terms, content, style = {}, x.new_zeros(()), x.new_zeros(())
        masks = self._masks(x, [style.where for style in self.styles])
        # Layer by layer, so that back-propagation, which goes the other way, needs the gradients of
        # few layers at a time.
        for name, value in self.features(x, masks=masks):
            if name == self.content_layer:
                content = content_loss(value, self.P, self.form)[0]  # equation 1
            if name in self.style_weights:
                G = value if name in self.grams else _gram(value, masks.get(name))  # equation 3
                A, M_a = self.targets[name]
                E = layer_style_loss(G, A, _counted(name, x, masks), M_a, self.form)  # equation 4
                terms[name] = (self.shares * E).sum()  # one artwork: its share is 1
                style = style + self.style_weights[name] * terms[name]  # equation 5
        total = total_loss(content, style, self.alpha, self.beta)  # equation 7
        terms |= {"content": content, "style": style}
        if self.tau:
            terms["variation"] = total_variation(x)
            total = total + self.tau * terms["variation"]
        return terms | {"total": total}

    def gradient(self, x, terms, scale: float = 1.0, parts: bool = False):
        """Back-propagate scale · total to the pixels and return its gradient there.

        Args:
            x: The picture, which asks for a gradient.
            terms: What the objective returned for it.
            scale: Factor of the gradient.
            parts: Whether to compute the two parts of the gradient one by one, if there are two.

        Returns:
            The gradient, (1, 3, H, W), and α‖∇L_content‖ / β‖∇L_style‖ if the parts were computed, else None.
        """
        if not (parts and self.content_layer and self.style_weights):
            return torch.autograd.grad(scale * terms["total"], x)[0], None
        (content,) = torch.autograd.grad(self.alpha * scale * terms["content"], x, retain_graph=True)
        (style,) = torch.autograd.grad(self.beta * scale * terms["style"], x)
        other = torch.autograd.grad(self.tau * scale * terms["variation"], x)[0] if self.tau else 0
        return content + style + other, (content.norm() / style.norm()).item() if style.any() else inf

    def coarse_first(self, x: torch.Tensor):
        """Return the first guess of the inverse Hessian for a picture like x: coarse structures first."""
        # What is larger than twice what the deepest layer sees is nothing that it could ask for. A texture
        # from conv1_1 would get one bright middle instead of grain.
        deepest = self.layers[-1]
        sees = {row.name: row.receptive_field for row in self.network.describe()}
        # With a power of 1.5 the layers behind conv5_1 need fewer evaluations than with 1 in pictures of
        # 160 px and more; all other runs need more.
        power = 1.5 if LAYERS.index(deepest) > LAYERS.index("conv5_1") and max(x.shape[2:]) >= 160 else 1
        return coarse_first(x.shape, x.device, 2 * sees[deepest], power)

    def features(
        self, image: torch.Tensor, layers=None, grams=None, masks=None
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield (layer, features), or (layer, Gram matrix) of the layers in ``grams``, in order."""
        layers, grams = layers or self.layers, self.grams if grams is None else grams
        masks = {name: T for name, T in (masks or {}).items() if name in grams}
        if self.way is None:
            for name, F in self.network(image, layers).items():
                yield name, _gram(F, masks.get(name)) if name in grams else F
        else:
            yield from features(self.network, image, layers, grams, self.way, masks)

    def _target(self, style: Style) -> dict[str, tuple[torch.Tensor, int | torch.Tensor]]:
        """Return layer to (A, M_a) of one artwork."""
        a, wanted = style.a.to(self.network.device), tuple(self.style_weights)
        check_size(a, wanted)
        masks = self._masks(a, [style.of])
        return {name: (A, _counted(name, a, masks)) for name, A in self.features(a, wanted, wanted, masks)}

    def _masks(self, image: torch.Tensor, masks: list[torch.Tensor | None]) -> dict[str, torch.Tensor]:
        """Return layer to the masks of a picture there, (K, 1, H_l, W_l); nothing if there is no mask."""
        if all(mask is None for mask in masks):
            return {}
        size, device = image.shape[2:], image.device
        return {
            name: torch.cat([mask_at(name, mask, *size) for mask in masks]).to(device)
            for name in self.style_weights
        }

    def _of_dark_features(self) -> float:
        """Return the total loss of features that are all 0, as a measure of what a small loss is."""
        content = style = 0.0
        if self.content_layer:
            content = content_loss(torch.zeros_like(self.P), self.P, self.form).item()
        for name, w in self.style_weights.items():
            A, M_a = self.targets[name]
            E = layer_style_loss(torch.zeros_like(A), A, M_a, form=self.form)
            style += w * (self.shares * E).sum().item()
        return total_loss(content, style, self.alpha, self.beta)


def chosen_way(
    engine: str | None, network: VGG19, precision: str = "float32", tile: int | None = None
) -> tuple[Way | None, str]:
    """Return how an engine computes on the network's device, None for the plain one; and a note on it.

    Raises:
        ValueError: If the engine or the precision is unknown, or the plain one is to compute in parts.
    """
    engine = engine or ENGINE
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; choose from {ENGINES}")
    if engine == "fast":
        way, note = choose(precision, network)
        return replace(way, tile=tile), note
    if tile is not None:
        raise ValueError("a tile needs the engine 'fast'; 'plain' computes the whole picture at once")
    if precision not in ("auto", "float32"):
        raise ValueError(f"precision {precision!r} needs the engine 'fast'; 'plain' computes in float32")
    return None, ""


def warn_of_memory(network: VGG19, x: torch.Tensor, content_layer, style_weights, tile=None) -> None:
    """Say so if a run may not fit in memory.

    Raises:
        ValueError: If it cannot fit, or the picture is too small for a layer.
    """
    grams = set(style_weights) - {content_layer}
    layers = {content_layer, *style_weights} - {None}
    check_size(x, layers)

    def needs(height, width):
        pictures = 2 * history_length(height, width) + 12
        return memory_needed(network, height, width, layers, grams, pictures, tile)

    if warning := check_memory(*x.shape[2:], needs, network.device):
        tqdm.write(warning)


def compared_layers(p, a, content_layer, style_layers) -> tuple[str | None, dict[str, float]]:
    """Return the content layer, or None without p, and layer to w_l, or nothing without a.

    Raises:
        ValueError: If there is neither p nor a, or a layer or weight is not usable.
    """
    if p is None and a is None:
        raise ValueError("neither p nor a is given: there is nothing to reconstruct")
    weights = {}
    if a is not None:
        weights = style_layers if isinstance(style_layers, dict) else equal_weights(style_layers)
        weights = {name: weights[name] for name in check_layers(weights)}
    for name, w in weights.items():
        if not 0 <= w < float("inf"):
            raise ValueError(f"the weight of {name} is {w!r}; it must be 0 or a positive number")
    return check_layers(content_layer)[0] if p is not None else None, weights


def _gram(F: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return the Gram matrix of features, or (K, N, N) of those behind each of K masks, (K, 1, H_l, W_l)."""
    return gram_matrix(F if mask is None else F * mask)


def _counted(name: str, image: torch.Tensor, masks: dict[str, torch.Tensor]) -> int | torch.Tensor:
    """Return M_l, or with masks T the K sums of T² over positions, (K, 1, 1)."""
    return masks[name].square().sum((1, 2, 3)).view(-1, 1, 1) if masks else positions(name, image)


def _together(of_each: list[dict]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return layer to (A, M_a) of all artworks together, (K, N, N) and (K, 1, 1)."""
    together = {}
    for name in of_each[0] if of_each else ():
        grams, counts = zip(*(one[name] for one in of_each), strict=True)
        counts = [torch.as_tensor(count, dtype=torch.float32).view(1, 1, 1) for count in counts]
        together[name] = torch.cat(grams), torch.cat(counts).to(grams[0].device)
    return together


def _check_balance(alpha, beta, tau, content_layer, style_weights) -> None:
    for name, value in (("alpha", alpha), ("beta", beta), ("tau", tau)):
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name} is {value!r}; it must be 0 or a positive number")
    if not (content_layer and alpha) and not (beta and any(style_weights.values())):
        raise ValueError(
            f"nothing would count: alpha is {alpha!r}, beta {beta!r}, the style weights are {style_weights}; "
            "the weight of a picture that is given must be positive"
        )
