"""The tuner: candidates are compiled and checked in child processes, then timed in turn.

Times are taken in rounds over all candidates and not one candidate after the other: a machine's
speed drifts, and what was timed in a slow minute must not lose for it.  At any moment one child
runs and the others are stopped.

As many are resident as memory allows.  Where it is short they are timed in groups that fit, and the
best of a group stays for the next one: what was never timed side by side is compared through it.
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
from hwrt.tuning.decision import Contender
from hwrt.tuning.feeds import random_feeds, write_feeds
from hwrt.tuning.folders import cache_of
from hwrt.tuning.judging import Reference, find_reference
from hwrt.tuning.report import Report, silent
from hwrt.tuning.room import Room
from hwrt.tuning.rounds import Lane, Race
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
    ``winner`` is the index of the one that serves the objective best, None where none is right, and
    ``why`` says by how much, or that the difference is not significant.  ``screened`` are those
    that another setting of the same backend, device and precision stood for.
    """

    measurements: tuple[Measurement, ...]
    stamps: Mapping[str, str]
    dropped: Mapping[str, str]
    reference: str | None
    unverified: str | None
    spans: tuple[tuple[Conditions, Conditions] | None, ...] = ()
    reference_check: str | None = None
    winner: int | None = None
    why: str = ""
    screened: frozenset[int] = frozenset()


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
        found = search(
            model,
            wish,
            lambda text: report(0.0, text),
            title=title or model.path.name,
            timeout_s=effort.start_timeout_s,
        )
        paths = (folder / "feeds", folder, cache_root)
        task = Task(model, wish, effort, *paths, machine, len(sets), given=feeds is not None)
        trials = [Trial(candidate) for candidate in found.candidates]
        try:
            reference = find_reference(task, found, report)
            contest = _Contest(task, trials, reference, report)
            contest.run()
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
        *contest.result(),
    )


class _Contest:
    """All trials of one tuning, prepared and raced in groups that fit into memory."""

    def __init__(
        self, task: Task, trials: Sequence[Trial], reference: Reference, report: Report
    ) -> None:
        self._task = task
        self._trials = trials
        self._reference = reference
        self._report = report
        self._room = Room(task.model.size_bytes)
        self._race = Race(
            task.effort, task.wish.objective, max_p99_s=task.wish.max_p99_s, report=report
        )
        self._lanes: list[tuple[Trial, Lane]] = []
        self._prepared: list[Trial] = []

    def run(self) -> None:
        """Race the trials; each is finished then."""
        kept: Trial | None = None
        waiting = [trial for trial in self._trials if not trial.found.device.exclusive]
        while waiting:
            group, waiting = self._gather(waiting, kept)
            kept = self._race_group(group)
        for trial in self._trials:
            if trial.found.device.exclusive:
                if kept is not None and kept.found.device.id == trial.found.device.id:
                    kept.finish()  # the device holds one process at a time
                self._prepare(trial)
                kept = self._race_group([kept, trial])

    def result(self) -> tuple[int | None, str, frozenset[int]]:
        """(the index of the trial that is chosen, why, the indices of those that were screened)."""
        screened = frozenset(
            self._trials.index(trial) for trial, lane in self._lanes if lane.screened
        )
        index, why = self._race.decision()
        if index is None:
            return None, why, screened
        trial, _ = self._lanes[index]
        return self._trials.index(trial), why, screened

    def _gather(
        self, waiting: list[Trial], kept: Trial | None
    ) -> tuple[list[Trial | None], list[Trial]]:
        """(the one that was kept and as many more as fit, at least one; those that do not)."""
        group: list[Trial | None] = [kept]
        for i, trial in enumerate(waiting):
            if not self._room.fits(trial, self._prepared):
                if any(of is not None and of.alive for of in group[1:]):
                    return group, waiting[i:]
                if kept is not None:
                    kept.finish()  # beside it nothing fits
            self._prepare(trial)
            group.append(trial)
        return group, []

    def _race_group(self, group: Sequence[Trial | None]) -> Trial | None:
        """Time these side by side; the best of all so far, which alone stays resident."""
        alive = [trial for trial in group if trial is not None and trial.alive]
        for trial in alive:
            if all(trial is not entered for entered, _ in self._lanes):
                self._lanes.append((trial, self._race.enter(trial, self._contender(trial))))
        lanes = [lane for trial, lane in self._lanes if trial in alive]
        before = conditions()
        self._race.run(lanes)
        after = conditions()
        for trial, lane in self._lanes:
            if trial in alive:
                trial.took(lane.counts)
                trial.span = (before, after) if trial.alive else None
                if lane.missed is not None:
                    trial.reject(lane.missed)
        best = self._race.best([lane for _, lane in self._lanes])
        kept = None
        for trial, lane in self._lanes:
            if lane is best and trial.alive:
                kept = trial
            else:
                trial.finish()
        return kept

    def _prepare(self, trial: Trial) -> None:
        share = len(self._prepared) / len(self._trials)
        self._report(share, f"compiling {trial.found.candidate}")
        self._prepared.append(trial)
        try:
            trial.compile(self._task, cache_of(self._task, trial.found))
        except HwrtError as exc:
            trial.fail(str(exc))
        outputs = trial.answer(self._task, f"outputs-{id(trial)}")
        if outputs is not None:
            self._reference.judge(self._task, trial, outputs)
        trial.warm_up(self._task)

    def _contender(self, trial: Trial) -> Contender:
        """Its backend's first candidate on the device is that backend's default."""
        candidate = trial.found.candidate
        default = next(
            of.found.candidate.options
            for of in self._trials
            if (of.found.candidate.backend, of.found.device.id)
            == (candidate.backend, candidate.device)
        )
        names = (default.keys() | candidate.options.keys()) - {"threads"}
        changed = sum(default.get(name) != candidate.options.get(name) for name in names)
        threads = candidate.options.threads or self._task.wish.threads
        group = f"{candidate.backend} {candidate.device} {trial.measurement.precision}"
        return Contender(str(candidate), changed=changed, threads=threads, group=group)


def require_winner(title: str, evidence: Evidence) -> int:
    """The winner's index; NoBackend with each candidate's reason where there is none."""
    if evidence.winner is not None:
        return evidence.winner
    reasons = dict(evidence.dropped)
    limit = any("misses max_p99_ms" in (of.reason or "") for of in evidence.measurements)
    for measurement in evidence.measurements:
        reasons[str(measurement.candidate)] = f"{measurement.status}: {measurement.reason}"
    raise NoBackend(
        f"no candidate runs {title} rightly" + (" within max_p99_ms" if limit else ""),
        reasons=reasons,
        hint="raise max_p99_ms, or allow more" if limit else "see `hwrt doctor`",
    )
