"""How many threads compute: as many as there are cores that other programs leave free.

The threads of one operation wait for each other at its end, and they wait by asking again and again,
because that is fastest on an idle machine. Beside another busy program this is a waste: the thread that
all wait for may not have a core at all. On two cores with one busy neighbour two threads take ten times
as long as one. So a run counts how many cores other programs keep busy, and leaves these to them.
"""

import math
import os

import psutil
import torch

from helpers.engine import container

#: How much of one more core must be free before a thread is given to it.
WORTH_A_THREAD = 0.5

#: Seconds over which what others do is counted. Linux counts in hundredths of a second.
LEAST = 0.1


def allowed() -> int:
    """Return how many cores this process may use: of its affinity, and of its container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(count, container.cores())))


class Neighbours:
    """How many cores the programs beside this process keep busy."""

    def __init__(self):
        """Begin to count."""
        self._process = psutil.Process()
        self._before = self._times()

    def busy(self) -> float | None:
        """Return how many cores others kept busy since the last call; None where too little time went by."""
        now = self._times()
        passed, all_busy, own = (after - before for after, before in zip(now, self._before, strict=True))
        if passed < LEAST:
            return None
        self._before = now
        return max(0.0, (all_busy - own) / passed)

    def _times(self) -> tuple[float, float, float]:
        """Return seconds: of the clock, busy ones of all cores that may be used, and this process's."""
        cores = psutil.cpu_times(percpu=True)
        if affinity := getattr(os, "sched_getaffinity", None):
            cores = [core for i, core in enumerate(cores) if i in affinity(0)]
        idle = sum(core.idle + getattr(core, "iowait", 0) for core in cores)
        total = sum(sum(core) - getattr(core, "guest", 0) - getattr(core, "guest_nice", 0) for core in cores)
        own = self._process.cpu_times()
        return total / max(len(cores), 1), total - idle, own.user + own.system


#: Both of the process: counted from the first import on, and the threads that PyTorch began with.
_NEIGHBOURS, _FIRST = Neighbours(), torch.get_num_threads()


class Cores:
    """As many threads as there are cores that others leave free.

    Attributes:
        most: How many threads there are when nobody else computes.
        fixed: Whether the user chose their number, by ``OMP_NUM_THREADS`` or ``torch.set_num_threads``.
    """

    limit = None  # for a process that is one of several on the machine
    _given = _FIRST  # the number that was set here last, in any run

    def __init__(self):
        """Find out what the user chose."""
        now = torch.get_num_threads()
        chosen = now not in (_FIRST, Cores._given) or bool(os.environ.get("OMP_NUM_THREADS"))
        self.fixed = chosen and Cores.limit is None
        self.most = now if self.fixed else Cores.limit or min(_FIRST, allowed())

    def share(self) -> int:
        """Set the number of threads anew, and return it."""
        busy = None if self.fixed else _NEIGHBOURS.busy()
        if busy is not None:
            free = self.most - busy + 1 - WORTH_A_THREAD
            Cores._given = max(1, min(self.most, math.floor(free)))
        if not self.fixed:
            torch.set_num_threads(min(Cores._given, self.most))
        return torch.get_num_threads()
