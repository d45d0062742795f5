"""Which candidates there are: every backend is asked in a child process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hwrt import registry
from hwrt.errors import HwrtError, NoBackend
from hwrt.measure.measurement import Candidate
from hwrt.model import memo
from hwrt.spec import Device, ModelInfo, Options
from hwrt.tuning.children import Child
from hwrt.tuning.wish import Wish

__all__ = ["Found", "Search", "search"]


@dataclass
class Found:
    """One candidate, and the process that asked for it where that is still unused."""

    candidate: Candidate
    device: Device
    stamp: str
    child: Child | None = None


@dataclass
class Search:
    """The candidates, the options fit as reference, and why the rest is not among them.

    ``dropped`` is about what the wish allows, ``mute`` about what it leaves out: why that can not
    be asked for a reference.
    """

    candidates: list[Found] = field(default_factory=list)
    references: list[Found] = field(default_factory=list)
    stamps: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    mute: dict[str, str] = field(default_factory=dict)

    def close(self) -> None:
        """End the processes that nobody took."""
        for found in self.candidates:
            if found.child is not None:
                found.child.close()


def search(
    model: ModelInfo,
    wish: Wish,
    progress: Callable[[str], object],
    *,
    title: str,
    timeout_s: float,
) -> Search:
    """All that the wish allows.  Raises NoBackend, with each reason, where that is nothing.

    A backend has ``timeout_s`` to be loaded and to answer.  The reference may come from one that
    the wish leaves out: it judges and is not chosen.
    """
    result = Search()
    try:
        for name in registry.names():
            progress(f"asking {name}")
            _ask(name, model, wish, result, timeout_s)
        if not result.candidates:
            raise NoBackend(
                f"no backend can run {title} as asked",
                reasons=result.dropped,
                hint=_hint(model, wish),
            )
    except BaseException:
        result.close()
        raise
    return result


def _hint(model: ModelInfo, wish: Wish) -> str:
    allowed = registry.names() if wish.backends is None else wish.backends
    if any(registry.reads(name, model.format) for name in allowed):
        return "see `hwrt doctor`"
    return f"{registry.told_readers(model.format)}; see `hwrt doctor`"


def _ask(name: str, model: ModelInfo, wish: Wish, result: Search, timeout_s: float) -> None:
    wanted = wish.backends is None or name in wish.backends
    unusable = result.dropped if wanted else result.mute
    try:
        formats = registry.backend(name).formats
        if model.format not in formats:
            if wanted:
                result.dropped[name] = f"it reads {', '.join(sorted(formats))}, not {model.format}"
            return
        child = Child(name, memory_bytes=wish.max_memory_bytes)
    except HwrtError as exc:
        unusable[name] = str(exc)
        return
    try:
        limits = {
            "threads": wish.threads,
            "memory_bytes": wish.max_memory_bytes,
            "objective": wish.objective,
        }
        answer = child.ask(
            "probe",
            timeout_s=timeout_s,
            backend=name,
            model=memo.to_json(model),
            limits=limits,
        )
    except HwrtError as exc:
        child.close()
        unusable[name] = str(exc)
        return
    result.stamps[name] = answer["stamp"]
    before = len(result.candidates)
    for described in answer["devices"]:
        _add(name, answer["stamp"], described, wish, wanted, result, model.quantized)
    if len(result.candidates) > before:
        result.candidates[before].child = child
        return
    child.close()
    devices = [Device(**described["device"]) for described in answer["devices"]]
    if wanted and not any(_wanted(device, wish) for device in devices):
        listed = ", ".join(map(str, devices)) or "none"
        result.dropped[name] = f"it has no device {wish.device!r}: it has {listed}"


def _add(
    name: str,
    stamp: str,
    described: Mapping[str, Any],
    wish: Wish,
    wanted: bool,
    result: Search,
    quantized: bool = False,
) -> None:
    device = Device(**described["device"])
    if described["reference"] is not None:
        judge = Candidate(name, device.id, Options(described["reference"]))
        result.references.append(Found(judge, device, stamp))
    if not wanted or not _wanted(device, wish):
        return
    all_options = [Options(options) for options in described["candidates"]]
    if not all_options:
        result.dropped[f"{name} {device.id}"] = "it names no candidate for this model"
    admitted = all_options if _admits_all(wish) else _as_stated(all_options, quantized)
    if all_options and not admitted:
        others = ", ".join(dict.fromkeys(str(options.precision) for options in all_options))
        result.dropped[f"{name} {device.id}"] = (
            f"it does not compute the model as its file states it, but in {others}: "
            "accuracy='relaxed' with samples= admits that"
        )
    for options in admitted:
        result.candidates.append(Found(Candidate(name, device.id, options), device, stamp))


def _admits_all(wish: Wish) -> bool:
    return wish.every_candidate or wish.gate.admits_reduced


def _as_stated(candidates: list[Options], quantized: bool) -> list[Options]:
    """Those that compute the model as its file states it: a quantised one in its own integers."""
    stated = (None, "f32", "int8") if quantized else (None, "f32")
    return [options for options in candidates if options.precision in stated]


def _wanted(device: Device, wish: Wish) -> bool:
    return wish.device is None or device.matches(wish.device)
