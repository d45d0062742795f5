"""Reads the small text files in which a Linux kernel tells about itself."""

from __future__ import annotations

from pathlib import Path

__all__ = ["parse_cpu_list", "read_fields", "read_int", "read_text"]


def read_text(path: Path) -> str | None:
    """The stripped text of a kernel file; None where it is missing or can not be read.

    A missing file is ordinary here: containers hide some, architectures lack others, and a sensor
    that sleeps answers with an I/O error.  Device-tree texts end with a NUL byte, stripped too.
    """
    try:
        return path.read_bytes().decode("utf-8", errors="replace").strip("\0 \t\r\n")
    except OSError:
        return None


def read_int(path: Path) -> int | None:
    """The decimal or 0x-prefixed number that the file holds; None where there is none."""
    text = read_text(path)
    try:
        return int(text, 0) if text else None
    except ValueError:
        return None


def read_fields(path: Path, separator: str | None = None) -> dict[str, str]:
    """First word -> rest of each line; empty where the file is missing.

    With a ``separator`` (``:`` in /proc/meminfo) lines are cut at its first occurrence instead.
    """
    fields: dict[str, str] = {}
    for line in (read_text(path) or "").splitlines():
        key, *rest = line.split(separator, 1)
        if key.strip() and rest:
            fields[key.strip()] = rest[0].strip()
    return fields


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """The CPU numbers, ascending, of a kernel list such as ``0-3,8``."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdecimal() and (last.isdecimal() or not last):
            numbers.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(numbers))
