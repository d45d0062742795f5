"""A model's output made into results: the best classes, YOLOv8 decoding, NMS.

The NumPy code here is the definition that the C++ kernels are tested against.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError
from hwrt.vision.geometry import Geometry
from hwrt.vision.kernels import softmax_top_k
from hwrt.vision.results import Detections

__all__ = ["check_k", "check_thresholds", "decode_yolov8", "nms", "top_k"]


def top_k(
    logits: NDArray[Any], k: int = 5, *, softmax: bool = True
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k best classes and their scores, best first, of logits (C,) or (B, C).

    Both results are (min(k, C),) or (B, min(k, C)).  ``softmax`` turns the logits into
    probabilities over all C classes first.
    """
    rows = np.asarray(logits)
    if rows.ndim not in (1, 2) or rows.shape[-1] == 0 or rows.dtype.kind != "f":
        raise InputError(
            f"the logits are {rows.dtype} {rows.shape}", hint="give floats (C,) or (B, C)"
        )
    check_k(k)
    flat = np.ascontiguousarray(np.atleast_2d(rows), dtype=np.float32)
    classes, scores = softmax_top_k(flat, min(k, flat.shape[1]), softmax=softmax)
    return (classes[0], scores[0]) if rows.ndim == 1 else (classes, scores)


def nms(
    boxes: NDArray[Any],
    scores: NDArray[Any],
    classes: NDArray[Any] | None = None,
    *,
    iou: float = 0.45,
    max_det: int = 300,
) -> NDArray[np.intp]:
    """Indices of the boxes that greedy non-maximum suppression keeps, best first.

    Takes boxes (N, 4) x0, y0, x1, y1, scores (N,) and, to suppress within a class only, classes
    (N,).  In the order of falling scores, equal ones by the lower index, each box that is still
    there is kept and removes those whose IoU with it is above ``iou``, until ``max_det`` are kept.
    A NaN in its score or its box drops a box.  A box without area (or whose corners are exchanged)
    overlaps nothing, so it neither removes nor is removed.  The arithmetic is float64.
    """
    corners, ranks = _checked_boxes(boxes, scores)
    groups = np.zeros(len(ranks), dtype=np.int64) if classes is None else np.asarray(classes)
    if groups.shape != ranks.shape:
        raise InputError(f"classes are {groups.shape}", hint=f"give one a box: {ranks.shape}")
    check_thresholds(iou=iou, max_det=max_det)

    valid = np.flatnonzero(~np.isnan(ranks) & ~np.isnan(corners).any(axis=1))
    left = valid[np.argsort(-ranks[valid], kind="stable")]
    kept: list[int] = []
    with np.errstate(invalid="ignore"):  # inf - inf: the NaN compares as "does not overlap"
        areas = _areas(corners)
        while left.size and len(kept) < max_det:
            best, left = left[0], left[1:]
            kept.append(int(best))
            overlaps = _overlaps(corners, areas, best, left, iou)
            left = left[~(overlaps & (groups[left] == groups[best]))]
    return np.array(kept, dtype=np.intp)


def decode_yolov8(
    output: NDArray[Any],
    *,
    conf: float = 0.25,
    iou: float = 0.45,
    max_det: int = 300,
    class_agnostic: bool = False,
    geometry: Geometry | Sequence[Geometry] | None = None,
    labels: Sequence[str] | None = None,
) -> list[Detections]:
    """Detections of each image from a YOLOv8 head's output (B, 4 + C, N), best first.

    Rows 0..3 are the boxes' centre x, centre y, width and height in the input's pixels, the others
    the scores of C classes.  An anchor counts with its best class (the lower one of equals; a NaN
    is no score) and only above ``conf``; then ``nms`` among the boxes of a class, or of all with
    ``class_agnostic``, in the input's pixels.  ``geometry``, one for all images or one each, brings
    the boxes into the frame and clips them to it; without it they stay as they are.
    """
    batch = np.asarray(output)
    if batch.ndim != 3 or batch.shape[1] < 5 or batch.dtype.kind != "f":
        raise InputError(
            f"the output is {batch.dtype} {batch.shape}",
            hint="give a YOLOv8 head's floats (B, 4 + C, N)",
        )
    check_thresholds(conf=conf, iou=iou, max_det=max_det)
    names = tuple(map(str, range(batch.shape[1] - 4))) if labels is None else tuple(labels)
    if len(names) != batch.shape[1] - 4:
        raise InputError(
            f"{len(names)} labels for the {batch.shape[1] - 4} classes of the output",
            hint="give one label a class",
        )
    geometries = _one_each(geometry, len(batch))
    found = []
    for image, place in zip(batch, geometries, strict=True):
        boxes, scores, classes = _survivors(image, conf)
        groups = None if class_agnostic else classes
        kept = nms(boxes, scores, groups, iou=iou, max_det=max_det)
        corners = boxes[kept] if place is None else place.to_frame(boxes[kept])
        found.append(
            Detections(
                boxes=corners.astype(np.float32, copy=False),
                scores=scores[kept].astype(np.float32, copy=False),
                classes=classes[kept],
                labels=tuple(names[number] for number in classes[kept]),
            )
        )
    return found


def _survivors(
    image: NDArray[Any], conf: float
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.int32]]:
    """Corners (n, 4), scores and classes (n,) of the anchors whose best class is above conf."""
    best = np.fmax.reduce(image[4:], axis=0)
    above = np.flatnonzero(best > conf)
    # fmax passes over NaN where argmax would choose it: look for the value that was found.
    classes = np.argmax(image[4:, above] == best[above], axis=0).astype(np.int32)
    centre_x, centre_y, width, height = image[:4, above].astype(np.float64)
    corners = (
        centre_x - width / 2,
        centre_y - height / 2,
        centre_x + width / 2,
        centre_y + height / 2,
    )
    return np.stack(corners, axis=1), best[above], classes


def _areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    width, height = np.maximum(corners[:, 2:] - corners[:, :2], 0.0).T
    return np.asarray(width * height)


def _overlaps(
    corners: NDArray[np.float64],
    areas: NDArray[np.float64],
    one: np.intp,
    others: NDArray[np.intp],
    iou: float,
) -> NDArray[np.bool_]:
    """Which of the others overlap the one by more than ``iou``; multiplied out, so 0 / 0 is no."""
    low = np.maximum(corners[one, :2], corners[others, :2])
    high = np.minimum(corners[one, 2:], corners[others, 2:])
    width, height = np.maximum(high - low, 0.0).T
    shared = width * height
    return np.asarray(shared > iou * (areas[one] + areas[others] - shared))


def _checked_boxes(
    boxes: NDArray[Any], scores: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    corners, ranks = np.asarray(boxes), np.asarray(scores)
    if corners.ndim != 2 or corners.shape[1] != 4 or ranks.shape != corners.shape[:1]:
        raise InputError(
            f"the boxes are {corners.shape}, the scores {ranks.shape}",
            hint="give boxes (N, 4) and scores (N,)",
        )
    return corners.astype(np.float64), ranks.astype(np.float64)


def _one_each(
    geometry: Geometry | Sequence[Geometry] | None, count: int
) -> Sequence[Geometry | None]:
    if geometry is None or isinstance(geometry, Geometry):
        return [geometry] * count
    if len(geometry) != count:
        raise InputError(
            f"{len(geometry)} geometries for {count} images", hint="give one for all, or one each"
        )
    return geometry


def check_thresholds(*, iou: float, max_det: int, conf: float = 0.0) -> None:
    """Raise InputError for thresholds that mean nothing."""
    for name, value in (("conf", conf), ("iou", iou)):
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value!r}", hint="give a number in 0..1")
    _check_count("max_det", max_det, least=0)


def check_k(k: int) -> None:
    """Raise InputError unless k is a whole number from 1."""
    _check_count("k", k, least=1)


def _check_count(name: str, value: int, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} is {value!r}", hint=f"give a whole number from {least}")
