"""Measures every candidate for a model side by side, each one's outputs checked first."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import hwrt
from hwrt.backend import Array
from hwrt.benchmark.report import Report, Result
from hwrt.entry import samples_for
from hwrt.errors import InputError, SessionError
from hwrt.loading import GivenShapes, Samples, given_feeds, make_wish
from hwrt.machine.conditions import conditions
from hwrt.machine.fingerprint import fingerprint
from hwrt.machine.fingerprint import key as machine_key
from hwrt.machine.versions import versions
from hwrt.measure.gate import AccuracyGate
from hwrt.measure.preset import PRESETS, Preset
from hwrt.measure.statistics import describe
from hwrt.measure.verdict import Verdict, judge
from hwrt.source import Cache, ModelSource, open_model
from hwrt.spec import Progress
from hwrt.tuning.shapes import typical_shapes
from hwrt.tuning.tuner import Evidence, measure
from hwrt.tuning.wish import Effort

__all__ = ["SCENARIOS", "bench"]

SCENARIOS = ("single-stream",)
"""The scenarios of this version; MLPerf's others are multi-stream, server and offline."""

_DISTRIBUTIONS = ("hwrt-runtime", "onnx")


def bench(
    source: ModelSource,
    *,
    backend: str | Sequence[str] | None = None,
    device: str | None = None,
    shapes: GivenShapes | None = None,
    objective: str = "latency",
    accuracy: str | AccuracyGate = "f32",
    samples: Samples | None = None,
    threads: int | None = None,
    scenario: str = "single-stream",
    preset: str = "quick",
    effort: Effort | None = None,
    cache: Cache = True,
    progress: Progress | None = None,
) -> Report:
    """Every candidate that the backends name for the model: its samples, or why it has none.

    The arguments are those of ``hwrt.load``.  ``preset`` is how long the best candidate of each
    backend, device and precision is timed; the other settings get a few rounds, in which that is
    found.  ``effort`` overrides it, which the verdict, given by the preset, may then not forgive.
    What answers wrongly by ``accuracy`` is rejected and not timed.

    Raises ModelError, InputError and NoBackend as ``hwrt.tune`` does, the last only where there is
    no candidate at all, and SessionError when ``progress`` says to stop.
    """
    rules = _preset(scenario, preset)
    opened = open_model(source, cache)
    info = opened.info
    wish = make_wish(
        info,
        backend=backend,
        device=device,
        shapes=shapes,
        threads=threads,
        objective=objective,
        accuracy=accuracy,
        every_candidate=True,
    )

    def report(fraction: float, text: str) -> None:
        if progress is not None and not progress(fraction, text):
            raise SessionError("the bench was cancelled by progress")

    effort = effort or _effort(rules)
    feeds = given_feeds(
        samples_for(source, {"samples": samples, "shapes": shapes, "cache": cache}), info
    )
    machine = fingerprint()
    before = conditions()
    try:
        evidence = measure(
            info,
            wish,
            title=opened.title,
            machine=machine_key(machine),
            effort=effort,
            cache_root=opened.cache_root,
            feeds=feeds,
            report=report,
        )
    finally:
        if opened.temporary is not None:
            opened.temporary.cleanup()
    sizes = {name: array.shape for name, array in feeds[0].items()} if feeds else None
    return Report(
        source=_source_name(source),
        model=info,
        machine=machine,
        before=before,
        after=conditions(),
        scenario=scenario,
        preset=preset,
        threads=wish.threads,
        inputs=_inputs(samples, feeds, effort),
        shapes=sizes or typical_shapes(info.inputs, wish.shapes),
        results=_results(evidence, rules),
        objective=objective,
        chosen=evidence.winner,
        why=evidence.why,
        reference=evidence.reference,
        unverified=evidence.unverified,
        dropped=evidence.dropped,
        versions={**versions(_DISTRIBUTIONS), **evidence.stamps},
        hwrt_version=hwrt.__version__,
        made_at=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
    )


def _preset(scenario: str, preset: str) -> Preset:
    if scenario not in SCENARIOS:
        raise InputError(
            f"the scenario {scenario!r} is not available in this version",
            hint=f"it has {', '.join(SCENARIOS)}",
        )
    if preset not in PRESETS:
        raise InputError(f"there is no preset {preset!r}", hint=f"there are {', '.join(PRESETS)}")
    return PRESETS[preset]


def _effort(preset: Preset) -> Effort:
    # Losers are timed as long as the rest: here every figure is an answer.  But of a dozen settings
    # of one backend the best is enough.
    return Effort(
        min_seconds=preset.min_seconds,
        min_samples=preset.min_samples,
        max_seconds=preset.max_seconds,
        window_s=0.25,
        warm_up_s=5.0,
        budget_s=math.inf,
        prune=False,
        screen=3,
    )


def _results(evidence: Evidence, preset: Preset) -> tuple[Result, ...]:
    results = []
    for i, (measurement, span) in enumerate(
        zip(evidence.measurements, evidence.spans, strict=True)
    ):
        if not measurement.samples_s:
            verdict = Verdict(False, (f"{measurement.status}: {measurement.reason}",))
            results.append(Result(measurement, None, verdict, None))
            continue
        summary = describe(measurement.samples_s)
        if i in evidence.screened:
            why = "screened: another setting of the same backend and precision is faster"
            results.append(Result(measurement, summary, Verdict(False, (why,)), span, True))
            continue
        before, after = span or (None, None)
        verdict = judge(
            summary,
            preset=preset,
            warm_up=measurement.warm_up,
            before=before,
            after=after,
            placement=measurement.placement,
            device=measurement.candidate.device,
        )
        if evidence.unverified is not None:
            reasons = (f"outputs not checked: {evidence.unverified}", *verdict.reasons)
            verdict = replace(verdict, valid=False, reasons=reasons)
        results.append(Result(measurement, summary, verdict, span))
    return tuple(results)


def _source_name(source: ModelSource) -> str:
    if isinstance(source, bytes | bytearray | memoryview):
        return f"{len(source)} bytes of ONNX"
    return os.fspath(source)


def _inputs(
    samples: Samples | None, feeds: Sequence[Mapping[str, Array]] | None, effort: Effort
) -> str:
    if feeds is None:
        return f"seeded random, {_sets(effort.feeds)}"
    if isinstance(samples, str | os.PathLike):
        return f"{_sets(len(feeds))} of the folder {os.fspath(samples)}"
    return f"given, {_sets(len(feeds))}"


def _sets(count: int) -> str:
    return "1 set" if count == 1 else f"{count} sets"
