"""What the tests of YOLO heads share: heads, a reference in float64, and how a call is made."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Map = tuple[float, float, float, float, float, float]


class Found(NamedTuple):
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def detect(
    kernels: Any,
    numbers: np.ndarray,
    *,
    objectness: bool = False,
    scale: float = 1.0,
    zero_point: float = 0.0,
    conf: float = 0.25,
    iou: float = 0.45,
    class_agnostic: bool = False,
    unit: tuple[float, float] = (1.0, 1.0),
    to_frame: Map | None = None,
    max_det: int = 300,
) -> Found:
    """What the kernel finds in the head (numbers, anchors)."""
    boxes = np.full((max_det, 4), -7.0, np.float32)
    scores, classes = np.full(max_det, -7.0, np.float32), np.full(max_det, -7, np.int32)
    n = kernels.yolo_detections(
        *(numbers, objectness, scale, zero_point, conf, iou, class_agnostic, unit, to_frame),
        *(boxes, scores, classes),
    )
    assert (boxes[n:] == -7).all()
    assert (scores[n:] == -7).all()
    return Found(boxes[:n], scores[:n], classes[:n])


def same(a: Found, b: Found) -> bool:
    return all(map(np.array_equal, a, b))


def head(*anchors: list[float]) -> np.ndarray:
    """The head (numbers, anchors) from the numbers of each anchor."""
    return np.ascontiguousarray(np.array(anchors, np.float32).T)


def crowd(seed: int, candidates: int, *, anchors: int = 8400, classes: int = 80) -> np.ndarray:
    """A head (4 + classes, anchors) with so many anchors above 0.25, spread or in crowds by turns.

    No two scores are equal.
    """
    rng = np.random.default_rng((seed, candidates))
    numbers = np.empty((4 + classes, anchors), np.float32)
    spread = 640 if seed % 2 else 90
    numbers[:2] = rng.uniform(0, spread, (2, anchors))
    numbers[2:4] = rng.uniform(2, 60, (2, anchors))
    numbers[4:] = rng.random((1, anchors), np.float32) * 0.2
    chosen = rng.choice(anchors, candidates, replace=False)
    place = 4 + rng.integers(0, classes, candidates)
    numbers[place, chosen] = rng.permutation(np.linspace(0.26, 0.99, candidates, dtype=np.float32))
    return numbers


def reference(numbers: np.ndarray, *, conf: float, iou: float, max_det: int) -> Found:
    """Class-aware detections in float64: IoU as a quotient, one kept box after the other."""
    wide = numbers.astype(np.float64)
    scores, classes = wide[4:].max(axis=0), wide[4:].argmax(axis=0)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > np.float32(conf)]
    centre, size = wide[:2, order].T, wide[2:4, order].T
    low, high, group = centre - size / 2, centre + size / 2, classes[order]

    alive, kept = np.ones(len(order), np.bool_), []
    for i in range(len(order)):
        if not alive[i] or len(kept) == max_det:
            continue
        kept.append(i)
        rivals = np.flatnonzero(alive & (group == group[i]))
        sides = np.minimum(high[i], high[rivals]) - np.maximum(low[i], low[rivals])
        shared = np.clip(sides, 0, None).prod(axis=1)
        union = size[i].prod() + size[rivals].prod(axis=1) - shared
        alive[rivals[shared / union > iou]] = False
    boxes = np.hstack([low, high])[kept].astype(np.float32)
    return Found(boxes, scores[order][kept].astype(np.float32), group[kept].astype(np.int32))
