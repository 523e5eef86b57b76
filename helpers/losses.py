"""Content loss, Gram matrix, style loss and total loss: equations 1 to 7 of the paper.

Letters as in the paper: F and P are the features of the generated image x
and of the photograph p at a layer, G and A the Gram matrices of x and of the
artwork a, N the number of feature maps and M the number of positions. All
functions are pure and keep the batch: a loss has shape (B,), one number a picture.

Every loss comes in two forms. ``"printed"`` is the paper's equation.
``"mean"`` is the mean squared error of F and of G / M, which the authors used
later; it differs from the printed form by a constant that depends on N and M.
"""

from dataclasses import dataclass

import torch

from helpers.network import STYLE_LAYERS, check_layers

FORMS = ("printed", "mean")


@dataclass(frozen=True)
class Preset:
    """A network and a form of the losses that belong together, with the usual weights.

    α/β has no meaning without the other two: at α/β = 1e-3 the mean form on
    the original network all but loses the content, and the printed form on the
    normalised network all but loses the style.
    """

    name: str
    normalised: bool
    form: str
    alpha: float
    beta: float


# α/β of "printed" is the paper's. The CVPR version has 1e-3 to 5e-3 for its network and form; at
# 256 px and 100 evaluations from noise that leaves no content to be seen, and 0.1 does.
PRESETS = {
    "printed": Preset("printed", normalised=False, form="printed", alpha=1e-3, beta=1.0),
    "normalised": Preset("normalised", normalised=True, form="mean", alpha=0.1, beta=1.0),
}


def equal_weights(layers=STYLE_LAYERS) -> dict[str, float]:
    """Return the paper's style weights: w_l = 1 / number of layers in use.

    Raises:
        ValueError: If no layer is given, one is given twice or one is unknown.
    """
    layers = check_layers(layers)
    return dict.fromkeys(layers, 1 / len(layers))


def content_loss(F: torch.Tensor, P: torch.Tensor, form: str = "printed") -> torch.Tensor:
    """Half the sum of squared differences between the features of two pictures (equation 1).

    Args:
        F: Features of x, (B, N, ...).
        P: Features of p, (B, N, ...) or (1, N, ...), of the same size.
        form: ``"printed"``: ½ Σ (F - P)²; ``"mean"``: the mean of (F - P)².

    Returns:
        (B,).

    Raises:
        ValueError: If the sizes differ or the form is unknown.
    """
    check_form(form)
    if F.shape[1:] != P.shape[1:]:
        raise ValueError(
            f"features of x are {tuple(F.shape[1:])} and of p {tuple(P.shape[1:])}: "
            "a content loss compares position by position, so both pictures need one size"
        )
    squares = ((F - P) ** 2).flatten(1)  # (B, N·M)
    return squares.sum(1) / 2 if form == "printed" else squares.mean(1)


def gram_matrix(F: torch.Tensor) -> torch.Tensor:
    """Sum of products of every two feature maps over all positions (equation 3).

    Computed in float32 even for float16 and bfloat16 features and under autocast: sums of
    products of activations of VGG19 pass 65,504, float16's largest number. float64 stays float64.

    Args:
        F: (B, N, H, W) or (B, N, M).

    Returns:
        (B, N, N), symmetric, not divided by anything.
    """
    F = F.flatten(2)  # (B, N, M)
    if F.dtype in (torch.float16, torch.bfloat16):
        F = F.float()
    with torch.autocast(F.device.type, enabled=False):
        return F @ F.mT  # (B, N, M) @ (B, M, N) -> (B, N, N)


def layer_style_loss(
    G: torch.Tensor,
    A: torch.Tensor,
    M: int | torch.Tensor,
    M_a: int | torch.Tensor | None = None,
    form: str = "printed",
) -> torch.Tensor:
    """Squared differences between two Gram matrices of one layer, E_l (equation 4).

    Each Gram matrix is divided by its own number of positions, so that the two pictures may
    differ in size; with one size this is the printed equation. Behind a mask T a position counts T²:
    then M and M_a are (B, 1, 1), the sums of the squares.

    Args:
        G: Gram matrix of x, (B, N, N).
        A: Gram matrix of a, (B, N, N) or (1, N, N); or (B, N, N) for one G, (1, N, N).
        M: Number of positions of x at this layer.
        M_a: Number of positions of a; by default M.
        form: ``"printed"``: 1/(4 N²) Σ (G/M - A/M_a)²; ``"mean"``: the mean of (G/M - A/M_a)².

    Returns:
        (B,).

    Raises:
        ValueError: If the Gram matrices are of different layers or the form is unknown.
    """
    check_form(form)
    if G.shape[-2:] != A.shape[-2:]:
        raise ValueError(
            f"Gram matrices of {G.shape[-1]} and {A.shape[-1]} feature maps cannot be compared; "
            "both must come from one layer"
        )
    N = G.shape[-1]
    squares = ((G / M - A / (M if M_a is None else M_a)) ** 2).sum((-2, -1))  # (B,)
    return squares / (4 * N**2) if form == "printed" else squares / N**2


def style_loss(
    features: dict[str, torch.Tensor],
    targets: dict[str, tuple[torch.Tensor, int]],
    weights: dict[str, float],
    form: str = "printed",
) -> torch.Tensor:
    """Weighted sum of the layers' style losses (equation 5).

    Args:
        features: Layer name to features of x, (B, N_l, H_l, W_l); other layers may be present.
        targets: Layer name to (A^l of shape (1, N_l, N_l), M_a) of the artwork.
        weights: Layer name to w_l.
        form: As in ``layer_style_loss``.

    Returns:
        (B,).

    Raises:
        ValueError: If a weighted layer is missing from the features or the targets.
    """
    for name in weights:
        if name not in features or name not in targets:
            raise ValueError(f"layer {name!r} has a weight but no features; computed: {list(features)}")
    total = 0
    for name, w in weights.items():
        F, (A, M_a) = features[name], targets[name]
        total = total + w * layer_style_loss(gram_matrix(F), A, F.shape[2:].numel(), M_a, form)
    return total


def total_loss(content, style, alpha: float, beta: float):
    """Return α · content + β · style (equation 7)."""
    return alpha * content + beta * style


def total_variation(x: torch.Tensor) -> torch.Tensor:
    """Return the sum of squared differences of neighbours, to the right and below; autograd goes through it.

    Source: Mahendran and Vedaldi, "Understanding Deep Image Representations by Inverting Them", CVPR 2015,
    section 3.2, with their exponent β = 2.
    """
    return x.diff(dim=2).square().sum() + x.diff(dim=3).square().sum()


def content_gradient(F: torch.Tensor, P: torch.Tensor, before_relu: bool = True) -> torch.Tensor:
    """Gradient of the printed content loss of one layer, derived by hand (equation 2).

    Args:
        F: Rectified features of x, (B, N, ...).
        P: Rectified features of p, the same shape.
        before_relu: With respect to the layer's values *before* the ReLU, as printed: 0 where
            F is 0. Otherwise with respect to the rectified features: F - P everywhere.

    Returns:
        The shape of F.
    """
    gradient = F - P
    return gradient * (F > 0) if before_relu else gradient


def style_gradient(
    F: torch.Tensor, A: torch.Tensor, M_a: int | None = None, before_relu: bool = True
) -> torch.Tensor:
    """Gradient of the printed style loss E_l of one layer, derived by hand (equation 6).

    Args:
        F: Rectified features of x, (B, N, ...).
        A: Gram matrix of a, (B, N, N) or (1, N, N).
        M_a: Number of positions of a; by default that of x.
        before_relu: As in ``content_gradient``.

    Returns:
        The shape of F.
    """
    flat = F.flatten(2)  # (B, N, M)
    N, M = flat.shape[1:]
    difference = gram_matrix(F) - A * (M / (M_a or M))  # (B, N, N), symmetric
    gradient = (difference @ flat / (N**2 * M**2)).view_as(F)  # (B, N, N) @ (B, N, M)
    return gradient * (F > 0) if before_relu else gradient


#: Forms of the style loss of one layer in use elsewhere, for ``style_loss_constant``.
GRAM_FORMS = ("printed", "mean of G/M", "mean of G/(N·M)", "mean of G/(B·N·M)")


def style_loss_constant(gram_form: str, N: int) -> float:
    """Return c with: loss in another project's form = c · E_l, for one picture.

    * ``"printed"``: 1/(4 N² M²) Σ (G - A)², equation 4.
    * ``"mean of G/M"``: mean squared error of G/M, the authors' later code.
    * ``"mean of G/(N·M)"``: mean squared error of G/(N·M).
    * ``"mean of G/(B·N·M)"``: the PyTorch tutorial's, which folds the batch into the channels; for
      one picture it is the form above, for a batch it mixes the pictures and no constant exists.

    Args:
        gram_form: One of the four.
        N: Number of feature maps of the layer.

    Raises:
        ValueError: If the form is unknown.
    """
    constants = {"printed": 1.0, "mean of G/M": 4.0}
    constants["mean of G/(N·M)"] = constants["mean of G/(B·N·M)"] = 4 / N**2
    if gram_form not in constants:
        raise ValueError(f"unknown Gram form {gram_form!r}; choose from {GRAM_FORMS}")
    return constants[gram_form]


def check_form(form: str) -> None:
    """Refuse a form of the losses that there is not.

    Raises:
        ValueError: Says which there are.
    """
    if form not in FORMS:
        raise ValueError(f"unknown form {form!r}; choose from {FORMS}")
