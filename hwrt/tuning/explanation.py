"""What a plan says of its own choice: who won and why, who lost and by how much, who was dropped.

Everything is computed from the plan's raw samples; nothing is run and no vendor imported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hwrt.measure.measurement import Measurement
from hwrt.measure.percentile import Percentile, percentile
from hwrt.tuning.decision import QUANTILES, Contender, Ratio, compare
from hwrt.tuning.plan import Plan

__all__ = ["SCHEMA", "Standing", "gain", "standings", "to_json"]

SCHEMA = "hwrt.explain/1"
_ORDER = {"chosen": 0, "lost": 1, "rejected": 2, "failed": 3}
_SECOND = 1.0


@dataclass(frozen=True)
class Standing:
    """One candidate of a plan: how it ended, and its figures where it was timed.

    ``outcome``: ``chosen``, ``lost``, ``rejected`` or ``failed``.  ``cost`` is what the objective
    compares (the lower quartile in seconds; the p99 for p99; for throughput the seconds of one
    inference) with its 95 % interval.  ``behind`` is how many times that of the chosen one it is.
    """

    outcome: str
    measurement: Measurement
    cost: Ratio | None = None
    behind: Ratio | None = None

    @property
    def p99(self) -> Percentile:
        """The p99, or why there is none."""
        return percentile(self.measurement.samples_s, 0.99)

    @property
    def precision(self) -> str | None:
        """What was built, else what was asked for."""
        return self.measurement.precision or self.measurement.candidate.options.precision

    @property
    def is_reduced(self) -> bool:
        """True where it computes with less than the model's file states."""
        candidate = self.measurement.candidate
        return candidate.variant is not None or candidate.options.precision not in (None, "f32")

    @property
    def throughput_per_s(self) -> float | None:
        """Inferences in a second: as measured with several in flight, else one after the other."""
        measured = self.measurement
        if measured.rate_per_s is not None or not measured.samples_s:
            return measured.rate_per_s
        return len(measured.samples_s) / math.fsum(measured.samples_s)


def standings(plan: Plan) -> list[Standing]:
    """The chosen candidate, those that lost (the best first), were rejected, and failed."""
    objective = plan.key.objective
    quantile = QUANTILES.get(objective, 0.25)
    contenders = [_contender(one, objective) for one in plan.measurements]
    chosen = next(
        (i for i, one in enumerate(plan.measurements) if one.candidate == plan.candidate), None
    )
    found = []
    for i, (one, contender) in enumerate(zip(plan.measurements, contenders, strict=True)):
        cost = behind = None
        if contender.windows:
            cost = compare(contender, _one_second(contender), quantile=quantile)
            if chosen not in (None, i) and contenders[chosen].windows:
                behind = compare(contender, contenders[chosen], quantile=quantile)
        outcome = "lost" if one.status == "ok" else one.status
        found.append(Standing("chosen" if i == chosen else outcome, one, cost, behind))
    return sorted(found, key=_rank)


class Gain(NamedTuple):
    """What reduced precision gave: how many times faster ``reduced`` is than ``stated``."""

    reduced: Standing
    stated: Standing
    ratio: Ratio


def gain(plan: Plan) -> Gain | None:
    """What the best of reduced precision gave over the best of the file's; None: not measured."""
    timed = [one for one in standings(plan) if one.cost is not None]
    reduced = [one for one in timed if one.is_reduced]
    stated = [one for one in timed if not one.is_reduced]
    if not reduced or not stated:
        return None
    best, plain = reduced[0], stated[0]
    objective = plan.key.objective
    quantile = QUANTILES.get(objective, 0.25)
    contenders = (_contender(one.measurement, objective) for one in (plain, best))
    return Gain(best, plain, compare(*contenders, quantile=quantile))


def to_json(plan: Plan) -> dict[str, Any]:
    """The explanation as values for JSON, with its schema."""
    found = gain(plan)
    return {
        "schema": SCHEMA,
        "model": {"name": plan.model_name, "sha256": plan.key.model},
        "made_at": plan.made_at,
        "measured_again": list(plan.measured_again),
        "chosen": plan.candidate.to_json(),
        "precision": plan.precision,
        "placement": dict(plan.placement.operators),
        "why": plan.why,
        "reference": plan.reference,
        "reference_check": plan.reference_check,
        "unverified": plan.unverified,
        "relaxed": None if found is None else _gain_json(found),
        "candidates": [_standing_json(one) for one in standings(plan)],
        "dropped": dict(plan.dropped),
        "asked": _asked(plan),
        "machine": dict(plan.machine),
        "versions": {"hwrt": plan.key.hwrt, **plan.key.stamps},
    }


def _asked(plan: Plan) -> dict[str, Any]:
    values = plan.key.to_json()
    return {
        name: value
        for name, value in values.items()
        if name not in ("model", "machine", "hwrt", "stamps")
    }


def _standing_json(one: Standing) -> dict[str, Any]:
    measured, tail = one.measurement, one.p99
    judgement = measured.judgement
    return {
        **measured.candidate.to_json(),
        "outcome": one.outcome,
        "reason": measured.reason,
        "precision": one.precision,
        "placement": measured.placement and dict(measured.placement.operators),
        "cost_s": _ratio_json(one.cost),
        "slower": _ratio_json(one.behind),
        "lower_quartile_s": measured.score_s,
        "p99_s": tail.value,
        "p99_upper_s": tail.upper,
        "p99_reason": tail.reason,
        "n": len(measured.samples_s),
        "throughput_per_s": one.throughput_per_s,
        "in_flight": measured.in_flight,
        "peak_rss_bytes": measured.peak_rss_bytes,
        "compile_s": measured.cold.compile_s,
        "output_error": {name: error.to_json() for name, error in measured.output_error.items()},
        "judgement": judgement and judgement.to_json(),
        "artefact_sha256": measured.artefact_sha256,
    }


def _ratio_json(ratio: Ratio | None) -> dict[str, float | None] | None:
    return None if ratio is None else ratio._asdict()


def _gain_json(found: Gain) -> dict[str, Any]:
    return {
        "faster": _ratio_json(found.ratio),
        "reduced": found.reduced.measurement.candidate.to_json(),
        "stated": found.stated.measurement.candidate.to_json(),
    }


def _contender(measured: Measurement, objective: str) -> Contender:
    return Contender(str(measured.candidate), windows=_windows(measured, objective))


def _windows(measured: Measurement, objective: str) -> Mapping[int, Sequence[float]]:
    """Round -> the costs measured in it; one window of all where the rounds were not kept."""
    if objective == "throughput" and measured.rates_per_s:
        costs = [(1.0 / rate,) for rate in measured.rates_per_s]
        rounds = [number for number, _ in measured.windows] or range(len(costs))
        return dict(zip(rounds, costs, strict=False))
    if not measured.windows:
        return {0: measured.samples_s} if measured.samples_s else {}
    found, start = {}, 0
    for number, count in measured.windows:
        found[number] = measured.samples_s[start : start + count]
        start += count
    return {number: samples for number, samples in found.items() if samples}


def _one_second(contender: Contender) -> Contender:
    """What to compare with for a cost in seconds."""
    return Contender("one second", windows=dict.fromkeys(contender.windows, (_SECOND,)))


def _rank(one: Standing) -> tuple[int, float]:
    value = one.behind or one.cost
    return _ORDER[one.outcome], math.inf if value is None else value.value
