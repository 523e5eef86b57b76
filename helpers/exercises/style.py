"""The exercises of notebook 3: Gram matrix, style loss and its gradient."""

import torch

from helpers.exercises.functions import Case, FunctionCheck, Mistake, random
from helpers.exercises.numbers import GuessCheck, RubricCheck
from helpers.images import load_image
from helpers.losses import gram_matrix, layer_style_loss, style_gradient
from helpers.network import VGG19


def _feature_cases() -> list[Case]:
    one = random(1, 3, 2, 5)  # N = 3, M = 10, both signs
    return [
        Case("one picture, 3 maps of 2 × 5 positions", (one,), {"M": 10, "N": 3, "N·M": 30}),
        Case("a batch of two pictures", (random(2, 4, 3, 2, seed=1),), {"M": 6, "N": 4, "N·M": 24}),
        Case("one picture in float32", (one.float() + 1,), {"M": 10, "N": 3, "N·M": 30}),
    ]


def _centred(F):
    return gram_matrix(F - F.mean((2, 3), keepdim=True))


def _normal(F):
    flat = F.flatten(2)
    return gram_matrix(F) / (flat.norm(dim=2)[:, :, None] * flat.norm(dim=2)[:, None])


GRAM = FunctionCheck(
    wanted="the Gram matrices of a batch, a tensor of shape (B, N, N)",
    reference=gram_matrix,
    cases=_feature_cases,
    mistakes=(
        Mistake(
            "right shape, but each entry is M_l times too small: the entry is a mean over the positions. "
            "Equation 3 is a sum. Which equation divides by M_l?",
            lambda F: gram_matrix(F) / F[0, 0].numel(),
        ),
        Mistake(
            "right shape, but each entry is N_l · M_l times too small. This is the PyTorch tutorial's Gram "
            "matrix; equation 3 divides by nothing.",
            lambda F: gram_matrix(F) / F[0].numel(),
        ),
        Mistake(
            "right shape, but the mean of each map is subtracted first. That is a covariance. In equation 3 "
            "nothing is subtracted.",
            _centred,
        ),
        Mistake(
            "right shape, but each entry is divided by the sizes of its two maps. Equation 3 does not scale.",
            _normal,
        ),
        Mistake(
            "the sum runs over the wrong letter: the result has one row for each position. Equation 3 adds "
            "up over positions k, and i and j are feature maps.",
            lambda F: F.flatten(2).mT @ F.flatten(2),
        ),
        Mistake(
            "the pictures of the batch are mixed: their maps are multiplied with one another. Each picture "
            "has a Gram matrix of its own; keep the first dimension.",
            lambda F: F.flatten(0, 1).flatten(1) @ F.flatten(0, 1).flatten(1).T,
        ),
        Mistake(
            "the pictures of the batch are added up. Keep the first dimension: one Gram matrix a picture.",
            lambda F: gram_matrix(F).sum(0, keepdim=True).expand(len(F), -1, -1),
        ),
        Mistake(
            "negative values lost their sign. Features after a ReLU are never negative, but the function "
            "must not count on it.",
            lambda F: gram_matrix(F.abs()),
        ),
        Mistake(
            "negative values were set to 0. The ReLU is the network's; equation 3 has none.",
            lambda F: gram_matrix(F.relu()),
        ),
        Mistake(
            "this is the product of the sums of two maps. Equation 3 multiplies first, position by "
            "position, and then adds up.",
            lambda F: F.sum((2, 3))[:, :, None] * F.sum((2, 3))[:, None],
        ),
        Mistake(
            "only the first row of positions counts, or only the first column. The sum runs over all M_l.",
            lambda F: gram_matrix(F[:, :, :1]),
        ),
        Mistake(
            "half of the table is empty. Entry ij and entry ji are the same number: fill both.",
            lambda F: gram_matrix(F).triu(),
        ),
        Mistake(
            "half of the table is empty. Entry ji and entry ij are the same number: fill both.",
            lambda F: gram_matrix(F).tril(),
        ),
        Mistake(
            "the diagonal is empty. G_ii is the sum of the squares of map i.",
            lambda F: gram_matrix(F) * (1 - torch.eye(F.shape[1], dtype=F.dtype)),
        ),
    ),
    learnt=(
        "each entry is the sum of products over all positions, one table a picture, and nothing is divided."
    ),
    gradient=True,
)


def _loss_cases() -> list[Case]:
    def one(B, N, M_x, M_a, seed, dtype=torch.float64):
        return (
            gram_matrix(random(B, N, M_x, seed=seed, dtype=dtype)),
            gram_matrix(random(1, N, M_a, seed=seed + 1, dtype=dtype)),
            M_x,
            M_a,
        )

    return [
        Case("one picture, 12 positions, and an artwork with 7", one(1, 3, 12, 7, 0), {"N": 3, "M_x": 12}),
        Case("a batch of two pictures", one(2, 5, 4, 9, 2), {"N": 5, "M_x": 4}),
        Case("two pictures of one size", one(1, 4, 6, 6, 4), {"N": 4, "M_x": 6}),
    ]


def _squares(G, A, M_x, M_a):
    return ((G / M_x - A / M_a) ** 2).sum((1, 2))


LAYER_LOSS = FunctionCheck(
    wanted="E_l of each picture of a batch, a tensor of shape (B,)",
    reference=layer_style_loss,
    cases=_loss_cases,
    mistakes=(
        Mistake(
            "each loss is 4 times too large: the 4 of equation 4 is missing.",
            lambda G, A, M, M_a: 4 * layer_style_loss(G, A, M, M_a),
        ),
        Mistake(
            "each loss is N_l times too large: equation 4 divides by N_l². How many terms has a sum over i "
            "and j?",
            lambda G, A, M, M_a: G.shape[1] * layer_style_loss(G, A, M, M_a),
        ),
        Mistake(
            "each loss is N_l² times too large: the sum over i and j has N_l² terms, and nothing divides by "
            "it.",
            lambda G, A, M, M_a: G.shape[1] ** 2 * layer_style_loss(G, A, M, M_a),
        ),
        Mistake(
            "M_x is used for both pictures. A was added up over the artwork's positions, so it is divided "
            "by M_a.",
            lambda G, A, M, M_a: layer_style_loss(G, A, M),
        ),
        Mistake(
            "M_a is used for both pictures. G was added up over the positions of x, so it is divided by M_x.",
            lambda G, A, M, M_a: layer_style_loss(G, A, M_a),
        ),
        Mistake(
            "M_x and M_a are exchanged: each Gram matrix is divided by its own.",
            lambda G, A, M, M_a: layer_style_loss(G, A, M_a, M),
        ),
        Mistake(
            "the Gram matrices are compared as sums. Each is first divided by its own number of positions.",
            lambda G, A, M, M_a: ((G - A) ** 2).sum((1, 2)) / (4 * G.shape[1] ** 2),
        ),
        Mistake(
            "the positions are divided out once too often: G/M_x is a mean already.",
            lambda G, A, M, M_a: layer_style_loss(G, A, M, M_a) / M**2,
        ),
        Mistake(
            "the differences are not squared.",
            lambda G, A, M, M_a: (G / M - A / M_a).sum((1, 2)) / (4 * G.shape[1] ** 2),
        ),
        Mistake(
            "the differences are taken without sign instead of squared.",
            lambda G, A, M, M_a: (G / M - A / M_a).abs().sum((1, 2)) / (4 * G.shape[1] ** 2),
        ),
        Mistake(
            "the losses of the batch are added up. Sum over the last two dimensions only: one loss a "
            "picture.",
            lambda G, A, M, M_a: layer_style_loss(G, A, M, M_a).sum(),
        ),
        Mistake(
            "this is the root of the sum. Equation 4 has no root.",
            lambda G, A, M, M_a: _squares(G, A, M, M_a).sqrt() / (4 * G.shape[1] ** 2),
        ),
        Mistake(
            "the differences are added up first and squared then. Square each one.",
            lambda G, A, M, M_a: (G / M - A / M_a).sum((1, 2)) ** 2 / (4 * G.shape[1] ** 2),
        ),
        Mistake(
            "N is taken from dimension 0, which is the batch. The maps are dimension 1.",
            lambda G, A, M, M_a: _squares(G, A, M, M_a) / (4 * len(G) ** 2),
        ),
        Mistake(
            "`x / 4 * N**2` divides by 4 and multiplies by N². Put brackets around 4 N².",
            lambda G, A, M, M_a: _squares(G, A, M, M_a) / 4 * G.shape[1] ** 2,
        ),
    ),
    learnt=(
        "each Gram matrix is divided by its own number of positions, so the two pictures may differ in size."
    ),
    gradient=True,
)


def _gradient_cases() -> list[Case]:
    def one(B, N, H, W, seed, dtype=torch.float64):
        return random(B, N, H, W, seed=seed, dtype=dtype), gram_matrix(
            random(B, N, H * W, seed=seed + 1, dtype=dtype).relu()
        )

    return [
        Case("one picture, 3 maps of 2 × 5 positions", one(1, 3, 2, 5, 0), {"N": 3, "M": 10}),
        Case("a batch of two pictures", one(2, 4, 3, 2, 2), {"N": 4, "M": 6}),
        Case("one picture with 5 maps of 1 × 3 positions", one(1, 5, 1, 3, 4), {"N": 5, "M": 3}),
    ]


def _at_z(z, A):
    return style_gradient(z.relu(), A)


def _sizes(z):
    return z.shape[1], z.shape[2] * z.shape[3]


def _less(z):
    """Return G − G/M."""
    G = gram_matrix(z.relu())
    return G - G / _sizes(z)[1]


def _not_transposed(z, A):
    N, M = _sizes(z)
    F = z.relu().flatten(2)
    return (F.mT @ (gram_matrix(F) - A)).reshape(z.shape) / (N * M) ** 2 * (z > 0)


GRADIENT = FunctionCheck(
    wanted="the gradient of E_l with respect to z, a tensor of the shape of z",
    reference=_at_z,
    cases=_gradient_cases,
    mistakes=(
        Mistake(
            "this is the gradient at F, after the ReLU. At z, before it, the mask of the ReLU is missing: "
            "the second case of equation 6.",
            lambda z, A: style_gradient(z.relu(), A, before_relu=False),
        ),
        Mistake(
            "the Gram matrix and the product are made from z. Equation 6 has F, the value after the ReLU.",
            lambda z, A: style_gradient(z, A, before_relu=False),
        ),
        Mistake(
            "the mask is right, but the Gram matrix is made from z. It belongs to F, the value after the "
            "ReLU.",
            lambda z, A: style_gradient(z, A),
        ),
        Mistake(
            "each value is 4 times too small: the 4 of equation 4 cancels. One 2 comes from the square; "
            "where does the other come from?",
            lambda z, A: _at_z(z, A) / 4,
        ),
        Mistake(
            "each value is half of what it should be. F_ij stands in row i of G and in column i: both add "
            "up.",
            lambda z, A: _at_z(z, A) / 2,
        ),
        Mistake(
            "each value is twice what it should be: the 2 of the square and the 2 of the symmetry are both "
            "in the 4 of equation 4 already.",
            lambda z, A: 2 * _at_z(z, A),
        ),
        Mistake(
            "each value is M_l times too large: equation 6 divides by M_l².",
            lambda z, A: _at_z(z, A) * _sizes(z)[1],
        ),
        Mistake(
            "each value is N_l times too large: equation 6 divides by N_l².",
            lambda z, A: _at_z(z, A) * _sizes(z)[0],
        ),
        Mistake(
            "each value is N_l² · M_l² times too large: nothing is divided.",
            lambda z, A: _at_z(z, A) * _sizes(z)[0] ** 2 * _sizes(z)[1] ** 2,
        ),
        Mistake(
            "the sign is turned: this leads up. The gradient has G − A, the way down is its negative.",
            lambda z, A: -_at_z(z, A),
        ),
        Mistake(
            "the mask is turned: it lets through where z is negative.",
            lambda z, A: style_gradient(z.relu(), A, before_relu=False) * (z < 0),
        ),
        Mistake(
            "G is divided by M, and A is not. Equation 6 has both as sums, and M² below.",
            lambda z, A: style_gradient(z.relu(), A + _less(z), before_relu=True),
        ),
        Mistake(
            "Fᵀ (G − A) has one row for each position. The paper takes its entry ji: transpose it before it "
            "gets the shape of z.",
            _not_transposed,
        ),
    ),
    learnt="(G − A) F / (N² M²), masked where z is negative. Autograd gives the same numbers.",
)


def _picture_grams(F):
    return gram_matrix(F) / F[0].numel()


def _folded(F):
    rows = F.flatten(0, 1).flatten(1)
    return rows @ rows.T


BATCH = FunctionCheck(
    wanted="G/(N·M) of each picture, a tensor of shape (B, N, N)",
    reference=_picture_grams,
    cases=_feature_cases,
    mistakes=(
        Mistake(
            "as given, the batch is folded into the rows. A batch of two gives one table of 2 N rows, in "
            "which maps of one picture are multiplied with maps of the other. Which reshape does that?",
            lambda F: _folded(F) / F.numel(),
        ),
        Mistake(
            "each picture has its own table now, but all are divided by B as well. Then the loss of a "
            "picture would depend on how many others lie in the batch.",
            lambda F: _picture_grams(F) / len(F),
        ),
        Mistake(
            "the batch is still folded into the rows. Only the divisor is mended.",
            lambda F: _folded(F) / F[0].numel(),
        ),
        Mistake(
            "the pictures of the batch are averaged. Each has a style of its own: the result is (B, N, N).",
            lambda F: _picture_grams(F).mean(0, keepdim=True),
        ),
        Mistake(
            "the pictures are separate, but nothing is divided. This form divides by N · M.",
            gram_matrix,
        ),
        Mistake(
            "the pictures are separate, but the division is by M alone. This form divides by N · M.",
            lambda F: gram_matrix(F) / F[0, 0].numel(),
        ),
        Mistake(
            "the result has one row for each position. Multiply F by its transpose, not the other way round.",
            lambda F: F.flatten(2).mT @ F.flatten(2) / F[0].numel(),
        ),
        Mistake(
            "`reshape` to (B, H·W, N) mixes maps and positions: it keeps the order of the numbers and turns "
            "nothing. To turn, transpose.",
            lambda F: _picture_grams(F.reshape(len(F), -1, F.shape[1]).mT),
        ),
    ),
    learnt="each picture has its own table, and a batch of two gives what two calls would give.",
    gradient=True,
)


def rank_of_gram() -> float:
    """Return the rank of the Gram matrix of conv4_1 for a picture of 96 × 72 px."""
    F = VGG19()(load_image("chenonceau", 96), "conv4_1")["conv4_1"]  # (1, 512, 9, 12)
    return float(torch.linalg.matrix_rank(gram_matrix(F.double())[0]))


RANK = GuessCheck(
    rank_of_gram,
    "",
    (1, 512),
    "G is F Fᵀ, and F has 108 columns, one for each position. A product cannot have a larger rank than its "
    "factors. So in a small picture most rows of a deep Gram matrix follow from a few others.",
)

STATISTIC = RubricCheck(
    (
        "The statistic does not change when the positions of all maps are shuffled in the same way; or you "
        "say what else it keeps.",
        "Both textures come from the same noise, layers and evaluations.",
        "Both are judged by one loss that neither run made small.",
        "You used two artworks and two seeds, and say how far the results agree.",
        "You wrote down your guess before the run, and what spoke against it.",
    ),
    enough=4,
)

EXERCISES = {
    "gram matrix": GRAM,
    "layer style loss": LAYER_LOSS,
    "style gradient": GRADIENT,
    "batch of gram matrices": BATCH,
    "rank": RANK,
    "another statistic": STATISTIC,
}
