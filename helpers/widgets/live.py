"""A run that one watches and steers while it goes on."""

import contextlib
import math
import threading
import time
from pathlib import Path

import ipywidgets

from helpers.network import CONVOLUTION_LAYERS, VGG19
from helpers.record import Synthesis
from helpers.synthesis import Run
from helpers.system.files import cache_folder
from helpers.widgets.curves import curves
from helpers.widgets.pictures import jpeg

#: One run computes at a time: two would take far more than twice as long.
_MACHINE = threading.Lock()

#: Seconds between two pictures on the page, at least.
BETWEEN = 0.25

#: Without a kernel JupyterLab puts a red icon beside every part of a widget; the text says it once.
NO_ICONS = "<style>.jupyter-widgets-disconnected::before { display: none !important; }</style>"

RATIOS = [10 ** (exponent / 4) for exponent in range(-20, 5)]


def ratio_options(ratio: float) -> list[tuple[str, float]]:
    """Return the α/β to choose from, the given one among them: words and value."""
    return [(f"{r:.2g}", r) for r in sorted({*RATIOS, ratio})]


class LiveRun(ipywidgets.VBox):
    """A run with its picture, its losses, and buttons: start, pause, one step, stop, begin again.

    It computes in a thread of its own, so the kernel is free for other cells. What is changed on the spot,
    α/β, pooling or the content layer, counts from the next evaluation on, and the curves mark where. The run
    is saved every ten seconds; the same call after a restart takes it up again.

    Args:
        network: A ``VGG19``.
        p: Photograph, (1, 3, H, W), or None.
        a: Artwork, or None.
        name: Under which the run is saved in the cache folder; None saves nothing.
        width: Of the picture on the page, in pixels.
        settings: As for ``Run``.

    Attributes:
        run: The ``Run``; its ``result`` has the picture so far.
        on_end: Called whenever all evaluations are made, or None.
    """

    def __init__(
        self, network: VGG19, p=None, a=None, name: str | None = "live", width: int = 320, **settings
    ):
        """Check everything, as ``Run`` does; start nothing."""
        self.network, self._pictures, self._settings = network, {"p": p, "a": a}, settings
        self._path, not_saved = name and cache_folder() / f"{Path(name).name}.live.pt", ""
        try:
            if self._path:
                self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._path, not_saved = None, f" It will not be saved: {error}."
        self._changes, self._steps, self._thread, self._shown = {}, math.inf, None, 0.0
        self._width, self._show_seconds, self.on_end = width, 0.0, None
        self._build(p, a)
        self.run = self._new(resume=True)
        begun = self.run.result.evaluations > 0
        self._show(("Taken up where it was saved." if begun else "Ready.") + not_saved)
        super().__init__(
            [self._buttons, self._choices, ipywidgets.HBox([self._image, self._curves]), self._status]
        )

    def _new(self, resume: bool) -> Run:
        if self._path and resume and self._path.exists():
            with contextlib.suppress(ValueError, OSError):  # of another run: it gives way
                return Run(
                    self.network, **self._pictures, **self._settings, checkpoint=self._path, resume=True
                )
        if self._path:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
        return Run(self.network, **self._pictures, **self._settings, checkpoint=self._path or None)

    def _build(self, p, a) -> None:
        def button(words, icon, tip, action):
            made = ipywidgets.Button(description=words, icon=icon, tooltip=tip)
            made.layout.width = "auto"
            made.on_click(lambda _: action())
            return made

        self._start = button("start", "play", "Start, or go on", self.start)
        self._pause = button("pause", "pause", "Stop after this evaluation; start goes on", self.pause)
        self._step = button("step", "step-forward", "One evaluation", self.step)
        self._stop = button("stop", "stop", "Stop now and save", self.stop)
        self._again = button("begin again", "undo", "From white noise", self.begin_again)
        self._buttons = ipywidgets.HBox([self._start, self._pause, self._step, self._stop, self._again])
        wide = {"description_width": "initial"}
        ratio = self._settings.get("alpha", 1e-3) / self._settings.get("beta", 1)
        self._ratio = ipywidgets.SelectionSlider(
            options=ratio_options(ratio), value=ratio, description="α/β", style=wide
        )
        self._pooling = ipywidgets.Dropdown(
            options=["average", "max"], value=self.network.pooling, description="pooling", style=wide
        )
        layer = self._settings.get("content_layer", "conv4_2")
        self._layer = ipywidgets.Dropdown(
            options=CONVOLUTION_LAYERS, value=layer, description="content layer", style=wide
        )
        controls = [self._ratio] if p is not None and a is not None else []
        controls += [self._pooling] + ([self._layer] if p is not None else [])
        for control in controls:
            control.layout.width = "260px" if control is self._ratio else "auto"
        self._choices = ipywidgets.HBox(controls)
        self._ratio.observe(lambda change: self._change(alpha=change.new, beta=1.0), "value")
        self._pooling.observe(lambda change: self._change(pooling=change.new), "value")
        self._layer.observe(lambda change: self._change(content_layer=change.new), "value")
        self._image = ipywidgets.Image(format="jpeg", width=self._width, layout={"margin": "6px"})
        self._curves, self._status = ipywidgets.HTML(), ipywidgets.HTML()

    @property
    def is_running(self) -> bool:
        """Whether it computes, or waits for its turn."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def share_of_showing(self) -> float:
        """What part of the run's time went into the picture and the curves on the page."""
        return self._show_seconds / max(self.run.result.seconds, 1e-9)

    def start(self) -> None:
        """Start, or go on; nothing happens if it is running."""
        if not self.is_running:
            self._steps = math.inf
            self._go()

    def step(self) -> None:
        """Make one evaluation; while it is running, pause it."""
        if self.is_running:
            self.pause()
        else:
            self._steps = 1
            self._go()

    def pause(self) -> None:
        """Stop after the evaluation that it is at."""
        if self.is_running:  # else the next start would end at once
            self._steps = 0
            self.run.stop("paused")

    def stop(self) -> None:
        """Stop after the evaluation that it is at, and save the run where runs are saved."""
        self.pause()
        self.wait(30)
        if self._path and self.run.result.evaluations:
            self.run.save()
        self._show("Stopped.")

    def begin_again(self) -> None:
        """Throw the run away and begin from the start, with the loss as it is chosen now."""
        self.pause()
        self.wait()
        loss = {
            name: value
            for name, value in self.run._compared.items()
            if name in ("alpha", "beta", "content_layer")
        }
        self._settings |= {name: value for name, value in loss.items() if value is not None}
        self.run = self._new(resume=False)
        self._show("Ready.")

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it stands still."""
        if self.is_running:
            self._thread.join(seconds)

    def _change(self, **changes) -> None:
        self._changes |= changes
        if not self.is_running:
            self._apply()
            self._show("Changed.")

    def _apply(self) -> None:
        """Change the run's loss between two evaluations."""
        changes, self._changes = self._changes, {}
        if pooling := changes.pop("pooling", None):
            device, normalised = self.network.device, self.network.normalised
            self.network = VGG19(pooling=pooling, normalised=normalised).to(device)
            changes["network"] = self.network
        if changes:
            self.run.change(**changes)

    def _go(self) -> None:
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        if not _MACHINE.acquire(blocking=False):
            self._show("Waits until another run on this machine is paused or done.")
            while not _MACHINE.acquire(timeout=0.2):
                if self._steps == 0:
                    return self._show("Paused.")
        try:
            self._apply()
            for _ in self.run:
                self._steps -= 1
                if self._changes:
                    self._apply()
                if time.perf_counter() - self._shown >= BETWEEN:
                    self._show("Running.")
                if self._steps <= 0:
                    self.run.stop("paused")
            result = self.run.result
            words = {"finished": "Finished.", "interrupted": "Paused."}
            self._show(words.get(result.stopped, result.message or result.stopped))
            if result.stopped != "interrupted" and self.on_end:
                self.on_end()
        except Exception as error:  # in a thread nobody would see it
            self._show(f"Ended: {error}")
        finally:
            _MACHINE.release()

    def _show(self, words: str) -> None:
        began, result = time.perf_counter(), self.run.result
        image = result.image
        self._image.value = jpeg(image, self._width)
        self._image.layout.height = f"{round(self._width * image.shape[2] / image.shape[3])}px"
        history = {"total": result.history.get("total", [])}
        if all(picture is not None for picture in self._pictures.values()):
            for name, weight in (("α · content", "alpha"), ("β · style", "beta")):
                values = result.history.get(name.split()[-1], [])
                weights = _course(result, weight)[: len(values)]
                history[name] = [w * v for w, v in zip(weights, values, strict=True)]
        marks = [(n, _told(changed)) for n, changed in result.changes]
        self._curves.value = curves(history, marks, self.run.settings.evaluations)
        left = self.run.seconds_left()
        more = f" {left:.0f} s left." if words == "Running." and math.isfinite(left) else ""
        saved = " Saved every ten seconds." if self._path else ""
        done = f"{result.evaluations} of {self.run.settings.evaluations} evaluations."
        self._status.value = f'{NO_ICONS}<span role="status">{words} {done}{more}{saved} {result.note}</span>'
        self._shown = time.perf_counter()
        self._show_seconds += self._shown - began


def _course(result: Synthesis, weight: str) -> list[float]:
    """Return α or β of every evaluation: it may have been changed on the way."""
    course = [result.settings[weight]] * result.evaluations
    for n, changed in result.changes:
        if weight in changed:
            course[n:] = [changed[weight]] * (result.evaluations - n)
    return course


def _told(changed: dict) -> str:
    """Return a change in few words, for the curves."""
    words = {"alpha": "α/β", "content_layer": "", "network": "pooling"}
    parts = []
    for name, value in changed.items():
        if name in words:
            value = f"{value:.2g}" if isinstance(value, float) else "" if name == "network" else value
            parts.append(f"{words[name]} {value}".strip())
    return ", ".join(parts)
