"""The choice of the fastest way to compute on a machine, measured once.

There are three ways to compute a convolution:

* directly in float32: nine multiplications for each output value and input channel;
* in float32 with Winograd's minimal filtering: the same result, up to rounding, from a quarter of
  the multiplications;
* directly in bfloat16, numbers of half the size with 8 bits of precision: several times faster
  where the processor multiplies matrices of them, slower where it does not.

Which is fastest cannot be read off a processor's name, and not off one layer either: between the
convolutions lie copies, products and comparisons. So whole evaluations of a small picture are measured,
by the processor's time of one thread, which other programs do not count in, and in turns.
"""

import contextlib
import json
import math
import platform
import time
from dataclasses import asdict, dataclass

import torch
from torch import nn

from helpers.engine.seam import Way, features
from helpers.system.files import cache_folder, whole_file

PRECISIONS = ("auto", "float32", "bfloat16")

#: How many times faster bfloat16 must be to be taken: it rounds more, and a run ends in float32 anyway.
WORTH_ROUNDING = 1.15

#: Height and width in pixels of the picture that is measured, and how often each way has its turn.
PROBE, TURNS = (96, 128), 2

#: A way that takes so many times as long as float32 in a ninth of that picture is not measured in all of it:
#: a processor without instructions for bfloat16 would need half a minute for it.
HOPELESS = 3

WAYS = {
    "float32": Way("float32", False),
    "winograd": Way("float32", True),
    "bfloat16": Way("bfloat16", False),
}


@dataclass(frozen=True)
class Fastest:
    """How one device computes evaluations fastest, as measured.

    Attributes:
        milliseconds: Of an evaluation, by way; of one thread's processor time on a CPU. Without an entry
            ``"bfloat16"`` where the device cannot, or where a run saw that it does not pay.
    """

    milliseconds: dict[str, float]

    @property
    def winograd(self) -> bool:
        """Whether Winograd's way is the faster one in float32; in larger pictures than this it gains more."""
        return self.milliseconds.get("winograd", math.inf) < 1.1 * self.milliseconds["float32"]

    @property
    def bfloat16_gain(self) -> float:
        """How many times faster bfloat16 is than the fastest way in float32; 0 where there is none."""
        times = dict(self.milliseconds)
        return min(times.values()) / low if (low := times.pop("bfloat16", 0)) else 0.0

    def seconds(self, height: int, width: int, way: Way) -> float:
        """Return about how long an evaluation of a picture takes, by the number of its pixels.

        Args:
            height: In pixels.
            width: In pixels.
            way: As chosen; in bfloat16 a fifth of a run's evaluations is in float32.
        """
        times = self.milliseconds
        one = min(time for name, time in times.items() if name != "bfloat16")
        if way.precision == "bfloat16" and "bfloat16" in times:
            one = 0.8 * times["bfloat16"] + 0.2 * one
        threads = torch.get_num_threads()
        return one / 1e3 * height * width / (PROBE[0] * PROBE[1]) / (1 + 0.8 * (threads - 1))


#: The answers that this process knows, by device.
_known: dict[str, Fastest] = {}


def fastest(network: nn.Module) -> Fastest:
    """Return how the network's device computes fastest, measured in one to five seconds and kept.

    It is kept in the cache folder so that the same seed gives the same picture next time: the ways differ
    in the last digits. Removing ``fastest.json`` from there measures anew.

    Args:
        network: Such as a ``VGG19``; its ``device`` is measured.
    """
    device = str(network.device)
    if device not in _known:
        answers = _kept()
        if _key(device) not in answers:
            _keep(device, Fastest(measure(network)))
        else:
            _known[device] = answers[_key(device)]
    return _known[device]


def correct(network: nn.Module, seconds: dict[str, float]) -> bool:
    """Compare the choice of bfloat16 with what a run saw, and take it back where it does not pay.

    Args:
        network: Of the run.
        seconds: Of an evaluation in ``"bfloat16"`` and in ``"float32"``, with as many threads.

    Returns:
        Whether the choice was another from now on.
    """
    answer = fastest(network)
    if seconds["bfloat16"] < seconds["float32"] or answer.bfloat16_gain < WORTH_ROUNDING:
        return False
    times = {way: t for way, t in answer.milliseconds.items() if way != "bfloat16"}
    _keep(str(network.device), Fastest(times))
    return True


def measure(network: nn.Module) -> dict[str, float]:
    """Return the milliseconds of an evaluation by each way that the network's device has."""
    on_cpu = network.device.type == "cpu"
    ways = dict(WAYS) if on_cpu else {name: WAYS[name] for name in ("float32", "bfloat16")}
    small = PROBE[0] // 3, PROBE[1] // 3
    larger = math.prod(PROBE) / math.prod(small)
    first = {name: larger * ms for name, ms in _turns(network, ways, small, 1).items()}
    hopeless = {name: ms for name, ms in first.items() if ms > HOPELESS * first["float32"]}
    hopeful = {name: ways[name] for name in first if name not in hopeless}
    times = _turns(network, hopeful, PROBE, TURNS) | hopeless
    return {name: round(ms, 3) for name, ms in times.items()}


def _turns(network: nn.Module, ways: dict[str, Way], shape: tuple[int, int], turns: int) -> dict[str, float]:
    """Return the milliseconds of each way in its fastest turn, without the ways that the device lacks."""
    names = [name for name, _ in network.named_children()]
    # The first convolution and those behind a pooling: about what a transfer looks at.
    kinds = [isinstance(getattr(network, name), nn.Conv2d) for name in names]
    layers = [name for i, name in enumerate(names) if kinds[i] and not (i and kinds[i - 1])]
    x = torch.full((1, 3, *shape), 0.5, device=network.device, requires_grad=True)
    on_cpu, before = network.device.type == "cpu", torch.get_num_threads()
    clock, times = time.thread_time if on_cpu else time.perf_counter, {name: [] for name in ways}
    torch.set_num_threads(1 if on_cpu else before)
    try:
        for _ in range(turns + 1):  # the first turn fills caches
            for name in list(times):
                began = clock()
                try:
                    total = sum(G.float().sum() for _, G in features(network, x, layers, layers, ways[name]))
                    torch.autograd.grad(total, x)
                except RuntimeError:  # no bfloat16 here
                    del times[name]
                    continue
                if not on_cpu:
                    torch.accelerator.synchronize()
                times[name].append(1e3 * (clock() - began))
    finally:
        torch.set_num_threads(before)
    return {name: min(values[1:]) for name, values in times.items()}


def _key(device: str) -> str:
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return f"{platform.node()}, {name}, torch {torch.__version__}, evaluation"


def _kept() -> dict[str, Fastest]:
    """Return the answers in the cache folder; none where there is no file, or not one of ours."""
    try:
        answers = json.loads((cache_folder() / "fastest.json").read_text(encoding="utf-8"))
        ours = {key: Fastest(**answer) for key, answer in answers.items() if key.endswith(", evaluation")}
        return {key: answer for key, answer in ours.items() if _is_sound(answer.milliseconds)}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _is_sound(times) -> bool:
    known = isinstance(times, dict) and {"float32"} <= times.keys() <= WAYS.keys()
    return known and all(isinstance(t, int | float) and 0 < t < 1e9 for t in times.values())


def _keep(device: str, answer: Fastest) -> None:
    _known[device] = answer
    path, answers = cache_folder() / "fastest.json", {**_kept(), _key(device): answer}
    with contextlib.suppress(OSError):  # a machine where nothing can be kept measures every time
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_text(
                json.dumps({k: asdict(a) for k, a in answers.items()}, indent=2), encoding="utf-8"
            )


def choose(precision: str, network: nn.Module) -> tuple[Way, str]:
    """Return the way to compute, and a sentence to show where it is not the one asked for.

    Args:
        precision: ``"auto"``: bfloat16 where an evaluation is at least 1.15 times as fast as by the
            fastest way in float32; or ``"float32"`` or ``"bfloat16"``.
        network: Such as a ``VGG19``; its ``device`` will compute.

    Raises:
        ValueError: If the precision is another.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}; choose from {PRECISIONS}")
    machine, message = fastest(network), ""
    gain = machine.bfloat16_gain
    if precision == "auto":
        precision = "bfloat16" if gain >= WORTH_ROUNDING else "float32"
    elif precision == "bfloat16" and gain < 0.1:
        what = f"takes {1 / gain:.0f} times as long as float32" if gain else "is not to be had"
        precision, message = "float32", f"bfloat16 {what} on this machine; running in float32."
    return Way(precision, machine.winograd), message
