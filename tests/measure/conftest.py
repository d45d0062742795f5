from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import pytest


class FakeClock:
    """A clock that stands still until a call made by ``lasting`` moves it on."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000

    def __call__(self) -> int:
        return self.now_ns

    def lasting(self, seconds: float | Iterable[float]) -> Callable[[], None]:
        """A call that takes this long; given several times, one after the other, the last stays."""
        times = [seconds] if isinstance(seconds, int | float) else list(seconds)
        durations = itertools.chain(times, itertools.repeat(times[-1]))

        def call() -> None:
            self.now_ns += round(next(durations) * 1e9)

        return call


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
