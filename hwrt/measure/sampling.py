"""Takes samples, for a bounded time rather than a number of runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from hwrt.errors import InputError
from hwrt.measure.clock import Clock, now_ns

__all__ = ["sample"]

Call = Callable[[], object]


def sample(
    call: Call | Sequence[Call],
    *,
    seconds: float,
    min_samples: int = 1,
    max_seconds: float,
    clock: Clock = now_ns,
) -> list[float]:
    """Time runs of ``call``, in seconds, in the order they were made.

    Runs are made until the timed ones add up to ``seconds`` and there are ``min_samples`` of them,
    but none is begun after ``max_seconds`` of wall time: a call that takes 10 s is not made 64
    times.  One run is always made.  Several calls, one per feed, take turns, so that no answer
    can be had from a cache.  What a call raises is passed on.
    """
    calls: Sequence[Call] = (call,) if callable(call) else call
    if not calls:
        raise InputError("there is no call to time", hint="give at least one")
    if not 0 <= seconds <= max_seconds:
        raise InputError(
            f"seconds is {seconds!r} and max_seconds {max_seconds!r}",
            hint="give max_seconds the same or more, neither below 0",
        )
    wanted_ns = seconds * 1e9
    times: list[int] = []
    append = times.append
    timed_ns = 0
    deadline = clock() + max_seconds * 1e9
    for run in itertools.cycle(calls):
        start = clock()
        run()
        end = clock()
        append(end - start)
        timed_ns += end - start
        if end >= deadline or (timed_ns >= wanted_ns and len(times) >= min_samples):
            break
    return [ns / 1e9 for ns in times]
