"""What ``onnx.reference``, ONNX's own evaluator in NumPy, says of a model, made in a child process.

It is slow (seconds a sample) and the work of neither vendor: it judges the judges, once a model.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwrt.backend import Array
from hwrt.errors import HwrtError, InputError
from hwrt.files import write_atomically
from hwrt.log import LOGGER
from hwrt.tuning.children import Child
from hwrt.tuning.feeds import read_arrays, read_feeds, write_arrays

if TYPE_CHECKING:
    from hwrt.tuning.trial import Task

__all__ = ["NAME", "evaluate", "evaluated", "recall", "remember", "unfit"]

NAME = "onnx.reference"
_LARGEST_BYTES = 512 << 20


def unfit(task: Task) -> str | None:
    """Why the model can not be evaluated here; None where it may be tried."""
    model = task.model
    if model.format != "onnx":
        return f"{NAME} does not read {model.format}"
    if importlib.util.find_spec("onnx") is None:
        return "onnx is not installed"
    weights = model.size_bytes + sum(path.stat().st_size for path in model.external_files)
    if weights > _LARGEST_BYTES:
        return f"a model of {weights >> 20} MiB is too large for {NAME}"
    return None


def evaluate(task: Task, *, sets: int, timeout_s: float, name: str) -> list[dict[str, Array]]:
    """The outputs for the first ``sets`` of the feeds, kept in the scratch folder.

    Raises HwrtError where the model can not be evaluated, or not in this time.
    """
    folder = task.scratch / name
    child = Child(NAME, memory_bytes=task.wish.max_memory_bytes)
    try:
        child.ask(
            "evaluate",
            timeout_s=timeout_s,
            model=str(task.model.path),
            outputs=[spec.name for spec in task.model.outputs],
            feeds=str(task.feeds),
            sets=sets,
            folder=str(folder),
        )
    finally:
        child.close()
    return [read_arrays(part) for part in sorted(folder.iterdir())]


def evaluated(message: Mapping[str, Any]) -> dict[str, Any]:
    """The child's side of ``evaluate``."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(message["model"])
    for i, feeds in enumerate(read_feeds(Path(message["feeds"]))[: message["sets"]]):
        # The files are mapped: the evaluator works in ordinary arrays of its own.
        values = evaluator.run(
            message["outputs"], {name: np.array(array) for name, array in feeds.items()}
        )
        arrays = {}
        for name, value in zip(message["outputs"], values, strict=True):
            if not isinstance(value, np.ndarray | np.generic):
                raise InputError(f"{NAME} gave a {type(value).__name__} for {name!r}")
            arrays[name] = np.asarray(value)
        write_arrays(Path(message["folder"]) / f"{i:04d}", arrays)
    return {}


def recall(task: Task, judge: str, stamp: str) -> tuple[str, str | None] | None:
    """What ``remember`` was told of this model and judge; None where that is not known."""
    if task.cache_dir is None:
        return None
    key = _key(task, judge, stamp)
    try:
        document = json.loads(_path(task.cache_dir, key).read_bytes())
        told, difference = document.pop("told"), document.pop("difference")
    except (OSError, ValueError, RecursionError, KeyError, AttributeError):
        return None  # not there, or damaged: it is checked anew
    return (str(told), difference and str(difference)) if document == key else None


def remember(task: Task, judge: str, stamp: str, told: str, difference: str | None) -> None:
    """Keep the outcome of a check in the cache, where there is one."""
    if task.cache_dir is None:
        return
    key = _key(task, judge, stamp)
    path = _path(task.cache_dir, key)
    document = {**key, "told": told, "difference": difference}
    try:
        write_atomically(path, json.dumps(document, indent=1).encode())
    except OSError as exc:
        LOGGER.warning("%s can not be written, so the check will be made again: %s", path, exc)


def _key(task: Task, judge: str, stamp: str) -> dict[str, str]:
    return {
        "model": task.model.sha256,
        "machine": task.machine,
        "judge": judge,
        "stamp": stamp,
        "onnx": importlib.metadata.version("onnx"),
    }


def _path(root: Path, key: Mapping[str, str]) -> Path:
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    return root / "checked" / f"{name}.json"


def told(error: HwrtError) -> str:
    """Why there is no evaluation, in one line."""
    return f"{NAME} could not evaluate the model: {error}".splitlines()[0]
