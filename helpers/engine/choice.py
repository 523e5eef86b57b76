"""The choice of the fastest way to compute on a machine, measured once.

There are three ways to compute a convolution:

* directly in float32: nine multiplications for each output value and input channel;
* in float32 with Winograd's minimal filtering: the same result, up to rounding, from a quarter of
  the multiplications;
* directly in bfloat16, numbers of half the size with 8 bits of precision: several times faster
  where the processor multiplies matrices of them, slower where it does not.

Which is fastest cannot be read off a processor's name.
"""

import contextlib
import functools
import json
import math
import platform
import time
from dataclasses import asdict, dataclass, replace

import torch
from torch.nn.functional import conv2d

from helpers.engine.winograd import transformed_kernels, winograd
from helpers.system.files import cache_folder, whole_file

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Fastest:
    """How one device computes convolutions fastest, as measured.

    Attributes:
        winograd: Whether Winograd's way is faster than the direct one, in float32.
        threads: How many threads are fastest, of the number that PyTorch chose or fewer.
        milliseconds: Time of a 256 → 256 layer at 48 × 64 positions, by way of computing;
            without an entry ``"bfloat16"`` where the device cannot.
    """

    winograd: bool
    threads: int
    milliseconds: dict[str, float]

    @property
    def bfloat16_gain(self) -> float:
        """How many times faster bfloat16 is than the fastest way in float32; 0 where there is none."""
        times = dict(self.milliseconds)
        return min(times.values()) / low if (low := times.pop("bfloat16", 0)) else 0.0


@functools.cache
def fastest(device: str = "cpu") -> Fastest:
    """Return how this device computes fastest, measured in under a second and kept in the cache folder.

    It is kept so that the same seed gives the same picture next time: the ways differ in the last
    digits. Removing ``fastest.json`` from the cache folder measures anew.

    Args:
        device: Such as ``"cpu"`` or ``"cuda:0"``.
    """
    path, threads = cache_folder() / "fastest.json", torch.get_num_threads()
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else f"{device}, {threads} threads"
    key = f"{platform.node()}, {name}, torch {torch.__version__}"
    try:
        answers = dict(json.loads(path.read_text(encoding="utf-8")))
        answer = Fastest(**answers[key]) if key in answers else None
    except (OSError, ValueError, TypeError):  # none yet, or not a file of ours
        answers, answer = {}, None
    if answer is None:
        answer = _measure(device)
        with contextlib.suppress(OSError):  # a machine where nothing can be kept measures every time
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as part:
                part.write_text(json.dumps({**answers, key: asdict(answer)}, indent=2), encoding="utf-8")
    torch.set_num_threads(answer.threads)
    return answer


def _measure(device: str) -> Fastest:
    x = torch.rand(1, 256, 48, 64, device=device).to(memory_format=torch.channels_last)
    w = torch.rand(256, 256, 3, 3, device=device).to(memory_format=torch.channels_last)
    bias = torch.zeros(256, device=device)
    threads, times = torch.get_num_threads(), {}
    with torch.no_grad():
        times["float32"] = _milliseconds(lambda: conv2d(x, w, bias, padding=1), device)
        while device == "cpu" and threads > 1:  # fewer are faster where a container may not use all
            torch.set_num_threads(threads // 2)
            halved = _milliseconds(lambda: conv2d(x, w, bias, padding=1), device)
            if halved > 0.9 * times["float32"]:
                break
            threads, times["float32"] = threads // 2, halved
        torch.set_num_threads(threads)
        if device == "cpu":
            times["winograd"] = _milliseconds(lambda: winograd(x, transformed_kernels(w), bias), device)
        try:
            x, w, bias = (t.bfloat16() for t in (x, w, bias))
            times["bfloat16"] = _milliseconds(lambda: conv2d(x, w, bias, padding=1), device)
        except RuntimeError:
            pass  # no bfloat16 here
    return Fastest(times.get("winograd", math.inf) < times["float32"], threads, times)


def _milliseconds(f, device: str) -> float:
    """Return the least of three times, after one that is not counted."""
    times = []
    for _ in range(4):
        began = time.perf_counter()
        f()
        if device != "cpu":
            torch.accelerator.synchronize()
        times.append(1e3 * (time.perf_counter() - began))
    return round(min(times[1:]), 3)


@dataclass(frozen=True)
class Way:
    """How the engine computes a run; part of the run's settings, since it decides the last digits.

    Attributes:
        precision: Of the features: ``"float32"`` or ``"bfloat16"``.
        winograd: Whether float32 convolutions go Winograd's way where they are large enough.
        threads: How many threads compute.
    """

    precision: str
    winograd: bool
    threads: int

    def in_float32(self) -> "Way":
        """Return the same way in float32."""
        return replace(self, precision="float32")


def choose(precision: str, device: torch.device) -> tuple[Way, str]:
    """Return the way to compute, and a sentence to show where it is not the one asked for.

    Args:
        precision: ``"auto"``: bfloat16 where it is at least 1.5 times as fast as the fastest way in
            float32; or ``"float32"`` or ``"bfloat16"``.
        device: Where the network is.

    Raises:
        ValueError: If the precision is another.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; choose from {PRECISIONS}")
    machine, message = fastest(str(device)), ""
    gain = machine.bfloat16_gain
    if precision == "auto":
        precision = "bfloat16" if gain >= 1.5 else "float32"
    elif precision == "bfloat16" and gain < 0.1:
        what = f"takes {1 / gain:.0f} times as long as float32" if gain else "is not to be had"
        precision, message = "float32", f"bfloat16 {what} on this machine; running in float32."
    return Way(precision, machine.winograd, machine.threads), message
