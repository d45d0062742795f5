"""The forms that every kernel's tests run in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hwrt.kernels import with_numpy

try:
    import hwrt._kernels as compiled
except ImportError:
    compiled = None  # the tests of the extension alone are skipped, with the reason

TARGETS: tuple[str, ...] = () if compiled is None else compiled.targets()
FORMS = (*TARGETS, "numpy")


@contextmanager
def form(name: str) -> Iterator[Any]:
    """The module that has the kernels: NumPy's, or the extension limited to a target."""
    if name == "numpy":
        yield with_numpy
        return
    compiled.limit_target(name)
    try:
        yield compiled
    finally:
        compiled.limit_target(None)
