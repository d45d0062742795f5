"""Plans on disk: one JSON file a plan, named by the hash of its key."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from hwrt.errors import HwrtError
from hwrt.log import LOGGER
from hwrt.tuning.plan import Key, Plan

__all__ = ["nearest", "read", "write"]


def read(root: Path, key: Key) -> Plan | None:
    """The plan for exactly this key; None where there is none that can be used."""
    path = _path(root, key)
    if not path.is_file():
        return None
    try:
        plan = Plan.load(path)
    except HwrtError as exc:
        LOGGER.warning("the cached plan %s is not used: %s", path, exc)
        return None
    if plan.key != key:
        LOGGER.warning("the cached plan %s is for another key and is not used", path)
        return None
    return plan


def write(root: Path, plan: Plan) -> None:
    """Put the plan into the cache; a full disk costs a warning, not the plan."""
    path = _path(root, plan.key)
    try:
        plan.save(path)
    except OSError as exc:
        LOGGER.warning("the plan could not be cached in %s: %s", path, exc)


def nearest(root: Path | None, key: Key) -> str:
    """In words, in what the cached plans for the same model differ; empty where there is none."""
    if root is None:
        return ""
    differences: list[list[str]] = []
    for path in sorted((root / "plans").glob("*.json")):
        try:
            plan = Plan.load(path)
        except HwrtError:  # read() warns of the one that is asked for
            continue
        if plan.key.model == key.model:
            differences.append(key.differences(plan.key))
    if not differences:
        return ""
    _, least = min((len(found), found) for found in differences)
    return f"; the nearest one differs in {'; '.join(least)}"


def _path(root: Path, key: Key) -> Path:
    text = json.dumps(key.to_json(), sort_keys=True)
    return root / "plans" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
