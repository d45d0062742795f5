"""A plan for what was asked: from the cache, or measured anew."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwrt import cache
from hwrt.backend import Array
from hwrt.errors import HwrtError, InputError, SessionError
from hwrt.log import LOGGER
from hwrt.progress import progress_bar
from hwrt.source import Source
from hwrt.spec import Placement, Progress
from hwrt.tuning import plan_cache, proof
from hwrt.tuning.differences import Difference, Here
from hwrt.tuning.given import adopted, now
from hwrt.tuning.keys import here
from hwrt.tuning.plan import Plan
from hwrt.tuning.report import Report
from hwrt.tuning.wish import Effort, Wish

__all__ = ["Asked", "cached_plan", "measured_plan", "nearest_plan", "plan_of_other_versions"]

Feeds = Sequence[Mapping[str, Array]]


@dataclass(frozen=True)
class Asked:
    """A model, what is wished of it, and what the plan for that would be made for here."""

    opened: Source
    wish: Wish
    here: Here

    @classmethod
    def of(cls, opened: Source, wish: Wish, samples: str | None = None) -> Asked:
        """Take note of the versions and the machine; ``samples`` is the samples' key."""
        return cls(opened, wish, here(opened.info, wish, samples))

    @property
    def root(self) -> Path | None:
        """The cache in which such plans are kept; None where they are not.

        They are not where a function without a name judges: another one can not be told from it.
        """
        return None if self.wish.gate.name is None else self.opened.cache_root


def cached_plan(asked: Asked) -> Plan | None:
    """The cached plan for exactly this; None where there is none."""
    return None if asked.root is None else plan_cache.read(asked.root, asked.here.key)


def nearest_plan(asked: Asked) -> tuple[Plan, list[Difference]] | None:
    """The cached plan for this model that differs in least, and in what."""
    return plan_cache.nearest(asked.root, asked.here, model_file=_file_digest(asked.opened))


def plan_of_other_versions(asked: Asked) -> Plan:
    """The cached plan for this that was made with other software on this machine, adopted.

    It serves those who must not tune: an update of a driver leaves them what they had, with a
    warning that says what changed.  Raises InputError, naming what differs, where there is none.
    """
    found = nearest_plan(asked)
    if found is not None and all(one.is_software for one in found[1]):
        return adopted(found[0], asked.here)
    differing = f"; the nearest one differs in {'; '.join(map(str, found[1]))}" if found else ""
    raise InputError(
        f"tune is 'never' and there is no plan for {asked.opened.title} on this machine{differing}",
        hint="run `hwrt tune`, or give plan=",
    )


def measured_plan(
    asked: Asked,
    feeds: Feeds | None,
    *,
    budget_s: float,
    progress: Progress | None,
    instead_of: Plan | None = None,
    reason: str | None = None,
) -> Plan:
    """The plan that measuring every candidate comes to; it is put into the cache.

    Of all processes that share the cache one measures at a time for the same key; the others wait
    and take its plan.  ``instead_of`` is a cached plan that does not do, and ``reason`` why.
    Raises NoBackend where no candidate is right, SessionError where ``progress`` says to stop.
    """
    with progress_bar(progress) as shown:

        def report(fraction: float, text: str) -> None:
            if shown is not None and not shown(fraction, text):
                raise SessionError("tuning was cancelled by progress")

        told: list[str] = []

        def waiting(text: str) -> None:
            if not told:
                LOGGER.info("%s: %s, which tunes for the same", asked.opened.title, text)
            told.append(text)
            report(0.0, text)

        with plan_cache.lock(asked.root, asked.here.key, waiting):
            if asked.root is not None:
                made = plan_cache.read(asked.root, asked.here.key, warn=False)
                if made is not None and made != instead_of:
                    return made  # by another process, since it was looked for
                cache.sweep(asked.root)
                cache.trim(asked.root)
            again = _again(asked, instead_of, reason)
            try:
                plan = _measured(asked, feeds, budget_s, report, again)
            except OSError as exc:
                raise HwrtError(
                    f"what a tuning needs to write can not be written: {exc}",
                    hint=f"free space in {tempfile.gettempdir()}, or name another folder by TMPDIR",
                ) from exc
            if asked.root is not None:
                plan_cache.write(asked.root, plan)
                cache.trim(asked.root)
    # It was compiled in a child here.
    proof.remember(plan, asked.opened.cache_root)
    return plan


def _measured(
    asked: Asked, feeds: Feeds | None, budget_s: float, report: Report, again: tuple[str, ...]
) -> Plan:
    # What tunes is not for a load that finds a plan.
    from hwrt.tuning.tuner import measure, require_winner

    opened = asked.opened
    evidence = measure(
        opened.info,
        asked.wish,
        title=opened.title,
        machine=asked.here.key.machine,
        effort=Effort(budget_s=budget_s),
        cache_root=opened.cache_root,
        feeds=feeds,
        report=report,
    )
    won = evidence.measurements[require_winner(opened.title, evidence)]
    return Plan(
        backend=won.candidate.backend,
        device=won.candidate.device,
        options=won.candidate.options,
        precision=won.precision or "unknown",
        placement=won.placement or Placement({}),
        key=asked.here.key,
        measurements=evidence.measurements,
        unverified=evidence.unverified,
        reference=evidence.reference,
        reference_check=evidence.reference_check,
        dropped=evidence.dropped,
        made_at=now(),
        model_name=opened.title,
        model_file=_file_digest(opened),
        machine=asked.here.machine,
        why=evidence.why,
        measured_again=again,
    )


def _again(asked: Asked, instead_of: Plan | None, reason: str | None) -> tuple[str, ...]:
    """Why there is something to measure though there are plans; empty for a first plan."""
    if instead_of is not None:
        return (reason or "it was asked for",)
    if asked.root is not None and plan_cache.is_stored(asked.root, asked.here.key):
        return ("the cached plan was damaged",)
    found = nearest_plan(asked)
    return tuple(one.change for one in found[1]) if found else ()


def _file_digest(opened: Source) -> str:
    """Names the file without telling a plan's reader where it lay."""
    return hashlib.sha256(os.fsencode(opened.info.path)).hexdigest()[:32]
