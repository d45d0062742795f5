"""Candidates on a simulated machine: its clock runs on with their samples."""

from __future__ import annotations

import numpy as np

from hwrt.tuning.decision import Contender
from hwrt.tuning.rounds import Lane, Race, Window
from hwrt.tuning.wish import Effort

EFFORT = Effort(warm_up_s=0.0)


class Machine:
    """Its speed drifts, and now and then another program takes a part of it for a while."""

    def __init__(
        self,
        seed: int,
        *,
        noise: float = 0.03,
        drift: float = 0.05,
        burst: float = 1.6,
        busy_share: float = 0.15,
        burst_s: float = 0.5,
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.now_s = 0.0
        self._noise, self._drift, self._burst = noise, drift, burst
        self._burst_s, self._busy_share = burst_s, busy_share
        self._phase = self.random.uniform(0, 2 * np.pi)
        self._ends_s, self._busy = 0.0, False

    def run(self, cost_s: float) -> float:
        """The seconds that a run takes which costs this much on an idle machine."""
        while self.now_s >= self._ends_s:
            self._busy = bool(self.random.random() < self._busy_share)
            self._ends_s += self.random.exponential(self._burst_s)
        slow = 1 + self._drift * (1 + np.sin(self._phase + self.now_s / 4)) / 2
        slow *= self._burst if self._busy else 1.0
        taken_s = float(cost_s * slow * (1 + self.random.exponential(self._noise)))
        self.now_s += taken_s
        return taken_s


class Simulated:
    """A candidate; ``tail`` is the share of its runs that take ten times as long."""

    def __init__(
        self,
        machine: Machine,
        cost_s: float,
        *,
        tail: float = 0.0,
        in_flight: int | None = None,
        memory_bytes: int | None = None,
        fails_after: int | None = None,
        window_s: float = EFFORT.window_s,
    ) -> None:
        self._machine, self._cost_s, self._tail = machine, cost_s, tail
        self._in_flight, self._memory_bytes = in_flight, memory_bytes
        self._left, self._window_s = fails_after, window_s
        self.windows = 0

    def sample(self) -> Window | None:
        """A window of the machine's time."""
        if self._left == self.windows:
            return None
        self.windows += 1
        samples: list[float] = []
        while not samples or sum(samples) < self._window_s:
            tailed = self._machine.random.random() < self._tail
            samples.append(self._machine.run(self._cost_s * (10 if tailed else 1)))
        rate = self._in_flight and self._in_flight * len(samples) / sum(samples)
        return Window(tuple(samples), rate or None, self._memory_bytes)


def race(
    *entries: Simulated, objective: str = "latency", effort: Effort = EFFORT, **more: object
) -> Race:
    """A race of these, run; they are called c0, c1 and so on."""
    made = Race(effort, objective, clock=lambda: 0.0, **more)  # type: ignore[arg-type]
    made.run(lanes_of(made, *entries))
    return made


def lanes_of(made: Race, *entries: Simulated) -> list[Lane]:
    """The lanes of these entries."""
    return [made.enter(entry, Contender(f"c{i}")) for i, entry in enumerate(entries)]
