"""Which candidate of a plan takes over when the chosen one fails while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from hwrt.errors import HwrtError
from hwrt.measure.measurement import Candidate, Measurement, score
from hwrt.measure.percentile import nearest_rank
from hwrt.spec import Placement
from hwrt.tuning.plan import Plan

__all__ = ["next_plan"]


def next_plan(
    plan: Plan, reason: str, *, check: Callable[[Plan], object], is_exclusive: bool = False
) -> Plan | str:
    """The plan of the next right candidate, or why there is none.

    Only what was measured and found right is taken: never what the gate rejected or what failed.
    ``check`` raises HwrtError for a plan that the load's arguments rule out.  ``is_exclusive`` says
    that the device holds one process at a time: the failed engine still has it then.

    What made one engine fail often fails its like too: a lost device all that run on it, a broken
    runtime all its options.  So first come candidates that share the least with the failed one: of
    another device where that was an accelerator, of another backend where it was the CPU, which can
    not be lost.  Among those the objective counts.
    """
    if not plan.measurements:
        return "nothing else was measured for this plan"
    failed = {plan.candidate, plan.fallback_of}
    refusals = []
    for measurement in sorted(_right(plan), key=lambda one: _rank(plan, one)):
        candidate = measurement.candidate
        if candidate in failed or (is_exclusive and candidate.device == plan.device):
            continue
        following = _plan_of(plan, measurement, reason)
        try:
            check(following)
        except HwrtError as exc:
            refusals.append(f"{candidate}: {exc.message}")
            continue
        return following
    others = [one for one in plan.measurements if one.candidate not in failed]
    wrong = sum(one.status != "ok" for one in others)
    told = f", {wrong} failed or were rejected" if wrong else ""
    return "; ".join([f"the plan has no other right candidate{told}", *refusals])


def _right(plan: Plan) -> Iterator[Measurement]:
    return (one for one in plan.measurements if one.status == "ok")


def _rank(plan: Plan, measurement: Measurement) -> tuple[bool, bool, float]:
    other_backend = measurement.candidate.backend != plan.backend
    other_device = measurement.candidate.device != plan.device
    on_cpu = plan.device.partition(":")[0] == "cpu"
    first, second = (other_backend, other_device) if on_cpu else (other_device, other_backend)
    return not first, not second, _cost(measurement, plan.key.objective)


def _cost(measurement: Measurement, objective: str) -> float:
    """What the objective wants small: seconds, or bytes; infinite where it was not measured."""
    samples, rate, peak = (
        measurement.samples_s,
        measurement.rate_per_s,
        measurement.peak_rss_bytes,
    )
    if objective == "throughput" and rate:
        return 1.0 / rate
    if objective == "memory" and peak is not None:
        return float(peak)
    if not samples:
        return float("inf")
    return nearest_rank(samples, 0.99) if objective == "p99" else score(samples)


def _plan_of(plan: Plan, measurement: Measurement, reason: str) -> Plan:
    candidate: Candidate = measurement.candidate
    return replace(
        plan,
        backend=candidate.backend,
        device=candidate.device,
        options=candidate.options,
        precision=measurement.precision or "unknown",
        placement=measurement.placement or Placement({}),
        fallback_of=plan.candidate,
        fallback_reason=reason,
        why=f"in place of {plan.candidate}, which failed: {reason}",
    )
