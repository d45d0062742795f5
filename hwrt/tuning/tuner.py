"""The tuner: candidates are compiled and checked in child processes, then timed in turn.

Times are taken in rounds over all candidates and not one candidate after the other: a machine's
speed drifts, and what was timed in a slow minute must not lose for it.  At any moment one child
runs and the others are stopped.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwrt.backend import Array
from hwrt.errors import HwrtError, NoBackend
from hwrt.machine.conditions import Conditions, conditions
from hwrt.measure.measurement import Measurement, score
from hwrt.measure.output_error import compare, judges_nothing, within, worst
from hwrt.spec import ModelInfo, Shapes
from hwrt.tuning.feeds import random_feeds, write_feeds
from hwrt.tuning.search import Found, Search, search
from hwrt.tuning.shapes import shapes_to_json, typical_shapes
from hwrt.tuning.trial import Task, Trial
from hwrt.tuning.wish import Effort, Wish

__all__ = ["Evidence", "compiled_dir", "measure", "require_winner"]

_PRUNE_ROUNDS = 3
_PRUNE_RATIO = 1.3
_SAYS_NOTHING = (
    "on these feeds the reference gives no finite number: give samples with which it does"
)
Report = Callable[[float, str], object]


def _silent(fraction: float, text: str) -> None:
    pass


@dataclass(frozen=True)
class Evidence:
    """Every candidate's measurement, and what judged them.

    ``spans`` holds, for each, the machine's conditions before and after it was timed; None where
    it never came to that.
    """

    measurements: tuple[Measurement, ...]
    stamps: Mapping[str, str]
    dropped: Mapping[str, str]
    reference: str | None
    unverified: str | None
    spans: tuple[tuple[Conditions, Conditions] | None, ...] = ()

    @property
    def winner(self) -> int | None:
        """The index of the fastest right candidate; None where there is none."""
        right = [
            (measurement.score_s, i)
            for i, measurement in enumerate(self.measurements)
            if measurement.score_s is not None
        ]
        return min(right)[1] if right else None


def measure(
    model: ModelInfo,
    wish: Wish,
    *,
    machine: str,
    effort: Effort,
    cache_root: Path | None,
    title: str | None = None,
    feeds: Sequence[Mapping[str, Array]] | None = None,
    report: Report = _silent,
) -> Evidence:
    """Compile, check and time every candidate that the wish allows.

    ``machine`` is the fingerprint's key, ``title`` what errors call the model (its file's name by
    default), ``feeds`` what to run on (seeded random ones by default).
    Raises NoBackend where there is no candidate at all; one that fails is a measurement.
    """
    with tempfile.TemporaryDirectory(prefix="hwrt-tune-") as scratch:
        folder = Path(scratch)
        shapes = typical_shapes(model.inputs, wish.shapes)
        sets = feeds or random_feeds(model.inputs, shapes, count=effort.feeds)
        write_feeds(folder / "feeds", sets)
        found = search(model, wish, lambda text: report(0.0, text), title=title or model.path.name)
        task = Task(model, wish, effort, folder / "feeds", folder, cache_root, machine, len(sets))
        trials = [Trial(candidate) for candidate in found.candidates]
        try:
            reference, judge, unverified = _reference(task, found, report)
            for group in _groups(trials):
                _prepare(task, group, reference, report)
                before = conditions()
                _time(group, effort, report)
                after = conditions()
                for trial in group:
                    trial.span = (before, after) if trial.alive else None
                    trial.finish()
        finally:
            for trial in trials:
                trial.finish()
            found.close()
    return Evidence(
        tuple(trial.measurement for trial in trials),
        found.stamps,
        found.dropped,
        judge,
        unverified,
        tuple(trial.span for trial in trials),
    )


def compiled_dir(
    cache_root: Path | None,
    model: ModelInfo,
    found: Found,
    *,
    shapes: Shapes | None,
    machine: str,
) -> Path | None:
    """The folder for one compiled model: its name is a hash of all that the result depends on."""
    if cache_root is None:
        return None
    key = {
        "model": model.sha256,
        "format": model.format,
        "backend": found.candidate.backend,
        "stamp": found.stamp,
        "device": [found.device.id, found.device.identity],
        "options": dict(found.candidate.options),
        "shapes": shapes_to_json(shapes),
        "machine": machine,
    }
    text = json.dumps(key, sort_keys=True)
    return cache_root / "compiled" / hashlib.sha256(text.encode()).hexdigest()[:32]


def _reference(
    task: Task, found: Search, report: Report
) -> tuple[list[dict[str, Array]] | None, str | None, str | None]:
    """(outputs, who made them, None or why they judge nothing), or (None, None, why none are)."""
    reasons = [f"{name}: {why}" for name, why in found.mute.items()]
    for judge in found.references:
        report(0.0, f"reference outputs from {judge.candidate.backend}")
        trial = Trial(judge)
        try:
            trial.compile(task, _cache(task, judge))
            outputs = trial.answer(task, "reference")
            again = trial.answer(task, "reference-again")
        except HwrtError as exc:
            outputs = again = None
            trial.fail(str(exc))
        finally:
            trial.finish()
        if outputs is not None and again is not None:
            spread = worst(
                compare(one, other, task.model.outputs)
                for one, other in zip(again, outputs, strict=True)
            )
            if within(spread, task.tolerance) is None:
                void = all(map(judges_nothing, outputs))
                return outputs, str(judge.candidate), _SAYS_NOTHING if void else None
            trial.fail("its outputs differ from one run to the next")
        reasons.append(f"{judge.candidate.backend}: {trial.measurement.reason}")
    if not reasons:
        return None, None, "no backend here offers a reference for this model"
    return None, None, f"no reference could be run: {'; '.join(reasons)}"


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Trials that may be resident together; an exclusive device holds one process at a time."""
    shared = [trial for trial in trials if not trial.found.device.exclusive]
    alone = [[trial] for trial in trials if trial.found.device.exclusive]
    return [group for group in (shared, *alone) if group]


def _prepare(
    task: Task,
    trials: Sequence[Trial],
    reference: list[dict[str, Array]] | None,
    report: Report,
) -> None:
    for i, trial in enumerate(trials):
        report(i / len(trials), f"compiling {trial.found.candidate}")
        try:
            trial.compile(task, _cache(task, trial.found))
        except HwrtError as exc:
            trial.fail(str(exc))
        outputs = trial.answer(task, f"outputs-{id(trial)}")
        if outputs is not None:
            trial.judge(task, outputs, reference)
        trial.warm_up(task.effort)


def _time(trials: Sequence[Trial], effort: Effort, report: Report) -> None:
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


def _cache(task: Task, found: Found) -> Path | None:
    return compiled_dir(
        task.cache_dir, task.model, found, shapes=task.wish.shapes, machine=task.machine
    )


def require_winner(title: str, evidence: Evidence) -> int:
    """The winner's index; NoBackend with each candidate's reason where there is none."""
    if evidence.winner is not None:
        return evidence.winner
    reasons = dict(evidence.dropped)
    for measurement in evidence.measurements:
        reasons[str(measurement.candidate)] = f"{measurement.status}: {measurement.reason}"
    raise NoBackend(f"no candidate runs {title} rightly", reasons=reasons, hint="see `hwrt doctor`")
