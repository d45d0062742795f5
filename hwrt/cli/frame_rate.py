"""The live frame rate: on standard error, and only on a terminal."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable

__all__ = ["FrameRate"]

_WINDOW_S = 2.0
_SHOWN_EVERY_S = 0.25
_CLEAR = "\r\x1b[K"


class FrameRate:
    """Frames a second over the last two seconds, on one line that is written over."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._is_watched = sys.stderr is not None and sys.stderr.isatty()
        self._times: deque[float] = deque()
        self._shown_at: float | None = None
        self._count = 0

    def tick(self) -> None:
        """Count a frame, and show the rate where it is time to."""
        if not self._is_watched:
            return
        now = self._clock()
        self._times.append(now)
        self._count += 1
        while now - self._times[0] > _WINDOW_S:
            self._times.popleft()
        if len(self._times) < 2 or now - (self._shown_at or 0.0) < _SHOWN_EVERY_S:
            return
        rate = (len(self._times) - 1) / (now - self._times[0])
        self._write(f"{_CLEAR}{rate:.1f} frames/s, {self._count} frames")
        self._shown_at = now

    def clear(self) -> None:
        """Take the line away, so that others can be written."""
        if self._shown_at is not None:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
