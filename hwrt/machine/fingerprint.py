"""What this device is: the stable facts that decide which candidate is fastest."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwrt.machine.accelerators import accelerators
from hwrt.machine.limits import total_memory
from hwrt.machine.proc import read_text
from hwrt.machine.processor import describe_cpu

__all__ = ["NOT_KEYED", "fingerprint", "key"]

# The kernel's own share of memory moves by some kilobytes from boot to boot.
NOT_KEYED = frozenset({"memory_bytes"})


def fingerprint(root: Path | str = "/") -> dict[str, Any]:
    """The stable facts of this device, as values for JSON.

    Twins have equal fingerprints: there is no host name, serial number or UUID.  What a file does
    not tell is None, or an empty list.
    """
    root = Path(root)
    return {
        "architecture": os.uname().machine,
        "board": _board(root),
        "cpu": describe_cpu(root),
        "accelerators": accelerators(root),
        "power_mode": _power_mode(root),
        "kernel": read_text(root / "proc/sys/kernel/osrelease"),
        "libc": _libc(),
        "memory_bytes": total_memory(root),
    }


def key(fingerprint: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of the fingerprint written in one canonical form.

    The amount of memory is left out: it bounds what fits, which a plan's limits say, and its last
    digits differ after each boot.
    """
    kept = {name: value for name, value in fingerprint.items() if name not in NOT_KEYED}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _board(root: Path) -> str | None:
    """The device tree's name of the board, else the firmware's of the PC."""
    board = read_text(root / "proc/device-tree/model")
    if board:
        return board
    folder = root / "sys/class/dmi/id"
    parts = (read_text(folder / "sys_vendor"), read_text(folder / "product_name"))
    return " ".join(part for part in parts if part) or None


def _power_mode(root: Path) -> str | None:
    """A Jetson's nvpmodel mode (``pmode:0002``), else the PC firmware's platform profile."""
    jetson = (read_text(root / "var/lib/nvpmodel/status") or "").split()
    return jetson[0] if jetson else read_text(root / "sys/firmware/acpi/platform_profile")


def _libc() -> str | None:
    """``glibc 2.36``; None for another C library."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        return None
