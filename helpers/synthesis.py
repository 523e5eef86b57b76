"""The loop: start from a picture, measure the losses, change the pixels, repeat.

Content reconstruction, style reconstruction and style transfer are one loop
with one, the other or both losses. Only the picture x changes; the network is
frozen.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import torch
from tqdm.auto import tqdm

from helpers.convolution import choose_precision, fastest
from helpers.losses import (
    PRESETS,
    content_loss,
    equal_weights,
    gram_matrix,
    layer_style_loss,
    total_loss,
)
from helpers.memory import check_memory, freed_memory_kept, history_length, memory_needed
from helpers.network import LAYERS, STYLE_LAYERS, VGG19, check_layers, check_size, positions
from helpers.optimisers import Steps, adam, coarse_first, lbfgs
from helpers.quick import quick_evaluations

#: Standard deviation of the white noise that a run starts from: 5 of 255 grey levels. With 20, style
#: and transfer take a fifth to four fifths more evaluations to the same loss; content takes as many.
NOISE = 5 / 255

#: For so many evaluations L-BFGS moves coarse structures more than fine ones. Then the coarse ones are
#: in place, and the rest goes faster without: a content reconstruction takes a quarter less.
COARSE_EVALUATIONS = 60

#: A run in bfloat16 spends this share of its evaluations, the last ones, in float32.
FINISH_IN_FLOAT32 = 0.2

#: The gradient ratio is measured at every tenth evaluation: it costs a second backward pass.
RATIO_EVERY = 10

NOTHING = "neither p nor a is given: there is nothing to reconstruct"
INITS = ("noise", "content", "style")
OPTIMISERS = ("lbfgs", "adam")


@dataclass
class Synthesis:
    """A finished run: the picture and how it came about.

    Attributes:
        image: The best picture, (1, 3, H, W), RGB in [0, 1].
        history: Of every evaluation ``"total"``, ``"content"`` (equation 1), ``"style"``
            (equation 5) and each style layer's E_l, without α, β and w_l.
        gradient_ratios: (evaluation, α‖∇L_content‖ / β‖∇L_style‖ at the pixels), when both are on.
        frames: Evaluation to the best picture until then; 0 is the start.
        seconds: Time the run took.
        stopped: ``"finished"``, ``"converged"``, ``"interrupted"`` or ``"diverged"``.
        message: What happened, in words.
        settings: Every argument of the run that decides the picture.
    """

    image: torch.Tensor
    settings: dict
    history: dict[str, list[float]] = field(default_factory=dict)
    gradient_ratios: list[tuple[int, float]] = field(default_factory=list)
    frames: dict[int, torch.Tensor] = field(default_factory=dict)
    seconds: float = 0.0
    stopped: str = "finished"
    message: str = ""

    @property
    def evaluations(self) -> int:
        """How often the losses and their gradient were computed."""
        return len(self.history.get("total", ()))

    @property
    def best(self) -> int:
        """Index in the history of the evaluation that gave the picture."""
        totals = self.history["total"]
        return min(range(len(totals)), key=lambda i: totals[i] if totals[i] == totals[i] else float("inf"))

    @property
    def caption(self) -> str:
        """Which network and losses made the picture, for under a figure."""
        s = self.settings
        network = f"{s['weights']} VGG19{', normalised' if s['normalised'] else ''}"
        return f"{network}, {s['pooling']} pooling, {s['form']} losses"

    def __str__(self) -> str:
        """One line: evaluations, seconds, loss at the start and at the end."""
        totals = self.history["total"]
        first, last = totals[0], totals[self.best]
        share = f" ({last / first:.2%} of it)" if first > 0 else ""
        return (
            f"{self.evaluations} evaluations in {self.seconds:.0f} s: total loss "
            f"{first:.3g} → {last:.3g}{share}. {self.message}"
        ).strip()


class Objective:
    """The loss as a function of x: equation 7 with p, a and the network held fixed.

    Args:
        network: A frozen ``VGG19``.
        p: Photograph, (1, 3, H, W), RGB in [0, 1], or None for style alone.
        a: Artwork, (1, 3, H_a, W_a), RGB in [0, 1], or None for content alone.
        content_layer: Where content is compared.
        style_layers: Where style is compared, with w_l = 1/number of layers; or
            a dict from layer to w_l.
        form: ``"printed"`` or ``"mean"``.
        alpha: Weight of the content loss.
        beta: Weight of the style loss.

    Raises:
        ValueError: If both pictures are missing, or a layer, weight or size is not usable.
    """

    def __init__(
        self,
        network,
        p=None,
        a=None,
        content_layer="conv4_2",
        style_layers=STYLE_LAYERS,
        form="printed",
        alpha=PRESETS["printed"].alpha,
        beta=PRESETS["printed"].beta,
    ):
        """Compute the features of p and the Gram matrices of a, once."""
        if p is None and a is None:
            raise ValueError(NOTHING)
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {value!r}; it must be 0 or a positive number")
        self.network, self.form, self.alpha, self.beta = network, form, alpha, beta
        self.dtype, self.winograd = torch.float32, fastest(str(network.device)).winograd
        self.content_layer = check_layers(content_layer)[0] if p is not None else None
        self.style_weights = {}
        if a is not None:
            weights = style_layers if isinstance(style_layers, dict) else equal_weights(style_layers)
            self.style_weights = {name: weights[name] for name in check_layers(weights)}
        wanted = {self.content_layer, *self.style_weights} - {None}
        self.layers = check_layers(wanted)
        # Where style alone is compared, no features are needed, only their Gram matrix.
        self.grams = dict.fromkeys(wanted - {self.content_layer}, gram_matrix)
        with torch.no_grad():
            # Computed the same way as the features of x, so that p's distance to itself is exactly 0.
            if p is not None:
                features = self._stream(p.to(network.device), torch.float32)
                self.P = next(F for name, F in features if name == self.content_layer)
            if a is not None:
                a, styles = a.to(network.device), list(self.style_weights)
                grams = dict.fromkeys(styles, gram_matrix)
                targets = network.stream(a, styles, winograd=self.winograd, totals=grams)
                self.targets = {name: (A, positions(name, a)) for name, A in targets}
            self.dark_loss = self._of_dark_features()

    def __call__(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return every loss term of x, each a scalar: E_l by layer, content, style and total."""
        terms, content, style = {}, x.new_zeros(()), x.new_zeros(())
        # Layer by layer, so that back-propagation, which goes the other way, needs the gradients of
        # few layers at a time.
        for name, features in self._stream(x, self.dtype):
            if name == self.content_layer:
                content = content_loss(features, self.P, self.form)[0]
            if name in self.style_weights:
                G = features if name in self.grams else gram_matrix(features)
                A, M_a = self.targets[name]
                terms[name] = layer_style_loss(G, A, positions(name, x), M_a, self.form)[0]
                style = style + self.style_weights[name] * terms[name]  # equation 5
        terms["content"], terms["style"] = content, style
        terms["total"] = total_loss(content, style, self.alpha, self.beta)
        return terms

    def _stream(self, x, dtype):
        return self.network.stream(x, self.layers, dtype, self.winograd, self.grams)

    def _of_dark_features(self) -> float:
        """Return the total loss of features that are all 0, as a measure of what a small loss is."""
        content = style = 0.0
        if self.content_layer:
            content = content_loss(torch.zeros_like(self.P), self.P, self.form).item()
        for name, w in self.style_weights.items():
            A, M_a = self.targets[name]
            style += w * layer_style_loss(torch.zeros_like(A), A, M_a, form=self.form).item()
        return total_loss(content, style, self.alpha, self.beta)


@freed_memory_kept()
def synthesise(
    network: VGG19,
    p: torch.Tensor | None = None,
    a: torch.Tensor | None = None,
    *,
    content_layer: str = "conv4_2",
    style_layers: Iterable[str] | dict[str, float] = STYLE_LAYERS,
    form: str = "printed",
    alpha: float = PRESETS["printed"].alpha,
    beta: float = PRESETS["printed"].beta,
    init: str | torch.Tensor = "noise",
    size: tuple[int, int] | None = None,
    seed: int = 0,
    evaluations: int = 200,
    optimiser: str = "lbfgs",
    learning_rate: float = 0.02,
    precision: str = "auto",
    frames: Iterable[int] = (),
    progress: bool = True,
) -> Synthesis:
    """Change a picture x until its content is that of p and its style that of a.

    With p alone this is a content reconstruction, with a alone a style
    reconstruction. The run ends after the given number of evaluations, each one
    forward and one backward pass. Ctrl-C (in a notebook, the stop button) ends
    it early with the best picture so far; so does a loss that is NaN or diverges.

    Args:
        network: A ``VGG19``; it stays as it is.
        p: Photograph, (1, 3, H, W), RGB in [0, 1].
        a: Artwork, (1, 3, H_a, W_a), RGB in [0, 1]; any size.
        content_layer: Layer of the content loss.
        style_layers: Layers of the style loss, weighted equally, or a dict from layer to w_l.
        form: ``"printed"`` (equations 1 and 4) or ``"mean"``.
        alpha: Weight α of the content loss.
        beta: Weight β of the style loss.
        init: Where x starts: ``"noise"``, ``"content"`` (p), ``"style"`` (a, resized), or a
            (1, 3, H, W) picture.
        size: (H, W) of x when there is no p; by default that of a.
        seed: Seed of the white noise. Same seed and same machine: same picture.
        evaluations: How often to compute the losses and their gradient, at least 1.
        optimiser: ``"lbfgs"`` or ``"adam"``.
        learning_rate: Of Adam: about how far one step moves a pixel, in units of [0, 1].
        precision: Of the features: ``"float32"``; ``"bfloat16"``, with the last fifth of the
            evaluations in float32; or ``"auto"``, the second where it is much faster on this machine.
        frames: Evaluations after which to keep the best picture so far; 0 is the start.
        progress: Show a progress bar with loss and time left.

    Returns:
        A ``Synthesis``.

    Raises:
        ValueError: If an argument is out of range, before anything is computed.

    Source: equation 7 and Methods; L-BFGS as in the CVPR 2016 version, section 3.
    """
    _check_run(p, a, init, evaluations, optimiser, learning_rate)
    evaluations = quick_evaluations(evaluations)
    precision, message = choose_precision(precision, network.device)
    dtype = getattr(torch, precision)
    start = _start(p, a, init, size, seed).to(network.device)
    content = {content_layer} if p is not None else set()
    style = set(equal_weights(style_layers)) if a is not None else set()
    check_size(start, content | style)
    needs = partial(memory_needed, layers=content | style, pooling=network.pooling, totals=style - content)
    if warning := check_memory(*start.shape[2:], needs, network.device):
        tqdm.write(warning)
    objective = Objective(network, p, a, content_layer, style_layers, form, alpha, beta)
    objective.dtype = dtype
    settings = {
        "weights": network.weights,
        "weights_hash": network.weights_hash,
        "pooling": network.pooling,
        "normalised": network.normalised,
        "form": form,
        "alpha": alpha if p is not None else None,
        "beta": beta if a is not None else None,
        "content_layer": objective.content_layer,
        "style_weights": objective.style_weights,
        "init": init if isinstance(init, str) else "picture",
        "seed": seed,
        "height": start.shape[2],
        "width": start.shape[3],
        "evaluations": evaluations,
        "precision": precision,
        "optimiser": optimiser,
        "learning_rate": learning_rate if optimiser == "adam" else None,
    }
    run = _Run(objective, start, Synthesis(start, settings), set(frames), evaluations, progress)
    result = run.minimise(optimiser, learning_rate)
    result.message = f"{message} {result.message}".strip()
    return result


class _Finished(Exception):
    """Ends a run from inside an optimiser's step."""


class _MorePrecision(Exception):
    """Ends an optimiser's call because the rest of the run is to be in float32."""


class _Run:
    """One run's state: the best picture so far and everything that is recorded."""

    def __init__(self, objective, start, result, frames, evaluations, progress):
        self.objective, self.start, self.result = objective, start, result
        self.wanted_frames, self.evaluations = frames, evaluations
        self.best_loss, self.best_x = float("inf"), start.clone()
        self.scale = None
        self.bar = tqdm(total=evaluations, disable=not progress, leave=False, unit="evaluation")
        if 0 in frames:
            result.frames[0] = start.clamp(0, 1)

    def minimise(self, optimiser, learning_rate) -> Synthesis:
        result, began = self.result, time.perf_counter()
        try:
            if optimiser == "lbfgs":
                self._lbfgs()
            else:
                self._adam(learning_rate)
        except _Finished as reason:
            result.message = str(reason)
        except KeyboardInterrupt:
            result.stopped = "interrupted"
            result.message = "Interrupted; this is the best picture so far."
        finally:
            self.bar.close()
            result.seconds = time.perf_counter() - began
            result.image = self.best_x.clamp(0, 1)
        return result

    def _adam(self, learning_rate):
        try:
            adam(self.evaluate, self.start, learning_rate)
        except _MorePrecision:
            self._in_float32()
            adam(self.evaluate, self.best_x.clone(), learning_rate)

    def _in_float32(self):
        # The losses so far are not comparable with those to come.
        self.objective.dtype, self.best_loss = torch.float32, float("inf")

    def _lbfgs(self):
        # What is larger than twice what the deepest layer sees is nothing that it could ask for. A texture
        # from conv1_1 would get one bright middle instead of grain.
        deepest = self.objective.layers[-1]
        sees = {row.name: row.receptive_field for row in self.objective.network.describe()}
        # With a power of 1.5 the layers behind conv5_1 need fewer evaluations than with 1 in pictures of
        # 160 px and more; all other runs need more.
        deep = LAYERS.index(deepest) > LAYERS.index("conv5_1") and max(self.start.shape[2:]) >= 160
        power = 1.5 if deep else 1
        coarse = coarse_first(self.start.shape, self.start.device, 2 * sees[deepest], power)

        def precondition(v):
            return coarse(v) if self.result.evaluations < COARSE_EVALUATIONS else v

        steps = Steps(self.start, history_length(*self.start.shape[2:]))
        before = -1
        # It returns where no step lowers the loss, which a fresh start or more precision may change.
        while self.objective.dtype != torch.float32 or self.result.evaluations > before:
            try:
                before = self.result.evaluations + 2 * 21
                lbfgs(self.evaluate, self.best_x.clone(), precondition, steps)
            except _MorePrecision:
                pass
            if self.objective.dtype != torch.float32:
                self._in_float32()
                before = -1
        self.result.stopped = "converged"
        raise _Finished("Converged: no step lowers the loss any more.")

    def evaluate(self, x):
        """Return the loss and its gradient at x, for an optimiser."""
        late = self.result.evaluations >= (1 - FINISH_IN_FLOAT32) * self.evaluations
        if late and self.objective.dtype != torch.float32:
            raise _MorePrecision
        x = x.detach().requires_grad_()
        terms = self.objective(x)
        # One scale for the whole run: the loss starts at 1e6, so that no square of a small gradient
        # is lost in float32.
        self.scale = self.scale or 1e6 / max(terms["total"].item(), 1e-30)
        loss = terms["total"].item() * self.scale
        self.backward(terms, x, self.scale)
        self.record(x, terms)
        return loss, x.grad

    def backward(self, terms, x, scale):
        """Back-propagate scale · total to the pixels x and beyond; sometimes measure its two parts."""
        o = self.objective
        both = o.content_layer and o.style_weights
        if not both or self.result.evaluations % RATIO_EVERY:
            (terms["total"] * scale).backward()
            return
        (content,) = torch.autograd.grad(o.alpha * scale * terms["content"], x, retain_graph=True)
        (style,) = torch.autograd.grad(o.beta * scale * terms["style"], x)
        x.grad = content + style
        ratio = (content.norm() / style.norm()).item() if style.any() else float("inf")
        self.result.gradient_ratios.append((self.result.evaluations + 1, ratio))

    def record(self, x, terms):
        """Note the losses of x, keep it if it is the best, and end the run when it is over."""
        for name, value in terms.items():
            self.result.history.setdefault(name, []).append(value.item())
        totals, n = self.result.history["total"], self.result.evaluations
        loss = totals[-1]
        if loss < self.best_loss:
            self.best_loss = loss
            self.best_x.copy_(x.detach())
        if n in self.wanted_frames:
            self.result.frames[n] = self.best_x.clamp(0, 1)
        self.bar.update()
        self.bar.set_postfix(loss=f"{loss:.3g}", refresh=False)
        if loss <= 1e-10 * self.objective.dark_loss:  # features agree to the last digits of float32
            self.result.stopped = "converged"
            raise _Finished(f"Converged at evaluation {n}: the loss is as good as 0.")
        if not loss < float("inf"):
            self.result.stopped = "diverged"
            raise _Finished(f"The loss became {loss} at evaluation {n}; this is the best picture before it.")
        if n > 20 and min(totals[-20:]) > 10 * totals[0]:
            self.result.stopped = "diverged"
            raise _Finished(
                f"The loss has been over 10 times its first value for 20 evaluations (until {n}); "
                "this is the best picture before it. A smaller learning rate may help."
            )
        if n >= self.evaluations:
            raise _Finished


def white_noise(height: int, width: int, seed: int = 0, deviation: float = NOISE) -> torch.Tensor:
    """Return Gaussian white noise around the mean colour of ImageNet.

    Args:
        height: In pixels.
        width: In pixels.
        seed: Any whole number.
        deviation: Standard deviation; by default 5 of 255 grey levels.

    Returns:
        (1, 3, H, W), RGB, nearly all of it in [0, 1].
    """
    generator = torch.Generator().manual_seed(seed)
    mean = torch.tensor([0.485, 0.458, 0.408]).view(1, 3, 1, 1)
    return mean + deviation * torch.randn(1, 3, height, width, generator=generator)


def _start(p, a, init, size, seed) -> torch.Tensor:
    if isinstance(init, torch.Tensor):
        return init.detach().clone()
    height, width = p.shape[2:] if p is not None else size or a.shape[2:]
    if init == "noise":
        return white_noise(height, width, seed)
    source = p if init == "content" else a
    if source.shape[2:] == (height, width):
        return source.clone()
    return torch.nn.functional.interpolate(
        source, size=(height, width), mode="bilinear", antialias=True, align_corners=False
    )


def _check_run(p, a, init, evaluations, optimiser, learning_rate):
    if p is None and a is None:
        raise ValueError(NOTHING)
    if not isinstance(evaluations, int) or evaluations < 1:
        raise ValueError(f"evaluations is {evaluations!r}; it must be a whole number of at least 1")
    if optimiser not in OPTIMISERS:
        raise ValueError(f"unknown optimiser {optimiser!r}; choose from {OPTIMISERS}")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate is {learning_rate!r}; it must be positive")
    if isinstance(init, torch.Tensor):
        if p is not None and init.shape != p.shape:
            raise ValueError(f"init has shape {tuple(init.shape)}, p {tuple(p.shape)}; they must agree")
    elif init not in INITS:
        raise ValueError(f"unknown init {init!r}; choose from {INITS} or give a picture")
    elif (init == "content" and p is None) or (init == "style" and a is None):
        raise ValueError(f"init={init!r} needs that picture, and it is not given")
