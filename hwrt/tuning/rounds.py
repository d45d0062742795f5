"""Windows of samples taken from all candidates in turn, until enough is known of each."""

from __future__ import annotations

import time
from collections.abc import Sequence

from hwrt.measure.measurement import score
from hwrt.tuning.report import Report
from hwrt.tuning.trial import Trial
from hwrt.tuning.wish import Effort

__all__ = ["take_rounds"]

_PRUNE_ROUNDS = 3
_PRUNE_RATIO = 1.3


def take_rounds(trials: Sequence[Trial], effort: Effort, report: Report) -> None:
    """Windows in turn, until each candidate has enough, lies far behind, or time is up."""
    started = time.monotonic()
    while True:
        racing = [trial for trial in trials if trial.alive and not _enough(trial, effort)]
        if effort.prune:
            racing = _near_best(trials, racing)
        out_of_time = time.monotonic() - started > effort.budget_s
        if not racing or (out_of_time and all(trial.rounds for trial in racing)):
            return
        for trial in racing:
            done = min(_progress(other, effort) for other in racing)
            report(done, f"timing {trial.found.candidate}")
            trial.sample(effort)


def _enough(trial: Trial, effort: Effort) -> bool:
    return _progress(trial, effort) >= 1.0


def _progress(trial: Trial, effort: Effort) -> float:
    seconds = sum(trial.samples_s)
    enough = min(seconds / effort.min_seconds, len(trial.samples_s) / effort.min_samples)
    return min(max(enough, seconds / effort.max_seconds), 1.0)


def _near_best(trials: Sequence[Trial], racing: list[Trial]) -> list[Trial]:
    scores = [score(trial.samples_s) for trial in trials if trial.samples_s]
    if not scores:
        return racing
    limit = _PRUNE_RATIO * min(scores)
    return [
        trial for trial in racing if trial.rounds < _PRUNE_ROUNDS or score(trial.samples_s) <= limit
    ]
