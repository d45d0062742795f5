"""``hwrt.load`` and ``hwrt.tune``: from a model and a wish to a plan and a session."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hwrt.loading.arguments import (
    Arguments,
    GivenShapes,
    Samples,
    check_kinds,
    check_tuning,
    given_feeds,
    known_by_name,
    make_wish,
)
from hwrt.loading.choosing import Asked, cached_plan, measured_plan
from hwrt.loading.origin import load_model
from hwrt.log import configure
from hwrt.measure.gate import AccuracyGate
from hwrt.session import Session
from hwrt.source import Cache, ModelSource, open_model
from hwrt.spec import ModelInfo, OptionValue, Progress
from hwrt.tuning.plan import Plan
from hwrt.tuning.wish import names_of

__all__ = ["GivenShapes", "Samples", "given_feeds", "inspect", "load", "make_wish", "tune"]


def load(
    source: ModelSource,
    *,
    backend: str | Sequence[str] | None = None,
    device: str | None = None,
    options: Mapping[str, OptionValue] | None = None,
    shapes: GivenShapes | None = None,
    objective: str = "latency",
    accuracy: str | AccuracyGate = "f32",
    samples: Samples | None = None,
    threads: int | None = None,
    max_memory_mb: int | None = None,
    max_p99_ms: float | None = None,
    tune: str = "auto",
    plan: Plan | str | os.PathLike[str] | None = None,
    budget_s: float = 30.0,
    cache: Cache = True,
    fallback: bool = True,
    progress: Progress | None = None,
    samples_id: str | None = None,
    verify: bool = False,
) -> Session:
    """A session for the model on the fastest backend of this machine that answers rightly.

    ``source`` is a path, ``zoo:NAME`` or the bytes of an ONNX file.  ``backend`` and ``device``
    restrict the candidates.  ``options`` are one backend's, given exactly (``threads`` are added
    where a CPU's leave them out): nothing is measured or checked then, but the model is compiled
    and run once in a child process first, as it is for a ``plan`` that was not measured in this
    cache.  ``shapes`` maps inputs to shapes, an int or a Range for each dynamic dimension.
    ``samples`` (feeds, a folder of .npy or .npz files, or one of images, which become feeds as the
    model's metadata or sidecar say) replace seeded random feeds; the first 64 count.
    ``accuracy`` "relaxed" also tries reduced precision, and takes what keeps the reference's
    answers on the samples; an AccuracyGate says by what metric.
    ``samples_id`` is a name by which the cache knows them, in place of their content.  ``tune``
    "never" uses ``plan`` or a cached plan only, be it made with other versions of the software.
    ``verify`` hashes the model and the compiled file in the cache, unchanged as they may look.
    ``objective`` is "latency" (of one request at a time), "p99", "throughput" (with requests side
    by side) or "memory"; ``max_memory_mb`` and ``max_p99_ms`` are limits that a plan must keep.
    ``budget_s`` bounds the timing of candidates.  With ``fallback`` a run that fails is done again
    by the plan's next right candidate, and those after it: see Session.

    Raises ModelError for a bad file, InputError for a bad argument, NoBackend where nothing runs
    the model rightly, BackendFailure where the vendor crashed or hung in the child process.
    """
    configure()
    check_tuning(tune, budget_s, plan=plan, options=options, samples=samples)
    check_kinds(options=options, shapes=shapes, cache=cache, progress=progress)
    arguments = Arguments(
        backend=names_of(backend),
        device=device,
        options=None if options is None else dict(options),
        shapes=None if shapes is None else dict(shapes),
        objective=objective,
        accuracy=accuracy,
        # The current folder may be another one where the session is loaded again.
        samples=os.path.abspath(samples)  # noqa: PTH100
        if isinstance(samples, str | os.PathLike)
        else samples,
        threads=threads,
        max_memory_mb=max_memory_mb,
        max_p99_ms=max_p99_ms,
        tune=tune,
        budget_s=budget_s,
        cache=cache if isinstance(cache, bool) else os.path.abspath(cache),  # noqa: PTH100
        fallback=bool(fallback),
        samples_id=samples_id,
        verify=bool(verify),
        progress=progress,
    )
    return Session(*load_model(open_model(source, cache, verify=verify), arguments, plan))


def tune(
    source: ModelSource,
    *,
    backend: str | Sequence[str] | None = None,
    device: str | None = None,
    shapes: GivenShapes | None = None,
    objective: str = "latency",
    accuracy: str | AccuracyGate = "f32",
    samples: Samples | None = None,
    threads: int | None = None,
    max_memory_mb: int | None = None,
    max_p99_ms: float | None = None,
    budget_s: float = 30.0,
    cache: Cache = True,
    progress: Progress | None = None,
    samples_id: str | None = None,
) -> Plan:
    """The plan that ``load`` would run by, measured anew and put into the cache.

    The arguments are those of ``load``.
    """
    configure()
    check_kinds(shapes=shapes, cache=cache, progress=progress)
    opened = open_model(source, cache)
    arguments = Arguments(
        backend=names_of(backend),
        device=device,
        shapes=shapes,
        objective=objective,
        accuracy=accuracy,
        samples=samples,
        samples_id=samples_id,
        threads=threads,
        max_memory_mb=max_memory_mb,
        max_p99_ms=max_p99_ms,
    )
    wish = arguments.wish(opened.info)
    check_tuning("auto", budget_s)
    feeds = arguments.feeds(opened.info)
    if not known_by_name(samples):
        arguments = replace(arguments, samples=feeds)
    asked = Asked.of(opened, wish, arguments.samples_key())
    try:
        return measured_plan(
            asked,
            feeds,
            budget_s=budget_s,
            progress=progress,
            instead_of=cached_plan(asked),
        )
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
