"""From the output of a YOLO head to detections, and greedy non-maximum suppression.

Boxes are compared in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["nms", "yolo_detections"]

Map = tuple[float, float, float, float, float, float]


def yolo_detections(
    numbers: NDArray[Any],
    objectness: bool,
    scale: float,
    zero_point: float,
    conf: float,
    iou: float,
    class_agnostic: bool,
    unit: tuple[float, float],
    to_frame: Map | None,
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.int32],
) -> int:
    """Fill boxes (n, 4), scores and classes (n,) from one head; return how many there are.

    ``numbers`` is (4 + classes, anchors), or (5 + classes, anchors) with ``objectness``: centre x,
    centre y, width and height of a box, the objectness, the classes' scores.  Integers stand for
    ``(q - zero_point) * scale``.  The box's numbers are multiplied by ``unit`` (x, y) first.

    An anchor counts with its best class (the lower one of equals; a NaN is no score), times the
    objectness where there is one, and only where the product, and the objectness itself, are above
    ``conf``.  Then ``nms`` among boxes of a class, or of all.  ``to_frame`` (pad x, pad y, scale x,
    scale y, limit x, limit y) brings corners into a frame: ``(corner - pad) / scale``, held within
    0 and the limit.
    """
    if numbers.dtype.kind in "iu":
        numbers = (numbers.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    begin = 5 if objectness else 4
    best = np.fmax.reduce(numbers[begin:], axis=0)
    # fmax passes over NaN where argmax would choose it: look for the value that was found.
    found = np.argmax(numbers[begin:] == best, axis=0).astype(np.int32)
    certain = np.ones(best.shape, np.bool_)
    if objectness:
        certain = numbers[4] > np.float32(conf)
        with np.errstate(over="ignore", invalid="ignore"):  # infinite times 0
            best = best * numbers[4]
    above = np.flatnonzero(certain & (best > np.float32(conf)))

    corners = _corners(numbers[:4, above], unit)
    groups = np.zeros(above.shape, np.int32) if class_agnostic else found[above]
    valid = np.flatnonzero(~np.isnan(corners).any(axis=1))
    order = valid[np.argsort(-best[above][valid], kind="stable")]
    kept = np.empty(len(boxes), np.int64)
    count = nms(order.astype(np.int64), corners, groups, iou, kept)

    chosen = kept[:count]
    boxes[:count] = _in_frame(corners[chosen], to_frame)
    scores[:count] = best[above][chosen]
    classes[:count] = found[above][chosen]
    return count


def nms(
    order: NDArray[np.int64],
    boxes: NDArray[np.float64],
    groups: NDArray[np.int32],
    iou: float,
    kept: NDArray[np.int64],
) -> int:
    """Fill ``kept`` (n,) with the numbers of the boxes to keep, in order; return how many.

    ``order`` numbers the boxes (N, 4) from the best to the worst.  One is kept unless its IoU with
    a kept one of its group is above ``iou``, until n are kept.  A box without area, or whose
    corners are exchanged, overlaps nothing.
    """
    count = 0
    # Of inf - inf: the NaN compares as "does not overlap".
    with np.errstate(over="ignore", invalid="ignore"):
        areas = _areas(boxes)
        left = order
        while left.size and count < len(kept):
            best, left = left[0], left[1:]
            kept[count] = best
            count += 1
            overlaps = _overlaps(boxes, areas, best, left, iou)
            left = left[~(overlaps & (groups[left] == groups[best]))]
    return count


def _corners(numbers: NDArray[Any], unit: tuple[float, float]) -> NDArray[np.float64]:
    """(n, 4) x0, y0, x1, y1 of (4, n) centre x, centre y, width, height."""
    units = np.array(unit * 2, np.float32)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):  # of infinities, a corner may be NaN
        centre_x, centre_y, width, height = (numbers * units).astype(np.float64)
        corners = (
            centre_x - width / 2,
            centre_y - height / 2,
            centre_x + width / 2,
            centre_y + height / 2,
        )
    return np.stack(corners, axis=1)


def _in_frame(corners: NDArray[np.float64], to_frame: Map | None) -> NDArray[np.float64]:
    if to_frame is None:
        return corners
    pad, scale, limit = (np.array(pair * 2) for pair in (to_frame[:2], to_frame[2:4], to_frame[4:]))
    return np.asarray(np.clip((corners - pad) / scale, 0.0, limit))


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    width, height = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0).T
    return np.asarray(width * height)


def _overlaps(
    boxes: NDArray[np.float64],
    areas: NDArray[np.float64],
    one: np.int64,
    others: NDArray[np.int64],
    iou: float,
) -> NDArray[np.bool_]:
    """Which of the others overlap the one by more than ``iou``; multiplied out, so 0 / 0 is no."""
    low = np.maximum(boxes[one, :2], boxes[others, :2])
    high = np.minimum(boxes[one, 2:], boxes[others, 2:])
    width, height = np.maximum(high - low, 0.0).T
    shared = width * height
    return np.asarray(shared > iou * (areas[one] + areas[others] - shared))
