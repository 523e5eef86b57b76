"""Target 8: how soon widgets answer, how often a live run shows itself, and what that costs."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from helpers.engine.choice import choose, fastest
from helpers.images import load_image
from helpers.network import VGG19
from helpers.synthesis import synthesise
from helpers.widgets import LiveRun, alpha_beta_pad, compare, gram_explorer, layer_page, scrubber

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "helpers" / "widgets" / "page"
TIMES = 20

#: A control of each view, and the keys that move it there and back.
CONTROLS = {
    "compare": ("input[type=range]", ("ArrowLeft", "ArrowRight")),
    "scrubber": ("input[type=range]", ("ArrowLeft", "ArrowRight")),
    "gram_explorer": ("canvas[tabindex='0']", ("ArrowUp", "ArrowDown")),
    "layer_page": ("canvas[tabindex='0']", ("ArrowUp", "ArrowDown")),
    "alpha_beta_pad": ("[role=slider]", ("Home", "End")),
}

#: From a key to the first frame that shows what it changed, in milliseconds.
REACTION = """async ([selector, key]) => {
  const control = document.querySelector(selector);
  const began = performance.now();
  if (control.tagName === "INPUT") {
    control.value = +control.value + (key === "ArrowLeft" ? -1 : 1);
    control.dispatchEvent(new Event("input"));
  } else control.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - began;
}"""


def widgets():
    """Return the rows and details of target 8."""
    with sync_playwright() as playwright:
        root = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=root)
        page = browser.new_page()
        static = {name: _static(page, name, view) for name, view in _views().items()}
        studio = _studio(page)
        browser.close()
    shown, share, stopped = _live()
    off = _estimates()
    worst = max(max(times) for times in static.values())
    middle = statistics.median(time for times in static.values() for time in times)
    rows = [
        ("80a", "widgets without a kernel: ms from a key to the picture, median of all", middle, 50, "≤"),
        ("80b", "widgets without a kernel: ms from a key to the picture, worst", worst, 100, "≤"),
        (
            "81a",
            "studio: ms from a setting to its estimate, median",
            statistics.median(studio),
            200,
            "≤",
        ),
        ("81b", "studio: ms from a setting to its estimate, worst of 20", max(studio), 1000, "≤"),
        ("82a", "live run at 256 px: pictures a second", shown, 2, "≥"),
        ("82b", "live run at 256 px: share of its time for showing", share, 0.1, "≤"),
        ("82c", "live run at 256 px: ms from pause to standing still, worst of 20", max(stopped), 1000, "≤"),
    ]
    for letter, (size, ratio) in zip("abc", off.items(), strict=True):
        what = f"studio: seconds of 60 evaluations at {size} px ÷ those estimated"
        rows.append((f"83{letter}", what, ratio, 2, "≤"))
    return rows, {"milliseconds of widgets": static | {"studio": studio}}


def _estimates() -> dict[int, float]:
    """Return size → the seconds of a run ÷ those that the studio says before it."""
    network, ratios = VGG19(), {}
    way = choose("auto", network)[0]
    for size in (160, 256, 512):
        p, a = (load_image(name, size) for name in ("chenonceau", "starry_night"))
        run = synthesise(network, p, a, alpha=2e-3, evaluations=60, progress=False)
        ratios[size] = run.seconds / (60 * fastest(network).seconds(*p.shape[2:], way))
    return ratios


def _views() -> dict:
    network, p, a = VGG19(), load_image("chenonceau", 96), load_image("starry_night", 96)
    options = {"evaluations": 6, "progress": False}
    runs = {ratio: synthesise(network, p, a, alpha=ratio, **options) for ratio in (1e-3, 1)}
    film = synthesise(network, p, a, frames=range(7), **options)
    return {
        "compare": compare({"p": p, "x": film.image}),
        "scrubber": scrubber(film),
        "gram_explorer": gram_explorer(network, a),
        "layer_page": layer_page(network, p, "chenonceau"),
        "alpha_beta_pad": alpha_beta_pad(runs),
    }


def _static(page, name, view) -> list[float]:
    page.set_content(f"<!doctype html><meta charset=utf-8><body>{view.data}")
    selector, keys = CONTROLS[name]
    return [page.evaluate(REACTION, [selector, keys[n % 2]]) for n in range(TIMES)]


def _studio(page) -> list[float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tempfile.mkdtemp()
    environment = os.environ | {"JUPYTER_PATH": str(PAGE), "JUPYTER_CONFIG_PATH": str(PAGE)}
    environment["JUPYTER_RUNTIME_DIR"] = home
    command = [sys.executable, "-m", "voila", "notebooks/studio.ipynb", "--no-browser", f"--port={port}"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        page.goto(f"http://127.0.0.1:{port}/")
        estimate, times = page.get_by_text("more memory"), []
        estimate.wait_for(timeout=60_000)
        for n in range(TIMES):
            before, button = estimate.inner_text(), ("large", "a quick look")[n % 2]
            began = time.perf_counter()
            page.get_by_role("button", name=button).click()
            page.wait_for_function("t => !document.body.innerText.includes(t)", arg=before, polling=5)
            times.append(1e3 * (time.perf_counter() - began))
        return times
    finally:
        server.terminate()
        server.wait()


def _live() -> tuple[float, float, list[float]]:
    """Return a live run's pictures a second, its share of the time, and how soon it stood still."""
    p, a = (load_image(name, 256) for name in ("chenonceau", "starry_night"))
    live = LiveRun(VGG19(), p, a, name=None, alpha=2e-3, evaluations=60)
    shown = []
    live._image.observe(lambda _: shown.append(time.perf_counter()), "value")
    live.start()
    live.wait()
    rate, share, stopped = (len(shown) - 1) / (shown[-1] - shown[0]), live.share_of_showing, []
    live = LiveRun(live.network, p, a, name=None, alpha=2e-3, evaluations=1000)
    for n in range(TIMES):
        live.start()
        time.sleep(0.3 + 0.01 * n)
        began = time.perf_counter()
        live.pause()
        live.wait()
        stopped.append(1e3 * (time.perf_counter() - began))
    return rate, share, stopped
