"""How much memory an interpreter takes, and how many fit."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from hwrt_litert.lock import Lock

_lock = Lock()


@contextlib.contextmanager
def allocation() -> Iterator[Callable[[], int]]:
    """Gives what tells the bytes allocated since.  One at a time: they would count each other's."""
    with _lock:
        before = allocated_bytes()
        yield lambda: allocated_bytes() - before


class _Mallinfo2(ctypes.Structure):
    # The fields of glibc's struct mallinfo2, in its order.
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def allocated_bytes(root: Path = Path("/")) -> int:
    """Memory that malloc has given out in this process, touched or not.

    Where the C library does not tell (before glibc 2.33, musl), what is reserved, which misses what
    is allocated in place of something freed before; 0 where Linux does not tell that either.
    """
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is not None:
        mallinfo2.restype = _Mallinfo2
        found = mallinfo2()
        return int(found.uordblks + found.hblkhd)
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
