"""Checks of a learner's function: it is compared with a reference, and its mistake is looked for by name.

A mistake is known by what it computes: each exercise lists wrong functions with words. The learner's
function is called with several inputs. If its results are those of a listed mistake for every input, the
words of that mistake are the answer. If no mistake fits, the check says what it sees: another shape, a
constant factor, an input for which the result is wrong.
"""

import linecache
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch

from helpers.exercises.verdict import Verdict, not_written, not_yet, right


@dataclass(frozen=True)
class Case:
    """One input of a check.

    Attributes:
        words: What is special about it, as in "a batch of two pictures".
        arguments: What the function is called with.
        sizes: Letters and their values, to name a factor with: ``{"M": 10}``.
    """

    words: str
    arguments: tuple
    sizes: dict[str, float]


@dataclass(frozen=True)
class Mistake:
    """A wrong function that people write, and what to say to who wrote it."""

    words: str
    computes: Callable


#: What PyTorch says of common faults → what to do.
CURES = {
    "does not require grad|not have been used in the graph": "Between this tensor and the loss the graph is "
    "cut: the tensor must ask for a gradient before the loss is computed from it, without `detach` between.",
    "'NoneType'": "Is it a `.grad`? Only a tensor that was not computed from others gets one; "
    "`x.detach().requires_grad_()` makes such a tensor.",
    "leaf Variable that requires grad": "A step in place needs `with torch.no_grad():`.",
    "batch2 tensor": "`.T` turns the batch around too. `.mT` turns the last two dimensions only.",
}


@dataclass(frozen=True)
class FunctionCheck:
    """A check of a function.

    Attributes:
        wanted: What the function returns, for a stub: "a tensor of shape (B, N, N)".
        reference: The right function.
        cases: Makes the inputs, new ones for each call.
        mistakes: What people write instead.
        learnt: What to say when it is right.
        gradient: Whether the result must carry a gradient to the first argument.
    """

    wanted: str
    reference: Callable
    cases: Callable[[], list[Case]]
    mistakes: tuple[Mistake, ...]
    learnt: str
    gradient: bool = False

    def __call__(self, function: Any) -> Verdict:
        """Return the verdict on a learner's function; never an exception of that function."""
        if function is None or function is ...:
            return not_written(f"the function returns {self.wanted}.")
        if not callable(function):
            return not_yet("give the function itself, its name without brackets behind it.")
        results = []
        for case in self.cases():
            before = [part.clone() for part in tensors(case.arguments)]
            try:
                results.append(function(*case.arguments))
            except NotImplementedError:
                return not_written(f"the function returns {self.wanted}.")
            except Exception as error:  # whatever the learner's function raises is told in words
                return not_yet(f"{where(error, function)} The input was {case.words}.")
            if results[-1] is None or results[-1] is ...:
                return not_written(f"the function returns {self.wanted}.")
            after = tensors(case.arguments)
            if any(part.requires_grad for part in after):
                return not_yet(
                    "the function changes its input: after the call, the start asks for a gradient. Take "
                    "`x.detach()` first, which is a new tensor with the same values."
                )
            if not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
                return not_yet(
                    "the function changes its input. Names that end in _, and +=, *= and the like, write "
                    "over a tensor that others still use. Make a new tensor instead."
                )
        return self._judge(function, results)

    def _judge(self, function: Callable, results: list) -> Verdict:
        references = self._by(self.reference)
        pairs = list(zip(results, references, strict=True))
        if all(agree(mine, theirs) for mine, theirs in pairs):
            if not all(same_dtype(mine, theirs) for mine, theirs in pairs):
                return not_yet(
                    "the numbers are right, but float64 goes in and another type comes out. A new tensor is "
                    "float32 unless it is told otherwise, as in dtype=F.dtype."
                )
            if self.gradient and not self._carries_gradient(function):
                return not_yet(
                    "the numbers are right, but no gradient flows back to the input. `.item()`, "
                    "`.numpy()`, `.detach()`, `float()` and `torch.no_grad()` cut the graph, and then x "
                    "cannot be changed."
                )
            return right(self.learnt)
        for mistake in self.mistakes:
            if all(
                agree(mine, wrong) for mine, wrong in zip(results, self._by(mistake.computes), strict=True)
            ):
                return not_yet(mistake.words)
        return not_yet(difference(self.cases(), results, references))

    def _by(self, function: Callable) -> list:
        made = []
        for case in self.cases():
            try:
                made.append(function(*case.arguments))
            except RuntimeError:  # a mistake that fits one picture and no batch
                made.append(None)
        return made

    def _carries_gradient(self, function: Callable) -> bool:
        first, *others = self.cases()[0].arguments
        gradients = []
        for compute in (function, self.reference):
            x = first.clone().requires_grad_()
            try:
                result = compute(x, *others)
            except Exception:  # such as .numpy(), which a tensor with a gradient refuses
                return False
            if not result.requires_grad:
                return False
            gradients += torch.autograd.grad(result.square().sum(), x)
        return agree(*gradients)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Return normally distributed numbers, the same for each seed, whatever their type."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def tensors(value: Any) -> list[torch.Tensor]:
    """Return all tensors inside tuples, lists and dicts, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for part in value for t in tensors(part)] if isinstance(value, list | tuple) else []


def agree(mine: Any, theirs: Any) -> bool:
    """Return whether two results are the same: structure, shapes, and numbers up to rounding."""
    if isinstance(theirs, dict):
        return (
            isinstance(mine, dict)
            and set(mine) == set(theirs)
            and all(agree(mine[name], theirs[name]) for name in theirs)
        )
    if isinstance(theirs, list | tuple):
        return (
            isinstance(mine, list | tuple)
            and len(mine) == len(theirs)
            and all(agree(a, b) for a, b in zip(mine, theirs, strict=True))
        )
    if theirs is None or isinstance(mine, dict | list | tuple):
        return False
    if isinstance(theirs, torch.Tensor) and theirs.ndim and not isinstance(mine, torch.Tensor):
        return False
    try:
        mine, theirs = (torch.as_tensor(value, dtype=torch.float64).detach() for value in (mine, theirs))
    except (TypeError, ValueError, RuntimeError):
        return False
    size = theirs.nan_to_num().abs().max().item() if theirs.numel() else 0.0
    return mine.shape == theirs.shape and torch.allclose(
        mine, theirs, rtol=1e-5, atol=1e-7 * size, equal_nan=True
    )


def same_dtype(mine: Any, theirs: Any) -> bool:
    """Return whether the tensors of two results that agree have the same types."""
    pairs = zip(tensors(mine), tensors(theirs), strict=False)
    return all(a.dtype == b.dtype for a, b in pairs)


def where(error: Exception, function: Callable) -> str:
    """Return in words what was raised, and in which line of the learner's code."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    message = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")
    if not frames:
        return f"the function cannot be called as the exercise calls it ({message})."
    line = linecache.getline(file, frames[-1].lineno).strip() or frames[-1].line or ""
    shown = f", `{line}`," if line else ""
    cure = next((f" {words}" for pattern, words in CURES.items() if re.search(pattern, str(error))), "")
    return f"line {frames[-1].lineno} of your cell{shown} stops with {message}.{cure}"


def difference(cases: list[Case], results: list, references: list) -> str:
    """Return in words how results differ from the references, where no known mistake fits."""
    wrong = [not agree(mine, theirs) for mine, theirs in zip(results, references, strict=True)]
    number = wrong.index(True)
    case, mine, theirs = cases[number], results[number], references[number]
    if shape := _other_kind(mine, theirs):
        return f"for {case.words}, {shape}."
    if factor := _factor(cases, results, references):
        return f"right up to a constant: every number is {factor}. What is multiplied or divided by it?"
    if not all(wrong):
        good = cases[wrong.index(False)].words
        return f"it is right for {good}, but not for {case.words}."
    for one, other in zip(_parts(mine), _parts(theirs), strict=True):
        if not agree(one, other):
            one, other = (torch.as_tensor(v, dtype=torch.float64).detach().flatten() for v in (one, other))
            place = (one - other).abs().nan_to_num(torch.inf).argmax()
            return (
                f"for {case.words}, one of the numbers is {one[place].item():.4g} and should be "
                f"{other[place].item():.4g}. Compute a small example by hand and compare each step."
            )
    return f"the result for {case.words} is another one."


def _parts(value: Any) -> list:
    if isinstance(value, dict):
        value = [value[name] for name in sorted(value, key=str)]
    return [p for part in value for p in _parts(part)] if isinstance(value, list | tuple) else [value]


def _other_kind(mine: Any, theirs: Any) -> str:
    """Return how the structure or a shape differs, or nothing."""
    given = {"ndarray": "NumPy array"}.get(type(mine).__name__, type(mine).__name__)
    if isinstance(theirs, dict):
        if not isinstance(mine, dict):
            return f"a {given} comes back, and a dict is asked for"
        if set(mine) != set(theirs):
            return f"the dict has {list(mine)}, and {list(theirs)} is asked for"
        return next(filter(None, (_other_kind(mine[name], theirs[name]) for name in theirs)), "")
    if isinstance(theirs, list | tuple):
        wanted = f"a list of {len(theirs)}" if isinstance(theirs, list) else f"{len(theirs)} results"
        if not isinstance(mine, list | tuple):
            return f"a {given} comes back instead of {wanted}"
        if len(mine) != len(theirs):
            return f"{len(mine)} come back instead of {wanted}"
        return next(filter(None, map(_other_kind, mine, theirs)), "")
    if isinstance(theirs, torch.Tensor) and theirs.ndim:
        if not isinstance(mine, torch.Tensor):
            return f"a {given} comes back, and a tensor is asked for"
        if mine.shape != theirs.shape:
            return f"the result has shape {tuple(mine.shape)}, and it must be {tuple(theirs.shape)}"
    elif not isinstance(mine, int | float | torch.Tensor):
        return f"a {given} comes back, and a number is asked for"
    elif isinstance(mine, torch.Tensor) and mine.ndim:
        return f"a tensor of shape {tuple(mine.shape)} comes back, and one number is asked for"
    return ""


def _factor(cases: list[Case], results: list, references: list) -> str:
    """Return the constant between all results and the references in words, or nothing."""
    factors = []
    for mine, theirs in zip(results, references, strict=True):
        if not all(isinstance(v, torch.Tensor | int | float) for v in (mine, theirs)):
            return ""
        mine, theirs = (torch.as_tensor(v, dtype=torch.float64).detach() for v in (mine, theirs))
        weight = (theirs * theirs).sum()
        factors.append(((mine * theirs).sum() / weight).item() if weight else 0.0)
        if not factors[-1] or not isfinite(factors[-1]) or not agree(mine, theirs * factors[-1]):
            return ""
    names = {letter for case in cases for letter in case.sizes}
    for name in sorted(names):
        for power in (1, 2):
            exact = [case.sizes[name] ** power for case in cases]
            square = "²" if power == 2 else ""
            if all(abs(f / e - 1) < 1e-4 for f, e in zip(factors, exact, strict=True)):
                return f"{name}{square} times too large"
            if all(abs(f * e - 1) < 1e-4 for f, e in zip(factors, exact, strict=True)):
                return f"{name}{square} times too small"
    if max(factors) - min(factors) > 1e-4 * abs(factors[0]):
        return ""
    if abs(factors[0] + 1) < 1e-4:
        return "its own negative"
    return f"{factors[0]:.4g} times what it should be"
