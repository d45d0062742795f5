"""Versions of the software that a measurement rests on."""

from __future__ import annotations

import platform
from collections.abc import Iterable

__all__ = ["versions"]


def versions(distributions: Iterable[str] = ()) -> dict[str, str | None]:
    """Name -> version of Python, NumPy and the given distributions; None: not installed.

    ``distributions`` are names as pip knows them (``onnxruntime-gpu``).  None is imported.
    """
    names = ("numpy", *distributions)
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # 20 ms: only when asked for

    try:
        return version(name)
    except PackageNotFoundError:
        return None
