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
        self._counted_at: float | None = None
        self._count = 0
        self._text = ""
        self._is_shown = False

    def tick(self) -> None:
        """Count a frame, and show the rate: a new one four times a second."""
        if not self._is_watched:
            return
        now = self._clock()
        self._times.append(now)
        self._count += 1
        while now - self._times[0] > _WINDOW_S:
            self._times.popleft()
        is_due = self._counted_at is None or now - self._counted_at >= _SHOWN_EVERY_S
        if len(self._times) >= 2 and is_due:
            rate = (len(self._times) - 1) / (now - self._times[0])
            self._text = f"{rate:.1f} frames/s, {self._count} frames"
            self._counted_at = now
        elif self._is_shown or not self._text:
            return
        self._write(f"{_CLEAR}{self._text}")
        self._is_shown = True

    def clear(self) -> None:
        """Take the line away, so that others can be written; the next frame brings it back."""
        if self._is_shown:
            self._write(_CLEAR)
            self._is_shown = False

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
