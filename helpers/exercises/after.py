"""The exercises of notebook 6 on what came after the paper: instance normalisation, and how to enlarge."""

import torch
from torch.nn.functional import conv2d, conv_transpose2d, interpolate, pad

from helpers.exercises.functions import Case, FunctionCheck, Mistake, random
from helpers.exercises.numbers import RubricCheck


def _normalised(
    F, scale, shift, over=(2, 3), unbiased=False, power=0.5, epsilon=1e-5, scaled=True, first=False
):
    """Return instance normalisation, or one with a thing done in another way."""
    scale, shift = (value.view(1, -1, 1, 1) for value in (scale, shift))
    mean = F.mean(over, keepdim=True)
    variance = F.var(over, keepdim=True, unbiased=unbiased)
    z = (F - mean) / (variance + epsilon) ** power
    if first:
        return scale * (z + shift)
    return (scale * z if scaled else z) + shift


def _maps() -> list[Case]:
    loud = random(2, 3, 4, 5, seed=1) * torch.tensor([1.0, 30.0]).view(2, 1, 1, 1).double() + 2
    faint = 1e-2 * random(1, 2, 3, 4, seed=2)
    return [
        Case("one picture", (random(1, 3, 4, 5), random(3, seed=3), random(3, seed=4)), {}),
        Case("a batch of a faint and a loud picture", (loud, random(3, seed=5), random(3, seed=6)), {}),
        Case("maps that hardly vary", (faint, random(2, seed=7), random(2, seed=8)), {}),
    ]


NORMALISE = FunctionCheck(
    wanted="the normalised maps, of shape (B, N, H, W)",
    reference=_normalised,
    cases=_maps,
    mistakes=(
        Mistake(
            "this is batch normalisation: mean and variance are taken over all pictures of the batch. Each "
            "map of each picture has its own.",
            lambda F, scale, shift: _normalised(F, scale, shift, over=(0, 2, 3)),
        ),
        Mistake(
            "mean and variance are taken over the maps too. Each map has its own.",
            lambda F, scale, shift: _normalised(F, scale, shift, over=(1, 2, 3)),
        ),
        Mistake(
            "the variance is divided by the number of positions less one. `var` does so by default; here it "
            "is the plain mean of the squares.",
            lambda F, scale, shift: _normalised(F, scale, shift, unbiased=True),
        ),
        Mistake(
            "it is divided by the variance. The root is missing.",
            lambda F, scale, shift: _normalised(F, scale, shift, power=1),
        ),
        Mistake(
            "the small ε is missing. A map that is the same everywhere would be divided by 0.",
            lambda F, scale, shift: _normalised(F, scale, shift, epsilon=0),
        ),
        Mistake(
            "the scale is missing.",
            lambda F, scale, shift: _normalised(F, scale, shift, scaled=False),
        ),
        Mistake(
            "the shift is scaled as well. Scale first, then add the shift.",
            lambda F, scale, shift: _normalised(F, scale, shift, first=True),
        ),
    ),
    learnt="each map of each picture has its own mean and deviation: no contrast of the photograph is left.",
    gradient=True,
)


def _enlarged(F, w, mode="nearest", border="reflect", turned=False):
    large = interpolate(F, scale_factor=2, mode=mode)
    return conv2d(pad(large, (1, 1, 1, 1), mode=border), w.flip(2, 3) if turned else w)


def _transposed(F, w):
    return conv_transpose2d(F, w.transpose(0, 1), stride=2, padding=1, output_padding=1)


def _small_maps() -> list[Case]:
    filters = random(2, 3, 3, 3, seed=1)
    return [
        Case("maps that are 1 everywhere", (torch.ones(1, 3, 4, 4, dtype=torch.float64), filters), {}),
        Case("a batch of two pictures", (random(2, 3, 4, 5, seed=2), filters), {}),
    ]


ENLARGE = FunctionCheck(
    wanted="maps of twice the height and width, of shape (B, N_out, 2H, 2W)",
    reference=_enlarged,
    cases=_small_maps,
    mistakes=(
        Mistake(
            "as given, maps that are 1 everywhere come back with a checkerboard: with a stride of 2, filters "
            "of 3 × 3 overlap, and the values of the result are sums of one, two or four products per map. "
            "Enlarge first, then convolve.",
            _transposed,
        ),
        Mistake(
            "the border is filled with zeros, so it is darker than the rest. Reflect it.",
            lambda F, w: _enlarged(F, w, border="constant"),
        ),
        Mistake(
            'values are mixed while enlarging. Repeat each one: the mode is "nearest".',
            lambda F, w: _enlarged(F, w, mode="bilinear"),
        ),
        Mistake(
            "it is convolved first and enlarged afterwards. Then every square of 2 × 2 has one value.",
            lambda F, w: interpolate(conv2d(pad(F, (1, 1, 1, 1), mode="reflect"), w), scale_factor=2),
        ),
        Mistake(
            "the filters are turned by half a turn, as a transposed convolution uses them.",
            lambda F, w: _enlarged(F, w, turned=True),
        ),
    ),
    learnt="every value of the result is a sum of nine products per map, so no place is preferred.",
    gradient=True,
)

OWN = RubricCheck(
    (
        "You wrote down before the run what you expect inside and outside the mask.",
        "You show the result beside a run without the mask, with the same noise, size and α/β.",
        "You give the style loss to each artwork inside and outside the mask, as a table.",
        "You chose a number for the colours, and give it for the result and for p.",
        "You name one thing that the mask does not control, and show where it can be seen.",
    ),
    enough=4,
)

EXERCISES = {"instance normalisation": NORMALISE, "enlarge": ENLARGE, "a control of your own": OWN}
