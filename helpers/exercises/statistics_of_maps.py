"""The exercises of notebook 6 on statistics of feature maps: maximum mean discrepancy, and what G counts."""

from helpers.exercises.functions import Case, FunctionCheck, Mistake, random
from helpers.exercises.numbers import GuessCheck
from helpers.images import load_image, white_noise
from helpers.losses import gram_matrix
from helpers.network import VGG19


def _linear(F, G):
    return F.mT @ G  # (M, N) @ (N, M') -> (M, M')


def _quadratic(F, G):
    return (F.mT @ G) ** 2


def _gaussian(F, G):
    return (-((F[:, :, None] - G[:, None, :]) ** 2).sum(0) / 2).exp()


def _kernel_cases() -> list[Case]:
    F, A = random(3, 5), random(3, 4, seed=1) + 0.5
    return [
        Case("the quadratic kernel, 5 and 4 positions", (F, A, _quadratic), {"M": 5, "M_a": 4, "N": 3}),
        Case(
            "the linear kernel",
            (random(2, 6, seed=2), random(2, 3, seed=3), _linear),
            {"M": 6, "M_a": 3, "N": 2},
        ),
        Case("a Gaussian kernel", (F, A, _gaussian), {"M": 5, "M_a": 4, "N": 3}),
        Case("two pictures of one size", (F, random(3, 5, seed=4), _quadratic), {"M": 5, "M_a": 5, "N": 3}),
    ]


def _mmd(F, A, kernel):
    return kernel(F, F).mean() + kernel(A, A).mean() - 2 * kernel(F, A).mean()


def _without_the_diagonal(F, A, kernel):
    def others(K):
        return (K.sum() - K.diagonal().sum()) / (K.numel() - len(K))

    return others(kernel(F, F)) + others(kernel(A, A)) - 2 * kernel(F, A).mean()


MMD = FunctionCheck(
    wanted="the squared maximum mean discrepancy, one number in a tensor",
    reference=_mmd,
    cases=_kernel_cases,
    mistakes=(
        Mistake(
            "the third mean counts once, and it must count twice. Multiply out (f − a)²: which factor has "
            "the product?",
            lambda F, A, k: k(F, F).mean() + k(A, A).mean() - k(F, A).mean(),
        ),
        Mistake(
            "the third mean is added. Then two equal pictures are not at distance 0.",
            lambda F, A, k: k(F, F).mean() + k(A, A).mean() + 2 * k(F, A).mean(),
        ),
        Mistake(
            "these are sums over pairs of positions. Each must be a mean, or the larger picture counts more.",
            lambda F, A, k: k(F, F).sum() + k(A, A).sum() - 2 * k(F, A).sum(),
        ),
        Mistake(
            "each sum is divided by the number of positions once. A table of pairs has M² entries.",
            lambda F, A, k: (
                k(F, F).sum() / F.shape[1] + k(A, A).sum() / A.shape[1] - 2 * k(F, A).sum() / F.shape[1]
            ),
        ),
        Mistake(
            "only the pairs of a position with itself count in the first two means. They run over all pairs.",
            lambda F, A, k: k(F, F).diagonal().mean() + k(A, A).diagonal().mean() - 2 * k(F, A).mean(),
        ),
        Mistake(
            "the pairs of a position with itself are left out. That is an estimate for samples of a larger "
            "population (it can be negative); here the positions of the two pictures are all there is.",
            _without_the_diagonal,
        ),
        Mistake(
            "this is the root of it. The squared discrepancy is asked for: it is what equation 4 computes.",
            lambda F, A, k: _mmd(F, A, k).clamp(min=0).sqrt(),
        ),
        Mistake(
            "the kernel of the means is not the mean of the kernel. Compute k for all pairs, then the mean.",
            lambda F, A, k: _mmd(F.mean(1, keepdim=True), A.mean(1, keepdim=True), k),
        ),
    ),
    learnt="three means over pairs of positions. With the quadratic kernel it is Σ(G/M − A/M_a)².",
    gradient=True,
)


def _flat_features_left() -> float:
    """Return the Gram loss left, in %, of features that have the painting's means and no variation."""
    network, a = VGG19(), load_image("starry_night", 128)
    A, noise = (network(x, "conv2_1")["conv2_1"].flatten(2) for x in (a, white_noise(*a.shape[2:])))
    flat = A.mean(2, keepdim=True).expand_as(A)
    to_a = [(gram_matrix(F) - gram_matrix(A)).square().sum().item() for F in (flat, noise)]
    return 100 * to_a[0] / to_a[1]


FLAT = GuessCheck(
    truth=_flat_features_left,
    unit=" %",
    range=(0, 100),
    why=(
        "Without any stroke, most of the loss is gone: G/M is the products of the means plus the "
        "covariances, and in a sum of squares the larger part counts most. Which maps rise and fall "
        "together is in the rest."
    ),
)

EXERCISES = {"maximum mean discrepancy": MMD, "features without variation": FLAT}
