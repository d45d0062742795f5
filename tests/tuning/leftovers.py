"""What a tuning has left behind: processes and files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def processes_with(name: str, value: str) -> list[str]:
    """The command lines of living processes, this one apart, begun with this in their environment.

    A daemon has the environment of what began it, whoever adopted it.
    """
    return sorted(_processes(f"{name}={value}".encode()))


def _processes(wanted: bytes) -> Iterator[str]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found = wanted in (folder / "environ").read_bytes().split(b"\0")
            text = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended, or is another user's
            continue
        if found and text and folder.name != str(os.getpid()):
            yield text


def files_below(folder: Path) -> list[str]:
    """Paths of everything in the folder, sockets among them."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
