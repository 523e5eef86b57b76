"""Serve the talk on this machine alone, with two runs that can be started from its slides.

Run:  python notebooks/talk/present.py [--port 8080] [--no-browser]

The page asks ``/start?what=NAME``, then ``/state?what=NAME`` again and again. Only GET is answered, only
for a Host and an Origin that are this machine, and runs only for the page itself: it sends a header that
a page of another site cannot send without asking first, which is refused.
"""

import argparse
import base64
import io
import json
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))

import build

from helpers.images import load_image, to_pil
from helpers.network import VGG19
from helpers.synthesis import Run
from helpers.system.interrupts import Watch

#: What each run does: size in pixels, and the settings of its ``Run``.
RUNS = {
    "grow": (128, {"alpha": 1e-2, "evaluations": 60}),
    "vote": (80, {"alpha": 0.0, "init": "content", "evaluations": 40}),  # as in notebook 7
}


class Moments:
    """The runs of the talk: one at a time, each in a thread of its own.

    Args:
        network: Makes a ``VGG19``; called once, at the first start.
    """

    def __init__(self, network: Callable = VGG19):
        self._make, self._network = network, None
        self._lock, self._turn, self._stop = threading.Lock(), threading.Lock(), threading.Event()
        self._states: dict[str, dict] = {}
        self._threads: list[threading.Thread] = []

    def warm_up(self) -> None:
        """Read the network's weights, so that the first run does not wait for them."""
        with self._turn:
            self._network = self._network or self._make()

    def warm_up_soon(self) -> None:
        """Do the same in a thread."""
        self._begin(self.warm_up)

    def _begin(self, work: Callable, *words) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(threading.Thread(target=work, args=words, daemon=True))
        self._threads[-1].start()

    def start(self, what: str) -> None:
        """Begin a run anew; one that goes on is ended first.

        Raises:
            KeyError: If there is no such run.
        """
        size, settings = RUNS[what]
        with self._lock:
            self._stop.set()
            self._stop = stop = threading.Event()
            state = {"number": 0, "losses": [], "left": 100.0, "picture": "", "done": False, "trouble": ""}
            self._states[what] = state
        self._begin(self._compute, state, stop, size, settings)

    def stop(self) -> None:
        """End the run that goes on, if there is one, after its evaluation."""
        self._stop.set()

    def close(self) -> None:
        """End the run that goes on and wait for it: PyTorch must not compute while Python ends."""
        self.stop()
        for thread in self._threads:
            thread.join(timeout=20)

    def state(self, what: str) -> dict:
        """Return a run's evaluations so far, total losses, newest picture, and whether it has ended.

        Raises:
            KeyError: If it was not started.
        """
        with self._lock:
            return dict(self._states[what])

    def _compute(self, state: dict, stop: threading.Event, size: int, settings: dict) -> None:
        try:
            self.warm_up()
            with self._turn:
                p, a = (load_image(name, size=size).to(self._network.device) for name in PICTURES)
                for now in () if stop.is_set() else Run(self._network, p, a, **settings):
                    losses = [*state["losses"], now.losses["total"]]
                    left = float(f"{100 * min(losses) / losses[0]:.2g}")
                    newest = {
                        "number": now.number,
                        "losses": losses,
                        "left": left,
                        "picture": jpeg(now.image),
                    }
                    with self._lock:
                        state.update(newest)
                    if stop.is_set():
                        break
        except Exception as trouble:  # the page shows the stored result then, whatever the reason
            state["trouble"] = f"{type(trouble).__name__}: {trouble}"
        state["done"] = True


PICTURES = ("chenonceau", "starry_night")


def jpeg(image) -> str:
    """Return a picture, (1, 3, H, W) in [0, 1], as a data address."""
    buffer = io.BytesIO()
    to_pil(image).save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


class Desk(BaseHTTPRequestHandler):
    """Answers the browser: the deck, and the two runs."""

    deck: bytes
    moments: Moments

    def do_GET(self) -> None:
        """Answer one request."""
        port = self.server.server_address[1]
        here = {f"127.0.0.1:{port}", f"localhost:{port}"}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in here or (origin and origin.removeprefix("http://") not in here):
            return self._send(403, b"this machine only", "text/plain")
        address = urlsplit(self.path)
        if address.path in ("/", "/talk.html"):
            return self._send(200, self.deck, "text/html; charset=utf-8")
        if address.path not in ("/start", "/state", "/stop"):
            return self._send(404, b"not here", "text/plain")
        site = self.headers.get("Sec-Fetch-Site", "same-origin")
        if self.headers.get("X-Talk") != "1" or site != "same-origin":
            return self._send(403, b"the talk's own page only", "text/plain")
        what = parse_qs(address.query).get("what", [""])[0]
        try:
            if address.path == "/start":
                self.moments.start(what)
            if address.path == "/stop":
                self.moments.stop()
            answer = self.moments.state(what)
        except KeyError:
            return self._send(404, b"no such run", "text/plain")
        return self._send(200, json.dumps(answer).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "SAMEORIGIN")  # the speaker view shows the deck in frames
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words) -> None:
        """Say nothing about every request."""


def serve(deck: str, port: int = 0, moments: Moments | None = None) -> ThreadingHTTPServer:
    """Return a server of the page on loopback; port 0 takes a free one. The caller starts it."""
    desk = type("Desk", (Desk,), {"deck": deck.encode(), "moments": moments or Moments()})
    return ThreadingHTTPServer(("127.0.0.1", port), desk)


def main() -> int:
    """Build the deck, serve it, open it where there is a browser, and return the exit code."""
    watch = Watch()
    watch.begin()
    parser = argparse.ArgumentParser(description="Serve the talk on this machine.")
    parser.add_argument("--port", type=int, default=0, help="by default a free one")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args()
    moments = Moments()
    server = serve(build.deck(build.read()), options.port, moments)
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        watch.raise_exceptions()
        print(f"The talk:        {address}\nIn 15 minutes:   {address}?short", flush=True)
        print(
            "Keys: s speaker view, k English or Korean notes, r run, g a slide's number. Ctrl-C ends.",
            flush=True,
        )
        moments.warm_up_soon()
        if not options.no_browser:
            webbrowser.open(address)
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        moments.close()
        server.server_close()
    return 0 if watch.received == signal.SIGINT else watch.exit_code  # Ctrl-C is how a talk ends


if __name__ == "__main__":
    code = main()
    # Not by Python's own end: threads that PyTorch left behind for a run would end it with an abort.
    sys.stdout.flush()
    os._exit(code)
