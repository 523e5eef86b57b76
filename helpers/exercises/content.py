"""The exercises of notebook 2: measures of a copy, the content loss's gradient, pooling, what is left."""

import math
from functools import cache

import torch
from torch.nn.functional import avg_pool2d, max_pool2d

from helpers.exercises.functions import Case, FunctionCheck, Mistake, random
from helpers.exercises.numbers import GuessCheck, MeasureCheck, RubricCheck
from helpers.images import load_image, white_noise
from helpers.losses import content_gradient, content_loss
from helpers.network import VGG19


def _picture_cases() -> list[Case]:
    p, step = random(1, 3, 4, 6).sigmoid(), torch.zeros(1, 3, 4, 6, dtype=torch.float64)
    step[0, 0, 0, 0] = 0.25
    return [
        Case("two pictures of 6 × 4 pixels", (random(1, 3, 4, 6, seed=1).sigmoid(), p), {}),
        Case("a picture that is 0.1 darker everywhere, 20 dB", (p - 0.1, p), {}),
        Case("one wrong value of 72", (p * 0.5 + step, p * 0.5), {}),
    ]


def _mse(x, p):
    return ((x - p) ** 2).mean()


def _psnr(x, p):
    return -10 * torch.log10(_mse(x, p))


PSNR = FunctionCheck(
    wanted="the PSNR in decibels, one number",
    reference=_psnr,
    cases=_picture_cases,
    mistakes=(
        Mistake(
            "48 dB too much: the peak is 255, but these pictures go from 0 to 1. Peak and pictures need one "
            "unit.",
            lambda x, p: _psnr(x, p) + 20 * math.log10(255),
        ),
        Mistake(
            "twice as many decibels as it should be: the root of the mean squared error is missing. With 20 "
            "in front, RMSE stands below; with 10, its square.",
            lambda x, p: 2 * _psnr(x, p),
        ),
        Mistake(
            "half as many decibels as it should be: with RMSE below the logarithm the factor is 20.",
            lambda x, p: _psnr(x, p) / 2,
        ),
        Mistake(
            "the logarithm has the wrong base: decibels need log10.",
            lambda x, p: -10 * torch.log(_mse(x, p)),
        ),
        Mistake("the sign is turned: a better copy must have more decibels.", lambda x, p: -_psnr(x, p)),
        Mistake(
            "the errors are added up. RMSE has their mean, otherwise a larger picture would be worse.",
            lambda x, p: -10 * torch.log10(((x - p) ** 2).sum()),
        ),
        Mistake(
            "the mean of the errors without sign is not RMSE: square, take the mean, then the root.",
            lambda x, p: -20 * torch.log10((x - p).abs().mean()),
        ),
        Mistake(
            "the peak is the largest value of this picture. It must be the largest that a picture can have.",
            lambda x, p: _psnr(x, p) + 20 * torch.log10(p.max()),
        ),
        Mistake(
            "the peak is the largest value of x. It must be the largest that a picture can have.",
            lambda x, p: _psnr(x, p) + 20 * torch.log10(x.max()),
        ),
        Mistake(
            "`std` subtracts the mean error first: a picture that is too dark everywhere would be perfect.",
            lambda x, p: -20 * torch.log10((x - p).std()),
        ),
        Mistake(
            "this is the mean of three PSNRs, one for each colour. Take the mean of the squares over all "
            "values, then one logarithm.",
            lambda x, p: -10 * torch.log10(((x - p) ** 2).mean((2, 3))).mean(),
        ),
    ),
    learnt="20 log10(1 / RMSE), with RMSE in the unit of the pictures.",
)


def _layer_cases() -> list[Case]:
    def one(*shape, seed):
        return random(*shape, seed=seed), random(*shape, seed=seed + 1).relu()

    return [
        Case("one picture, 3 maps of 2 × 5 positions", one(1, 3, 2, 5, seed=0), {}),
        Case("a batch of two pictures", one(2, 2, 4, 3, seed=2), {}),
    ]


def _printed(z, P):
    return content_gradient(z.relu(), P)


CONTENT_GRADIENT = FunctionCheck(
    wanted="the gradient with respect to z, a tensor of the shape of z",
    reference=_printed,
    cases=_layer_cases,
    mistakes=(
        Mistake(
            "as given, this is the gradient at F, after the ReLU: F − P everywhere. The printed equation is "
            "0 where z is negative. With respect to which tensor is autograd asked?",
            lambda z, P: z.relu() - P,
        ),
        Mistake(
            "the ReLU is gone: z is compared with P. The feature is F = max(z, 0).",
            lambda z, P: z - P,
        ),
        Mistake(
            "the mask is that of P. The mask asks where the values of x, not of the photograph, are "
            "positive.",
            lambda z, P: (z.relu() - P) * (P > 0),
        ),
        Mistake(
            "the mask is put on the difference. It asks where z is positive.",
            lambda z, P: (z.relu() - P).relu(),
        ),
        Mistake(
            "the mask is turned: it lets through where z is negative.",
            lambda z, P: (z.relu() - P) * (z < 0),
        ),
        Mistake("the sign is turned: it is F − P.", lambda z, P: -_printed(z, P)),
        Mistake(
            "twice as large as it should be: the ½ of equation 1 cancels the 2 of the square.",
            lambda z, P: 2 * _printed(z, P),
        ),
        Mistake(
            "the mean of the squares was taken. Equation 1 is half their sum.",
            lambda z, P: 2 * _printed(z, P) / z.numel(),
        ),
        Mistake(
            "half the mean of the squares was taken. Equation 1 is half their sum.",
            lambda z, P: _printed(z, P) / z.numel(),
        ),
    ),
    learnt=(
        "this is the gradient at z, which the printed equation means. At F it has no mask, and that is "
        "right too."
    ),
)


def _block(x, weights, pool):
    for w in weights:
        x = torch.conv2d(x, w, padding=1).relu()
    return pool(x, 2)


def _pooled(x, blocks, pooling="average"):
    for weights in blocks:
        x = _block(x, weights, avg_pool2d if pooling == "average" else max_pool2d)
    return x


def _block_cases() -> list[Case]:
    blocks = [[random(4, 3, 3, 3, seed=1), random(4, 4, 3, 3, seed=2)], [random(2, 4, 3, 3, seed=3)]]
    return [
        Case("no word on pooling, which means average", (random(1, 3, 8, 12), blocks), {}),
        Case('pooling="max"', (random(1, 3, 8, 12), blocks, "max"), {}),
        Case('a batch of two and pooling="average"', (random(2, 3, 4, 8), blocks, "average"), {}),
    ]


POOLING = FunctionCheck(
    wanted="the features behind the last pooling",
    reference=_pooled,
    cases=_block_cases,
    mistakes=(
        Mistake(
            "as given, both kinds give the same features: those of max pooling. Follow the word average "
            "from the call to the pooling. Where does it get lost?",
            lambda x, blocks, pooling="average": _pooled(x, blocks, "max"),
        ),
        Mistake(
            "both kinds give the same features: those of average pooling. A new default only turns the "
            "fault round. Pass the argument on.",
            lambda x, blocks, pooling="average": _pooled(x, blocks, "average"),
        ),
        Mistake(
            'the two kinds are exchanged: "average" gives max pooling.',
            lambda x, blocks, pooling="average": _pooled(
                x, blocks, "max" if pooling == "average" else "average"
            ),
        ),
        Mistake(
            "it is right when the kind is named, but without a word it is max pooling. The default of the "
            "network is average.",
            lambda x, blocks, pooling="max": _pooled(x, blocks, pooling),
        ),
        Mistake(
            "only the last block pools as asked; the blocks before it use max pooling.",
            lambda x, blocks, pooling="average": _pooled(
                _pooled(x, blocks[:-1], "max"), blocks[-1:], pooling
            ),
        ),
        Mistake(
            "only the first block pools as asked; the blocks behind it use max pooling.",
            lambda x, blocks, pooling="average": _pooled(_pooled(x, blocks[:1], pooling), blocks[1:], "max"),
        ),
    ),
    learnt="the argument arrives. A network that is asked must answer with its own list of layers.",
)


@cache
def loss_of_half_brightness() -> float:
    """Return the loss left, in %, of a photograph of half its brightness, at conv4_2 and 128 px."""
    network, p = VGG19(), load_image("chenonceau", 128)
    pictures = (p, p / 2, white_noise(*p.shape[2:]))
    P, half, noise = (network(x, "conv4_2")["conv4_2"] for x in pictures)
    return (100 * content_loss(half, P) / content_loss(noise, P)).item()


HALF = GuessCheck(
    loss_of_half_brightness,
    " %",
    (0, 200),
    "The features of the darker picture are smaller, and differ in their pattern too. So brightness and "
    "contrast are content, for this loss.",
)


@cache
def _counted(picture: str = "red_panda", pooling: str = "average") -> tuple[int, torch.Size, int]:
    """Return how many numbers above 0 conv5_1 has at 192 px, its shape, and the pixels of the picture."""
    x = load_image(picture, 192)
    F = VGG19(pooling=pooling)(x, "conv5_1")["conv5_1"]
    return (F > 0).sum().item(), F.shape, x.shape[2] * x.shape[3]


def active_numbers(picture: str = "red_panda", pooling: str = "average") -> float:
    """Return how many numbers above 0 a pixel has at conv5_1, at 192 px."""
    count, _, pixels = _counted(picture, pooling)
    return count / pixels


ACTIVE = MeasureCheck(
    active_numbers,
    "how many numbers above 0 a pixel of the picture has at conv5_1",
    0.03,
    (
        ("this counts all numbers of the layer. Count those above 0.",
         lambda: _counted()[1].numel() / _counted()[2]),
        ("this is the count itself. Divide it by the pixels of the picture.", lambda: _counted()[0]),
        ("this is for each position of the layer. Divide by the pixels of the picture, which are more.",
         lambda: _counted()[0] / _counted()[1][2:].numel()),
        (
            "this is the share of the layer's numbers that are above 0. Divide their count by the pixels of "
            "the picture instead.",
            lambda: _counted()[0] / _counted()[1].numel(),
        ),
        ("this is the network with max pooling. The exercise asks for average pooling.",
         lambda: active_numbers(pooling="max")),
        ("this is the castle's number. The exercise asks for the red panda.",
         lambda: active_numbers("chenonceau")),
        ("the pixels were counted three times, once for each colour.", lambda: active_numbers() / 3),
    ),
    "A picture has 3 numbers a pixel. So the claim holds for this photograph too.",
)  # fmt: skip

TWO_LAYERS = RubricCheck(
    (
        "You wrote down which of the four parts of a picture you expect to gain, before the run.",
        "Size, noise and number of evaluations are the same for one layer and for two.",
        "You say how the two losses are weighted against each other, and why so.",
        "You give PSNR and the four parts for at least two photographs.",
        "You say what a longer run would change, or made one.",
    ),
    enough=4,
)

EXERCISES = {
    "psnr": PSNR,
    "content gradient": CONTENT_GRADIENT,
    "pooling": POOLING,
    "half as bright": HALF,
    "active numbers": ACTIVE,
    "content from two layers": TWO_LAYERS,
}
