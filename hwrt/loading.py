"""``hwrt.load`` and ``hwrt.tune``: from a model and a wish to a plan and a session."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from hwrt import registry
from hwrt.backend import Array, CompiledModel
from hwrt.errors import BackendError, InputError, SessionError
from hwrt.log import LOGGER, configure
from hwrt.machine.limits import allowed_threads
from hwrt.measure.measurement import Candidate
from hwrt.progress import progress_bar
from hwrt.session import Session
from hwrt.source import Cache, ModelSource, Source, open_model
from hwrt.spec import ModelInfo, OptionValue, Placement, Progress, Range
from hwrt.tuning import plan_cache
from hwrt.tuning.feeds import user_feeds
from hwrt.tuning.given import checked_plan, device_of, now, plan_of_options
from hwrt.tuning.keys import key_of
from hwrt.tuning.plan import Plan
from hwrt.tuning.search import Found
from hwrt.tuning.shapes import check_shapes
from hwrt.tuning.tuner import compiled_dir, measure, require_winner
from hwrt.tuning.wish import Effort, Wish, names_of

__all__ = ["given_feeds", "inspect", "load", "make_wish", "tune"]

_MOST_SAMPLES = 16
_CACHED = "cached plan"

Samples = Iterable[Mapping[str, Array]] | str | os.PathLike[str]
GivenShapes = Mapping[str, Sequence[int | Range]]


def load(
    source: ModelSource,
    *,
    backend: str | Sequence[str] | None = None,
    device: str | None = None,
    options: Mapping[str, OptionValue] | None = None,
    shapes: GivenShapes | None = None,
    objective: str = "latency",
    accuracy: str = "f32",
    samples: Samples | None = None,
    threads: int | None = None,
    max_memory_mb: int | None = None,
    tune: str = "auto",
    plan: Plan | str | os.PathLike[str] | None = None,
    budget_s: float = 30.0,
    cache: Cache = True,
    progress: Progress | None = None,
) -> Session:
    """A session for the model on the fastest backend of this machine that answers rightly.

    ``source`` is a path, ``zoo:NAME`` or the bytes of an ONNX file.  ``backend`` and ``device``
    restrict the candidates.  ``options`` are one backend's, given exactly (``threads`` are added
    where a CPU's leave them out): nothing is measured or checked then.  ``shapes`` maps inputs to
    shapes, an int or a Range for each dynamic dimension.  ``samples`` (feeds, or a folder of .npy
    or .npz files) replace seeded random feeds.  ``tune`` "never" uses ``plan`` or a cached plan
    only.  ``budget_s`` bounds the timing of candidates.

    Raises ModelError for a bad file, InputError for a bad argument, NoBackend where nothing runs
    the model rightly.
    """
    configure()
    opened = open_model(source, cache)
    info = opened.info
    wish = make_wish(
        info,
        backend=backend,
        device=device,
        shapes=shapes,
        objective=objective,
        accuracy=accuracy,
        threads=threads,
        max_memory_mb=max_memory_mb,
    )
    _check_tuning(tune, budget_s, plan=plan, options=options, samples=samples)
    if options is not None:
        chosen = plan_of_options(info, wish, options)
        how = "options given"
    elif plan is not None:
        chosen = checked_plan(info, wish, plan)
        how = f"plan of {chosen.made_at}"
    else:
        chosen, how = _find_plan(opened, wish, samples, tune, budget_s, progress)
    try:
        compiled = _compile(opened, chosen, progress)
    except BackendError as exc:
        if not how.startswith(_CACHED) or tune == "never":
            raise
        LOGGER.warning("the %s no longer works and is measured anew: %s", how, exc)
        with progress_bar(progress) as shown:
            chosen = _tune(opened, wish, given_feeds(samples, info), budget_s, shown)
        how = "measured"
        compiled = _compile(opened, chosen, progress)
    session = Session(compiled, _as_built(chosen, compiled), info)
    if opened.temporary is not None:
        weakref.finalize(session, opened.temporary.cleanup)
    LOGGER.info(
        "%s: %s, precision %s, %s%s",
        info.path.name,
        chosen.candidate,
        compiled.precision,
        how,
        f"; unverified: {chosen.unverified}" if chosen.unverified else "",
    )
    return session


def tune(
    source: ModelSource,
    *,
    backend: str | Sequence[str] | None = None,
    device: str | None = None,
    shapes: GivenShapes | None = None,
    objective: str = "latency",
    accuracy: str = "f32",
    samples: Samples | None = None,
    threads: int | None = None,
    max_memory_mb: int | None = None,
    budget_s: float = 30.0,
    cache: Cache = True,
    progress: Progress | None = None,
) -> Plan:
    """The plan that ``load`` would run by, measured anew and put into the cache.

    The arguments are those of ``load``.
    """
    configure()
    opened = open_model(source, cache)
    wish = make_wish(
        opened.info,
        backend=backend,
        device=device,
        shapes=shapes,
        objective=objective,
        accuracy=accuracy,
        threads=threads,
        max_memory_mb=max_memory_mb,
    )
    _check_tuning("auto", budget_s)
    feeds = given_feeds(samples, opened.info)
    try:
        with progress_bar(progress) as shown:
            return _tune(opened, wish, feeds, budget_s, shown)
    finally:
        if opened.temporary is not None:
            opened.temporary.cleanup()


def inspect(source: ModelSource, *, cache: Cache = True) -> ModelInfo:
    """What the model file says of itself; nothing is run.  ``source`` as for ``load``.

    Without a cache the ``path`` of a model that was given as bytes is gone afterwards.  Raises
    ModelError for a file that is missing, malformed or refused.
    """
    opened = open_model(source, cache)
    if opened.temporary is not None:
        opened.temporary.cleanup()
    return opened.info


def make_wish(
    info: ModelInfo,
    *,
    backend: str | Sequence[str] | None = None,
    device: str | None = None,
    shapes: GivenShapes | None = None,
    objective: str = "latency",
    accuracy: str = "f32",
    threads: int | None = None,
    max_memory_mb: int | None = None,
    every_candidate: bool = False,
) -> Wish:
    """The arguments of a load, checked.  Raises InputError for one that is wrong."""
    names = names_of(backend)
    for name in names or ():
        if name not in registry.names():
            raise InputError(
                f"there is no backend {name!r}",
                hint=f"there are {', '.join(registry.names()) or 'none'}",
            )
    return Wish(
        threads=threads if threads is not None else allowed_threads(),
        backends=names,
        device=device,
        shapes=check_shapes(info, shapes),
        objective=objective,
        accuracy=accuracy,
        max_memory_bytes=_bytes(max_memory_mb),
        every_candidate=every_candidate,
    )


def given_feeds(samples: Samples | None, info: ModelInfo) -> list[dict[str, Array]] | None:
    """The ``samples`` argument as sets of feeds, checked; None where there is none."""
    return None if samples is None else user_feeds(samples, info.inputs, limit=_MOST_SAMPLES)


def _find_plan(
    opened: Source,
    wish: Wish,
    samples: Samples | None,
    tune: str,
    budget_s: float,
    progress: Progress | None,
) -> tuple[Plan, str]:
    """A cached plan, or one measured anew; and in words which."""
    feeds = given_feeds(samples, opened.info)
    key = key_of(opened.info, wish, feeds)
    if opened.cache_root is not None:
        cached = plan_cache.read(opened.cache_root, key)
        if cached is not None:
            return cached, f"{_CACHED} of {cached.made_at}"
    if tune == "never":
        raise InputError(
            f"tune is 'never' and there is no plan for {opened.info.path.name} on this machine"
            f"{plan_cache.nearest(opened.cache_root, key)}",
            hint="run `hwrt tune`, or give plan=",
        )
    with progress_bar(progress) as shown:
        return _tune(opened, wish, feeds, budget_s, shown), "measured"


def _tune(
    opened: Source,
    wish: Wish,
    feeds: Sequence[Mapping[str, Array]] | None,
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
        machine=key.machine,
        effort=Effort(budget_s=budget_s),
        cache_root=opened.cache_root,
        feeds=feeds,
        report=report,
    )
    won = evidence.measurements[require_winner(opened.info, evidence)]
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
    return plan


def _check_tuning(tune: str, budget_s: float, **given: object) -> None:
    if tune not in ("auto", "never"):
        raise InputError(f"tune is {tune!r}", hint="give 'auto' or 'never'")
    if not budget_s > 0:
        raise InputError(f"budget_s is {budget_s!r}", hint="give seconds above 0")
    together = [f"{name}=" for name, value in given.items() if value is not None]
    if len(together) > 1:
        raise InputError(
            f"{' and '.join(together)} were given together",
            hint="plan= and options= say what to run; samples= is for finding that out",
        )


def _bytes(megabytes: int | None) -> int | None:
    if megabytes is None:
        return None
    if isinstance(megabytes, bool) or not isinstance(megabytes, int) or megabytes < 1:
        raise InputError(f"max_memory_mb is {megabytes!r}", hint="give a whole number from 1")
    return megabytes << 20


def _compile(opened: Source, plan: Plan, progress: Progress | None) -> CompiledModel:
    backend = registry.backend(plan.backend)
    device = device_of(plan.backend, plan.device)
    found = Found(Candidate(plan.backend, device.id, plan.options), device, backend.stamp())
    folder = compiled_dir(
        opened.cache_root,
        opened.info,
        found,
        shapes=plan.shapes,
        machine=plan.key.machine,
    )
    return backend.compile(
        opened.info,
        device,
        options=plan.options,
        shapes=plan.shapes,
        cache_dir=folder,
        progress=progress,
    )


def _as_built(plan: Plan, compiled: CompiledModel) -> Plan:
    return replace(plan, precision=compiled.precision, placement=compiled.placement)
