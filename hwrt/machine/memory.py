"""How much memory a process has used."""

from __future__ import annotations

from pathlib import Path

from hwrt.machine.cgroup import groups
from hwrt.machine.proc import read_fields, read_int

__all__ = ["free_bytes", "peak_rss_bytes"]


def peak_rss_bytes(pid: int | None = None, *, root: Path | str = "/") -> int | None:
    """The most bytes of memory that the process has held resident; None: not known.

    Of this process unless ``pid`` names another.  Read as VmHWM: ``getrusage``'s ``ru_maxrss``
    outlives ``exec``, so that a child would begin with the peak of its parent.
    """
    folder = Path(root) / "proc" / ("self" if pid is None else str(pid))
    amount = read_fields(folder / "status", ":").get("VmHWM", "").split()
    return int(amount[0]) * 1024 if amount and amount[0].isdecimal() else None


def free_bytes(root: Path | str = "/") -> int | None:
    """Bytes that this process and its children may still take; None: not known.

    The least of what the kernel calls available and of what each control group has left.  Pages of
    files that nobody has used of late count as free: the kernel gives them up first.
    """
    root = Path(root)
    available = read_fields(root / "proc/meminfo", ":").get("MemAvailable", "").split()
    left = [int(available[0]) * 1024] if available and available[0].isdecimal() else []
    first, second = groups("memory", root=root)
    for group in first:
        left += _left(
            group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        )
    for group in second:
        for bound in ("memory.max", "memory.high"):
            left += _left(group, bound, "memory.current", "inactive_file")
    return min(left, default=None)


def _left(group: Path, bound: str, usage: str, idle: str) -> list[int]:
    """What is left below the bound of a group, as a list; empty where it has none."""
    limit, used = read_int(group / bound), read_int(group / usage)
    if limit is None or used is None or limit < 0:
        return []
    files = read_fields(group / "memory.stat").get(idle, "0").strip()
    return [max(0, limit - used + (int(files) if files.isdecimal() else 0))]
