"""A plan for what was asked: from the cache, or measured anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwrt.backend import Array
from hwrt.errors import InputError, SessionError
from hwrt.progress import progress_bar
from hwrt.source import Source
from hwrt.spec import Placement, Progress
from hwrt.tuning import plan_cache, proof
from hwrt.tuning.given import now
from hwrt.tuning.keys import key_of
from hwrt.tuning.plan import Plan
from hwrt.tuning.tuner import measure, require_winner
from hwrt.tuning.wish import Effort, Wish

__all__ = ["cached_plan", "measured_plan"]

Feeds = Sequence[Mapping[str, Array]]


def cached_plan(opened: Source, wish: Wish, feeds: Feeds | None, *, required: bool) -> Plan | None:
    """The cached plan for exactly this; None where there is none.

    Where it is ``required`` that is an InputError, saying in what the nearest one differs.
    """
    key = key_of(opened.info, wish, feeds)
    if opened.cache_root is not None:
        cached = plan_cache.read(opened.cache_root, key)
        if cached is not None:
            return cached
    if required:
        raise InputError(
            f"tune is 'never' and there is no plan for {opened.title} on this machine"
            f"{plan_cache.nearest(opened.cache_root, key)}",
            hint="run `hwrt tune`, or give plan=",
        )
    return None


def measured_plan(
    opened: Source, wish: Wish, feeds: Feeds | None, *, budget_s: float, progress: Progress | None
) -> Plan:
    """The plan that measuring every candidate comes to; it is put into the cache.

    Raises NoBackend where none is right, SessionError where ``progress`` says to stop.
    """
    with progress_bar(progress) as shown:
        return _measured(opened, wish, feeds, budget_s, shown)


def _measured(
    opened: Source,
    wish: Wish,
    feeds: Feeds | None,
    budget_s: float,
    progress: Progress | None,
) -> Plan:
    def report(fraction: float, text: str) -> None:
        if progress is not None and not progress(fraction, text):
            raise SessionError("tuning was cancelled by progress")

    key = key_of(opened.info, wish, feeds)
    evidence = measure(
        opened.info,
        wish,
        title=opened.title,
        machine=key.machine,
        effort=Effort(budget_s=budget_s),
        cache_root=opened.cache_root,
        feeds=feeds,
        report=report,
    )
    won = evidence.measurements[require_winner(opened.title, evidence)]
    plan = Plan(
        backend=won.candidate.backend,
        device=won.candidate.device,
        options=won.candidate.options,
        precision=won.precision or "unknown",
        placement=won.placement or Placement({}),
        key=key,
        measurements=evidence.measurements,
        unverified=evidence.unverified,
        reference=evidence.reference,
        dropped=evidence.dropped,
        made_at=now(),
    )
    if opened.cache_root is not None:
        plan_cache.write(opened.cache_root, plan)
    # It was compiled in a child here.
    proof.remember(plan, opened.cache_root)
    return plan
