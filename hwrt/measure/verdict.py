"""Whether a run may be believed, and if not, why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hwrt.machine.conditions import Change, Conditions, between
from hwrt.measure.preset import Preset
from hwrt.measure.statistics import Summary
from hwrt.measure.warm_up import WarmUp
from hwrt.spec import Placement

__all__ = ["Rules", "Verdict", "judge"]


@dataclass(frozen=True)
class Rules:
    """The thresholds of a verdict, all shares from 0 to 1 but the last.

    ``max_cov`` is pyperf's, which calls a result unstable from a standard deviation of 10 % of the
    mean; trtexec's 2.5 % suits a GPU of which nothing else asks, and almost no run on the CPU of a
    machine that does other things would pass it.  ``max_block_spread`` is the same for the level.
    ``max_clock_change`` is how far the fastest CPU's clock may move from before to after.
    ``max_others_busy`` and ``max_steal`` bound the CPU time that others took of what this process
    may use: on two CPUs 10 % is a fifth of one.  ``max_swapped_pages`` allows a stray page.
    """

    max_cov: float = 0.10
    max_block_spread: float = 0.10
    max_clock_change: float = 0.10
    max_others_busy: float = 0.10
    max_steal: float = 0.05
    max_swapped_pages: int = 64


@dataclass(frozen=True)
class Verdict:
    """VALID, or INVALID with every reason, for people."""

    valid: bool
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return "VALID" if self.valid else f"INVALID: {'; '.join(self.reasons)}"

    def to_json(self) -> dict[str, Any]:
        """The same as values for JSON."""
        return {"valid": self.valid, "reasons": list(self.reasons)}


def judge(
    summary: Summary,
    *,
    preset: Preset,
    warm_up: WarmUp | None,
    before: Conditions | None = None,
    after: Conditions | None = None,
    placement: Placement | None = None,
    device: str | None = None,
    wrong_outputs: str | None = None,
    rules: Rules | None = None,
) -> Verdict:
    """Judge the samples of one candidate.

    ``warm_up`` is None where there was none, which is a reason.  ``before`` and ``after`` are the
    conditions around the timed span; what they do not tell is not held against the run.
    ``device`` is the id asked for, ``placement`` what really ran where.  ``wrong_outputs`` is what
    ``within`` returned for outputs of this run.
    """
    rules = rules or Rules()
    reasons = [] if wrong_outputs is None else [f"wrong outputs: {wrong_outputs}"]
    reasons += _of_placement(placement, device)
    reasons += _of_samples(summary, preset, rules)
    reasons += _of_steadiness(summary, warm_up, rules)
    if before is not None and after is not None:
        change = between(before, after)
        reasons += _of_clocks(change, rules)
        reasons += _of_load(change, rules)
    return Verdict(not reasons, tuple(reasons))


def _of_placement(placement: Placement | None, device: str | None) -> Iterator[str]:
    if placement is not None and device is not None:
        elsewhere = [name for name in placement.devices if device not in (name, _kind(name))]
        if elsewhere:
            yield f"ran in part on {', '.join(elsewhere)} where {device} was asked for"


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _of_samples(summary: Summary, preset: Preset, rules: Rules) -> Iterator[str]:
    if summary.n < preset.min_samples:
        yield f"too few samples: {summary.n}, {preset.name} needs {preset.min_samples}"
    # Samples that add up to the bound exactly may sum to a hair less as floats.
    if summary.total_s < preset.min_seconds * (1 - 1e-9):
        yield f"too short: {summary.total_s:.3g} s, {preset.name} needs {preset.min_seconds:g} s"
    if summary.cov is not None and summary.cov > rules.max_cov:
        yield f"samples scatter: CoV {summary.cov:.1%}, at most {rules.max_cov:.1%} is allowed"


def _of_steadiness(summary: Summary, warm_up: WarmUp | None, rules: Rules) -> Iterator[str]:
    if warm_up is None:
        yield "not warmed up"
    elif not warm_up.steady:
        yield f"not steady after {warm_up.seconds:.3g} s and {warm_up.runs} runs of warm-up"
    if summary.block_spread is not None and summary.block_spread > rules.max_block_spread:
        yield (
            f"not steady: medians of blocks differ by {summary.block_spread:.1%}, "
            f"at most {rules.max_block_spread:.1%} is allowed"
        )


def _of_clocks(change: Change, rules: Rules) -> Iterator[str]:
    if change.throttle_events:
        yield f"throttled by heat {change.throttle_events} times"
    if change.throttled_periods:
        yield f"stopped by the CPU quota in {change.throttled_periods} periods"
    if change.capped_by:
        yield f"clocks held down by {', '.join(change.capped_by)}"
    ratio = change.clock_ratio
    if ratio is not None and abs(ratio - 1) > rules.max_clock_change:
        yield f"clocks moved to {ratio:.0%} of what they were"
    if change.governors_changed:
        yield "the CPU frequency governor was changed"


def _of_load(change: Change, rules: Rules) -> Iterator[str]:
    if change.others_busy is not None and change.others_busy > rules.max_others_busy:
        yield f"background load: other processes took {change.others_busy:.0%} of the CPUs"
    if change.steal is not None and change.steal > rules.max_steal:
        yield f"the hypervisor took {change.steal:.0%} of the CPUs"
    if change.swapped_pages is not None and change.swapped_pages > rules.max_swapped_pages:
        yield f"swapping: {change.swapped_pages} pages"
