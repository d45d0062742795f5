"""The clock that all samples are taken with, and how fine it is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from hwrt.errors import InputError

__all__ = ["Clock", "ClockFacts", "measure_clock", "now_ns"]

Clock = Callable[[], int]
"""Returns nanoseconds from an arbitrary zero; never goes backwards."""

now_ns: Clock = time.perf_counter_ns


@dataclass(frozen=True)
class ClockFacts:
    """The smallest step a clock was seen to make, and what one reading of it costs."""

    resolution_s: float
    cost_s: float

    def to_json(self) -> dict[str, float]:
        """The same as values for JSON."""
        return asdict(self)


def measure_clock(clock: Clock = now_ns, *, readings: int = 10_000) -> ClockFacts:
    """Resolution and cost of a clock, from that many readings in a row.

    Every sample holds about one cost.  Raises InputError when the clock never moved.
    """
    times = [clock() for _ in range(readings)]
    steps = [late - early for early, late in itertools.pairwise(times) if late != early]
    if not steps:
        raise InputError(
            f"the clock did not move within {readings} readings",
            hint="give more readings, or a finer clock",
        )
    return ClockFacts(min(steps) / 1e9, (times[-1] - times[0]) / (readings - 1) / 1e9)
