"""Proof that this process survives a compilation: it was done once in a child process before.

Vendor code that has never seen a model may crash or hang on it.  What was tuned here was compiled
in children anyway; options that a user gives, and plans that come from elsewhere, are tried so.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwrt.files import write_atomically
from hwrt.log import LOGGER
from hwrt.model import memo
from hwrt.owners import OwnedFolder
from hwrt.spec import Limits, ModelInfo
from hwrt.tuning.feeds import random_feeds, write_feeds
from hwrt.tuning.plan import Plan
from hwrt.tuning.shapes import shapes_to_json, typical_shapes

if TYPE_CHECKING:
    from hwrt.tuning.children import Child

__all__ = ["is_proved", "prove", "remember"]

_TIMEOUT_S = 600.0
_PROBE_TIMEOUT_S = 120.0


def is_proved(plan: Plan, cache_root: Path | None) -> bool:
    """True when this very compilation is known to end well, within its memory, on this machine."""
    key = _key(plan)
    if _digest(key) in _proved:
        return True
    if cache_root is None:
        return False
    try:
        document = json.loads(_marker(cache_root, key).read_bytes())
    except (OSError, ValueError, RecursionError):  # none there, or damaged: it is proved anew
        return False
    return bool(document == key)


def remember(plan: Plan, cache_root: Path | None) -> None:
    """Note that the plan's compilation ended well: in this process, and in the cache if any."""
    key = _key(plan)
    _proved.add(_digest(key))
    if cache_root is None:
        return
    path = _marker(cache_root, key)
    try:
        write_atomically(path, json.dumps(key, indent=1).encode())
    except OSError as exc:
        LOGGER.warning("%s can not be written, so the model will be tried again: %s", path, exc)


def prove(
    model: ModelInfo,
    plan: Plan,
    *,
    threads: int,
    cache_dir: Path | None,
    cache_root: Path | None,
) -> None:
    """Compile the model by the plan and run it once, in a child process, unless that was done.

    What it builds in ``cache_dir`` is used by the compilation that follows here.  Raises
    BackendFailure, with the child's last words, where the child crashes, hangs or takes more memory
    than the plan allows, and what the backend raises where it refuses the model.  An error of the
    run alone is logged: random feeds need not make sense to every model, and this process survives
    it.
    """
    if is_proved(plan, cache_root):
        return
    limits = Limits(threads, plan.key.max_memory_bytes)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(OwnedFolder("hwrt-prove-"))
        shapes = typical_shapes(model.inputs, plan.shapes or {})
        write_feeds(folder, random_feeds(model.inputs, shapes, count=1))
        child = stack.enter_context(_child(plan.backend, limits))
        answer = child.ask(
            "prove",
            timeout_s=_TIMEOUT_S,
            model=memo.to_json(model),
            device=plan.device,
            options=dict(plan.options),
            shapes=shapes_to_json(plan.shapes),
            feeds=str(folder),
            cache_dir=None if cache_dir is None else str(cache_dir),
        )
    if answer["fault"] is not None:
        LOGGER.info("%s on random feeds: %s", plan.candidate, answer["fault"])
    remember(plan, cache_root)


@contextlib.contextmanager
def _child(backend: str, limits: Limits) -> Iterator[Child]:
    """A process that has loaded the backend."""
    from hwrt.tuning.children import Child  # not for a load whose plan is proved

    child = Child(backend, memory_bytes=limits.memory_bytes)
    try:
        child.ask(
            "probe",
            timeout_s=_PROBE_TIMEOUT_S,
            backend=backend,
            model=None,
            limits={"threads": limits.threads, "memory_bytes": limits.memory_bytes},
        )
        yield child
    finally:
        child.close()


def _key(plan: Plan) -> dict[str, Any]:
    """All that the compilation's result depends on, as JSON values."""
    return {
        "model": plan.key.model,
        "machine": plan.key.machine,
        "hwrt": plan.key.hwrt,
        "backend": plan.backend,
        "stamp": plan.key.stamps.get(plan.backend),
        "device": plan.device,
        "options": dict(plan.options),
        "shapes": shapes_to_json(plan.shapes),
        "max_memory_bytes": plan.key.max_memory_bytes,
    }


def _digest(key: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _marker(cache_root: Path, key: Mapping[str, Any]) -> Path:
    return cache_root / "proved" / f"{_digest(key)[:32]}.json"


_proved: set[str] = set()
