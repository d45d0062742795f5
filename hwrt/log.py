"""The logger ``hwrt``, and ``HWRT_LOG``, which shows its lines without a program's own set-up."""

from __future__ import annotations

import functools
import logging
import os

from hwrt.errors import InputError

__all__ = ["LOGGER", "configure"]

LOGGER = logging.getLogger("hwrt")
_LEVELS = ("debug", "info", "warning", "error")


@functools.cache
def configure() -> None:
    """Print the logger's lines of the level ``HWRT_LOG`` and above to standard error, once.

    Without the variable logging is left to the program.  Raises InputError for another level.
    """
    level = os.environ.get("HWRT_LOG", "").lower()
    if not level:
        return
    if level not in _LEVELS:
        raise InputError(f"HWRT_LOG is {level!r}", hint=f"it is one of {', '.join(_LEVELS)}")
    lines = logging.StreamHandler()
    lines.setFormatter(logging.Formatter("hwrt %(levelname)s: %(message)s"))
    LOGGER.addHandler(lines)
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False
