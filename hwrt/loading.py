"""``hwrt.load`` and ``hwrt.tune``: from a model and a wish to a plan and a session."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import hwrt
from hwrt import cache as cache_folder
from hwrt import model, registry, zoo
from hwrt.backend import Array, CompiledModel
from hwrt.errors import BackendError, InputError, NoBackend, SessionError
from hwrt.files import digest
from hwrt.log import LOGGER, configure
from hwrt.machine.fingerprint import fingerprint
from hwrt.machine.fingerprint import key as machine_key
from hwrt.machine.limits import allowed_threads
from hwrt.measure.measurement import Candidate
from hwrt.progress import progress_bar
from hwrt.session import Session
from hwrt.spec import Device, ModelInfo, Options, OptionValue, Placement, Progress, Range
from hwrt.tuning import plan_cache
from hwrt.tuning.feeds import user_feeds
from hwrt.tuning.plan import Key, Plan
from hwrt.tuning.search import Found
from hwrt.tuning.shapes import check_shapes, shapes_to_json
from hwrt.tuning.tuner import compiled_dir, measure, require_winner
from hwrt.tuning.wish import Effort, Wish, names_of

__all__ = ["backend_names", "given_feeds", "inspect", "load", "open_model", "tune"]

_MOST_SAMPLES = 16

ModelSource = str | os.PathLike[str] | bytes
Samples = Iterable[Mapping[str, Array]] | str | os.PathLike[str]
GivenShapes = Mapping[str, Sequence[int | Range]]
Cache = bool | str | os.PathLike[str]


@dataclass(frozen=True)
class Source:
    """A model as a file, the cache to use, and the folder that vanishes with the session."""

    info: ModelInfo
    cache_root: Path | None
    temporary: tempfile.TemporaryDirectory[str] | None = None


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
    restrict the candidates.  ``options`` are one backend's, given exactly: nothing is measured or
    checked then.  ``shapes`` maps inputs to shapes, an int or a Range for each dynamic dimension.
    ``samples`` (feeds, or a folder of .npy or .npz files) replace seeded random feeds.  ``tune``
    "never" uses ``plan`` or a cached plan only.  ``budget_s`` bounds the timing of candidates.

    Raises ModelError for a bad file, InputError for a bad argument, NoBackend where nothing runs
    the model rightly.
    """
    configure()
    opened = open_model(source, cache)
    info = opened.info
    wish = Wish(
        threads=threads if threads is not None else allowed_threads(),
        backends=backend_names(backend),
        device=device,
        shapes=check_shapes(info, shapes),
        objective=objective,
        accuracy=accuracy,
        max_memory_bytes=max_memory_mb and max_memory_mb << 20,
    )
    if options is not None:
        chosen = _given_plan(info, wish, options)
        how = "options given"
    elif plan is not None:
        chosen = _travelled_plan(info, wish, plan)
        how = f"plan of {chosen.made_at}"
    else:
        chosen, how = _find_plan(opened, wish, samples, tune, budget_s, progress)
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
    wish = Wish(
        threads=threads if threads is not None else allowed_threads(),
        backends=backend_names(backend),
        device=device,
        shapes=check_shapes(opened.info, shapes),
        objective=objective,
        accuracy=accuracy,
        max_memory_bytes=max_memory_mb and max_memory_mb << 20,
    )
    feeds = given_feeds(samples, opened.info)
    try:
        with progress_bar(progress) as shown:
            return _tune(opened, wish, feeds, budget_s, shown)
    finally:
        if opened.temporary is not None:
            opened.temporary.cleanup()


def inspect(source: ModelSource, *, cache: Cache = True) -> ModelInfo:
    """What the model file says of itself; nothing is run.  ``source`` as for ``load``.

    Raises ModelError for a file that is missing, malformed or refused.
    """
    return open_model(source, cache).info


def open_model(source: ModelSource, cache: Cache = True) -> Source:
    """The model as a file that other processes can read."""
    root = cache_folder.folder(cache)
    memo_dir = root / "memo" if root else None
    named = isinstance(source, str) and source.startswith("zoo:")
    if not named and not isinstance(source, bytes | bytearray | memoryview):
        return Source(model.read(source, memo_dir=memo_dir), root)
    temporary = None if root else tempfile.TemporaryDirectory(prefix="hwrt-model-")
    folder = root or Path(temporary.name if temporary else "")
    if isinstance(source, str):
        path = _zoo_file(source, folder / "zoo")
    else:
        assert isinstance(source, bytes | bytearray | memoryview)
        path = model.write_bytes(bytes(source), folder / "models")
    return Source(model.read(path, memo_dir=memo_dir), root, temporary)


def _zoo_file(source: str, folder: Path) -> Path:
    """The reference model's file, built where it is not there yet."""
    name, batch = zoo.parse(source)
    parts = sorted(Path(zoo.__file__).parent.glob("*.py"))
    revision = hashlib.sha256("".join(map(digest, parts)).encode()).hexdigest()[:12]
    path = folder / f"{name}@{batch or 'dynamic'}-{revision}.onnx"
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    return zoo.export(name, path, batch=batch)


def backend_names(backend: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """The ``backend`` argument as a tuple.  Raises InputError for a name that is not installed."""
    names = names_of(backend)
    for name in names or ():
        if name not in registry.names():
            raise InputError(
                f"there is no backend {name!r}",
                hint=f"there are {', '.join(registry.names()) or 'none'}",
            )
    return names


def given_feeds(samples: Samples | None, info: ModelInfo) -> list[dict[str, Array]] | None:
    """The ``samples`` argument as sets of feeds, checked; None where there is none."""
    return None if samples is None else user_feeds(samples, info.inputs, limit=_MOST_SAMPLES)


def _key(info: ModelInfo, wish: Wish, feeds: Sequence[Mapping[str, Array]] | None) -> Key:
    stamps = {}
    for name in wish.backends or registry.names():
        stamps[name] = _stamp(name)
    return Key(
        model=info.sha256,
        machine=_machine_key(),
        hwrt=hwrt.__version__,
        stamps=stamps,
        objective=wish.objective,
        accuracy=wish.accuracy,
        shapes=shapes_to_json(wish.shapes),
        threads=wish.threads,
        backends=wish.backends,
        device=wish.device,
        samples=None if feeds is None else _digest(feeds),
    )


def _stamp(name: str) -> str:
    try:
        return registry.backend(name).stamp()
    except BackendError as exc:
        return f"unavailable: {exc.message}"


def _machine_key() -> str:
    return machine_key(fingerprint())


def _digest(feeds: Sequence[Mapping[str, Array]]) -> str:
    state = hashlib.sha256()
    for arrays in feeds:
        for name, array in sorted(arrays.items()):
            state.update(f"{name} {array.dtype} {array.shape}".encode())
            content = repr(array.tolist()) if array.dtype.hasobject else None
            state.update(array.tobytes() if content is None else content.encode())
    return state.hexdigest()


def _find_plan(
    opened: Source,
    wish: Wish,
    samples: Samples | None,
    tune: str,
    budget_s: float,
    progress: Progress | None,
) -> tuple[Plan, str]:
    """A cached plan, or one measured anew; and in words which."""
    if tune not in ("auto", "never"):
        raise InputError(f"tune is {tune!r}", hint="give 'auto' or 'never'")
    feeds = given_feeds(samples, opened.info)
    key = _key(opened.info, wish, feeds)
    if opened.cache_root is not None:
        cached = plan_cache.read(opened.cache_root, key)
        if cached is not None:
            return cached, f"cached plan of {cached.made_at}"
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

    key = _key(opened.info, wish, feeds)
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
        made_at=_now(),
    )
    if opened.cache_root is not None:
        plan_cache.write(opened.cache_root, plan)
    return plan


def _given_plan(info: ModelInfo, wish: Wish, options: Mapping[str, OptionValue]) -> Plan:
    """A plan for one backend's options as they are given, nothing measured."""
    if wish.backends is None or len(wish.backends) != 1:
        raise InputError("options are one backend's", hint="say which one: backend='NAME'")
    values = dict(options)
    device = _device(wish.backends[0], wish.device)
    if device.kind == "cpu":
        values.setdefault("threads", wish.threads)
    return Plan(
        backend=wish.backends[0],
        device=device.id,
        options=Options(values),
        precision="unknown",
        placement=Placement({}),
        key=_key(info, wish, None),
        unverified="the options were given, so nothing was checked or measured",
        made_at=_now(),
    )


def _travelled_plan(info: ModelInfo, wish: Wish, given: Plan | str | os.PathLike[str]) -> Plan:
    """The user's plan, where it was made for this model, machine and version."""
    plan = given if isinstance(given, Plan) else Plan.load(given)
    here = _key(info, wish, None)
    stamps = {plan.backend: registry.backend(plan.backend).stamp()}
    theirs = {plan.backend: plan.key.stamps.get(plan.backend)}
    checks = {
        "model": (plan.key.model, here.model),
        "machine": (plan.key.machine, here.machine),
        "hwrt": (plan.key.hwrt, here.hwrt),
        "version": (theirs, stamps),
    }
    for name, (there, ours) in checks.items():
        if there != ours:
            raise InputError(
                f"the plan was made for another {name}: {there}, not {ours}", hint="tune anew"
            )
    return plan


def _device(backend: str, wanted: str | None) -> Device:
    devices = registry.backend(backend).devices()
    for device in devices:
        if wanted is None or device.matches(wanted):
            return device
    raise NoBackend(
        f"{backend} has no device {wanted!r}", hint=f"it has {', '.join(map(str, devices))}"
    )


def _compile(opened: Source, plan: Plan, progress: Progress | None) -> CompiledModel:
    backend = registry.backend(plan.backend)
    device = _device(plan.backend, plan.device)
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


def _now() -> str:
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
