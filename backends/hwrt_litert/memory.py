"""How much memory an interpreter takes, and how many fit."""

from __future__ import annotations

import os
from pathlib import Path


def data_bytes(root: Path = Path("/")) -> int:
    """Private memory that this process has reserved, touched or not; 0 where Linux does not tell.

    What malloc reserves shows here at once, in resident memory only when it is first written.
    """
    try:
        fields = (root / "proc/self/statm").read_text().split()
    except OSError:
        return 0
    return int(fields[5]) * os.sysconf("SC_PAGE_SIZE")


def available_bytes(root: Path = Path("/")) -> int | None:
    """Memory that this process may still take: of the machine, and of its control group."""
    bounds = [
        int(line.split()[1]) * 1024
        for line in _read(root / "proc/meminfo").splitlines()
        if line.startswith("MemAvailable:")
    ]
    for line in _read(root / "proc/self/cgroup").splitlines():
        if line.startswith("0::/"):
            group = root / "sys/fs/cgroup" / line.removeprefix("0::/").strip()
            most, used = _read(group / "memory.max").strip(), _read(group / "memory.current")
            if most.isdecimal() and used:
                bounds.append(max(0, int(most) - int(used)))
    return min(bounds, default=None)


def requests_that_fit(each_bytes: int, available: int | None, cpus: int) -> int:
    """How many requests may be at work at once: one a CPU, where half of the memory suffices.

    A request computes in its caller's thread, so more of them than CPUs gain nothing.
    """
    if available is None or each_bytes <= 0:
        return cpus
    return max(1, min(cpus, available // 2 // each_bytes))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
