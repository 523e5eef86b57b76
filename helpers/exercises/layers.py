"""The exercises of notebook 1: preprocessing, pooling, receptive field, features by name."""

import torch
from torch.nn.functional import avg_pool2d, max_pool2d

from helpers.exercises.functions import Case, FunctionCheck, Mistake, random
from helpers.exercises.numbers import RubricCheck
from helpers.weights import PREPROCESSING


def _mean(y: torch.Tensor) -> torch.Tensor:
    return torch.tensor(PREPROCESSING["caffe"].mean, dtype=y.dtype).view(1, 3, 1, 1)


def _undone(y):
    return (y + _mean(y)).flip(1) / 255


def _of_torchvision(y):
    mean, deviation = (
        torch.tensor(values, dtype=y.dtype).view(1, 3, 1, 1)
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    return y * deviation + mean


def _input_cases() -> list[Case]:
    return [
        Case("one picture of 4 × 5 pixels", (60 * random(1, 3, 4, 5),), {}),
        Case("a batch of two pictures", (60 * random(2, 3, 3, 2, seed=1),), {}),
        Case("values outside [0, 1]", (200 * random(1, 3, 2, 3, seed=2),), {}),
    ]


PREPROCESSED = FunctionCheck(
    wanted="the picture in RGB from 0 to 1, of the shape of y",
    reference=_undone,
    cases=_input_cases,
    mistakes=(
        Mistake(
            "the colours come back as blue, green, red. The picture is red, green, blue.",
            lambda y: _undone(y).flip(1),
        ),
        Mistake(
            "the mean is added in the wrong order of colours: it belongs to blue, green, red. Add it before "
            "the colours are turned.",
            lambda y: (y.flip(1) + _mean(y)) / 255,
        ),
        Mistake("each value is 255 times too large: the factor 255 is left.", lambda y: _undone(y) * 255),
        Mistake("the mean is not added.", lambda y: y.flip(1) / 255),
        Mistake(
            "the mean is added after the division. Going back, the last step is undone first: the mean was "
            "taken off last.",
            lambda y: (y / 255 + _mean(y)).flip(1),
        ),
        Mistake(
            "the mean is subtracted once more. To go back it is added.",
            lambda y: (y - _mean(y)).flip(1) / 255,
        ),
        Mistake(
            "values outside [0, 1] are clipped. While x is searched for they occur, and their gradient "
            "would be lost.",
            lambda y: _undone(y).clamp(0, 1),
        ),
        Mistake(
            "this is the way there, preprocessing itself. The way back is asked for.",
            lambda y: 255 * y.flip(1) - _mean(y),
        ),
        Mistake(
            "the picture is mirrored: columns are turned, not colours. Colours are dimension 1.",
            lambda y: ((y + _mean(y)) / 255).flip(3),
        ),
        Mistake(
            "this undoes the form of torchvision's weights, with a mean and a deviation. These weights are "
            "Caffe's: only a mean, of numbers from 0 to 255.",
            _of_torchvision,
        ),
    ),
    learnt="the steps in reverse order: mean, order of the colours, 255. Nothing is clipped.",
)


def _map_cases() -> list[Case]:
    return [
        Case("one picture, 3 maps of 4 × 6 positions", (random(1, 3, 4, 6),), {}),
        Case("a batch of two pictures", (random(2, 2, 6, 2, seed=1),), {}),
        Case("maps of 5 × 7 positions, odd numbers", (random(1, 2, 5, 7, seed=2),), {}),
        Case("large values", (1000 * random(1, 4, 4, 2, seed=3).abs(),), {}),
    ]


def _average(F):
    return avg_pool2d(F, 2)


def _halves(F):
    B, N, H, W = F.shape
    F = F[..., : H // 2 * 2, : W // 2 * 2]
    return F.reshape(B, N, 2, H // 2, 2, W // 2).mean((2, 4))


POOL = FunctionCheck(
    wanted="a tensor of shape (B, N, H // 2, W // 2)",
    reference=_average,
    cases=_map_cases,
    mistakes=(
        Mistake(
            "this is max pooling: the largest of the four values, not their mean.", lambda F: max_pool2d(F, 2)
        ),
        Mistake(
            "each value is 4 times too large: the four values are added up and not divided.",
            lambda F: 4 * _average(F),
        ),
        Mistake(
            "each value is twice too large. How many values has a square of 2 × 2?",
            lambda F: 2 * _average(F),
        ),
        Mistake(
            "of each square only the upper left value is kept. The mean of all four is asked for.",
            lambda F: F[:, :, : F.shape[2] // 2 * 2 : 2, : F.shape[3] // 2 * 2 : 2],
        ),
        Mistake(
            "the squares overlap: each begins one position after the last. They must begin two apart.",
            lambda F: avg_pool2d(F, 2, 1),
        ),
        Mistake(
            "with odd numbers the last row and column are kept. A square needs two of each: leave the rest "
            "out.",
            lambda F: avg_pool2d(F, 2, ceil_mode=True),
        ),
        Mistake(
            "only pairs of rows are averaged. A square has two columns as well.",
            lambda F: avg_pool2d(F, (2, 1)),
        ),
        Mistake(
            "only pairs of columns are averaged. A square has two rows as well.",
            lambda F: avg_pool2d(F, (1, 2)),
        ),
        Mistake(
            "negative values were set to 0. The ReLU comes with the convolution; pooling has none.",
            lambda F: _average(F.relu()),
        ),
        Mistake("each map becomes one number: its mean over all positions.", lambda F: F.mean((2, 3))),
        Mistake(
            "the squares overlap: square i, j must begin at row 2i and column 2j, not at i and j.",
            lambda F: avg_pool2d(F, 2, 1)[..., : F.shape[2] // 2, : F.shape[3] // 2],
        ),
        Mistake(
            "the reshape cuts wrongly: the two values of a pair lie half a map apart. Neighbours stay "
            "together as (H // 2, 2), not as (2, H // 2).",
            _halves,
        ),
        Mistake(
            "the mean runs over pictures and maps too. Take it over the last two dimensions.",
            lambda F: _average(F).mean((0, 1), keepdim=True).expand_as(_average(F)),
        ),
    ),
    learnt="the mean of each 2 × 2 square; an odd last row or column is left out.",
    gradient=True,
)


def _field(steps):
    field, stride = 1, 1
    for kernel, step in steps:
        field, stride = field + (kernel - 1) * stride, stride * step
    return field


def _with(start=1, kernel=lambda k: k - 1, grow=lambda stride, step: stride * step, early=False):
    """Return a receptive field with one thing done in another way."""

    def field_of(steps):
        field, stride = start, 1
        for size, step in steps:
            if early:
                stride = grow(stride, step)
            field += kernel(size) * stride
            if not early:
                stride = grow(stride, step)
        return field

    return field_of


def _plan_cases() -> list[Case]:
    conv, pool = (3, 1), (2, 2)
    return [
        Case("conv2_1: two convolutions, a pooling, a convolution", ([conv, conv, pool, conv],), {}),
        Case("conv3_1", ([conv, conv, pool] * 2 + [conv],), {}),
        Case(
            "filters of 5 with stride 2, then of 3 with stride 3, then of 4", ([(5, 2), (3, 3), (4, 1)],), {}
        ),
        Case("an empty list", ([],), {}),
    ]


FIELD = FunctionCheck(
    wanted="the side of the receptive field, a whole number",
    reference=_field,
    cases=_plan_cases,
    mistakes=(
        Mistake(
            "the stride is multiplied too early. The layer's own stride counts for the layers behind it, "
            "not for itself.",
            _with(early=True),
        ),
        Mistake(
            "the stride is forgotten: behind a pooling, two neighbours lie two pixels apart.",
            _with(grow=lambda stride, step: stride),
        ),
        Mistake(
            "the strides are added up. Two poolings of stride 2 make a stride of 2 · 2.",
            _with(grow=lambda stride, step: stride + step - 1),
        ),
        Mistake(
            "the strides are added up, from 1 on. Two poolings of stride 2 make a stride of 2 · 2.",
            _with(grow=lambda stride, step: stride + step),
        ),
        Mistake(
            "the stride is that of the last layer alone. Strides multiply.",
            _with(grow=lambda stride, step: step),
        ),
        Mistake(
            "the whole filter is added each time. One of its positions is there already: kernel − 1.",
            _with(kernel=lambda k: k),
        ),
        Mistake("without a layer a value depends on 1 pixel, its own.", _with(start=0)),
        Mistake(
            "the filter is counted on one side only. It reaches further at both.",
            _with(kernel=lambda k: k // 2),
        ),
        Mistake(
            "from 0 on, and with the whole filter each time: right for the first layer alone. Begin at the 1 "
            "pixel that is there already, and add kernel − 1.",
            _with(start=0, kernel=lambda k: k),
        ),
        Mistake(
            "this is the number of pixels in the square. Its side is asked for.", lambda s: _field(s) ** 2
        ),
        Mistake(
            "only strides of 1 and 2 are thought of. Multiply by the stride that stands in the pair.",
            _with(grow=lambda stride, step: stride if step == 1 else 2 * stride),
        ),
        Mistake(
            "the layers are taken from the last to the first. With this rule begin at the picture.",
            lambda steps: _field(steps[::-1]),
        ),
    ),
    learnt="each layer adds (kernel − 1) strides, and then the strides multiply.",
)


def small_network(names: tuple[str, ...], last: str | None = None) -> dict:
    """Return layers by name: random convolutions with 3 maps, and poolings; one behind ``last`` says so."""
    layers = {}
    for i, name in enumerate(names):
        w = random(3, 3, 3, 3, seed=10 + i) / 3
        if last is not None and i > names.index(last):
            layers[name] = _too_far
        elif name.startswith("conv"):
            layers[name] = lambda h, w=w: torch.conv2d(h, w, padding=1)
        else:
            layers[name] = _average
    return layers


def _too_far(h):
    raise RuntimeError("this layer lies behind the deepest one that was asked for; stop before it")


NAMES = ("conv1_1", "conv1_2", "pool1", "conv2_1", "conv2_2", "pool2", "conv3_1")


def _network_cases() -> list[Case]:
    def one(words, x, wanted, last):
        return Case(words, (small_network(NAMES, last), x, wanted), {})

    return [
        one("two layers", random(1, 3, 8, 12), ["conv1_2", "conv2_1"], "conv2_1"),
        one("a pooling layer and a batch of two", random(2, 3, 8, 4), ["pool1"], "pool1"),
        one(
            "names that are not in the network's order", random(1, 3, 8, 8), ["conv3_1", "conv1_1"], "conv3_1"
        ),
    ]


def _features(relu="all", keep="after", only=None):
    """Return features by name with one thing done in another way."""

    def features(layers, x, wanted):
        kept, h = {}, x
        for name, layer in layers.items():
            z = layer(h)
            F = z.relu() if name.startswith("conv") else z
            h = F if relu == "all" else z
            if name in wanted or only == "any":
                kept[name] = {"after": F, "before": z, "input": x}[keep] if relu != "none" else z
            if set(wanted) <= set(kept):
                break
        return kept

    return features


FEATURES = FunctionCheck(
    wanted="a dict from the names in `wanted` to features",
    reference=_features(),
    cases=_network_cases,
    mistakes=(
        Mistake(
            "the features are kept before the ReLU. `conv1_2` means the value after it.",
            _features(keep="before"),
        ),
        Mistake("there is no ReLU: each convolution is followed by one.", _features(relu="none")),
        Mistake(
            "what is kept is right at the first layer, but the next layer gets the value before the ReLU.",
            _features(relu="kept"),
        ),
        Mistake(
            "all layers on the way are kept. Only those in `wanted` are asked for.",
            _features(only="any"),
        ),
        Mistake(
            "each layer is given the picture again. It must be given what the layer before it computed.",
            lambda layers, x, wanted: {
                n: layers[n](x).relu() if n.startswith("conv") else layers[n](x) for n in wanted
            },
        ),
        Mistake(
            "a list comes back. A dict from name to features is asked for, so that nobody has to count.",
            lambda layers, x, wanted: [F for F in _features()(layers, x, wanted).values()],
        ),
        Mistake(
            "only the deepest layer comes back. Keep each one that is asked for on the way.",
            lambda layers, x, wanted: dict([list(_features()(layers, x, wanted).items())[-1]]),
        ),
        Mistake(
            "the pooling layers are not called. Each layer on the way is, whatever its name.",
            lambda layers, x, wanted: _features()(
                {n: f if n.startswith("conv") else lambda h: h for n, f in layers.items()}, x, wanted
            ),
        ),
        Mistake(
            "the tensor of the deepest layer comes back. A dict from name to features is asked for.",
            lambda layers, x, wanted: list(_features()(layers, x, wanted).values())[-1],
        ),
    ),
    learnt="by name, after the ReLU, and nothing behind the deepest layer is computed.",
)


def _responses(rectify=torch.relu, keep="before"):
    def responses(x, filters):
        kept, h = [], x
        for w in filters:
            z = torch.conv2d(h, w, padding=1)
            h = rectify(z)
            kept.append(z if keep == "before" else h)
        return kept, h

    return responses


def _filter_cases() -> list[Case]:
    filters = [random(4, 3, 3, 3, seed=1), random(2, 4, 3, 3, seed=2), random(3, 2, 3, 3, seed=3)]
    return [
        Case("one picture and three layers", (random(1, 3, 4, 6), filters), {}),
        Case("a batch of two and one layer", (random(2, 3, 3, 5), filters[:1]), {}),
    ]


RESPONSES = FunctionCheck(
    wanted="a list with the values of each layer before its ReLU, and the last features",
    reference=_responses(),
    cases=_filter_cases,
    mistakes=(
        Mistake(
            "as given, no kept value is negative, although a value before a ReLU can be. It is kept, and "
            "later something writes over it; a second name or `detach` is no copy. What does `inplace=True` "
            "say?",
            _responses(keep="after"),
        ),
        Mistake(
            "the kept values are right for the first layer, but the ReLU is gone: the next layers get "
            "negative values.",
            _responses(rectify=lambda z: z),
        ),
        Mistake(
            "this is the absolute value. A ReLU sets negative values to 0.",
            _responses(rectify=torch.abs),
        ),
        Mistake(
            "only the last layer's values are kept.",
            lambda x, filters: (_responses()(x, filters)[0][-1:], _responses()(x, filters)[1]),
        ),
        Mistake(
            "the second result is the last value before the ReLU. It must be the one after it.",
            lambda x, filters: (_responses()(x, filters)[0], _responses()(x, filters)[0][-1]),
        ),
    ),
    learnt="a ReLU out of place makes a new tensor, so what was kept stays what it was.",
)

MAP = RubricCheck(
    (
        "You wrote down what you think before you tried new pictures.",
        "You tried at least three pictures that should excite the map and three that should not.",
        "You give a number for each: the mean activation, or its largest value.",
        "You looked for a picture that contradicts you, and say what you found.",
        "You say what you did not test, such as other sizes and turned pictures.",
    ),
    enough=4,
)

EXERCISES = {
    "preprocessing backwards": PREPROCESSED,
    "average pooling": POOL,
    "receptive field": FIELD,
    "features by name": FEATURES,
    "kept before the relu": RESPONSES,
    "what a map answers to": MAP,
}
