"""The exercises of notebook 4: the loop, a mask, the range of x, layers by name, the size of a picture."""

from functools import cache

import torch

from helpers.exercises.functions import Case, FunctionCheck, Mistake, random
from helpers.exercises.layers import small_network
from helpers.exercises.numbers import MeasureCheck, RubricCheck
from helpers.images import load_image, white_noise
from helpers.losses import gram_matrix
from helpers.network import VGG19
from helpers.objective import Objective


class Valley:
    """A loss ½ Σ k (x − t)² that counts how often it was asked, and refuses to be asked too often."""

    def __init__(self, k: torch.Tensor, t: torch.Tensor, most: int):
        self.k, self.t, self.most, self.asked = k, t, most, 0

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the loss of x, a scalar."""
        self.asked += 1
        if self.asked > self.most:
            raise RuntimeError(f"the loss was asked for more often than {self.most} times")
        return (self.k * (x - self.t) ** 2).sum() / 2


def _descended(sign=-1, best="best", fewer=0, record=True, forget=True):
    """Return gradient descent with one thing done in another way."""

    def descent(loss, x, evaluations, rate):
        losses, kept, behind, sum_ = [], x.detach(), x, 0
        for _ in range(evaluations - fewer):
            x = x.detach().requires_grad_()
            value = loss(x)
            (gradient,) = torch.autograd.grad(value, x)
            sum_ = gradient if forget else gradient + sum_
            losses.append(value.item())
            if value.item() == min(losses):
                kept = x.detach()
            before, x = x.detach(), x.detach() + sign * rate * sum_
            behind = x if value.item() == min(losses) else behind
        kept = {"best": kept, "last": x.detach(), "last measured": before, "after": behind}[best]
        return (kept, losses) if record else kept

    return descent


def _valley_cases() -> list[Case]:
    k, t = torch.tensor([[1.0, 20.0], [4.0, 0.3]], dtype=torch.float64), random(2, 2, seed=1)
    start = t + torch.tensor([[3.0, 0.001], [1.0, -2.0]], dtype=torch.float64)

    # With this rate the steep direction grows by a tenth each time, so that the best picture is not the last.
    return [
        Case("a loss that falls and then rises again", (Valley(k, t, 120), start, 120, 0.105), {}),
        Case("a loss that falls to the end", (Valley(k, t, 8), start, 8, 0.02), {}),
    ]


DESCENT = FunctionCheck(
    wanted="the best picture, and a list of all losses",
    reference=_descended(),
    cases=_valley_cases,
    mistakes=(
        Mistake(
            "the last picture comes back. When the loss rises again, that is not the best one. If you kept "
            "x and then changed it in place, keep a copy.",
            _descended(best="last"),
        ),
        Mistake(
            "the last picture whose loss was computed comes back. When the loss rises again, that is not "
            "the best one.",
            _descended(best="last measured"),
        ),
        Mistake(
            "the loss grows: x goes along the gradient. To make the loss smaller, go against it.",
            _descended(sign=1),
        ),
        Mistake(
            "the gradients of all steps add up. `backward()` adds to x.grad; clear it before each "
            "evaluation.",
            _descended(forget=False),
        ),
        Mistake(
            "the picture that is kept is one step behind its loss: keep x before it is changed.",
            _descended(best="after"),
        ),
        Mistake("one evaluation is missing.", _descended(fewer=1)),
        Mistake(
            "the two results stand in the wrong order: first the picture, then the list.",
            lambda *given: _descended()(*given)[::-1],
        ),
        Mistake("the list of losses is missing: return the picture and the list.", _descended(record=False)),
    ),
    learnt="one evaluation a round, a step against the gradient, and the best picture is kept.",
)


def _weighted(F, mask, power=1, divide="mask"):
    weights = mask.to(F.dtype) ** power  # (H, W)
    G = (F * weights).flatten(2) @ F.flatten(2).mT
    return G / {"mask": mask.sum(), "all": mask.numel(), "none": 1, "count": (mask > 0).sum()}[divide]


def _mask_cases() -> list[Case]:
    half = torch.zeros(4, 6, dtype=torch.float64)
    half[:, :2], half[:, 2] = 1, 0.5
    return [
        Case("a mask of a third of the picture, with a soft border", (random(1, 3, 4, 6), half), {}),
        Case("a batch of two pictures", (random(2, 5, 4, 6, seed=1), half.flip(0, 1) ** 2), {}),
        Case("a mask that is 1 everywhere", (random(1, 2, 3, 5, seed=2), half.new_ones(3, 5)), {}),
    ]


MASK = FunctionCheck(
    wanted="the Gram matrix of the masked positions divided by the sum of the mask, of shape (B, N, N)",
    reference=_weighted,
    cases=_mask_cases,
    mistakes=(
        Mistake(
            "the mask counts twice: both factors of the product were multiplied by it. With a hard mask of "
            "0 and 1 that makes no difference, at a soft border it does.",
            lambda F, mask: _weighted(F, mask, power=2),
        ),
        Mistake(
            "the sum is not divided. A small region would have a small Gram matrix.",
            lambda F, mask: _weighted(F, mask, divide="none"),
        ),
        Mistake(
            "it is divided by all positions of the layer. Only the masked ones were added up: divide by the "
            "sum of the mask.",
            lambda F, mask: _weighted(F, mask, divide="all"),
        ),
        Mistake(
            "it is divided by the number of positions where the mask is not 0. A position of weight 0.5 "
            "counts as half.",
            lambda F, mask: _weighted(F, mask, divide="count"),
        ),
        Mistake(
            "the mask counts twice, and nothing is divided.",
            lambda F, mask: _weighted(F, mask, power=2, divide="none"),
        ),
        Mistake(
            "the soft border was made hard. Keep the weights of the mask as they are.",
            lambda F, mask: _weighted(F, (mask > 0).to(F.dtype)),
        ),
        Mistake(
            "the mask is turned round: this is the Gram matrix of the rest.",
            lambda F, mask: _weighted(F, 1 - mask),
        ),
        Mistake(
            "the mask has no effect.",
            lambda F, mask: gram_matrix(F) / mask.numel(),
        ),
    ),
    learnt="each position counts once, by its weight, and the region's size is divided out.",
    gradient=True,
)


def _bounded(at=lambda x: x, after=lambda x: x.clamp(0, 1), end=lambda x: x):
    """Return gradient descent in [0, 1]: the loss is asked at ``at(x)``, and a step ends with ``after``."""

    def descent(loss, x, evaluations, rate):
        x = x.detach().clone()
        for _ in range(evaluations):
            x.requires_grad_()
            (gradient,) = torch.autograd.grad(loss(at(x)), x)
            x = after(x.detach() - rate * gradient)
        return end(x)

    return descent


def _bound_cases() -> list[Case]:
    k = torch.tensor([[1.0, 8.5], [9.0, 3.0]], dtype=torch.float64)
    t = torch.tensor([[0.3, 0.9], [0.2, 1.4]], dtype=torch.float64)
    start = torch.tensor([[0.9, 0.4], [0.7, 0.5]], dtype=torch.float64)
    return [
        Case("a first step that leaves [0, 1]", (Valley(k, t, 5), start, 5, 0.2), {}),
        Case("a single step", (Valley(k, t, 1), start, 1, 0.2), {}),
    ]


BOUNDED = FunctionCheck(
    wanted="x after all steps, with all values in [0, 1]",
    reference=_bounded(),
    cases=_bound_cases,
    mistakes=(
        Mistake(
            "as given, a value that leaves [0, 1] never comes back: the slope of `clamp` is 0 outside, so "
            "its gradient is 0. Let the loss see x itself, and limit x after the step.",
            _bounded(at=lambda x: x.clamp(0, 1), after=lambda x: x, end=lambda x: x.clamp(0, 1)),
        ),
        Mistake(
            "the gradient is right, but x is limited at the end only. On the way the loss is asked for "
            "pictures outside [0, 1], which no file can hold.",
            _bounded(after=lambda x: x, end=lambda x: x.clamp(0, 1)),
        ),
        Mistake("x is not limited: some values lie outside [0, 1].", _bounded(after=lambda x: x)),
        Mistake(
            "x is limited in the graph, and not at the end: some values lie outside [0, 1].",
            _bounded(at=lambda x: x.clamp(0, 1), after=lambda x: x),
        ),
        Mistake(
            "this is a sigmoid. It keeps x in [0, 1], but it moves every value, also those inside.",
            _bounded(after=torch.sigmoid),
        ),
        Mistake(
            "x is limited below only. It must not go above 1 either.",
            _bounded(after=lambda x: x.clamp(0)),
        ),
    ),
    learnt="the loss is asked at x itself, and the limit is put on after the step, outside the graph.",
)

NAMES = ("conv1_1", "conv1_2", "pool1", "conv2_1", "conv2_2", "pool2", "conv3_1", "conv3_2", "conv3_3")
NAMES += ("conv3_4", "pool3", "conv4_1", "conv4_2")


def _layer_at(layers, x, wanted, rectified=True):
    for name, layer in layers.items():
        z = layer(x)
        x = z.relu() if name.startswith("conv") else z
        if name == wanted:
            return x if rectified else z
    return None


def _linear(layers, x, wanted):
    for name, layer in layers.items():
        x = layer(x)
        if name == wanted:
            return x
    return None


def _counted(number):
    """Return the layer that counting convolutions finds."""

    def at(layers, x, wanted):
        names = [name for name in layers if name.startswith("conv")]
        return _layer_at(layers, x, names[number(wanted, names)])

    return at


def _named_cases() -> list[Case]:
    return [
        Case(f"the name {name}", (small_network(NAMES), random(1 + (name == "conv2_1"), 3, 16, 24), name), {})
        for name in ("conv4_2", "conv2_1", "conv3_4")
    ]


LAYER = FunctionCheck(
    wanted="the features of the layer with that name",
    reference=_layer_at,
    cases=_named_cases,
    mistakes=(
        Mistake(
            "as given, conv4_2 gives the fourth convolution of the network, which is conv2_2. The 4 of a "
            "name is a block, and a block has two or more convolutions. Compare names, and do not count.",
            _counted(lambda wanted, names: int(wanted[4]) - 1),
        ),
        Mistake(
            "the last digit of the name is counted from the start of the network. It counts within a block.",
            _counted(lambda wanted, names: int(wanted[6]) - 1),
        ),
        Mistake(
            "the convolution before the wanted one comes back: the counting is one off.",
            _counted(lambda wanted, names: names.index(wanted) - 1),
        ),
        Mistake(
            "the layer is right, but its value before the ReLU comes back.",
            lambda layers, x, wanted: _layer_at(layers, x, wanted, rectified=False),
        ),
        Mistake(
            "two convolutions are assumed in every block. Blocks three and four have four.",
            _counted(lambda wanted, names: min(2 * int(wanted[4]) - 3 + int(wanted[6]), len(names) - 1)),
        ),
        Mistake(
            "this is what the wanted layer is given. Call it too, then return.",
            lambda layers, x, wanted: _layer_at(layers, x, list(layers)[list(layers).index(wanted) - 1]),
        ),
        Mistake(
            "only the wanted layer has its ReLU. Each convolution on the way has one.",
            lambda layers, x, wanted: _linear(layers, x, wanted).relu(),
        ),
        Mistake(
            "the wanted layer is given the picture. It must be given what the layers before it computed.",
            lambda layers, x, wanted: layers[wanted](x).relu(),
        ),
    ),
    learnt="a name means the same layer in every program; a number does not.",
)


@cache
def _ratio(size: int, pictures=("red_panda", "starry_night")) -> float:
    network, (p, a) = VGG19(), (load_image(name, size) for name in pictures)
    objective = Objective(network, p, a, alpha=1e-3, engine="plain")
    x = white_noise(*p.shape[2:]).requires_grad_()
    return objective.gradient(x, objective(x), parts=True)[1]


def growth() -> float:
    """Return by what the gradient ratio of a pair grows with each doubling, from 64 to 256 px."""
    return (_ratio(256) / _ratio(64)) ** 0.5


@cache
def _of_losses() -> float:
    ratios = []
    for size in (64, 256):
        p, a = (load_image(name, size) for name in ("red_panda", "starry_night"))
        with torch.no_grad():
            terms = Objective(VGG19(), p, a, engine="plain")(white_noise(*p.shape[2:]))
        ratios.append((terms["content"] / terms["style"]).item())
    return (ratios[1] / ratios[0]) ** 0.5


GROWTH = MeasureCheck(
    growth,
    "by which factor the gradient ratio grows with each doubling from 64 to 256 px",
    0.05,
    (
        ("this is the growth over both doublings. For one of them take the root.", lambda: growth() ** 2),
        ("this is half of the growth over both doublings. Factors multiply: take the root.",
         lambda: growth() ** 2 / 2),
        ("the smaller size stands above: turn the fraction round.", lambda: 1 / growth()),
        ("this is the ratio of the losses. Compare the norms of their gradients.", _of_losses),
        ("this is the growth from 64 to 128 px alone. The exercise asks for both doublings.",
         lambda: _ratio(128) / _ratio(64)),
        ("this is the growth from 128 to 256 px alone. The exercise asks for both doublings.",
         lambda: _ratio(256) / _ratio(128)),
        ("this is the mean of the notebook's three pairs. Measure this pair.", lambda: 3.7),
    ),
    "It lies between the values of the notebook's three pairs. So the claim holds for this pair too.",
)  # fmt: skip

OWN = RubricCheck(
    (
        "You wrote down before the runs what you expect of the pair.",
        "You tried at least four values of α/β, with the same noise and size, and show all pictures.",
        "You chose one value by a rule that somebody else can repeat, and wrote the rule down.",
        "You give the loss left of content and style, and the gradient ratio at the start, for each value.",
        "You repeated the chosen value with another noise, and say what stays the same.",
    ),
    enough=4,
)

EXERCISES = {
    "gradient descent": DESCENT,
    "masked gram matrix": MASK,
    "bounded descent": BOUNDED,
    "layer by name": LAYER,
    "growth of the gradient ratio": GROWTH,
    "a pair of your own": OWN,
}
