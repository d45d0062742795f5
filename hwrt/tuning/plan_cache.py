"""Plans on disk: one JSON file a plan, named by the hash of its key."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from hwrt import cache
from hwrt.errors import HwrtError
from hwrt.locks import hold
from hwrt.log import LOGGER
from hwrt.tuning.differences import Difference, Here, differences
from hwrt.tuning.plan import Key, Plan

__all__ = ["is_stored", "lock", "nearest", "plans", "read", "write"]


def read(root: Path, key: Key, *, warn: bool = True) -> Plan | None:
    """The plan for exactly this key; None where there is none that can be used.

    A file that is damaged, or another key's, is warned of; the next ``write`` replaces it.
    """
    path = _path(root, key)
    if not path.is_file():
        return None
    try:
        plan = Plan.load(path)
    except HwrtError as exc:
        reason = str(exc)
    else:
        if plan.key == key:
            cache.touch(path)
            return plan
        reason = "it is for another key"
    if warn:
        LOGGER.warning("the cached plan %s is not used: %s", path, reason)
    return None


def is_stored(root: Path, key: Key) -> bool:
    """True where there is a file for this key, be it damaged."""
    return _path(root, key).is_file()


def write(root: Path, plan: Plan) -> None:
    """Put the plan into the cache; a full disk costs a warning, not the plan."""
    path = _path(root, plan.key)
    try:
        plan.save(path)
    except OSError as exc:
        LOGGER.warning("the plan could not be cached in %s: %s", path, exc)


@contextlib.contextmanager
def lock(root: Path | None, key: Key, waiting: Callable[[str], object]) -> Iterator[None]:
    """Be the only one that tunes for this key, in all processes that share the cache.

    ``waiting`` is called again and again while another one does, and may raise.  Without a cache
    there is no lock; where the folder takes none that is warned of.
    """
    if root is None:
        yield
        return
    path = _path(root, key).with_suffix(".lock")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold(path, waiting))
        except OSError as exc:
            LOGGER.warning(
                "%s can not be locked, so others may tune at the same time: %s", path, exc
            )
        yield


def plans(root: Path | None) -> Iterator[Plan]:
    """Every plan in the cache that can be read."""
    for path in sorted((root / "plans").glob("*.json")) if root is not None else ():
        # A damaged one is warned of where it is asked for.
        with contextlib.suppress(HwrtError):
            yield Plan.load(path)


def nearest(
    root: Path | None, here: Here, *, model_file: str
) -> tuple[Plan, list[Difference]] | None:
    """The plan for this model, or for what its file held before, that differs in least; in what.

    One that was made with other software alone is nearer than any that was made for something else.
    Of several the latest; None where there is none.
    """
    found = [
        (plan, differences(plan, here))
        for plan in plans(root)
        if plan.key.model == here.key.model or plan.model_file == model_file
    ]
    # A stable sort: the latest of those that differ in as much comes first.
    found.sort(key=lambda one: one[0].made_at, reverse=True)
    return min(found, key=lambda one: _distance(one[1]), default=None)


def _distance(found: list[Difference]) -> tuple[bool, int]:
    return not all(one.is_software for one in found), len(found)


def _path(root: Path, key: Key) -> Path:
    text = json.dumps(key.to_json(), sort_keys=True)
    return root / "plans" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
