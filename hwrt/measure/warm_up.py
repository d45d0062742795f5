"""Runs a call untimed until its times have settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hwrt.errors import InputError
from hwrt.measure.clock import Clock, now_ns
from hwrt.measure.percentile import nearest_rank
from hwrt.measure.sampling import sample

__all__ = ["WarmUp", "warm_up"]

# perf_analyzer too compares three windows and takes 10 % for stable.
_WINDOWS = 3


@dataclass(frozen=True)
class WarmUp:
    """Whether the last three windows agreed, after how many runs and seconds.

    ``window_medians_s`` holds the median of each window, in seconds, in the order of time.
    """

    steady: bool
    runs: int
    seconds: float
    window_medians_s: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The same as values for JSON."""
        return {**asdict(self), "window_medians_s": list(self.window_medians_s)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> WarmUp:
        """What ``to_json`` was given.  Raises InputError where the document is something else."""
        try:
            medians = tuple(document["window_medians_s"])
            return cls(**{**document, "window_medians_s": medians})
        except (KeyError, TypeError) as exc:
            raise InputError(f"not a warm-up: {exc!r}") from exc


def warm_up(
    call: Callable[[], object] | Sequence[Callable[[], object]],
    *,
    window_s: float = 0.2,
    agreement: float = 0.10,
    cap_s: float = 5.0,
    clock: Clock = now_ns,
) -> WarmUp:
    """Run ``call`` until the medians of three windows in a row agree, or ``cap_s`` has passed.

    A window is ``window_s`` of runs, at least one; medians agree when the largest exceeds the
    least by no more than the share ``agreement``.  No run is begun after ``cap_s``, and the result
    then says that it is not steady.  Several calls take turns within each window.
    """
    if not (window_s > 0 and agreement >= 0 and cap_s > 0):
        raise InputError(
            f"window_s is {window_s!r}, agreement {agreement!r}, cap_s {cap_s!r}",
            hint="give times above 0 and an agreement of 0 or more",
        )
    medians: list[float] = []
    runs = 0
    begin = clock()
    while True:
        left_s = cap_s - (clock() - begin) / 1e9
        steady = _agree(medians[-_WINDOWS:], agreement)
        if steady or left_s <= 0:
            break
        times = sample(call, seconds=min(window_s, left_s), max_seconds=left_s, clock=clock)
        runs += len(times)
        medians.append(nearest_rank(times, 0.5))
    return WarmUp(steady, runs, (clock() - begin) / 1e9, tuple(medians))


def _agree(medians: Sequence[float], agreement: float) -> bool:
    return len(medians) == _WINDOWS and max(medians) <= min(medians) * (1 + agreement)
