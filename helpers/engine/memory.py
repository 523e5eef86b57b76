"""How much memory a run needs, before it is begun; and how it keeps what it has."""

import ctypes
import sys
from contextlib import contextmanager

import psutil
import torch
from torch import nn

from helpers.engine import container
from helpers.engine.seam import first_block_in_strips, names_until_deepest

# What glibc calls these settings in malloc.h, their values here, and those that it arrives at by itself
# once a program has freed large pieces.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
KEEPING = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1}
AS_BEFORE = {M_MMAP_MAX: 65_536, M_MMAP_THRESHOLD: 2**25, M_TRIM_THRESHOLD: 2**26}


@contextmanager
def freed_memory_kept():
    """Within it, memory that a tensor has freed stays with the process, for the next tensor.

    By itself Linux's C library gives every piece of more than 32 MB back at once, and the next
    evaluation gets it anew, page by page. At 1024 × 768 px that takes half of the time. At the end,
    everything that is free is given back, and so is what is freed later. Other systems are left as
    they are.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(library, "mallopt"):  # another C library
        yield
        return
    for setting, value in KEEPING.items():
        library.mallopt(setting, value)
    try:
        yield
    finally:
        for setting, value in AS_BEFORE.items():
            library.mallopt(setting, value)
        library.malloc_trim(0)


def memory_needed(network: nn.Module, height: int, width: int, layers, grams, pictures: int) -> int:
    """Return about how many bytes a run adds to those that the process holds before it.

    In float32, in which every run ends; the artwork counts as no larger than the picture.

    Args:
        network: As for ``features``.
        height: Of the picture in pixels.
        width: Of the picture in pixels.
        layers: Layers that the losses use.
        grams: Those of them of which only a Gram matrix is used.
        pictures: How many tensors of the picture's size the run holds, such as an optimiser's memory.
    """
    M, kept, largest, N = height * width, 0, 0, 3
    names = names_until_deepest(network, layers)
    in_strips = names[:2] if first_block_in_strips(network, layers, grams) else []
    for name in names:
        layer = getattr(network, name)
        if not isinstance(layer, nn.Conv2d):
            M = (M // 4) or 1
            # Max pooling keeps its input and, in 8 bytes, where each maximum was.
            kept += N * M * (4 * 4 + 8) if isinstance(layer, nn.MaxPool2d) else 0
            continue
        N = layer.out_channels
        if name in in_strips:
            kept += N * M if name == names[1] else 0
        else:
            # Features that a loss uses are kept for back-propagation, of the others one byte a value.
            kept += N * M * (4 if name in layers else 1)
            # At a layer: its gradient, that behind the ReLU, that of the layer before, and one to spare.
            largest = max(largest, 4 * N * M * 4)
    needed = kept + largest + pictures * 4 * 3 * height * width + 100e6
    return int(needed * 4 / 3)  # a quarter of the memory lies in gaps between tensors


def memory_available(device: torch.device) -> tuple[int, int]:
    """Return the bytes free and the bytes there are: CUDA's, the machine's or its container's."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device), total
    memory, (left, limit) = psutil.virtual_memory(), container.memory()
    return int(min(memory.available, left)), int(min(memory.total, limit))


def check_memory(height: int, width: int, needs, device: torch.device) -> str:
    """Return a warning for a run that may not fit, or nothing.

    Args:
        height: Of the picture in pixels.
        width: Of the picture in pixels.
        needs: From height and width to bytes, such as ``memory_needed`` of some layers.
        device: Where it will run.

    Raises:
        ValueError: If the run cannot fit, whatever else is closed.
    """
    (free, total), needed = memory_available(device), needs(height, width)
    if needed <= free:
        return ""
    longest = max(height, width)
    sizes = range(longest - 1, 31, -1)
    fits = (s for s in sizes if needs(round(height * s / longest), round(width * s / longest)) <= free)
    size = next(fits, None)
    text = (
        f"a picture of {width} × {height} px needs about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB of "
        f"{total / 1e9:.1f} GB are free; {f'at size {size} it' if size else 'no size'} would fit"
    )
    if needed > total:
        raise ValueError(text)
    return text[0].upper() + text[1:] + ", or close other programs."
