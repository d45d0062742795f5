"""Whether the kernel has killed processes because memory ran out."""

from __future__ import annotations

from pathlib import Path

from hwrt.machine.cgroup import groups
from hwrt.machine.proc import read_fields

__all__ = ["oom_kills"]


def oom_kills(root: Path | str = "/") -> int | None:
    """How many processes of this one's control group were killed for memory; None: not known.

    Those of groups below count too, and those that were killed because the whole machine ran out.
    Sources: the kernel's admin-guide/cgroup-v2.rst (memory.events) and cgroup-v1/memory.rst.
    """
    first, second = groups("memory", root=Path(root))
    files = [group / "memory.oom_control" for group in first[:1]]
    files += [group / "memory.events" for group in second[:1]]
    counts = [read_fields(file).get("oom_kill", "") for file in files]
    known = [int(count) for count in counts if count.isdecimal()]
    return sum(known) if known else None
