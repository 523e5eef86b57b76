"""What a container or a slice allows: cores and memory, of Linux's control groups, versions 1 and 2.

Source: Linux's documentation, "Control Group v2" (cpu.max, memory.max) and v1 (cpu.cfs_quota_us,
memory.limit_in_bytes).
"""

import math
from pathlib import Path

#: Where the groups are mounted, and where a process finds the names of its own.
MOUNT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def cores() -> float:
    """Return how many cores' time the process may take; infinite where there is no limit."""
    return min((quota / period for quota, period in _cpu() if quota > 0 and period > 0), default=math.inf)


def memory() -> tuple[float, float]:
    """Return the bytes that are left and the bytes allowed, of the tightest group; infinite without one."""
    found = [(math.inf, math.inf)]
    for group in _groups("memory"):
        for most, now, stat in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, used = _numbers(group / most), _numbers(group / now)
            if limit and used and limit[0] < 2**60:  # version 1 writes a huge number for none
                # Files that were read once and are kept are given up when something else is wanted.
                spare = _entry(group / "memory.stat", stat)
                found.append((max(limit[0] - used[0] + spare, 0.0), limit[0]))
    return min(found)


def _cpu():
    for group in _groups("cpu"):
        if len(both := _numbers(group / "cpu.max")) == 2:
            yield both
        quota, period = _numbers(group / "cpu.cfs_quota_us"), _numbers(group / "cpu.cfs_period_us")
        if quota and period:
            yield quota[0], period[0]


def _groups(controller: str) -> list[Path]:
    """Return the folders of the groups that the process is in, each with those above it."""
    roots = [MOUNT, MOUNT / controller]
    try:
        lines = [line.split(":", 2) for line in OWN.read_text(encoding="utf-8").splitlines()]
        names = [path for _, which, path in lines if not which or controller in which.split(",")]
    except (OSError, ValueError):  # not Linux
        names = []
    inner = [root / name.strip("/") for root in roots for name in names]
    above = [
        folder for group in inner for folder in (group, *group.parents) if MOUNT in (folder, *folder.parents)
    ]
    return list(dict.fromkeys([*above, *roots]))


def _numbers(path: Path) -> list[float]:
    """Return the numbers in a file; none where there is no such file, or the word max in it."""
    try:
        return [float(word) for word in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []


def _entry(path: Path, name: str) -> float:
    try:
        lines = dict(line.split() for line in path.read_text(encoding="ascii").splitlines())
        return float(lines.get(name, 0))
    except (OSError, ValueError):
        return 0.0
