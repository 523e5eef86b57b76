"""Panels: the pictures of a figure, each described completely and made once.

A panel is one run of ``synthesise``. Its picture is a file named after its description, so a series
of panels that was stopped goes on where it was, a changed setting makes only what it changes, and
any machine can make any panel. Where they are made, here or on Dask, is decided at the end.
"""

import asyncio
import concurrent.futures
import contextlib
import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageOps

from helpers.engine.cores import Cores, allowed
from helpers.images import MOST_PIXELS, from_pil, load_image, picture_path, read_record, save_image, to_pil
from helpers.losses import PRESETS
from helpers.network import CHANNELS, CONVOLUTION_LAYERS, STYLE_LAYERS, VGG19, best_device
from helpers.paper import pictures
from helpers.record import make_record
from helpers.synthesis import synthesise
from helpers.system.checkpoint import code_sha256
from helpers.system.files import check_file
from helpers.system.pictures import read_picture
from helpers.system.quick import quick_evaluations, quick_size


@dataclass(frozen=True)
class Panel:
    """One run of ``synthesise``, described completely.

    Attributes:
        content: The photograph p: a file, a picture of the series or one of the paper's, or None.
        style: The artwork a, likewise.
        content_layer: Where content is compared, if there is p.
        style_layers: Where style is compared, with equal weights, if there is a.
        ratio: α/β as the paper gives it, for labels.
        alpha: α, with β = 1.
        preset: The form of the losses, and whether the network is normalised.
        weights: As in ``VGG19``.
        pooling: As in ``VGG19``.
        size: Longer side of the pictures in pixels.
        evaluations: How often the losses are computed.
        seed: Of the white noise.
        precision: As in ``synthesise``, if one is asked for.
        hashes: Of the two pictures, the weights and the code; filled in by itself.

    Raises:
        FileNotFoundError: If there is no such picture.
        ValueError: If the network cannot be built.
    """

    content: str | None = None
    style: str | None = None
    content_layer: str | None = None
    style_layers: tuple[str, ...] = ()
    ratio: float | None = None
    alpha: float | None = None
    preset: str = "printed"
    weights: str = "original"
    pooling: str = "average"
    size: int = 256
    evaluations: int = 100
    seed: int = 0
    precision: str | None = None
    hashes: tuple[tuple[str, str], ...] = ()

    def __post_init__(self):
        """Look at the files now: what they are when a worker gets the panel is another matter."""
        network = _network(self.weights, self.pooling, PRESETS[self.preset].normalised)
        hashes = {"weights_hash": network.weights_hash, "code_sha256": code_sha256()}
        for kind in ("content", "style"):
            if source := getattr(self, kind):
                hashes[f"{kind}_sha256"] = _sha256(source)
        changes = {"hashes": tuple(hashes.items()), "size": quick_size(self.size)}
        changes["evaluations"] = quick_evaluations(self.evaluations)
        for name, value in changes.items():
            object.__setattr__(self, name, value)

    def description(self) -> dict:
        """Return everything that decides the picture, as JSON holds it."""
        # A picture's name decides nothing, its contents do; nor does the ratio, once α is known.
        unused = ("content", "style", "ratio", "weights", "hashes")
        settings = {k: v for k, v in asdict(self).items() if k not in unused and v not in (None, ())}
        if self.style_layers:
            settings["style_layers"] = list(self.style_layers)
        return settings | dict(self.hashes)

    @property
    def key(self) -> str:
        """Twelve letters and digits that stand for the description."""
        text = json.dumps(self.description(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """What the panel shows, in a few words that can be part of a file's name."""
        words = ["content", Path(self.content).stem, self.content_layer] if self.content else []
        if self.style:
            last = self.style_layers[-1]
            layers = last if len(self.style_layers) == 1 else f"{self.style_layers[0]}-{last}"
            words += ["style", Path(self.style).stem, layers]
        return "_".join(words + ([f"{self.ratio:g}"] if self.ratio is not None else []))

    @property
    def file(self) -> str:
        """Name of the panel's PNG file; a file system takes 255 bytes."""
        name = self.name.encode(errors="surrogateescape")[:200].decode(errors="ignore")
        return f"{name}_{self.key}.png"

    @property
    def caption(self) -> str:
        """Which network and losses make the picture, for under a figure."""
        preset = PRESETS[self.preset]
        network = f"{Path(self.weights).name} VGG19{', normalised' if preset.normalised else ''}"
        run = f"{self.size} px, {self.evaluations} evaluations, seed {self.seed}"
        return f"{network}, {self.pooling} pooling, {preset.form} losses; {run}"


def make_panel(panel: Panel, p: Image.Image | None, a: Image.Image | None) -> tuple[torch.Tensor, dict]:
    """Run one panel.

    Args:
        panel: What to make.
        p: The photograph at the panel's size.
        a: The artwork at the panel's size.

    Returns:
        The picture, (1, 3, H, W), RGB in [0, 1], and its record, with the panel's description.

    Raises:
        KeyboardInterrupt: If the run is interrupted: half a run is no panel.
    """
    preset = PRESETS[panel.preset]
    network = _network(panel.weights, panel.pooling, preset.normalised)
    options = {"precision": panel.precision} if panel.precision else {}
    result = synthesise(
        network,
        p and from_pil(p),
        a and from_pil(a),
        content_layer=panel.content_layer or "conv4_2",
        style_layers=panel.style_layers or STYLE_LAYERS,
        form=preset.form,
        alpha=1.0 if panel.alpha is None else panel.alpha,
        beta=1.0,
        seed=panel.seed,
        evaluations=panel.evaluations,
        progress=False,
        **options,
    )
    if result.stopped == "interrupted":
        raise KeyboardInterrupt
    names = {"p": panel.content and Path(panel.content).name, "a": panel.style and Path(panel.style).name}
    record = make_record(result, network, preset=panel.preset, **names)
    record |= {"panel": panel.description(), "pixels_sha256": _pixels(to_pil(result.image))}
    return result.image, record


def is_made(panel: Panel, folder: Path) -> bool:
    """Return whether the panel's file is there, whole, and made as the panel says."""
    path = folder / panel.file
    try:
        record = read_record(path)
        same = record.get("panel") == panel.description()
        return same and record.get("pixels_sha256") == _pixels(read_picture(path, MOST_PIXELS))
    except (OSError, ValueError):
        return False


def make_panels(
    panels: Sequence[Panel],
    folder: str | Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    report: Callable[[str], None] = print,
    after: Callable[[Sequence[Panel]], None] = lambda panels: None,
) -> int:
    """Make the panels that are missing, changed or damaged, and write each when it is done.

    Args:
        panels: What is wanted.
        folder: Where the panels' files are; made if it is missing.
        scheduler: Address of a Dask scheduler whose workers make the panels.
        workers: Number of processes of this machine to make them, each with its share of the
            cores; with GPUs, process i uses GPU i. By default one, this one.
        report: Gets a line about each panel, with the time left.
        after: Called with the panels that are there already, then with each when it is made.

    Returns:
        How many were made.

    Raises:
        ValueError: If workers is no number above 0, or a picture changes before its panels are made.
        OSError: If a panel cannot be written.
        ModuleNotFoundError: If scheduler or workers are given without the extra ``cluster``.
        ConnectionError: If the scheduler, or its last worker, cannot be reached.
        KeyboardInterrupt: If the user stops it. What was made by then is kept.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers!r}; it must be a whole number above 0")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = list({panel.key: panel for panel in panels}.values())
    missing = [panel for panel in wanted if not is_made(panel, folder)]
    if there := len(wanted) - len(missing):
        report(f"{there} of {len(wanted)} panels are there already")
        after([panel for panel in wanted if panel not in missing])
    for panel in missing:
        check_file(folder / panel.file, "a panel", {})
    work, done, began = sum(map(_work, missing)), 0.0, time.perf_counter()
    with contextlib.closing(_results(missing, scheduler, workers)) as results:
        for count, (panel, image, record) in enumerate(results, there + 1):
            save_image(image, folder / panel.file, record)
            done += _work(panel)
            left = (time.perf_counter() - began) * (work - done) / done
            line = f"{count} of {len(wanted)}: {panel.name}, {record['evaluations']} evaluations"
            line += f" in {record['seconds']:.0f} s"
            line += f"; about {_spoken(left)} left" if done > work / 20 and left >= 1 else ""
            report(line + (f". {record['message']}" if record["stopped"] == "diverged" else ""))
            after([panel])
    return len(missing)


def contact_sheet(panels: Sequence[Panel], folder: Path, path: Path, side: int = 160) -> Path:
    """Write all panels that are there side by side, small; grey stands for those that are not."""
    columns = next(n for n in range(1, len(panels) + 1) if n * n >= len(panels))
    box, rows = (side, side * 3 // 4), -(-len(panels) // columns)
    width, height = box[0] + 8, box[1] + 22
    sheet = Image.new("RGB", (columns * width + 8, rows * height + 8), "white")
    draw = ImageDraw.Draw(sheet)
    for i, panel in enumerate(panels):
        x, y = 8 + i % columns * width, 8 + i // columns * height
        try:
            picture = to_pil(load_image(folder / panel.file))
            sheet.paste(ImageOps.contain(picture, box), (x, y))
        except (OSError, ValueError):  # not made yet, or damaged since: the next run makes it
            draw.rectangle((x, y, x + box[0], y + box[1]), fill="#dddddd")
        words = [(panel.style_layers or [panel.content_layer])[-1]]
        words += [Path(panel.style).stem] if panel.style else []
        words += [f"{panel.ratio:g}"] if panel.ratio else []
        draw.text((x, y + box[1] + 3), f"{i + 1}  {' '.join(words)}"[:28], fill="#333333")
    return save_image(from_pil(sheet), path)


def source_path(source: str) -> Path:
    """Return the file of one of the series' pictures, of one of the paper's, or of any path.

    Raises:
        FileNotFoundError: If there is none.
    """
    for image in pictures.PAPER_IMAGES:
        if image.name == source:
            if path := pictures.local_path(image):
                return path
            raise FileNotFoundError(
                f"{source} is not here yet; python -m helpers paper-images fetches the paper's pictures"
            )
    return picture_path(source)


def _pixels(picture: Image.Image) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


@lru_cache(maxsize=2)
def _network(weights, pooling, normalised) -> VGG19:
    return VGG19(weights, pooling, normalised).to(best_device())


def _pictures(panel: Panel) -> tuple[Image.Image | None, Image.Image | None]:
    # Sent as 8-bit pictures: a fourth of the bytes, and the worker's machine needs no files.
    pictures = tuple(
        source and to_pil(load_image(source_path(source), panel.size))
        for source in (panel.content, panel.style)
    )
    hashes = dict(panel.hashes)
    for kind in ("content", "style"):
        if (source := getattr(panel, kind)) and hashes[f"{kind}_sha256"] != _sha256(source):
            raise ValueError(f"{source} changed while panels were made; call again to make what that changes")
    return pictures


def _sha256(source: str) -> str:
    return hashlib.sha256(source_path(source).read_bytes()).hexdigest()


def _work(panel: Panel) -> float:
    """Return about how many multiplications a panel takes, to tell the time left."""
    layers = [panel.content_layer, *panel.style_layers]
    deepest = max(CONVOLUTION_LAYERS.index(layer) for layer in layers if layer)
    work, before = 1000.0, 3  # what the first layer costs beside its multiplications
    for name in CONVOLUTION_LAYERS[: deepest + 1]:
        channels = CHANNELS[int(name[4])]
        work, before = work + before * channels / 4 ** int(name[4]), channels
    return work * panel.evaluations * panel.size**2


def _spoken(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _results(panels, scheduler, workers) -> Iterator[tuple[Panel, torch.Tensor, dict]]:
    """Make panels here or on a cluster, and yield each when it is done."""
    if not panels:
        return
    if scheduler is None and workers is None:
        for panel in panels:
            yield panel, *make_panel(panel, *_pictures(panel))
        return
    try:  # imported only here: without the extra everything else works
        import distributed
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "--workers and --scheduler need Dask: python -m pip install --editable '.[cluster]'"
        ) from error
    with contextlib.ExitStack() as stack:
        threads = None
        if scheduler is None:
            threads = max(1, allowed() // workers)
            scheduler = stack.enter_context(_local_cluster(workers)).scheduler_address
        # What it logs as an error also comes as an exception, and is told below in one line.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        try:
            client = stack.enter_context(distributed.Client(scheduler, timeout=20))
            client.wait_for_workers(1, timeout=120)
        except OSError as error:
            raise ConnectionError(
                f"no Dask scheduler with a worker answers at {scheduler!r} ({error})"
            ) from error
        futures = {}
        for panel in panels:
            future = client.submit(_on_worker, panel, *_pictures(panel), threads, pure=False)
            futures[future] = panel
        for future in distributed.as_completed(futures):
            panel = futures.pop(future)
            try:
                image, record = future.result()
            except distributed.KilledWorker as error:
                raise ConnectionError(
                    f"{panel.name} ended every worker that tried it; is there memory for {panel.size} px?"
                ) from error
            except (asyncio.CancelledError, concurrent.futures.CancelledError) as error:
                raise ConnectionError(
                    f"lost the Dask scheduler at {scheduler!r}; what was made is kept"
                ) from error
            yield panel, image, record


def _local_cluster(workers: int):
    from distributed import Nanny, Scheduler, SpecCluster

    gpus = torch.cuda.device_count()
    return SpecCluster(
        scheduler={"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard": False}},
        workers={i: {"cls": Nanny, "options": _worker_options(i, gpus)} for i in range(workers)},
        silence_logs="ERROR",
    )


def _worker_options(i: int, gpus: int) -> dict:
    """Return what worker number i gets: one thread of Dask's, no limit of memory, and one GPU of several."""
    environment = {"CUDA_VISIBLE_DEVICES": str(i % gpus)} if gpus > 1 else {}
    quiet = {"dashboard": False, "silence_logs": "ERROR"}
    return {"nthreads": 1, "memory_limit": 0, "host": "127.0.0.1", "env": environment} | quiet


def _on_worker(panel, p, a, threads):
    if dict(panel.hashes)["code_sha256"] != code_sha256():
        raise ValueError(
            f"the worker on {platform.node()} has other code than this machine; install the same"
        )
    if threads:  # Dask gives a process one thread; a run may use its share of the cores
        Cores.limit = threads
    return make_panel(panel, p, a)
