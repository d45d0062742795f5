"""Where compiled models are kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from hwrt.measure.measurement import Candidate
from hwrt.spec import Device, ModelInfo, Shapes
from hwrt.tuning.shapes import shapes_to_json

if TYPE_CHECKING:  # a load that tunes nothing does without what tunes
    from hwrt.tuning.search import Found
    from hwrt.tuning.trial import Task

__all__ = ["cache_of", "compiled_dir"]


def compiled_dir(
    cache_root: Path | None,
    model: ModelInfo,
    candidate: Candidate,
    *,
    device: Device,
    stamp: str,
    shapes: Shapes | None,
    machine: str,
) -> Path | None:
    """The folder for one compiled model: its name is a hash of all that the result depends on."""
    if cache_root is None:
        return None
    key = {
        "model": model.sha256,
        "format": model.format,
        "backend": candidate.backend,
        "stamp": stamp,
        "device": [device.id, device.identity],
        "options": dict(candidate.options),
        "shapes": shapes_to_json(shapes),
        "machine": machine,
    }
    text = json.dumps(key, sort_keys=True)
    return cache_root / "compiled" / hashlib.sha256(text.encode()).hexdigest()[:32]


def cache_of(task: Task, found: Found) -> Path | None:
    """The folder for a candidate of this tuning; None without a cache."""
    return compiled_dir(
        task.cache_dir,
        task.model,
        found.candidate,
        device=found.device,
        stamp=found.stamp,
        shapes=task.wish.shapes,
        machine=task.machine,
    )
