"""How a tuning tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Report", "silent"]

Report = Callable[[float, str], object]
"""Takes the share that is done, 0..1, and what is being done."""


def silent(fraction: float, text: str) -> None:
    """Tell nobody."""
