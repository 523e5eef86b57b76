"""Signals that ask a program to end: Ctrl-C (SIGINT), SIGTERM and SIGHUP.

A run is told to stop, and ends after the evaluation it is at: nothing is lost and nothing is half done.
Where nothing was made yet, there is nothing to lose, and the program ends at once.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def stopped_by_signals(run) -> Iterator[None]:
    """Within it, a signal that would raise an exception stops the run instead, once it has a picture.

    Args:
        run: With ``stop(why)`` and ``result.evaluations``.
    """
    if threading.current_thread() is not threading.main_thread():  # signals go to the main thread only
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def handle(number, frame):
        if run.result.evaluations:
            run.stop(signal.Signals(number).name)
        else:
            before[number](number, frame)

    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)


class Watch:
    """What the command line does with signals, from its first line to its last.

    Attributes:
        run: The run that is going on, if there is one.
        received: The first signal that came, or None.
    """

    def __init__(self):
        self.run, self.received = None, None

    def begin(self) -> None:
        """Handle signals from now on, except those that the caller ignores, such as nohup."""
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)

    def raise_exceptions(self) -> None:
        """From now on let a signal raise KeyboardInterrupt: for work that keeps what is done by itself."""
        for number in SIGNALS:
            if signal.getsignal(number) == self._handle:
                signal.signal(number, self._raise)

    @property
    def exit_code(self) -> int:
        """The code that programs end with after a signal; 0 if none came."""
        return 128 + self.received if self.received else 0

    def _handle(self, number, frame):
        self.received = self.received or number
        if self.run is not None and self.run.result.evaluations:
            self.run.stop(signal.Signals(number).name)
            return
        # Not by an exception: while modules are imported, one can come out anywhere, or be swallowed.
        os.write(2, b"interrupted before anything was made\n")
        os._exit(self.exit_code)

    def _raise(self, number, frame):
        self.received = self.received or number
        raise KeyboardInterrupt
