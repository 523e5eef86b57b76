"""How fast a run goes: the seconds of its evaluations, the threads that compute them, and what they teach."""

import math
import statistics
import time
from collections import deque
from contextlib import contextmanager

import torch
from torch import nn

from helpers.engine.choice import PROBE, correct
from helpers.engine.cores import Cores
from helpers.engine.seam import Way


class Pace:
    """Times the evaluations of a run, and lets as many threads compute as other programs leave cores.

    Within it the number of threads may change from evaluation to evaluation; at its end it is as before.

    Attributes:
        last: Seconds of the latest evaluations, ten at most.
    """

    def __init__(self, network: nn.Module):
        """Find out how many threads there may be."""
        self._network, self._cores = network, Cores()
        self.last = deque(maxlen=10)
        self._seen = {"bfloat16": deque(maxlen=10), "float32": deque(maxlen=10)}

    def __enter__(self) -> "Pace":
        self._before = torch.get_num_threads()
        self._cores.share()
        return self

    def __exit__(self, *exception) -> None:
        torch.set_num_threads(self._before)
        most = [[s for s, threads in seen if threads == self._cores.most] for seen in self._seen.values()]
        if min(map(len, most)) >= 5:
            correct(self._network, dict(zip(self._seen, map(statistics.median, most), strict=True)))
        for seen in self._seen.values():
            seen.clear()

    @contextmanager
    def evaluation(self, way: Way | None, x: torch.Tensor):
        """Time what is done with a picture within it, with as many threads as there are cores for.

        What it says of the two precisions counts for pictures as large as the one that the choice was
        measured on: in smaller ones both take nearly the same time.

        Args:
            way: By which it is computed, None without the engine.
            x: (1, 3, H, W).

        Yields:
            The number of threads.
        """
        threads = self._cores.share()
        began = time.perf_counter()
        yield threads
        self.last.append(time.perf_counter() - began)
        if way and x.shape[2] * x.shape[3] >= math.prod(PROBE):
            self._seen[way.precision].append((self.last[-1], threads))
