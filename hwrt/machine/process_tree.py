"""The CPU time of a process and of all that it started."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hwrt.machine.proc import read_text

__all__ = ["tree_ticks"]


class _Process(NamedTuple):
    parent: int
    ticks: int


def tree_ticks(pid: int, root: Path | str = "/") -> int | None:
    """Clock ticks that the process, its living descendants and its reaped children have run.

    None where /proc does not show the process.  A descendant that its parent abandoned (a daemon)
    is not counted.
    """
    processes = _processes(Path(root) / "proc")
    if pid not in processes:
        return None
    children: dict[int, list[int]] = {}
    for number, process in processes.items():
        children.setdefault(process.parent, []).append(number)
    total, waiting = 0, [pid]
    while waiting:
        number = waiting.pop()
        total += processes[number].ticks
        waiting += children.get(number, ())
    return total


def _processes(folder: Path) -> dict[int, _Process]:
    found = {}
    for path in folder.glob("[0-9]*/stat"):
        text = read_text(path)  # None when the process has ended meanwhile
        if text and (process := _parse(text)):
            found[int(path.parent.name)] = process
    return found


def _parse(text: str) -> _Process | None:
    # The second field is the program's name in brackets, which may itself hold blanks and brackets.
    fields = text.rpartition(")")[2].split()
    if len(fields) < 15:
        return None
    # proc_pid_stat(5): utime, stime, cutime and cstime, the latter two of children waited for.
    return _Process(parent=int(fields[1]), ticks=sum(int(field) for field in fields[11:15]))
