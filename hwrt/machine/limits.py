"""What this process may use: CPUs, threads and memory."""

from __future__ import annotations

import os
from pathlib import Path

from hwrt.machine.cgroup import groups
from hwrt.machine.proc import parse_cpu_list, read_fields, read_int, read_text

__all__ = ["allowed_cpus", "allowed_threads", "cpu_quota", "memory_limit_bytes", "total_memory"]


def allowed_cpus(root: Path | str = "/") -> tuple[int, ...]:
    """Numbers of the CPUs that are online and in this process's affinity mask, ascending."""
    root = Path(root)
    mask = parse_cpu_list(read_fields(root / "proc/self/status", ":").get("Cpus_allowed_list", ""))
    online = parse_cpu_list(read_text(root / "sys/devices/system/cpu/online") or "")
    if mask and online:
        # A mask may name CPUs that are absent; one that names only such is not believed.
        return tuple(sorted(set(mask) & set(online))) or online
    return mask or online or tuple(range(os.cpu_count() or 1))


def cpu_quota(root: Path | str = "/") -> float | None:
    """CPUs' worth of time that the control groups grant, the least along the path; None: no bound.

    1.5 means 150 ms of CPU time in each 100 ms.
    """
    first, second = groups("cpu", root=Path(root))
    quotas = [_quota_v1(group) for group in first] + [_quota_v2(group) for group in second]
    return min((quota for quota in quotas if quota is not None), default=None)


def allowed_threads(root: Path | str = "/") -> int:
    """Compute threads that may run at once: CPUs of the affinity mask, bounded by the quota.

    A broken quota is rounded down, to at least 1.  Inference threads work in lock-step and spin
    while they wait: two of them use up a quota of 1.5 after three quarters of each period, and
    then all stand still until the next.  That shows as tens of milliseconds in p99.
    """
    cpus = len(allowed_cpus(root))
    quota = cpu_quota(root)
    return cpus if quota is None else max(1, min(cpus, int(quota)))


def memory_limit_bytes(root: Path | str = "/") -> int | None:
    """Bytes that the control groups grant, the least along the path; None: no bound.

    A bound of the machine's whole memory or more is none.  Version 2's ``memory.high`` counts:
    beyond it the kernel slows the process down.
    """
    first, second = groups("memory", root=Path(root))
    bounds = [read_int(group / "memory.limit_in_bytes") for group in first]
    for group in second:
        # An unbounded group says "max", which is no number.
        bounds += [read_int(group / "memory.max"), read_int(group / "memory.high")]
    least = min((bound for bound in bounds if bound is not None and bound >= 0), default=None)
    total = total_memory(root)
    return None if least is None or (total is not None and least >= total) else least


def total_memory(root: Path | str = "/") -> int | None:
    """Bytes of memory that the kernel manages; None where it does not tell."""
    amount = read_fields(Path(root) / "proc/meminfo", ":").get("MemTotal", "").split()
    return int(amount[0]) * 1024 if amount and amount[0].isdecimal() else None


def _quota_v1(group: Path) -> float | None:
    quota = read_int(group / "cpu.cfs_quota_us")
    period = read_int(group / "cpu.cfs_period_us")
    return quota / period if quota and quota > 0 and period and period > 0 else None


def _quota_v2(group: Path) -> float | None:
    quota, period = [*(read_text(group / "cpu.max") or "").split(), "", ""][:2]
    if not quota.isdecimal() or not period.isdecimal() or int(period) == 0:
        return None
    return int(quota) / int(period)
