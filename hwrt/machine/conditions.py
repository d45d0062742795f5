"""How this device fares at one moment, and what happened between two."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwrt.errors import InputError
from hwrt.machine.limits import allowed_cpus
from hwrt.machine.proc import read_fields, read_text
from hwrt.machine.process_tree import tree_ticks
from hwrt.machine.processor import current_governors
from hwrt.machine.sensors import (
    capped_by,
    clocks_mhz,
    temperatures_c,
    throttle_events,
    throttled_periods,
)

__all__ = ["Change", "Conditions", "CpuTicks", "between", "conditions"]

# The kernel counts in ticks of 10 ms; a share of fewer than these would be mostly rounding.
_LEAST_TICKS = 20


@dataclass(frozen=True)
class CpuTicks:
    """Clock ticks since boot of the CPUs this process may use, and of its process tree.

    ``steal`` is what the hypervisor gave to others.  ``own`` is None where /proc does not tell.
    """

    total: int
    busy: int
    steal: int
    own: int | None


@dataclass(frozen=True)
class Conditions:
    """How the device fares at one moment.  What the kernel does not tell is None or empty.

    ``timestamp`` counts seconds from 1970, ``monotonic_s`` seconds since boot.  ``clocks_mhz`` is
    one value per CPU that this process may use.  ``throttle_events``, ``throttled_periods`` and
    the swapped pages count from boot.  ``capped_by`` names what holds clocks down at this moment.
    """

    timestamp: float
    monotonic_s: float
    clocks_mhz: tuple[float, ...]
    governors: tuple[str, ...]
    load_average: tuple[float, ...] | None
    ticks: CpuTicks | None
    temperatures_c: Mapping[str, float]
    throttle_events: int | None
    throttled_periods: int | None
    capped_by: tuple[str, ...]
    swapped_in_pages: int | None
    swapped_out_pages: int | None
    available_memory_bytes: int | None

    def to_json(self) -> dict[str, Any]:
        """The same as values for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Conditions:
        """What ``to_json`` was given.  Raises InputError where the document is something else."""
        try:
            values = dict(document)
            ticks = values.pop("ticks")
            for name in ("clocks_mhz", "governors", "capped_by", "load_average"):
                values[name] = None if values[name] is None else tuple(values[name])
            return cls(**values, ticks=None if ticks is None else CpuTicks(**ticks))
        except (KeyError, TypeError, ValueError) as exc:
            raise InputError(f"not the conditions of a machine: {exc!r}") from exc


@dataclass(frozen=True)
class Change:
    """What happened between two readings.  None: the kernel does not tell, or too little time.

    ``others_busy`` is the share, 0 to 1, of the CPUs this process may use that processes outside
    its tree took; ``steal`` the share the hypervisor gave away.  ``clock_ratio`` is the fastest
    CPU's clock after by before.  ``capped_by`` is what held clocks down at either reading.
    """

    seconds: float
    others_busy: float | None
    steal: float | None
    clock_ratio: float | None
    governors_changed: bool
    throttle_events: int | None
    throttled_periods: int | None
    capped_by: tuple[str, ...]
    swapped_pages: int | None


def conditions(*, pid: int | None = None, root: Path | str = "/") -> Conditions:
    """Read how the device fares.

    ``pid`` heads the process tree whose own CPU time is told apart from that of others; this
    process where it is None.  Takes some milliseconds: never within a timed span.
    """
    root = Path(root)
    cpus = allowed_cpus(root)
    vmstat = read_fields(root / "proc/vmstat")
    available = read_fields(root / "proc/meminfo", ":").get("MemAvailable", "").split()
    return Conditions(
        timestamp=time.time(),
        monotonic_s=time.monotonic(),
        clocks_mhz=clocks_mhz(cpus, root),
        governors=tuple(current_governors(root)),
        load_average=_load_average(root),
        ticks=_cpu_ticks(cpus, os.getpid() if pid is None else pid, root),
        temperatures_c=temperatures_c(root),
        throttle_events=throttle_events(cpus, root),
        throttled_periods=throttled_periods(root),
        capped_by=capped_by(root),
        swapped_in_pages=_count(vmstat.get("pswpin")),
        swapped_out_pages=_count(vmstat.get("pswpout")),
        available_memory_bytes=int(available[0]) * 1024 if available else None,
    )


def between(before: Conditions, after: Conditions) -> Change:
    """What happened between two readings by the same process tree on the same machine."""
    others, steal = _shares(before.ticks, after.ticks)
    swapped_in = _difference(before.swapped_in_pages, after.swapped_in_pages)
    swapped_out = _difference(before.swapped_out_pages, after.swapped_out_pages)
    both = swapped_in is not None and swapped_out is not None
    ratio = None
    if before.clocks_mhz and after.clocks_mhz:
        # The fastest CPU is the one at work; idle ones rest at any clock.
        ratio = max(after.clocks_mhz) / max(before.clocks_mhz)
    return Change(
        seconds=after.monotonic_s - before.monotonic_s,
        others_busy=others,
        steal=steal,
        clock_ratio=ratio,
        governors_changed=before.governors != after.governors,
        throttle_events=_difference(before.throttle_events, after.throttle_events),
        throttled_periods=_difference(before.throttled_periods, after.throttled_periods),
        capped_by=tuple(sorted({*before.capped_by, *after.capped_by})),
        swapped_pages=(swapped_in or 0) + (swapped_out or 0) if both else None,
    )


def _shares(before: CpuTicks | None, after: CpuTicks | None) -> tuple[float | None, float | None]:
    """Shares of the time between two readings: (other processes, stolen)."""
    if before is None or after is None or after.total - before.total < _LEAST_TICKS:
        return None, None
    total = after.total - before.total
    steal = (after.steal - before.steal) / total
    if before.own is None or after.own is None:
        return None, steal
    own = after.own - before.own
    # Threads of the tree may have run on CPUs outside the mask, hence never below 0.
    return max(0, after.busy - before.busy - own) / total, steal


def _cpu_ticks(cpus: tuple[int, ...], pid: int, root: Path) -> CpuTicks | None:
    lines = read_fields(root / "proc/stat")
    rows = [lines[f"cpu{number}"] for number in cpus if f"cpu{number}" in lines]
    # proc_stat(5): user nice system idle iowait irq softirq steal; guest time is within user's.
    columns = [sum(column) for column in zip(*(_ticks(row) for row in rows), strict=True)]
    if not columns or not any(columns):
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = columns
    busy = user + nice + system + irq + softirq
    total = busy + idle + iowait + steal
    return CpuTicks(total=total, busy=busy, steal=steal, own=tree_ticks(pid, root))


def _ticks(row: str) -> list[int]:
    # Old kernels have fewer columns.
    return [int(word) for word in [*row.split(), *"00000000"][:8]]


def _load_average(root: Path) -> tuple[float, ...] | None:
    words = (read_text(root / "proc/loadavg") or "").split()[:3]
    return tuple(float(word) for word in words) or None


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
