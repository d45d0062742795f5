"""Numbers that callers give: Python's, NumPy's, and those of arrays without dimensions."""

from __future__ import annotations

import math
import operator
from typing import Any

from hwrt.errors import InputError

__all__ = ["number", "whole_number"]


def number(name: str, value: Any, hint: str = "give finite numbers") -> float:
    """The value as a float; InputError, naming it, where it is no finite number."""
    try:
        if isinstance(value, str | bytes) or getattr(value, "ndim", 0) != 0:
            raise TypeError(value)
        found = float(value)
    except (TypeError, ValueError, OverflowError) as exc:
        raise InputError(f"{name} is {value!r:.80}", hint=hint) from exc
    if not math.isfinite(found):
        raise InputError(f"{name} is {value!r:.80}", hint=hint)
    return found


def whole_number(name: str, value: Any, *, least: int) -> int:
    """The value as an int; InputError, naming it, where it is none from ``least`` on."""
    try:
        found = operator.index(value)
    except TypeError:
        found = None
    if isinstance(value, bool) or found is None or found < least:
        raise InputError(f"{name} is {value!r:.80}", hint=f"give a whole number from {least}")
    return found
