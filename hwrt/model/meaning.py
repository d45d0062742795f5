"""What a model's outputs mean, as far as its file and its sidecar say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hwrt.model.sidecar import read_document, sidecar_path
from hwrt.spec import ModelInfo, TensorSpec

__all__ = ["Kind", "Meaning", "meanings"]

Kind = Literal["classes", "detections", "label map", "numbers"]


@dataclass(frozen=True)
class Meaning:
    """What one output holds.

    ``classes``: a score for each class, (batch, classes); ``detections``: a YOLO head; ``label
    map``: a class for each place, or with ``axis`` the scores of all classes along it; ``numbers``:
    anything else.  ``stated`` is False where the shape alone suggests it.  ``head`` is the YOLO
    head's name, None where its shape has to tell.
    """

    kind: Kind
    stated: bool = True
    head: str | None = None
    axis: int | None = None


def meanings(model: ModelInfo) -> dict[str, Meaning]:
    """Of each output, by name.  Raises InputError for a sidecar that can not be read."""
    written = read_document(sidecar_path(model.path))
    said = {
        "task": model.metadata.get("task") or written.get("task"),
        "head": model.metadata.get("yolo_head") or written.get("head"),
        "layout": model.metadata.get("layout") or written.get("layout"),
    }
    alone = len(model.outputs) == 1
    return {spec.name: _meaning(spec, said if alone else {}) for spec in model.outputs}


def _meaning(spec: TensorSpec, said: Mapping[str, Any]) -> Meaning:
    if not _holds_numbers(spec):
        return Meaning("label map")
    task, rank = said.get("task"), len(spec.shape or ())
    if task == "detect" and rank == 3:
        return Meaning("detections", head=said.get("head"))
    if task == "segment" and rank == 4:
        return Meaning("label map", axis=3 if said.get("layout") == "NHWC" else 1)
    if task == "classify" or (task is None and _looks_like_classes(spec)):
        return Meaning("classes", stated=task is not None)
    return Meaning("numbers")


def _holds_numbers(spec: TensorSpec) -> bool:
    return spec.quantization is not None or spec.dtype.kind == "f" or "float" in spec.dtype.name


def _looks_like_classes(spec: TensorSpec) -> bool:
    shape = spec.shape or ()
    return len(shape) >= 2 and shape[1] not in (0, 1) and all(size == 1 for size in shape[2:])
