"""What the kernel saw opened while files were read: strace, which no C library escapes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["command", "opened", "outside"]

_OPEN = re.compile(r'open\w*\((?:[^",]+, )?"((?:[^"\\]|\\.)*)".*\) += (-?\d+)')


def command(record: Path) -> list[str]:
    """The words before a command whose opened files are to be recorded."""
    calls = "trace=open,openat,openat2,creat"
    return ["strace", "-f", "-qq", "-s", "4096", "-e", calls, "-o", os.fspath(record)]


def opened(record: Path) -> Iterator[str]:
    """The paths that were opened between the marks that the worker makes around each read."""
    reading = False
    for line in record.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _OPEN.search(line)
        if match is None:
            continue
        name = match[1].rpartition("/")[2]
        if name in ("begin-of-read", "end-of-read"):
            reading = name.startswith("begin")
        elif reading and int(match[2]) >= 0:
            yield match[1]


def outside(record: Path, folder: Path) -> list[str]:
    """Those of them that do not lie below the folder."""
    real = os.path.realpath(folder)
    return [
        path
        for path in opened(record)
        if os.path.commonpath([real, os.path.realpath(path)]) != real
    ]
