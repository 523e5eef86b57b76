"""The loop: start from a picture, measure the losses, change the pixels, repeat.

Content reconstruction, style reconstruction and style transfer are one loop with one, the other or
both losses. Only the picture x changes; the network is frozen.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf, isfinite, nan

import torch
from tqdm.auto import tqdm

from helpers.controls import Style, as_styles, pictures_of
from helpers.engine import Pace, freed_memory_kept
from helpers.images import start_picture, white_noise
from helpers.network import VGG19
from helpers.objective import Objective, chosen_way, compared_layers, warn_of_memory
from helpers.optimisers import AdamState, LBFGSState, Steps, adam, history_length, lbfgs
from helpers.record import Evaluation, Settings, Synthesis
from helpers.saved import OWN, state_to_resume
from helpers.system.checkpoint import Checkpoint, identity
from helpers.system.interrupts import stopped_by_signals

__all__ = ["Evaluation", "Run", "synthesise", "white_noise"]

#: For so many evaluations L-BFGS moves coarse structures more than fine ones. Then the coarse ones are
#: in place, and the rest goes faster without: a content reconstruction takes a quarter less.
COARSE_EVALUATIONS = 60

#: A run in bfloat16 spends this share of its evaluations, the last ones, in float32.
FINISH_IN_FLOAT32 = 0.2

#: The gradient ratio is measured at every tenth evaluation: it costs a second backward pass.
RATIO_EVERY = 10


def synthesise(
    network: VGG19,
    p: torch.Tensor | None = None,
    a: torch.Tensor | Style | Iterable[Style] | None = None,
    *,
    progress: bool = True,
    **settings,
) -> Synthesis:
    """Change a picture x until its content is that of p and its style that of a.

    With p alone this is a content reconstruction, with a alone a style reconstruction. The run ends after
    the given number of evaluations, each one forward and one backward pass. Ctrl-C (in a notebook, the
    stop button) ends it early with the best picture so far; so does a loss that becomes NaN or diverges.

    Args:
        network: A ``VGG19``; it stays as it is.
        p: Photograph, (1, 3, H, W), RGB in [0, 1].
        a: Artwork, (1, 3, H_a, W_a), RGB in [0, 1], any size; or ``Style``s: with weights and masks.
        progress: Show a progress bar with loss and time left.
        settings: content_layer, style_layers, form, alpha, beta, tau, tile, init, size, seed, evaluations,
            optimiser, learning_rate, precision, engine, frames, checkpoint, every, resume: as
            ``Settings`` explains them.

    Raises:
        ValueError: If an argument is out of range, before anything is computed; or if the loss of the
            start is infinite or NaN.

    Source: equation 7 and Methods; L-BFGS as in the CVPR 2016 version, section 3.
    """
    run = Run(network, p, a, **settings)
    with stopped_by_signals(run):
        return run.to_the_end(progress)


class Run:
    """A synthesis to watch, change, stop and take up again. Its arguments are those of ``synthesise``.

    Iterating over it makes the evaluations, one an item. Between two items one may look, wait, call the
    methods below, or leave; iterating again goes on from there::

        run = Run(network, p, a, evaluations=200)
        for now in run:
            if now.number == 50:
                run.change(alpha=1e-2)
        run.result.image

    Attributes:
        result: The ``Synthesis`` so far.
    """

    def __init__(self, network, p=None, a=None, **settings):
        """Check everything, then compute the features of p and the Gram matrices of a."""
        s, self._pace = Settings(**settings), Pace(network)
        self.settings = s
        way, note = chosen_way(s.engine, network, s.precision, s.tile)
        styles = as_styles(a)
        content_layer, style_weights = compared_layers(p, styles or None, s.content_layer, s.style_layers)
        x = start_picture(p, styles[0].a if styles else None, s.init, s.size, s.seed).to(network.device)
        warn_of_memory(network, x, content_layer, style_weights, s.tile)
        written = s.written_down(network, x, content_layer, style_weights, styles)
        asked = {"asked precision": s.precision, "engine": "fast" if way else "plain"}
        same = identity(written | asked, p=p, start=x, **pictures_of(styles))
        self.checkpoint = Checkpoint(s.checkpoint, s.every, same, s.resume)
        state = state_to_resume(self.checkpoint, x, written) if s.resume else None
        way = state["way"] if state and way else way  # it decides the last digits
        layers = {"content_layer": s.content_layer, "style_layers": style_weights or s.style_layers}
        others = {name: getattr(s, name) for name in ("form", "alpha", "beta", "tau")}
        self._compared = {"network": network, "p": p, "a": styles} | layers | others
        with self._pace:
            self.objective = Objective(**self._compared, engine=way or "plain")
        written |= vars(way) if way else {"precision": "float32"}
        self.result = Synthesis(x.clamp(0, 1), written, note=note)
        if 0 in s.frames:
            self.result.frames[0] = self.result.image
        self._stop, self._changed_at, self._scale = "", 0, None
        self._begin(x)
        if state:
            with self.checkpoint.taken_up():
                self._restore(state)

    def __iter__(self) -> Iterator[Evaluation]:
        """Make the evaluations that are left, and yield an ``Evaluation`` after each."""
        if self.result.stopped == "interrupted":
            self.result.end("")
        self._go_on()
        with freed_memory_kept(), self._pace:
            for number in range(self.result.evaluations + 1, self.settings.evaluations + 1):
                if self.result.stopped or self._stop:
                    break
                with self._pace.evaluation(self.objective.way, self._x) as threads:
                    losses, loss, gradient = self._evaluate(self._x)
                    self._record(losses, self._x)
                    if not self.result.stopped:
                        self._move(loss, gradient)
                self.result.seconds += self._pace.last[-1]
                self.result.threads[threads] = self.result.threads.get(threads, 0) + 1
                if self.checkpoint.is_due:
                    self.result.note = self.checkpoint.save_if_it_can(self._state()) or self.result.note
                yield Evaluation(number, losses, self.result.gradient_ratio, self.result.image)
        self._end()

    def to_the_end(self, progress: bool = True) -> Synthesis:
        """Make all evaluations that are left, with a progress bar if one is wanted, and return the result."""
        done, total = self.result.evaluations, self.settings.evaluations
        with tqdm(total=total, initial=done, disable=not progress, leave=False, unit="evaluation") as bar:
            for now in self:
                bar.update()
                bar.set_postfix(loss=f"{now.losses['total']:.3g}", refresh=False)
        return self.result

    def stop(self, why: str = "") -> None:
        """End the run after the evaluation that it is at. Iterating over it again goes on."""
        self._stop = why or "asked to stop"

    def seconds_left(self) -> float:
        """Return about how long the evaluations that are left will take; infinite before the first."""
        if not (last := self._pace.last):
            return inf
        left = self.settings.evaluations - self.result.evaluations
        return left * sum(last) / len(last)

    def change(self, **changes) -> None:
        """Go on from the best picture so far with another loss.

        What the optimiser remembered of the old loss is forgotten, and ``result.changes`` notes the place.

        Args:
            changes: Any of network, p, a, content_layer, style_layers, form, alpha, beta, tau.

        Raises:
            ValueError: If a name is another, or with these values there is no loss. The run stays as it was.
        """
        if unknown := changes.keys() - self._compared.keys():
            raise ValueError(f"cannot change {sorted(unknown)}; what can change is {list(self._compared)}")
        if (p := changes.get("p")) is not None and p.shape != self.result.image.shape:
            shape = tuple(self.result.image.shape)
            raise ValueError(f"p has shape {tuple(p.shape)}, x {shape}; they must agree")
        compared = self._compared | changes
        self.objective = Objective(**compared, engine=self.objective.way or "plain")
        self._compared = compared
        told = {n: v if isinstance(v, str | float | int | dict) else "another" for n, v in changes.items()}
        self.result.changes.append((self.result.evaluations, told))
        self.result.end("")
        self._changed_at, self._scale = self.result.evaluations, None
        if "network" in changes:
            self.checkpoint.identity |= compared["network"].identity
        self._begin(self._best_x)

    def save(self) -> None:
        """Save the run in its checkpoint.

        Raises:
            OSError: If the file cannot be written.
        """
        self.checkpoint.save(self._state())

    def _state(self) -> dict:
        at, way = self._at, self.objective.way
        compared = self._compared | {"a": [vars(style) for style in as_styles(self._compared["a"])]}
        return {
            "result": vars(self.result),
            "compared": {name: value for name, value in compared.items() if name != "network"},
            "optimiser": vars(at) | ({"steps": at.steps.saved()} if isinstance(at, LBFGSState) else {}),
            "way": vars(way) if way else None,
            "own": {name: getattr(self, name) for name in OWN},
        }

    def _restore(self, state: dict) -> None:
        vars(self.result).update(state["result"])
        self.result.settings["evaluations"] = self.settings.evaluations
        if self.result.stopped in ("interrupted", "finished"):
            self.result.end("")
        if self.result.changes:
            self._compared |= state["compared"] | {"a": [Style(**s) for s in state["compared"]["a"]]}
            self.objective = Objective(**self._compared, engine=self.objective.way or "plain")
        for name, value in state["own"].items():
            setattr(self, name, value)
        if steps := state["optimiser"].pop("steps", None):
            self._at.steps.restore(steps)
        vars(self._at).update(state["optimiser"])

    def _begin(self, x: torch.Tensor, known: LBFGSState | AdamState | None = None) -> None:
        """Start the optimiser at x, with what it knows. Losses so far do not compare with new ones."""
        self._best_x, self._best_loss = x.clone(), inf
        if self.settings.optimiser == "adam":
            self._at = replace(known or AdamState(x), x=x.clone())
        else:
            self._at = LBFGSState(x.clone(), known.steps if known else Steps(x, history_length(*x.shape[2:])))
        self._go_on()

    def _go_on(self) -> None:
        """Let the optimiser go on from where it is, and take the picture at which it wants the loss."""
        if self.settings.optimiser == "adam":
            self._pictures = adam(self._at, self.settings.learning_rate)
        else:
            coarse = self.objective.coarse_first(self._best_x)

            def precondition(v):
                return coarse(v) if self.result.evaluations - self._changed_at < COARSE_EVALUATIONS else v

            self._pictures = lbfgs(self._at, precondition)
        self._x = next(self._pictures)

    def _evaluate(self, x: torch.Tensor) -> tuple[dict[str, float], float, torch.Tensor | None]:
        """Return the losses at x, and for the optimiser the total with its gradient, both scaled."""
        x = x.detach().requires_grad_()
        terms = self.objective(x)
        losses = {name: value.item() for name, value in terms.items()}
        total, n = losses["total"], self.result.evaluations
        if not isfinite(total):
            if n == 0:
                weights = f"alpha {self.objective.alpha!r} and beta {self.objective.beta!r}"
                raise ValueError(f"the loss of the start is {total}, with {weights}: {losses}")
            return losses, total, None
        # The loss starts at 1e6, so that no square of a small gradient is lost in float32.
        self._scale = self._scale or 1e6 / max(total, 1e-30)
        gradient, ratio = self.objective.gradient(x, terms, self._scale, parts=n % RATIO_EVERY == 0)
        if ratio is not None:
            self.result.gradient_ratios.append((n + 1, ratio))
        return losses, total * self._scale, gradient

    def _record(self, losses: dict[str, float], x: torch.Tensor) -> None:
        """Note the losses of x, keep x if it is the best picture, and tell whether the run is over."""
        result, before = self.result, self.result.evaluations
        for name in {**result.history, **losses}:
            result.history.setdefault(name, [nan] * before).append(losses.get(name, nan))
        n, loss, totals = before + 1, losses["total"], result.history["total"][self._changed_at :]
        if loss < self._best_loss:
            self._best_loss, result.best = loss, before
            self._best_x.copy_(x)
            result.image = x.clamp(0, 1)
        if n in self.settings.frames:
            result.frames[n] = result.image
        if loss <= 1e-10 * self.objective.dark_loss:  # features agree to the last digits of float32
            result.end("converged", f"Converged at evaluation {n}: the loss is as good as 0.")
        elif not isfinite(loss):
            words = f"The loss became {loss} at evaluation {n}; this is the best picture before it."
            result.end("diverged", words)
        elif len(totals) > 20 and min(totals[-20:]) > 10 * totals[0]:
            words = f"The loss has been over 10 times its first value for 20 evaluations (until {n}); "
            words += "this is the best picture before it. A smaller learning rate may help."
            result.end("diverged", words)

    def _move(self, loss: float, gradient: torch.Tensor) -> None:
        """Send the optimiser what it asked for, and take the next picture that it wants."""
        self._x = self._pictures.send((loss, gradient))
        way, done = self.objective.way, self.result.evaluations
        rounded = way is not None and way.precision != "float32"
        if rounded and (self._x is None or done >= (1 - FINISH_IN_FLOAT32) * self.settings.evaluations):
            self.objective.way = way.in_float32()
            self._begin(self._best_x, self._at)
        elif self._x is None:
            self.result.end("converged", "Converged: no step lowers the loss any more.")

    def _end(self) -> None:
        if not self.result.stopped and self.result.evaluations >= self.settings.evaluations:
            self.result.end("finished")
        elif not self.result.stopped:
            self.result.end("interrupted", f"Interrupted ({self._stop}); this is the best picture so far.")
        self._stop = ""
        if self.checkpoint.path and self.result.evaluations:
            self.result.note = self.checkpoint.save_if_it_can(self._state()) or self.result.note
