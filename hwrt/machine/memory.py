"""How much memory a process has used."""

from __future__ import annotations

from pathlib import Path

from hwrt.machine.proc import read_fields

__all__ = ["peak_rss_bytes"]


def peak_rss_bytes(pid: int | None = None, *, root: Path | str = "/") -> int | None:
    """The most bytes of memory that the process has held resident; None: not known.

    Of this process unless ``pid`` names another.  Read as VmHWM: ``getrusage``'s ``ru_maxrss``
    outlives ``exec``, so that a child would begin with the peak of its parent.
    """
    folder = Path(root) / "proc" / ("self" if pid is None else str(pid))
    amount = read_fields(folder / "status", ":").get("VmHWM", "").split()
    return int(amount[0]) * 1024 if amount and amount[0].isdecimal() else None
