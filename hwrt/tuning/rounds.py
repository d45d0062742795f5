"""The policy of timing: windows of samples from all candidates in turn, until enough is known.

No process is started and no clock needed here, so the policy can be replayed on records.  An entry
is any object with a method ``sample()`` that gives one Window and None where it can not go on.  A
record is replayed by giving it out window by window::

    class Recorded:
        def __init__(self, samples_s, start, size):
            self._windows = iter(batched(samples_s[start:], size))

        def sample(self):
            return Window(tuple(next(self._windows)))

    race = Race(Effort(window_s=..., budget_s=math.inf))
    lanes = [race.enter(Recorded(...), Contender("name")) for ... in record]
    race.run(lanes)
    race.decision(), race.seconds       # what the tuner would pick and say, and what it costs

All entries should start at the same moment of the record, which holds what was measured side by
side: the policy relies on the windows of a round being neighbours in time.
"""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from hwrt.measure.percentile import nearest_rank, percentile, samples_needed, surely_above
from hwrt.tuning.decision import (
    TIE_RATIO,
    Contender,
    Decision,
    compare,
    decide,
    equal_memory,
    relative_cost,
)
from hwrt.tuning.report import Report, silent
from hwrt.tuning.wish import Effort

__all__ = ["Lane", "Race", "Sampled", "Window"]

_Q = 0.99
TAIL_SAMPLES = samples_needed(_Q)
"""The fewest samples that bound a p99."""
_FINALISTS = 3
# Rounds after which what lies this far behind the best gets no more windows.
_DROPS = ((3, 2.0), (6, 1.3))
# A difference is looked for after every round: what ends a candidate must be plainer than 95 %.
_DROP_CONFIDENCE = 0.99
_CLEAR_ROUNDS = 8


class Window(NamedTuple):
    """What one turn of a candidate gave: its samples, in seconds.

    ``rate_per_s`` is how many inferences ended in a second, where several were in flight;
    ``memory_bytes`` the most that the process has held.
    """

    samples_s: tuple[float, ...]
    rate_per_s: float | None = None
    memory_bytes: int | None = None


class Sampled(Protocol):
    """What takes part in a race."""

    def sample(self) -> Window | None:
        """One window of samples; None where it failed and leaves the race."""


@dataclass(eq=False)
class Lane:
    """An entry with what it has shown so far.

    ``contender`` holds its windows, ``samples_s`` its samples in order and ``counts`` how many of
    them each round gave, as (number of the round, how many).  ``failed`` is True where it could not
    go on, ``screened`` where another of its group went on alone, ``finalist`` where its tail was
    looked at, which only others of that kind then compare with.  ``missed`` is the limit that it
    does not keep, in words.
    """

    entry: Sampled
    contender: Contender
    samples_s: list[float] = field(default_factory=list)
    counts: list[tuple[int, int]] = field(default_factory=list)
    racing: bool = True
    screened: bool = False
    failed: bool = False
    finalist: bool = False
    missed: str | None = None

    @property
    def rounds(self) -> int:
        """In how many rounds it ran."""
        return len(self.contender.windows)

    @property
    def standing(self) -> bool:
        """True where it was measured and may be chosen."""
        return self.rounds > 0 and not self.failed and self.missed is None


class Race:
    """A number of entries timed against each other, in one group or in several.

    ``clock`` gives seconds, by which ``effort.budget_s`` is counted from the first run on.
    ``max_p99_s`` is a limit on the p99 of whoever is chosen.
    """

    def __init__(
        self,
        effort: Effort,
        objective: str = "latency",
        *,
        max_p99_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        report: Report = silent,
    ) -> None:
        self._effort = effort
        self._objective = objective
        self._max_p99_s = max_p99_s
        self._clock = clock
        self._report = report
        self._lanes: list[Lane] = []
        self._round = 0
        self._spent_s = 0.0
        self._order = random.Random(0)  # noqa: S311 - no secret: it must repeat itself

    @property
    def seconds(self) -> float:
        """The sum of all samples: what the race has cost."""
        return sum(sum(lane.samples_s) for lane in self._lanes)

    def enter(self, entry: Sampled, contender: Contender) -> Lane:
        """The lane of an entry; ``contender`` tells its name, options and threads."""
        lane = Lane(entry, contender)
        self._lanes.append(lane)
        return lane

    def run(self, lanes: Sequence[Lane]) -> None:
        """Time these lanes, which may have run before, until it is known which of them is best.

        Lanes of several groups are compared by way of one that ran in both.
        """
        started = self._clock()
        deadline = started + max(0.0, self._effort.budget_s - self._spent_s)
        first = self._round
        for lane in lanes:
            lane.racing = not lane.failed and lane.missed is None
        while racing := self._still_racing(lanes, self._round - first):
            out_of_time = self._clock() > deadline
            if out_of_time and all(lane.rounds for lane in racing):
                break
            self._take(racing)
        self._finish(lanes, deadline)
        self._spent_s += self._clock() - started

    def best(self, lanes: Sequence[Lane]) -> Lane | None:
        """The lane that would be chosen of these; None where none is right."""
        standing = _choosable(lanes)
        winner = self._decide(standing).winner
        return None if winner is None else standing[winner]

    def decision(self) -> Decision:
        """Which lane is chosen, as its index in the order of ``enter``, and why."""
        standing = _choosable(self._lanes)
        found = self._decide(standing)
        if found.winner is None:
            return found
        lane, why = standing[found.winner], found.why
        if lane.finalist and len(standing) == 1 and len(self._lanes) > 1:
            limited = self._max_p99_s is not None
            why = "the fastest" + (
                " that keeps max_p99_ms" if limited else " by the lower quartile"
            )
        return Decision(self._lanes.index(lane), why + self._on_the_tail(lane))

    def _decide(self, lanes: Sequence[Lane]) -> Decision:
        return decide([lane.contender for lane in lanes], self._objective)

    def _take(self, racing: Sequence[Lane]) -> None:
        """One round: a window of each, in another order each time."""
        done = min(self._progress(lane) for lane in racing)
        order = list(racing)
        # Whoever always followed the same neighbour would always find its caches and its heat.
        self._order.shuffle(order)
        for lane in order:
            self._report(done, f"timing {lane.contender.name}")
            self._sample(lane)
        self._round += 1

    def _sample(self, lane: Lane) -> None:
        window = lane.entry.sample()
        if window is None:
            lane.failed, lane.racing = True, False
            return
        lane.samples_s += window.samples_s
        lane.counts.append((self._round, len(window.samples_s)))
        by_rate = self._objective == "throughput" and window.rate_per_s
        costs = (1.0 / window.rate_per_s,) if by_rate and window.rate_per_s else window.samples_s
        lane.contender = dataclasses.replace(
            lane.contender,
            windows={**lane.contender.windows, self._round: costs},
            memory_bytes=window.memory_bytes or lane.contender.memory_bytes,
        )

    def _still_racing(self, lanes: Sequence[Lane], rounds: int) -> list[Lane]:
        """Those that get another window."""
        if self._effort.prune and rounds:
            self._drop_losers([lane for lane in lanes if lane.racing], rounds)
        if rounds == self._effort.screen:
            _screen([lane for lane in lanes if lane.racing])
        racing = [lane for lane in lanes if lane.racing]
        wanting = [lane for lane in racing if self._progress(lane) < 1.0]
        if not self._effort.prune:
            return wanting
        # They go on together: windows of one round are what is compared.
        if wanting or (rounds < self._effort.max_windows and not self._is_settled(racing)):
            return racing
        return []

    def _drop_losers(self, racing: Sequence[Lane], rounds: int) -> None:
        best = self._fastest(racing)
        if best is None:
            return
        if self._objective == "memory":
            self._drop_heavy(racing)
        for lane in racing:
            if lane is not best and self._is_beaten(lane, best, rounds):
                lane.racing = False

    def _is_beaten(self, lane: Lane, best: Lane, rounds: int) -> bool:
        value = relative_cost(lane.contender, best.contender)
        if any(rounds >= least and value > limit for least, limit in _DROPS):
            return True
        # The tail of what is a little slower may be the shorter one.
        if rounds < _CLEAR_ROUNDS or value <= TIE_RATIO or self._objective == "p99":
            return False
        ratio = compare(lane.contender, best.contender, confidence=_DROP_CONFIDENCE)
        return ratio.is_significant

    def _drop_heavy(self, racing: Sequence[Lane]) -> None:
        known = [amount for lane in racing if (amount := lane.contender.memory_bytes) is not None]
        for lane in racing:
            amount = lane.contender.memory_bytes
            if amount is not None and not equal_memory(min(known), amount):
                lane.racing = False

    def _is_settled(self, racing: Sequence[Lane]) -> bool:
        """True where further windows would change nothing: one is left, or they tie for sure."""
        best = self._fastest(racing)
        if best is None or self._objective == "p99":
            return True  # the tail decides
        ratios = [compare(lane.contender, best.contender) for lane in racing if lane is not best]
        return all(ratio.high is not None and ratio.high <= TIE_RATIO for ratio in ratios)

    def _fastest(self, lanes: Sequence[Lane]) -> Lane | None:
        """The one with the least lower quartile."""
        return next(iter(_ranked(lanes)), None)

    def _progress(self, lane: Lane) -> float:
        """The share of what a lane needs at the least, 0 to 1."""
        effort, seconds = self._effort, sum(lane.samples_s)
        shares = (
            seconds / effort.min_seconds,
            len(lane.samples_s) / effort.min_samples,
            lane.rounds / effort.min_windows,
        )
        return min(max(min(shares), seconds / effort.max_seconds), 1.0)

    def _finish(self, lanes: Sequence[Lane], deadline: float) -> None:
        """Sample the tails that the objective or a limit asks for."""
        ranked = _ranked([lane for lane in lanes if lane.standing])
        while ranked and (self._objective == "p99" or self._max_p99_s is not None):
            if self._objective == "p99":
                finalists = self._affordable(ranked[:_FINALISTS], deadline)
            else:
                finalists = ranked[:1]
            ranked = [lane for lane in ranked if lane not in finalists]
            self._sample_tails(finalists, deadline)
            for lane in finalists:
                lane.finalist = True
                lane.missed = self._missed(lane)
            if any(lane.standing for lane in finalists):
                break  # those behind are slower, and were not shown to keep the limit
        for lane in lanes:
            lane.racing = False

    def _affordable(self, finalists: Sequence[Lane], deadline: float) -> list[Lane]:
        """As many as come to enough samples in the time that is left, but one at the least."""
        left_s = deadline - self._clock()
        chosen: list[Lane] = []
        for lane in finalists:
            missing = max(0, TAIL_SAMPLES - len(lane.samples_s))
            left_s -= missing * sum(lane.samples_s) / len(lane.samples_s)
            if left_s < 0 and chosen:
                break
            chosen.append(lane)
        return chosen

    def _sample_tails(self, lanes: Sequence[Lane], deadline: float) -> None:
        """Windows in turn until each has the samples that bound a p99, or time is up."""
        while self._clock() <= deadline:
            wanting = [lane for lane in lanes if self._wants_tail(lane)]
            if not wanting:
                return
            done = min(len(lane.samples_s) for lane in wanting) / TAIL_SAMPLES
            for lane in wanting:
                self._report(done, f"timing the tail of {lane.contender.name}")
                self._sample(lane)
            self._round += 1

    def _wants_tail(self, lane: Lane) -> bool:
        if lane.failed or len(lane.samples_s) >= TAIL_SAMPLES:
            return False
        limit_s = self._max_p99_s
        return limit_s is None or not surely_above(lane.samples_s, _Q, limit_s)

    def _missed(self, lane: Lane) -> str | None:
        """By how much the p99 misses the limit, in words; None where it keeps it."""
        limit_s = self._max_p99_s
        p99 = nearest_rank(lane.samples_s, _Q)
        if limit_s is None or lane.failed or p99 <= limit_s:
            return None
        return (
            f"its p99 of {_ms(p99)}, from {len(lane.samples_s)} samples, misses max_p99_ms="
            f"{limit_s * 1e3:g} by {_ms(p99 - limit_s)} ({p99 / limit_s - 1:.0%})"
        )

    def _on_the_tail(self, lane: Lane) -> str:
        """What is known of the p99 of the chosen, where somebody asked."""
        if self._objective != "p99" and self._max_p99_s is None:
            return ""
        found = percentile(lane.samples_s, _Q)
        if found.value is None or found.upper is None:
            return (
                f"; its p99 is not known from {len(lane.samples_s)} samples, "
                f"which {TAIL_SAMPLES} would tell: raise budget_s"
            )
        return f"; its p99 is {_ms(found.value)}, at most {_ms(found.upper)} with 99% confidence"


def _choosable(lanes: Sequence[Lane]) -> list[Lane]:
    standing = [lane for lane in lanes if lane.standing]
    return [lane for lane in standing if lane.finalist] or standing


def _screen(lanes: Sequence[Lane]) -> None:
    """Let the fastest of each group go on."""
    seen = set()
    for lane in _ranked(lanes):
        lane.screened = lane.contender.group in seen
        lane.racing = not lane.screened
        seen.add(lane.contender.group)


def _ranked(lanes: Sequence[Lane]) -> list[Lane]:
    """By their lower quartiles, each relative to that of the lane that ran longest."""
    running = [lane for lane in lanes if lane.rounds]
    if not running:
        return []
    longest = max(running, key=lambda lane: lane.rounds).contender
    return sorted(running, key=lambda lane: relative_cost(lane.contender, longest))


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
