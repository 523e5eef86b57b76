"""Exercises: solutions pass, stubs and mistakes get the words meant for them, and nothing wrong passes."""

import ast
import copy
import importlib.util
import json
import math
import re
from pathlib import Path

import nbformat
import pytest
import torch

from helpers.controls import mask_at
from helpers.exercises import check, progress
from helpers.exercises.checks import EXERCISES
from helpers.exercises.functions import FunctionCheck
from helpers.exercises.kept import FILE, load, save
from helpers.exercises.numbers import GuessCheck, MeasureCheck, RubricCheck
from helpers.exercises.questions import SELF_CHECKS
from helpers.images import load_image, white_noise
from helpers.losses import content_loss, gram_matrix
from helpers.network import CONVOLUTION_LAYERS, VGG19

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


def script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


exercises = script(FOLDER / "exercises.py")
prose = script(Path(__file__).resolve().parent / "test_prose.py")

TEXTS = {number: exercises.read(number) for number in EXERCISES}
ALL = {e.name: e for _, found in TEXTS.values() for e in found}
CHECKS = {name: c for found in EXERCISES.values() for name, c in found.items()}
FUNCTIONS = [name for name, c in CHECKS.items() if isinstance(c, FunctionCheck)]
BUGS = [name for name in FUNCTIONS if "Find the bug" in ALL[name].task]


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("NST_CACHE", str(tmp_path))
    return tmp_path


def done(code, name):
    """Run code as a cell would, and return what the exercise asks for."""
    space = {"torch": torch}
    exec(compile(code, "<cell>", "exec"), space)
    return space[ALL[name].answer]


# Texts and checks belong together.


def test_every_exercise_has_a_text_and_a_check_in_one_order():
    for number, (_, found) in TEXTS.items():
        assert [e.name for e in found] == list(EXERCISES[number])
        assert 4 <= len(found) <= 6
        assert sum(isinstance(CHECKS[e.name], RubricCheck) for e in found) == 1
    assert len(BUGS) == 7 and len(FUNCTIONS) == 19


@pytest.mark.parametrize("name", ALL)
def test_an_exercise_says_how_hard_it_is_how_long_it_takes_and_what_it_teaches(name):
    task = ALL[name].task.splitlines()
    assert re.fullmatch(r"### \d · .+", task[0])
    assert re.fullmatch(r"(●○○|●●○|●●●) · \d+ minutes · teaches: .{10,}", task[2])
    assert ALL[name].hint and len(ALL[name].hint.split()) < 60


@pytest.mark.parametrize("name", ALL)
def test_the_solution_stands_only_in_its_folded_part(name):
    e = ALL[name]
    shown = e.task + e.stub
    lines = {line.split("#")[0].strip() for line in e.code.splitlines()}
    lines -= {line.split("#")[0].strip() for line in e.stub.splitlines()}
    lines = {line for line in lines if len(line) > 18}
    assert not [line for line in lines if line in shown + e.hint]
    for other in ALL.values():  # nor does a text nearby give it away
        assert not [line for line in lines if line in other.task + other.hint]
    below = exercises.folded("Solution", e.solution)
    assert below.startswith("<details>\n<summary>Solution</summary>\n\n") and below.endswith("\n\n</details>")


# Solutions, stubs and mistakes.


@pytest.mark.parametrize("name", ALL)
def test_the_solution_passes(name, capsys):
    verdict = check(name, done(ALL[name].code, name))
    assert verdict.passed, verdict.words
    assert not capsys.readouterr().err


#: Other right ways, as people with other habits write them.
OTHER_WAYS = {
    "preprocessing backwards": [
        """def f(y):
    mean = torch.tensor([103.939, 116.779, 123.68])
    return torch.stack([(y[:, c] + mean[c]) / 255 for c in (2, 1, 0)], dim=1)""",
        """import numpy as np

def f(y):
    mean = np.array([103.939, 116.779, 123.68])[:, None, None]
    return torch.from_numpy((y.numpy() + mean)[:, ::-1] / 255)""",
    ],
    "average pooling": [
        """def f(F):
    B, N, H, W = F.shape
    F = F[..., : H - H % 2, : W - W % 2]
    return F.reshape(B, N, H // 2, 2, W // 2, 2).mean((3, 5))""",
        """def f(F):
    return F.unfold(2, 2, 2).unfold(3, 2, 2).mean((-2, -1))""",
    ],
    "receptive field": [
        """def f(steps):
    field = 1
    for kernel, stride in reversed(steps):  # from the last layer back to the picture
        field = (field - 1) * stride + kernel
    return field""",
    ],
    "features by name": [
        """def f(layers, x, wanted):
    names = list(layers)
    kept = {}
    for name in names[: max(map(names.index, wanted)) + 1]:
        x = layers[name](x)
        if "conv" in name:
            x = x.clamp(min=0)
        kept[name] = x
    return {name: kept[name] for name in wanted}""",
    ],
    "kept before the relu": [
        """def f(x, filters):
    kept = []
    for w in filters:
        x = torch.conv2d(x, w, padding=1)
        kept.append(x.clone())
        x = x.relu_()
    return kept, x""",
    ],
    "psnr": [
        """import math

def f(x, p):
    return -10 * math.log10(torch.nn.functional.mse_loss(x, p).item())""",
    ],
    "content gradient": [
        """def f(z, P):
    F = torch.relu(z)
    return torch.where(z > 0, F - P, torch.zeros_like(z))""",
    ],
    "pooling": [
        """def f(x, blocks, pooling="average"):
    pool = {"average": torch.nn.AvgPool2d(2), "max": torch.nn.MaxPool2d(2)}[pooling]
    for weights in blocks:
        for w in weights:
            x = torch.conv2d(x, w, padding=1).relu()
        x = pool(x)
    return x""",
    ],
    "gram matrix": [
        """def f(F):
    return torch.einsum("bihw,bjhw->bij", F, F)""",
        """def f(F):
    B, N, H, W = F.shape
    G = torch.zeros(B, N, N, dtype=F.dtype)
    for i in range(N):
        for j in range(N):
            G[:, i, j] = (F[:, i] * F[:, j]).sum((1, 2))
    return G""",
    ],
    "layer style loss": [
        """def f(G, A, M_x, M_a):
    return ((G / M_x - A / M_a) ** 2).mean((1, 2)) / 4""",
    ],
    "style gradient": [
        """def f(z, A):  # by autograd, which the text does not want, but the numbers are right
    z = z.detach().requires_grad_()
    F = z.relu().flatten(2)
    N, M = F.shape[1:]
    E = ((F @ F.mT - A) ** 2).sum() / (4 * N**2 * M**2)
    return torch.autograd.grad(E, z)[0]""",
        """def f(z, A):
    F = torch.relu(z)
    N, M = z.shape[1], z.shape[2] * z.shape[3]
    G = torch.einsum("bihw,bjhw->bij", F, F)
    return torch.einsum("bij,bjhw->bihw", G - A, F) / (N * M) ** 2 * (F > 0)""",
    ],
    "batch of gram matrices": [
        """def f(F):
    return torch.stack([picture.flatten(1) @ picture.flatten(1).T / picture.numel() for picture in F])""",
    ],
    "gradient descent": [
        """def f(loss, x, evaluations, rate):
    x = x.clone().requires_grad_()
    optimiser = torch.optim.SGD([x], lr=rate)
    best, losses = None, []
    for _ in range(evaluations):
        optimiser.zero_grad()
        value = loss(x)
        value.backward()
        if not losses or value < min(losses):
            best = x.detach().clone()
        losses.append(value.detach())
        optimiser.step()
    return best, losses""",
    ],
    "masked gram matrix": [
        """def f(F, mask):
    weighted = F * mask.sqrt()
    return torch.einsum("bihw,bjhw->bij", weighted, weighted) / mask.sum()""",
    ],
    "bounded descent": [
        """def f(loss, x, evaluations, rate):
    x = x.clone().requires_grad_()
    for _ in range(evaluations):
        x.grad = None
        loss(x).backward()
        with torch.no_grad():
            x -= rate * x.grad
            x.clamp_(0, 1)
    return x""",
    ],
    "layer by name": [
        """def f(layers, x, wanted):
    names = list(layers)
    for name in names[: names.index(wanted) + 1]:
        x = layers[name](x)
        x = torch.relu(x) if name[:4] == "conv" else x
    return x""",
    ],
    "maximum mean discrepancy": [
        """def f(F, A, kernel):
    both = torch.cat([F, A], 1)
    M, M_a = F.shape[1], A.shape[1]
    signs = torch.cat([torch.full((M,), 1 / M), torch.full((M_a,), -1 / M_a)]).to(F.dtype)
    return signs.double() @ kernel(both, both) @ signs.double()""",
        """def f(F, A, kernel):
    total = 0
    for S, T, factor in ((F, F, 1), (A, A, 1), (F, A, -1), (A, F, -1)):
        total = total + factor * kernel(S, T).sum() / (S.shape[1] * T.shape[1])
    return total""",
    ],
    "instance normalisation": [
        """def f(F, scale, shift):
    y = torch.nn.functional.batch_norm(F.flatten(0, 1)[None], None, None, training=True, eps=1e-5)
    return y.view_as(F) * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)""",
    ],
    "enlarge": [
        """def f(F, w):
    large = F.repeat_interleave(2, 2).repeat_interleave(2, 3)
    large = torch.cat([large[:, :, 1:2], large, large[:, :, -2:-1]], 2)
    return torch.conv2d(torch.cat([large[..., 1:2], large, large[..., -2:-1]], 3), w)""",
    ],
}


@pytest.mark.parametrize(("name", "code"), [(n, code) for n, codes in OTHER_WAYS.items() for code in codes])
def test_another_right_way_passes(name, code):
    space = {"torch": torch}
    exec(code, space)
    verdict = check(name, space["f"])
    assert verdict, verdict.words


def test_every_function_has_another_way():
    assert list(OTHER_WAYS) == FUNCTIONS


@pytest.mark.parametrize("name", [n for n in ALL if n not in BUGS])
def test_a_stub_is_told_to_be_one(name):
    verdict = check(name, done(ALL[name].stub, name))
    assert not verdict and verdict.words.startswith("Not written yet: ")


@pytest.mark.parametrize("name", BUGS)
def test_the_given_bug_is_named(name):
    verdict = check(name, done(ALL[name].stub, name))
    assert not verdict and verdict.words.startswith("Not yet: as given, ")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_listed_mistake_gets_its_own_words(name):
    mistakes = CHECKS[name].mistakes
    assert len(mistakes) >= 5 and len({m.words for m in mistakes}) == len(mistakes)
    for mistake in mistakes:
        assert check(name, mistake.computes).words == f"Not yet: {mistake.words}"


def stop(F):
    raise NotImplementedError


@pytest.mark.parametrize("answer", [stop, None, ..., lambda *given: None, lambda *given: ...])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_whatever_stands_for_nothing_is_not_written(name, answer):
    if answer is stop:
        answer = lambda *given: stop(given)  # noqa: E731
    assert check(name, answer).words.startswith("Not written yet: ")


#: What people write, independent of the checks' own list of mistakes: exercise → (change of the solution,
#: from, to; words in the answer).
WRONG = {
    "preprocessing backwards": [
        ("return bgr.flip(1)", "return bgr", "blue, green, red"),
        ("(y + mean) / 255", "y + mean", "255"),
        ("(y + mean) / 255", "y / 255 + mean", "after the division"),
        (
            "    bgr = (y + mean) / 255\n    return bgr.flip(1)",
            "    deviation = torch.tensor([0.229, 0.224, 0.225], dtype=y.dtype).view(1, 3, 1, 1)\n"
            "    mean = torch.tensor([0.485, 0.456, 0.406], dtype=y.dtype).view(1, 3, 1, 1)\n"
            "    return y * deviation + mean",
            "torchvision's weights",
        ),
        ("dtype=y.dtype", "dtype=torch.float64, requires_grad=True) ** (1", "stops with"),
    ],
    "average pooling": [
        ("(upper + lower) / 4", "upper + lower", "4 times too large"),
        ("(upper + lower) / 4", "torch.nn.functional.max_pool2d(F, 2)", "max pooling"),
        ("    F = F[:, :, :H, :W]\n", "", "stops with RuntimeError"),
        ("(upper + lower) / 4", "upper / 2", "one of the numbers"),
        ("F = F[:, :, :H, :W]", "F = F[:, :, :H, :W].relu()", "negative values"),
        (
            "(upper + lower) / 4",
            "F.reshape(*F.shape[:2], 2, H // 2, 2, W // 2).mean((2, 4))",
            "half a map apart",
        ),
        (
            "(upper + lower) / 4",
            "torch.nn.functional.avg_pool2d(F, 2, 1)[..., : H // 2, : W // 2]",
            "begin at row 2i",
        ),
        ("(upper + lower) / 4", "(upper + lower).mean((0, 1), True).expand_as(upper) / 4", "and maps too"),
    ],
    "receptive field": [
        ("(kernel - 1) * distance", "kernel * distance", "kernel − 1"),
        ("        distance *= stride\n", "", "stride is forgotten"),
        ("distance *= stride", "distance += stride", "added up"),
        ("field, distance = 1, 1", "field, distance = 0, 1", "1 pixel"),
        ("return field", "return field**2", "number of pixels"),
        ("distance *= stride", "distance *= min(stride, 2)", "strides of 1 and 2"),
        (
            "field, distance = 1, 1\n    for kernel, stride in steps:\n        field += (kernel - 1)",
            "field, distance = 0, 1\n    for kernel, stride in steps:\n        field += kernel",
            "from 0 on",
        ),
    ],
    "features by name": [
        ("            x = torch.relu(x)\n", "            pass\n", "no ReLU"),
        ("kept[name] = x", "kept[len(kept)] = x", "the dict has"),
        ("if len(kept) == len(wanted):", "if name == 'conv3_1':", "behind the deepest"),
        ("return kept", "return list(kept.values())", "a list comes back"),
        ("layer(x)", "layer(x) if name[:4] == 'conv' else x", "pooling layers are not called"),
        ("if name in wanted:", "if True:", "behind the deepest|the dict has|all layers"),
    ],
    "kept before the relu": [
        ("torch.relu(z)", "z.relu_()", "no kept value is negative"),
        ("torch.relu(z)", "z.clamp_(min=0)", "no kept value is negative"),
        ("torch.relu(z)", "z", "ReLU is gone"),
        ("torch.relu(z)", "z.detach().relu_()", "no copy"),
        ("return kept, h", "return h", "instead of 2 results"),
    ],
    "psnr": [
        ("1 / rmse", "255 / rmse", "48 dB too much"),
        (".mean().sqrt()", ".mean()", "root of the mean squared error is missing"),
        ("20 * torch.log10", "10 * torch.log10", "half as many"),
        ("torch.log10", "torch.log", "log10"),
        (".mean().sqrt()", ".sum().sqrt()", "added up"),
        ("((x - p) ** 2).mean().sqrt()", "(x - p).std()", "mean error first"),
        (
            "mean().sqrt()\n    return 20 * torch.log10(1 / rmse)",
            "mean((2, 3)).sqrt()\n    return (20 * torch.log10(1 / rmse)).mean()",
            "three PSNRs",
        ),
    ],
    "content gradient": [
        ("torch.autograd.grad(loss, z)", "((torch.relu(z) - P).detach(),)", "gradient at F"),
        ("(torch.relu(z) - P)", "(z - P)", "ReLU is gone"),
        (".sum() / 2", ".sum()", "½"),
        (".sum() / 2", ".mean()", "half their sum"),
        (".sum() / 2", ".mean() / 2", "half the mean"),
        ("z = z.detach().requires_grad_()", "z = z.detach()", "graph is cut"),
    ],
    "pooling": [
        ("= my_block(x, weights, pooling)", "= my_block(x, weights, 'max')", "both kinds give the same"),
        ("= my_block(x, weights, pooling)", "= my_block(x, weights, 'average')", "new default"),
        ('pooling == "average"', 'pooling == "max"', "exchanged"),
        ('pooling="average"):', 'pooling="max"):', "default of the network"),
        ("= my_block(x, weights, pooling)", "= my_block(x, weights)", "stops with TypeError"),
    ],
    "gram matrix": [
        ("products.sum((2, 3))", "products.mean((2, 3))", "M_l times too small"),
        ("products.sum((2, 3))", "products.sum((2, 3)) / F[0].numel()", r"N_l · M_l times too small"),
        ("F[:, i : i + 1] * F", "F[:, i : i + 1] * F.relu()", "one of the numbers|not for"),
        ("    rows = []\n", "    rows = []\n    F = F - F.mean((2, 3), keepdim=True)\n", "covariance"),
        ("    rows = []\n", "    rows = []\n    F.relu_()\n", "changes its input"),
        ("torch.stack(rows, 1)", "torch.stack(rows, 1).float()", "comes out|float64"),
        ("torch.stack(rows, 1)", "torch.stack(rows, 1).detach()", "no gradient flows"),
        ("torch.stack(rows, 1)", "torch.stack(rows, 1).sum(0)", "shape"),
        ("torch.stack(rows, 1)", "3 * torch.stack(rows, 1)", "3 times"),
        ("torch.stack(rows, 1)", "torch.stack(rows, 1).triu()", "Entry ij and entry ji"),
        ("torch.stack(rows, 1)", "torch.stack(rows, 1).tril()", "Entry ji and entry ij"),
        (
            "torch.stack(rows, 1)",
            "(G := torch.stack(rows, 1)) - G * torch.eye(len(rows))",
            "diagonal is empty",
        ),
    ],
    "layer style loss": [
        ("(4 * N**2)", "N**2", "4 times too large"),
        ("(4 * N**2)", "(4 * N)", "N_l times too large"),
        ("A / M_a", "A / M_x", "M_x is used for both"),
        ("squares.sum((1, 2))", "squares.sum()", "added up"),
        ("(G / M_x - A / M_a) ** 2", "(G / M_x - A / M_a).abs()", "without sign"),
        ("(4 * N**2)", "(2 * N**2)", "2 times what it should be"),
        ("squares.sum((1, 2))", "(G / M_x - A / M_a).sum((1, 2)) ** 2", "squared then"),
        ("N = G.shape[1]", "N = G.shape[0]", "which is the batch"),
        ("(4 * N**2)", "4 * N**2", "brackets around"),
    ],
    "style gradient": [
        (" * (z > 0)", "", "at F, after the ReLU"),
        ("(N**2 * M**2)", "(4 * N**2 * M**2)", "4 times too small"),
        ("z.relu().flatten(2)", "z.flatten(2)", "made from z"),
        ("(G - A)", "(A - G)", "sign is turned"),
        ("M**2)", "M)", "M_l times too large"),
        ("(G - A)", "(G / M - A)", "G is divided by M, and A is not"),
        ("(G - A) @ F", "F.mT @ (G - A)", "its entry ji"),
    ],
    "batch of gram matrices": [
        ("(N * H * W)", "(B * N * H * W)", "divided by B"),
        ("(N * H * W)", "(H * W)", "M alone"),
        (" / (N * H * W)", "", "nothing is divided"),
        ("rows.mT", "rows.T", "turns the batch around"),
        ("F.reshape(B, N, H * W)", "F.reshape(B, H * W, N).mT", "mixes maps and positions"),
    ],
    "gradient descent": [
        ("return best, losses", "return x, losses", "last picture comes back"),
        ("x - rate * gradient", "x + rate * gradient", "against it"),
        ("range(evaluations)", "range(evaluations - 1)", "one evaluation is missing"),
        ("range(evaluations)", "range(evaluations + 1)", "more often than"),
        ("return best, losses", "return best", "list of losses is missing"),
        ("return best, losses", "return losses, best", "wrong order"),
        ("best = x.detach()", "best = x.detach() - rate * gradient", "one step behind"),
        (
            "        x = x -",
            "        if losses[-1] > min(losses):\n            break\n        x = x -",
            "list of 120",
        ),
        ("x = x - rate * gradient", "x -= rate * gradient", "torch.no_grad"),
        (
            "x.detach().requires_grad_()\n        value = loss(x)\n"
            "        (gradient,) = torch.autograd.grad(value, x)",
            "x if losses else x.clone().requires_grad_()\n        value = loss(x)\n"
            "        value.backward()\n        gradient = x.grad",
            r"Is it a `\.grad`",
        ),
    ],
    "masked gram matrix": [
        ("F.mT", "(F * m).mT", "counts twice"),
        (" / m.sum()", "", "not divided"),
        ("m.sum()", "m.numel()", "all positions"),
        ("mask.flatten()", "(mask > 0).to(F.dtype).flatten()", "made hard"),
        ("mask.flatten()", "1 - mask.flatten()", "turned round"),
    ],
    "bounded descent": [
        ("loss(x)", "loss(x.clamp(0, 1))", "one of the numbers|never comes back|not for"),
        (".clamp(0, 1)", "", "not limited"),
        (".clamp(0, 1)", ".clamp(0)", "below only"),
        (".clamp(0, 1)", ".sigmoid()", "sigmoid"),
    ],
    "layer by name": [
        ("name == wanted", "name[4] == wanted[4]", "not for|one of the numbers"),
        ("            x = torch.relu(x)\n", "            pass\n", "not for|one of the numbers"),
        ("        if name == wanted:\n            return x\n", "    return x\n", "shape"),
        (
            "        x = layer(x)",
            "        if name == wanted:\n            return x\n        x = layer(x)",
            "is given",
        ),
        ('startswith("conv")', "startswith(wanted)", "only the wanted layer has its ReLU"),
        ("layers.items()", "[(wanted, layers[wanted])]", "is given the picture"),
    ],
    "maximum mean discrepancy": [
        ("2 * kernel", "kernel", "counts once"),
        ("inside - 2", "inside + 2", "is added"),
        (".mean()", ".sum()", "sums over pairs"),
        ("- 2 * kernel(F, A).mean()", "", "one of the numbers"),
        (
            "return inside - 2 * kernel(F, A).mean()",
            "return (inside - 2 * kernel(F, A).mean()).sqrt()",
            "root",
        ),
        ("kernel(F, F).mean()", "kernel(F, F).diagonal().mean()", "one of the numbers"),
        ("kernel(F, A).mean()", "kernel(F, A).mean().item()", "no gradient"),
    ],
    "instance normalisation": [
        (
            "F.mean((2, 3), keepdim=True)",
            "F.mean((0, 2, 3), keepdim=True)",
            "one picture, but not for a batch",
        ),
        ("(centred**2).mean((2, 3), keepdim=True)", "F.var((2, 3), keepdim=True)", "less one"),
        (".sqrt()", "", "root is missing"),
        (" + 1e-5", "", "ε is missing"),
        ("scale[:, None, None] * ", "", "scale is missing"),
        (" + shift[:, None, None]", "", "one of the numbers"),
        ("shift[:, None, None]", "shift", "stops with RuntimeError"),
    ],
    "enlarge": [
        ('mode="reflect"', 'mode="constant"', "filled with zeros"),
        ("scale_factor=2", 'scale_factor=2, mode="bilinear"', "mixed while enlarging"),
        ("scale_factor=2", "scale_factor=3", "shape"),
        ("(1, 1, 1, 1)", "(0, 0, 0, 0)", "shape"),
    ],
}


def test_every_function_has_at_least_three_wrong_answers():
    assert list(WRONG) == FUNCTIONS and min(map(len, WRONG.values())) >= 3


CASES = [(name, *wrong) for name, found in WRONG.items() for wrong in found]


@pytest.mark.parametrize(("name", "old", "new", "words"), CASES)
@pytest.mark.filterwarnings("ignore:The use of `x.T`", "ignore:The .grad attribute")
def test_a_plausible_wrong_answer_gets_the_words_meant_for_it(name, old, new, words):
    code = ALL[name].code
    assert old in code
    verdict = check(name, done(code.replace(old, new), name))
    assert not verdict and re.search(words, verdict.words), verdict.words


# Mutants: a solution with one thing changed must not pass, unless it still does the same.

OPERATORS = {ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div, ast.Add], ast.Div: [ast.Mult]}
OPERATORS |= {ast.Pow: [ast.Mult, ast.Add], ast.FloorDiv: [ast.Div], ast.MatMult: [ast.Mult]}
COMPARISONS = {ast.Gt: [ast.Lt, ast.GtE], ast.Lt: [ast.Gt], ast.Eq: [ast.NotEq], ast.In: [ast.NotIn]}
METHODS = {"sum": "mean", "mean": "sum", "relu": "abs", "log10": "log", "sqrt": "abs", "min": "max"}
METHODS |= {"flatten": "squeeze", "stack": "cat", "startswith": "endswith", "avg_pool2d": "max_pool2d"}
METHODS |= {"append": "count", "flip": "flatten", "clamp": "fmod"}


def mutants(code):
    """Yield the code with one thing changed, each way once."""
    tree = ast.parse(code)
    seen = {ast.unparse(tree)}
    for number, _ in enumerate(ast.walk(tree)):
        for change in range(8):
            other = copy.deepcopy(tree)
            node = list(ast.walk(other))[number]
            if changed(node, change):
                text = ast.unparse(ast.fix_missing_locations(other))
                if text not in seen:
                    seen.add(text)
                    yield text


def changed(node, change):
    """Change a node in the way with this number; return whether there is such a way."""
    ways = []
    if isinstance(node, ast.BinOp):
        ways = [lambda n, op=op: setattr(n, "op", op()) for op in OPERATORS[type(node.op)]]
        if not isinstance(node.op, ast.Add | ast.Mult):  # for those the order is the same
            ways.append(swap_operands)
        ways += [lambda n, side=side: replace(n, getattr(n, side)) for side in ("left", "right")]
    elif isinstance(node, ast.Compare):
        ways = [lambda n, op=op: setattr(n, "ops", [op()]) for op in COMPARISONS[type(node.ops[0])]]
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        ways = [lambda n, d=d: setattr(n, "value", n.value + d) for d in (1, -1, 2)]
        ways.append(lambda n: setattr(n, "value", -n.value))
    elif isinstance(node, ast.Attribute) and node.attr in METHODS:
        ways = [lambda n: setattr(n, "attr", METHODS[n.attr])]
    elif isinstance(node, ast.Call) and len(node.args) > 1:
        ways = [lambda n: n.args.reverse(), lambda n: n.args.pop()]
    elif isinstance(node, ast.Tuple) and len(node.elts) > 1:
        ways = [lambda n: n.elts.reverse(), lambda n: n.elts.pop()]
    elif isinstance(node, ast.Subscript):
        ways = [lambda n: replace(n, n.value)]
    elif isinstance(node, ast.FunctionDef | ast.For | ast.If):
        ways = [lambda n, i=i: n.body.__setitem__(i, ast.Pass()) for i in range(len(node.body))]
    if change < len(ways):
        ways[change](node)
        return True
    return False


def swap_operands(node):
    node.left, node.right = node.right, node.left


def replace(node, other):
    """Let a node be another one, in place."""
    node.__class__ = other.__class__
    node.__dict__.clear()
    node.__dict__.update(other.__dict__)


#: Mutants that do the same as the solution: what they contain, and why it is the same.
SAME = {
    "preprocessing backwards": {
        ".view(-1, 3, 1, 1)": "−1 stands for the only size that fits",
        ".view(1, 3, -1, 1)": "the same",
        ".view(1, 3, 1, -1)": "the same",
    },
    "average pooling": {"F.shape[-2]": "−2 is dimension 2 of four"},
    "receptive field": {"distance, field = (1, 1)": "both begin at 1"},
    "psnr": {"(p - x) ** 2": "the square has no sign"},
    "content gradient": {"(P - torch.relu(z)) ** 2": "the square has no sign"},
    "gram matrix": {
        "torch.stack(rows, 2)": "a Gram matrix is symmetric: rows are columns",
        "torch.stack(rows, -1)": "the same",
        "sum((3, 2))": "a sum has no order",
        "sum((-2, 3))": "−2 is dimension 2 of four",
    },
    "layer style loss": {
        "G.shape[2]": "a Gram matrix is square",
        "G.shape[-1]": "a Gram matrix is square",
        "(A / M_a - G / M_x) ** 2": "the square has no sign",
        "sum((2, 1))": "a sum has no order",
    },
    "style gradient": {
        "M, N = F.shape[1:]": "N² M² is M² N²",
        "flatten(-2)": "−2 is dimension 2 of four",
        "z >= 0": "equation 6 does not say what holds at 0, and no input is 0",
    },
    "masked gram matrix": {"flatten(-2)": "−2 is dimension 2 of four"},
    "maximum mean discrepancy": {"kernel(A, F)": "a kernel is symmetric, and a mean over pairs has no order"},
    "instance normalisation": {
        "(3, 2)": "a mean has no order",
        "(-2, 3)": "−2 is dimension 2 of four",
    },
}


def test_no_mutant_passes_that_does_something_else():
    tried, wrong, used = 0, [], set()
    for name in FUNCTIONS:
        for code in mutants(ALL[name].code):
            tried += 1
            if CHECKS[name](done(code, name)):
                same = {(name, part) for part in SAME.get(name, ()) if part in code}
                used |= same
                wrong += [] if same else [f"{name}:\n{code}"]
    assert tried >= 500
    assert not wrong, "\n\n".join(wrong)
    assert used == {(name, part) for name, parts in SAME.items() for part in parts}, (
        "a reason without a mutant"
    )


# What a check says beside the mistakes that it knows.


def test_an_exception_is_told_with_its_line():
    def mine(F):
        G = F @ F.mT
        return G.no_such_thing

    words = check("gram matrix", mine).words
    assert "`return G.no_such_thing`" in words and "AttributeError" in words and "one picture" in words


def test_a_function_that_cannot_be_called_so_is_told():
    assert "cannot be called" in check("gram matrix", lambda: None).words
    assert "without brackets" in check("gram matrix", torch.ones(2)).words


def test_a_start_that_asks_for_a_gradient_afterwards_is_told():
    def mine(loss, x, evaluations, rate):
        x.requires_grad_()
        return x, []

    assert "asks for a gradient" in check("gradient descent", mine).words


def test_a_factor_is_named_by_its_letter():
    assert "M² times too large" in check("gram matrix", lambda F: gram(F) * F[0, 0].numel() ** 2).words
    assert "N times too small" in check("gram matrix", lambda F: gram(F) / F.shape[1]).words
    assert "own negative" in check("gram matrix", lambda F: -gram(F)).words


def gram(F):
    return F.flatten(2) @ F.flatten(2).mT


def test_what_is_wrong_for_one_input_only_is_told():
    words = check("gram matrix", lambda F: gram(F) if len(F) == 1 else gram(F) + 1).words
    assert "right for one picture" in words and "not for a batch of two" in words


@pytest.mark.parametrize("name", [name for name, c in CHECKS.items() if isinstance(c, GuessCheck)])
def test_a_guess_is_told_how_far_off_it_is(name):
    truth = CHECKS[name].truth()
    assert check(name, truth) and "nearly exact" in check(name, truth).words
    assert "off by a factor of 2.0" in check(name, 2 * truth).words
    for nonsense in ("many", -5, 1e9, float("nan"), [1]):
        assert not check(name, nonsense)
    assert "off by" in check(name, CHECKS[name].range[0]).words


@pytest.mark.parametrize("name", [name for name, c in CHECKS.items() if isinstance(c, MeasureCheck)])
def test_a_measurement_passes_when_it_agrees_and_a_known_mistake_is_named(name):
    c = CHECKS[name]
    truth = c.truth()
    assert check(name, truth * (1 + c.tolerance / 2)) and check(name, torch.tensor(truth))
    assert len(c.mistakes) >= 3
    for words, value in c.mistakes:
        assert check(name, float(f"{value():.3g}")).words == f"Not yet: {words}"  # to three digits
    assert "is more than" in check(name, 100 * truth).words
    assert "one number is asked for" in check(name, "two").words


@pytest.mark.parametrize("name", [name for name, c in CHECKS.items() if isinstance(c, RubricCheck)])
def test_a_rubric_counts_its_points_and_says_what_is_open(name):
    c = CHECKS[name]
    assert check(name, [1, 2, 3, 4, 5]) and not check(name, [1, 2, 2, 2])
    assert "2 of 5 points: not passed" in check(name, [1, 2, 2, 2]).words
    four = check(name, [1, 2, 3, 4]).words
    assert "4 of 5 points: passed" in four and c.points[4] in four
    for nonsense in ([6], "1", [1.5], 3):
        assert "list of the points" in check(name, nonsense).words
    assert tuple(re.findall(r"^- \*\*\d\.\*\* (.+)", ALL[name].task, re.MULTILINE)) == c.points


STRANGE = ["words", object(), [], {}, (), 1j, 7, float("nan"), range(3), torch.tensor(True), torch.ones(0)]
STRANGE += [torch.full((1, 3, 4, 6), torch.nan), torch.ones(1, 3, 3).numpy(), [None], {"conv1_1": None}]


@pytest.mark.parametrize("name", ALL)
def test_whatever_comes_back_the_check_answers_in_words(name):
    for value in STRANGE:
        answer = (lambda *given, value=value: value) if name in FUNCTIONS else value
        verdict = check(name, answer)
        assert verdict.words.startswith(("Not ", "Your guess", "0 of")), (value, verdict.words)


def test_an_array_or_a_number_that_cuts_the_graph_is_told():
    assert "a tensor is asked for" in check("gram matrix", lambda F: gram(F).numpy()).words
    words = check("gram matrix", lambda F: torch.from_numpy(gram(F).numpy())).words
    assert "no gradient flows" in words


def test_a_name_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'gram matrix'"):
        check("gramm matrix", None)


# Self-checks.


QUESTIONS = [(n, i, q) for n, found in SELF_CHECKS.items() for i, q in enumerate(found.questions, 1)]


def words_of(question):
    return [question.text, *question.choices.values(), *question.why.values()]


def test_each_self_check_has_ten_questions_and_a_reason_for_every_answer():
    assert list(SELF_CHECKS) == [0, 1, 2, 3, 4, 5, 6] and set(EXERCISES) < set(SELF_CHECKS)
    for found in SELF_CHECKS.values():
        assert len(found) == 10
        assert 2 <= sum(not q.choices for q in found.questions) <= 4
        letters = [q.right for q in found.questions if q.choices]
        assert len(set(letters)) > 1
    for number, i, q in QUESTIONS:
        assert q.right is not None and all(len(why) > 10 for why in q.why.values()), (number, i)
        assert not q.choices or (len(q.choices) == 3 and set(q.choices) == set(q.why))
        assert q.choices or q.text.endswith("(a number)")


def test_the_numbers_of_the_self_checks_are_computed():
    row = {row.name: row for row in VGG19().describe(224, 224)}
    maps = torch.tensor([[[1.0, 2.0], [0.0, 3.0]]])
    F, P = torch.tensor([[2.0, 2.0, 2.0, 5.0]]), torch.tensor([[0.0, 0.0, 0.0, 5.0]])
    G = gram_matrix(2 * maps) / gram_matrix(maps)
    features_of_p = torch.tensor([[1.0, 2.0, 2.0]])
    left_half = torch.tensor([1.0, 0.0]).repeat_interleave(48).expand(1, 1, 64, 96)
    computed = {
        (0, 6): content_loss(torch.zeros(1, 3), features_of_p).item(),
        (0, 8): 100 * 10 / 250,
        (1, 2): len(CONVOLUTION_LAYERS),
        (1, 4): row["conv2_1"].receptive_field,
        (1, 8): row["conv5_1"].height,
        (2, 2): content_loss(F, P).item(),
        (2, 6): row["conv4_1"].channels / row["conv4_1"].stride ** 2,
        (3, 2): gram_matrix(maps)[0, 0, 1].item(),
        (3, 4): row["conv3_1"].channels,
        (3, 7): G[0, 0, 0].item() ** 2,
        (4, 2): 1,
        (4, 4): 1 / 5,
        (4, 8): 2 * 2,
        (5, 3): 26 - 20 * math.log10(2),
        (5, 5): 9 / 3,
        (5, 8): 0.01 / 20,
        (6, 5): 3 / (3 + 1),
        (6, 6): mask_at("conv4_1", left_half, 64, 96).square().sum().item(),
    }
    right = {(n, i): q.right for n, i, q in QUESTIONS if not q.choices}
    assert right == pytest.approx(computed, rel=0.002, abs=0)


@pytest.mark.parametrize("number", SELF_CHECKS)
def test_every_number_in_a_self_check_is_listed_or_held_by_a_check_of_its_notebook(number):
    (path,) = FOLDER.glob(f"{number:02}_*.ipynb")
    of_notebook = prose.words_of_checks(prose.read(path.stem)) + prose.facts_of(path.stem)
    facts = prose.facts_of("self_checks")
    held = [prose.squeezed(prose.spoken(words)) for words in of_notebook + facts]
    choices = [q for q in SELF_CHECKS[number].questions if q.choices]  # the others are computed above
    loose = prose.unheld([prose.spoken(words) for q in choices for words in words_of(q)], held)
    assert not loose, "\n".join(loose)


def test_every_fact_of_the_self_checks_stands_in_one():
    texts = " ¶ ".join(words for *_, q in QUESTIONS for words in words_of(q))
    assert not [words for words in prose.facts_of("self_checks") if words not in texts]


def test_right_answers_score_and_wrong_ones_are_told_why():
    questions = SELF_CHECKS[3].questions
    everything = {i: q.right for i, q in enumerate(questions, 1)}
    verdict = check("self-check 3", everything)
    assert verdict and verdict.words == "10 of 10 right."
    for i, q in enumerate(questions, 1):
        for letter in q.choices:
            if letter != q.right:
                verdict = check("self-check 3", everything | {i: letter})
                assert verdict.words == f"9 of 10 right.\n{i}. {letter}: {q.why[letter]}"
    verdict = check("self-check 3", {1: "B", 2: 7, 4: "x", 5: "z", 6: None})
    assert not verdict and verdict.words.startswith("1 of 10 right.\n2. 7 is not right.")
    assert "'x' is no number" in verdict.words and "'z' is no choice" in verdict.words
    assert "Not answered: 3, 6, 7" in verdict.words
    assert check("self-check 3", {}).words.startswith("Not written yet")
    assert check("self-check 3", {11: "a"}).words.startswith("Not yet: give a dict")
    assert repr(verdict) == str(verdict) != "" and "Scored(" not in repr(verdict)


# Progress.


def test_what_passes_is_kept_and_shown(own_progress):
    assert "0 of 29 exercises done" in repr(progress())
    assert not check("gram matrix", lambda F: None) and not (own_progress / FILE).exists()
    check("gram matrix", gram)
    check("self-check 3", {1: "b", 2: 6})
    check("self-check 3", {1: "b"})  # the best result stays
    shown = repr(progress(3))
    assert "✓ gram matrix, 20" in shown and "self-check 3: 2 of 10" in shown and "1 of 6" in shown
    check("self-check 0", {2: "a"})
    assert repr(progress(0)) == "Notebook 0\n  self-check 0: 1 of 10"
    assert sorted(path.name for path in own_progress.iterdir()) == [FILE]
    with pytest.raises(ValueError, match="notebook 9 has no exercises and no self-check"):
        progress(9)


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"a": 1}', b'{"a": {"score": "1"}}', b"\xff\xfe"])
def test_a_damaged_file_is_put_aside_and_said_so(own_progress, damage):
    for number in (1, 2):
        (own_progress / FILE).write_bytes(damage)
        words = check("gram matrix", gram).words
        aside = own_progress / f"exercises.damaged-{number}.json"
        assert words.startswith("Right: ") and aside.name in words and aside.read_bytes() == damage
        assert list(load()[0]) == ["gram matrix"]


def test_a_damaged_file_that_cannot_be_put_aside_is_left_alone(own_progress, monkeypatch):
    def refuse(self, target):
        raise PermissionError("read-only")

    (own_progress / FILE).write_bytes(b"{")
    monkeypatch.setattr(Path, "rename", refuse)
    words = check("gram matrix", gram).words
    assert words.startswith("Right: ") and "read-only" in words.replace("\n", " ")
    assert (own_progress / FILE).read_bytes() == b"{" and "Nothing was changed" in repr(progress(3))


def test_a_table_that_was_written_meanwhile_is_not_lost(own_progress):
    save("gram matrix")
    kept = json.loads((own_progress / FILE).read_text(encoding="utf-8"))
    (own_progress / FILE).write_text(json.dumps(kept | {"psnr": {"score": 1}}), encoding="utf-8")
    save("pooling")
    assert list(load()[0]) == ["gram matrix", "psnr", "pooling"]


def test_a_folder_that_cannot_be_written_to_is_said_and_the_verdict_stays(own_progress, monkeypatch):
    (own_progress / "file").write_text("")
    monkeypatch.setenv("NST_CACHE", str(own_progress / "file" / "folder"))
    verdict = check("gram matrix", gram)
    assert verdict and "could not be kept" in verdict.words


def test_writing_is_whole_or_not_at_all(own_progress, monkeypatch):
    save("gram matrix")
    before = (own_progress / FILE).read_bytes()

    def half(self, text, **options):
        self.write_bytes(text.encode()[:5])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", half)
    assert "no space left" in save("psnr")
    assert [path.name for path in own_progress.iterdir()] == [FILE]
    assert (own_progress / FILE).read_bytes() == before


# The script that writes all this into the notebooks.


@pytest.fixture(scope="module")
def written():
    """Notebooks 0 to 5 with exercises and self-checks in them."""
    found = {}
    for number in SELF_CHECKS:
        (path,) = FOLDER.glob(f"{number:02}_*.ipynb")
        found[number] = exercises.written(nbformat.read(path, as_version=4), number)
    return found


def test_writing_again_changes_nothing(written):
    for number, notebook in written.items():
        nbformat.validate(notebook)
        exercises.place(again := copy.deepcopy(notebook), number)
        assert [(c.id, c.source) for c in again.cells] == [(c.id, c.source) for c in notebook.cells]
    assert nbformat.writes(exercises.written(written[3], 3)) == nbformat.writes(written[3])


@pytest.mark.parametrize("number", SELF_CHECKS)
def test_the_stored_exercises_are_what_the_script_would_write(number, written):
    (path,) = FOLDER.glob(f"{number:02}_*.ipynb")
    stored = nbformat.read(path, as_version=4)
    if not any(map(exercises.is_ours, stored.cells)):
        pytest.skip("not in the notebook yet: python notebooks/exercises.py")
    message = "run: python notebooks/exercises.py"
    assert [c.source for c in stored.cells] == [c.source for c in written[number].cells], message


def test_the_cells_of_the_lesson_stay_as_they_are(written):
    for number, notebook in written.items():
        (path,) = FOLDER.glob(f"{number:02}_*.ipynb")
        before = [c for c in nbformat.read(path, as_version=4).cells if not exercises.is_ours(c)]
        after = [c for c in notebook.cells if not exercises.is_ours(c)]
        assert [(c.id, c.source) for c in before] == [(c.id, c.source) for c in after]
        texts = [o.get("text") for c in before for o in c.get("outputs", [])]
        assert texts == [o.get("text") for c in after for o in c.get("outputs", [])]


def test_every_cell_of_an_exercise_runs_alone_and_says_that_nothing_is_written(written):
    for number, notebook in written.items():
        ours = [c for c in notebook.cells if exercises.is_ours(c) and c.cell_type == "code"]
        assert len(ours) == (len(EXERCISES[number]) + 3 if number in EXERCISES else 2)
        for cell in ours:
            assert cell.source.count("\n") < 25
            assert not [o for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"]
        said = [o.data["text/plain"] for c in ours for o in c.outputs if "data" in o]
        assert sum(words.startswith(("Not written yet: ", "Not yet: as given")) for words in said) == sum(
            "check(" in c.source for c in ours
        )
        assert f"self-check {number}: ·" in said[-1]
        assert (f"0 of {len(EXERCISES.get(number, ()))} exercises done" in said[-1]) == (number in EXERCISES)


def bound(code):
    """Return the names that code binds at its top level, without what it imports."""
    names = set()
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    return names


def test_no_exercise_binds_a_name_that_the_lesson_uses(written):
    for number, (_, found) in TEXTS.items():
        lesson = [c for c in written[number].cells if c.cell_type == "code" and not exercises.is_ours(c)]
        used = {n.id for c in lesson for n in ast.walk(ast.parse(c.source)) if isinstance(n, ast.Name)}
        for e in found:
            assert not (bound(e.stub) | bound(e.code) | {"answers"}) & used, e.name


def test_hints_solutions_and_answers_are_folded(written):
    for number, notebook in written.items():
        _, found = TEXTS.get(number, ("", []))
        text = [c.source for c in notebook.cells if exercises.is_ours(c)]
        shown = "\n".join(re.sub(r"<details>.*?</details>", "", t, flags=re.DOTALL) for t in text)
        assert sum(t.count("<details>") for t in text) == 2 * len(found) + 1
        for q in SELF_CHECKS[number].questions:
            assert not [why for why in q.why.values() if why in shown]
        for e in found:
            assert e.hint not in shown


def test_every_number_in_the_texts_is_listed_or_computed():
    facts = prose.facts_of("exercises")
    texts = []
    for number in (0, *EXERCISES):
        text = (exercises.TEXTS / f"{number:02}.md").read_text(encoding="utf-8")
        text = re.sub(r"^[●○]{3} · \d+ minutes", "", text, flags=re.MULTILINE)
        texts.append(re.sub(r"^- \*\*\d\.\*\*", "-", text, flags=re.MULTILINE))
    held = [prose.squeezed(prose.spoken(words)) for words in facts]
    loose = prose.unheld(map(prose.spoken, texts), held)
    assert not loose, "\n".join(loose)
    everything = prose.squeezed(" ".join(texts))
    assert not [words for words in facts if words not in everything]


def minutes(label):
    number, place = map(int, label.split("."))
    return int(re.search(r"· (\d+) minutes", TEXTS[number][1][place - 1].task)[1])


def test_the_minutes_of_the_ways_add_up():
    text = (exercises.TEXTS / "00.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1:-1] for row in text.splitlines() if row.startswith("| ")][2:]
    assert len(rows) == 8
    for way, read, do, total, _ in rows:
        reading = sum(map(int, re.findall(r"\((\d+)\)", read)))
        labels = re.findall(r"\d\.\d", do.split(" or ")[0])
        own = sum(map(minutes, labels)) + 10 * do.count("self-check")
        assert int(total) == reading + own, way
    assert minutes("1.6") == minutes("2.6")


def test_the_ways_say_how_long_each_notebook_takes():
    text = (exercises.TEXTS / "00.md").read_text(encoding="utf-8")
    afternoon = re.search(r"\| an afternoon \|(.*?)\|", text)[1]
    for number, said in re.findall(r"(\d) \((\d+)\)", afternoon):
        (path,) = FOLDER.glob(f"0{number}_*.ipynb")
        real = re.search(r"(\d+) minutes to read", path.read_text(encoding="utf-8"))[1]
        assert said == real, f"notebook {number} takes {real} minutes now: change notebooks/exercises/00.md"


def test_what_the_texts_say_of_half_the_brightness_is_so():
    network, p = VGG19(), load_image("chenonceau", 128)
    mean = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1) / 255
    pictures = (p, p / 2, (p + mean) / 2, white_noise(*p.shape[2:]))
    P, dark, grey, noise = (network(x, "conv4_2")["conv4_2"] for x in pictures)
    nothing = content_loss(torch.zeros_like(P), P)
    assert 0.9 < content_loss(noise, P) / nothing < 1.1, "its loss is nearly that of features that are all 0"
    assert abs(content_loss(P / 2, P) / nothing - 1 / 4) < 1e-5, "would give just that"
    assert abs(dark.norm() / P.norm() - 0.75) < 0.02, "three quarters as large as the photograph's"
    assert 0.85 < torch.cosine_similarity(dark.flatten(), P.flatten(), 0) < 0.93, "their pattern is another"
    assert (grey - P / 2).norm() < 0.02 * P.norm(), "Half the *contrast* does give half the features"


def test_what_the_texts_say_of_measured_numbers_is_so():
    assert 22 < CHECKS["half as bright"].truth() < 28, "About a fourth part"
    assert CHECKS["rank"].truth() == 12 * 9
    assert CHECKS["active numbers"].truth() < 3 / 5
    assert (
        3.0 < CHECKS["growth of the gradient ratio"].truth() < 4.3
    )  # the values of the notebook's three pairs


def test_the_quadratic_kernel_is_the_style_loss_and_the_linear_one_the_distance_of_the_means():
    F, A = torch.randn(4, 7, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    mmd = CHECKS["maximum mean discrepancy"].reference
    grams = (F @ F.mT / 7 - A @ A.mT / 5).square().sum()
    assert torch.isclose(mmd(F, A, lambda F, A: (F.mT @ A) ** 2), grams)
    means = (F.mean(1) - A.mean(1)).square().sum()
    assert torch.isclose(mmd(F, A, lambda F, A: F.mT @ A), means)


def test_what_the_text_says_of_the_measured_number_is_so():
    assert 5 < CHECKS["features without variation"].truth() < 10, "more than nine tenths of the loss"
