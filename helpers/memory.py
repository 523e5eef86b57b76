"""How much memory a run needs, before it is begun."""

import psutil
import torch

from helpers.network import CHANNELS, LAYERS

#: Memory in bytes for the steps that L-BFGS remembers, 10 steps at least and 100 at most.
HISTORY_BYTES = 100e6


def history_length(height: int, width: int) -> int:
    """Return how many steps L-BFGS remembers for a picture of this size in pixels."""
    return int(min(max(HISTORY_BYTES // (2 * 4 * 3 * height * width), 10), 100))


def memory_needed(height: int, width: int, layers, dtype=torch.float32, pooling: str = "average") -> int:
    """Return about how many bytes a run adds to those that the process holds before it.

    Args:
        height: Of the picture in pixels.
        width: Of the picture in pixels.
        layers: Layers that the losses use.
        dtype: Precision of the features.
        pooling: ``"average"`` or ``"max"``.
    """
    M, size, kept, largest = height * width, dtype.itemsize, 0, 0
    for name in LAYERS[: 1 + max(LAYERS.index(layer) for layer in layers)]:
        N = CHANNELS[int(name[4])]
        if name.startswith("pool"):
            M = (M // 4) or 1
            # Max pooling keeps its input and, in 8 bytes, where each maximum was.
            kept += N * M * (4 * size + 8) if pooling == "max" else 0
        else:
            # Features that a loss uses are kept for back-propagation, of the others one byte a value.
            kept += N * M * (size if name in layers else 1)
            # At a layer: its gradient, that behind the ReLU, that of the layer before, and one to spare.
            largest = max(largest, 4 * N * M * size)
    pictures = 2 * history_length(height, width) + 12
    return int(kept + largest + pictures * 4 * 3 * height * width + 100e6)


def memory_available(device: torch.device) -> tuple[int, int]:
    """Return the bytes that are free and the bytes that there are, on CUDA's device or of the machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def check_memory(height: int, width: int, needed: int, device: torch.device) -> str:
    """Return a warning for a run that may not fit, or nothing.

    Args:
        height: Of the picture in pixels.
        width: Of the picture in pixels.
        needed: What ``memory_needed`` returns.
        device: Where it will run.

    Raises:
        ValueError: If the run cannot fit, whatever else is closed.
    """
    free, total = memory_available(device)
    if needed <= free:
        return ""
    fits = int(max(height, width) * (free / needed) ** 0.5 * 0.95)
    text = (
        f"a picture of {width} × {height} px needs about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB of "
        f"{total / 1e9:.1f} GB are free; at size {fits} it would fit"
    )
    if needed > total:
        raise ValueError(text)
    return text[0].upper() + text[1:] + ", or close other programs."
