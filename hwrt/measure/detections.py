"""The objects that a YOLO head tells of, and whether two heads tell of the same ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwrt.kernels import form

__all__ = ["HEADS", "Objects", "decode", "disagreement", "head_of"]

HEADS = ("yolov8", "yolov5")
"""(batch, 4 + classes, anchors), and (batch, anchors, 5 + classes) with an objectness."""

CONFIDENCE = 0.25
SCORE_TOLERANCE = 0.08
LEAST_IOU = 0.9
_NMS_IOU = 0.45
_MOST = 300


@dataclass(frozen=True)
class Objects:
    """What one image shows, best first: boxes (n, 4) x0, y0, x1, y1, scores and classes (n,).

    Boxes are in what the head gives them in, pixels or fractions of the input: their overlap is
    the same in both.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int32]

    def told(self, i: int) -> str:
        """One object in words."""
        corners = ", ".join(f"{corner:.4g}" for corner in self.boxes[i].tolist())
        return f"class {self.classes[i]} with the score {self.scores[i]:.3f} at ({corners})"


def head_of(shape: tuple[int, ...]) -> str:
    """The head that such an output comes from: there are more anchors than numbers of each."""
    return "yolov8" if shape[1] <= shape[2] else "yolov5"


def decode(output: NDArray[Any], head: str, *, conf: float = CONFIDENCE) -> list[Objects]:
    """The objects of each image of the batch, above ``conf`` and after NMS within each class.

    ``output`` holds real numbers of any float type.
    """
    found = []
    with np.errstate(over="ignore"):  # of float64: what is too large is infinite
        batch = np.ascontiguousarray(output, dtype=np.float32)
    for image in batch:
        numbers = image if head == "yolov8" else image.T
        most = min(_MOST, numbers.shape[1])
        boxes, scores = np.empty((most, 4), np.float32), np.empty(most, np.float32)
        classes = np.empty(most, np.int32)
        n = form().yolo_detections(
            numbers,
            head == "yolov5",
            1.0,
            0.0,
            conf,
            _NMS_IOU,
            False,
            (1, 1),
            None,
            boxes,
            scores,
            classes,
        )
        found.append(Objects(boxes[:n], scores[:n], classes[:n]))
    return found


def disagreement(output: NDArray[Any], reference: NDArray[Any], head: str) -> list[str | None]:
    """For each image of the batch the first thing that differs, in words; None where nothing does.

    Every object of the reference must be there: the same class, IoU at least 0.9, the score within
    0.08, and nothing else may be.  One whose score in the reference lies within 0.08 of the
    threshold, 0.25, may be lost or added.
    """
    return [
        _differs(ours, right, faint)
        for ours, right, faint in zip(
            decode(output, head),
            decode(reference, head),
            decode(reference, head, conf=CONFIDENCE - SCORE_TOLERANCE),
            strict=True,
        )
    ]


def _differs(found: Objects, right: Objects, faint: Objects) -> str | None:
    """``faint``: the reference's objects down to the score at which they may still be added."""
    partners = _matched(right, found)
    for i, partner in enumerate(partners):
        if partner is None and right.scores[i] > CONFIDENCE + SCORE_TOLERANCE:
            return f"lost or changed: {right.told(i)}{_nearest(right, i, found)}"
    known = {partner for partner in partners if partner is not None}
    left = [i for i in range(len(found.scores)) if i not in known]
    added = Objects(found.boxes[left], found.scores[left], found.classes[left])
    near = Objects(*_below(faint, CONFIDENCE + SCORE_TOLERANCE))
    for i, partner in enumerate(_matched(added, near)):
        if partner is None:
            return f"added: {added.told(i)}"
    return None


def _below(objects: Objects, score: float) -> tuple[Any, Any, Any]:
    kept = objects.scores <= score
    return objects.boxes[kept], objects.scores[kept], objects.classes[kept]


def _matched(objects: Objects, others: Objects) -> list[int | None]:
    """For each object the other one that is the same; None where there is none.

    None is the same as two: after NMS, boxes of one class do not overlap as much.
    """
    partners: list[int | None] = []
    for i in range(len(objects.scores)):
        overlaps = _overlaps(objects.boxes[i], others.boxes)
        fits = (
            (others.classes == objects.classes[i])
            & (overlaps >= LEAST_IOU)
            & (np.abs(others.scores - objects.scores[i]) <= SCORE_TOLERANCE)
        )
        best = int(np.argmax(np.where(fits, overlaps, -1.0))) if fits.any() else None
        partners.append(best)
    return partners


def _nearest(right: Objects, i: int, found: Objects) -> str:
    if not len(found.scores):
        return ": there is nothing"
    overlaps = _overlaps(right.boxes[i], found.boxes)
    best = int(np.argmax(overlaps))
    return f": the nearest is {found.told(best)}, IoU {overlaps[best]:.2f}"


def _overlaps(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """The IoU of the box with each of the others; 1 with the very same, which may have no area."""
    one, others = box.astype(np.float64), boxes.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # of infinite corners
        low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
        shared = np.prod(np.maximum(high - low, 0.0), axis=1)
        areas = np.prod(others[:, 2:] - others[:, :2], axis=1) + np.prod(one[2:] - one[:2])
        overlaps = np.nan_to_num(shared / (areas - shared))
    return np.asarray(np.where((one == others).all(axis=1), 1.0, overlaps))
