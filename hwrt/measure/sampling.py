"""Takes samples, for a bounded time rather than a number of runs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from hwrt.errors import InputError
from hwrt.measure.clock import Clock, now_ns

__all__ = ["best_in_flight", "sample", "sample_in_flight"]

Call = Callable[[], object]
# What more requests in flight must gain to be worth their memory.
_WORTH = 1.03
_LOST = 0.9


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


def sample_in_flight(
    lines: Sequence[Sequence[Call]], *, seconds: float, clock: Clock = now_ns
) -> tuple[list[float], float]:
    """Time runs of several requests at once: (the seconds of each run, runs that end in a second).

    Each line holds the calls of one request, which one thread makes in turn until ``seconds`` of
    wall time have passed, once at the least.  The rate is the sum of the lines' own: while the
    last one ends its run the others stand still, which would count against all.
    """
    if not lines or not all(lines):
        raise InputError("there is no call to time", hint="give at least one for each request")
    ready = threading.Barrier(len(lines))

    def run(calls: Sequence[Call]) -> tuple[list[int], int]:
        times: list[int] = []
        ready.wait()
        begin = start = clock()
        for call in itertools.cycle(calls):
            call()
            end = clock()
            times.append(end - start)
            start = end
            if end - begin >= seconds * 1e9:
                break
        return times, start - begin

    if len(lines) == 1:
        found = [run(lines[0])]
    else:
        with ThreadPoolExecutor(len(lines)) as pool:
            found = list(pool.map(run, lines))
    rate = sum(len(times) / max(spent, 1) for times, spent in found) * 1e9
    return [ns / 1e9 for times, _ in found for ns in times], rate


def best_in_flight(
    lines: Sequence[Sequence[Call]],
    counts: Sequence[int],
    *,
    seconds: float,
    passes: int = 3,
    clock: Clock = now_ns,
) -> int:
    """With how many of the lines at once most runs end in a second.

    The counts take turns in ``passes`` windows of ``seconds``; the best window of each counts,
    which a burst of load does not touch.  More in flight must gain 3 % over fewer.  Where that
    loses plainly, still more are not tried.
    """
    rates: dict[int, float] = {}
    left = sorted(counts)
    for _ in range(passes):
        for count in left:
            _, rate = sample_in_flight(lines[:count], seconds=seconds, clock=clock)
            rates[count] = max(rates.get(count, 0.0), rate)
            if count == max(rates) and rate < max(rates.values()) * _LOST:
                break
        left = sorted(rates)
    best = min(rates)
    for count, rate in rates.items():
        if rate > rates[best] * _WORTH:
            best = count
    return best
