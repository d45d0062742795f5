"""The tuner: candidates are compiled and checked in child processes, then timed in turn.

Times are taken in rounds over all candidates and not one candidate after the other: a machine's
speed drifts, and what was timed in a slow minute must not lose for it.  At any moment one child
runs and the others are stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwrt.backend import Array
from hwrt.errors import HwrtError, NoBackend
from hwrt.machine.conditions import Conditions, conditions
from hwrt.measure.measurement import Measurement
from hwrt.owners import OwnedFolder, sweep_folders
from hwrt.spec import ModelInfo
from hwrt.tuning.feeds import random_feeds, write_feeds
from hwrt.tuning.folders import cache_of
from hwrt.tuning.judging import Reference, find_reference
from hwrt.tuning.report import Report, silent
from hwrt.tuning.rounds import take_rounds
from hwrt.tuning.search import search
from hwrt.tuning.shapes import typical_shapes
from hwrt.tuning.trial import Task, Trial
from hwrt.tuning.wish import Effort, Wish

__all__ = ["Evidence", "measure", "require_winner"]


@dataclass(frozen=True)
class Evidence:
    """Every candidate's measurement, and what judged them.

    ``spans`` holds, for each, the machine's conditions before and after it was timed; None where
    it never came to that.  ``reference_check`` says what ``onnx.reference`` makes of the reference.
    """

    measurements: tuple[Measurement, ...]
    stamps: Mapping[str, str]
    dropped: Mapping[str, str]
    reference: str | None
    unverified: str | None
    spans: tuple[tuple[Conditions, Conditions] | None, ...] = ()
    reference_check: str | None = None

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
    report: Report = silent,
) -> Evidence:
    """Compile, check and time every candidate that the wish allows.

    ``machine`` is the fingerprint's key, ``title`` what errors call the model (its file's name by
    default), ``feeds`` what to run on (seeded random ones by default).
    Raises NoBackend where there is no candidate at all; one that fails is a measurement.
    """
    wish.gate.check_samples(None if feeds is None else len(feeds))
    sweep_folders()  # of tuners that were killed
    with OwnedFolder("hwrt-tune-") as folder:
        shapes = typical_shapes(model.inputs, wish.shapes)
        sets = feeds or random_feeds(model.inputs, shapes, count=effort.feeds)
        write_feeds(folder / "feeds", sets)
        found = search(model, wish, lambda text: report(0.0, text), title=title or model.path.name)
        paths = (folder / "feeds", folder, cache_root)
        task = Task(model, wish, effort, *paths, machine, len(sets), given=feeds is not None)
        trials = [Trial(candidate) for candidate in found.candidates]
        try:
            reference = find_reference(task, found, report)
            for group in _groups(trials):
                _prepare(task, group, reference, report)
                before = conditions()
                take_rounds(group, effort, report)
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
        reference.made_by,
        reference.unverified,
        tuple(trial.span for trial in trials),
        reference.check,
    )


def _groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Trials that may be resident together; an exclusive device holds one process at a time."""
    shared = [trial for trial in trials if not trial.found.device.exclusive]
    alone = [[trial] for trial in trials if trial.found.device.exclusive]
    return [group for group in (shared, *alone) if group]


def _prepare(
    task: Task,
    trials: Sequence[Trial],
    reference: Reference,
    report: Report,
) -> None:
    for i, trial in enumerate(trials):
        report(i / len(trials), f"compiling {trial.found.candidate}")
        try:
            trial.compile(task, cache_of(task, trial.found))
        except HwrtError as exc:
            trial.fail(str(exc))
        outputs = trial.answer(task, f"outputs-{id(trial)}")
        if outputs is not None:
            reference.judge(task, trial, outputs)
        trial.warm_up(task.effort)


def require_winner(title: str, evidence: Evidence) -> int:
    """The winner's index; NoBackend with each candidate's reason where there is none."""
    if evidence.winner is not None:
        return evidence.winner
    reasons = dict(evidence.dropped)
    for measurement in evidence.measurements:
        reasons[str(measurement.candidate)] = f"{measurement.status}: {measurement.reason}"
    raise NoBackend(f"no candidate runs {title} rightly", reasons=reasons, hint="see `hwrt doctor`")
