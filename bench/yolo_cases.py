"""A YOLOv8n head made into detections, against cv2.dnn.NMSBoxesBatched, numba and NumPy.

*usual* turns the head round and looks at every anchor's classes, as tutorials do; *careful* takes
the maximum first and looks only at what is above the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numba
import numpy as np
from floor import Floor
from numpy.typing import NDArray
from side_by_side import Call, Case

from hwrt.kernels import with_numpy
from hwrt.vision import decode_yolov8

_CLASSES, _ANCHORS = 80, 8400
_CONF, _IOU, _MAX_DET = 0.25, 0.45, 300
_USUAL, _CAREFUL = "NMSBoxesBatched, usual", "NMSBoxesBatched, careful"


def cases(floor: Floor) -> Iterator[Case]:
    """From a street with few objects to a head whose every anchor is above the threshold."""
    yield _case("20 candidates", _head(20), floor, {_USUAL: 3.5, "numba": 1.6})
    yield _case("300 candidates", _head(300), floor, {_USUAL: 3.5, "numba": 1.6})
    yield _case("3000 candidates", _head(3000), floor, {_USUAL: 50.0})
    yield _case("8400 candidates, spread", _spread(), floor, {_USUAL: 200.0})


def _head(candidates: int) -> NDArray[np.float32]:
    """Candidates in groups of ten around objects, each group of one class."""
    rng = np.random.default_rng(candidates)
    head = np.empty((1, 4 + _CLASSES, _ANCHORS), np.float32)
    head[0, :2] = rng.uniform(0, 640, (2, _ANCHORS))
    head[0, 2:4] = rng.uniform(20, 120, (2, _ANCHORS))
    head[0, 4:] = rng.uniform(0, 0.02, (_CLASSES, _ANCHORS))
    objects = max(candidates // 10, 1)
    chosen = rng.permutation(_ANCHORS)[:candidates]
    group = np.arange(candidates) % objects
    centre, side = rng.uniform(60, 580, (2, objects)), rng.uniform(30, 120, (2, objects))
    head[0, :2, chosen] = (centre[:, group] + rng.normal(0, 3, (2, candidates))).T
    head[0, 2:4, chosen] = (side[:, group] * rng.uniform(0.9, 1.1, (2, candidates))).T
    best = rng.integers(0, _CLASSES, objects)[group]
    head[0, 4 + best, chosen] = rng.uniform(0.26, 0.95, candidates)
    return head


def _spread() -> NDArray[np.float32]:
    """Every anchor above the threshold, and hardly any two overlapping."""
    rng = np.random.default_rng(0)
    head = np.empty((1, 4 + _CLASSES, _ANCHORS), np.float32)
    y, x = np.divmod(np.arange(_ANCHORS), 100)
    head[0, 0], head[0, 1] = x * 6.4 + 3.2, y * 7.6 + 3.8
    head[0, 2:4] = 5.0
    head[0, 4:] = rng.uniform(0, 0.02, (_CLASSES, _ANCHORS))
    head[0, 4 + rng.integers(0, _CLASSES, _ANCHORS), np.arange(_ANCHORS)] = rng.uniform(
        0.3, 0.9, _ANCHORS
    )
    return head


def _case(name: str, head: NDArray[np.float32], floor: Floor, wanted: dict[str, float]) -> Case:
    def ours() -> NDArray[np.float32]:
        (found,) = decode_yolov8(head, conf=_CONF, iou=_IOU, max_det=_MAX_DET)
        return found.boxes

    peers = {
        _USUAL: _opencv_usual(head),
        _CAREFUL: _opencv_careful(head),
        "numba": _numba(head),
        "NumPy (hwrt's own form)": _numpy(head),
    }
    expected = ours()
    for peer, call in peers.items():
        result = np.asarray(call())
        assert result.shape == expected.shape, f"{peer}: {result.shape}, not {expected.shape}"
        np.testing.assert_allclose(result, expected, atol=1e-3)
    rows = np.array([row.ctypes.data for row in head[0, 4:]], np.uintp), _ANCHORS * 4
    return Case(name, ours, peers, floor.of(rows, np.empty(_MAX_DET * 24, np.uint8)), wanted)


def _opencv_usual(head: NDArray[np.float32]) -> Call:
    def run() -> NDArray[np.float32]:
        anchors = head[0].T
        classes = anchors[:, 4:].argmax(axis=1)
        scores = anchors[:, 4:].max(axis=1)
        above = scores > _CONF
        boxes = anchors[above, :4].copy()
        boxes[:, :2] -= boxes[:, 2:] / 2
        return _suppressed(boxes, scores[above], classes[above])

    return run


def _opencv_careful(head: NDArray[np.float32]) -> Call:
    def run() -> NDArray[np.float32]:
        scores = head[0, 4:].max(axis=0)
        above = np.flatnonzero(scores > _CONF)
        classes = head[0, 4:, above].argmax(axis=1)
        x, y, width, height = head[0, :4, above].T
        boxes = np.stack([x - width / 2, y - height / 2, width, height], axis=1)
        return _suppressed(boxes, scores[above], classes)

    return run


def _suppressed(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], classes: NDArray[np.intp]
) -> NDArray[np.float32]:
    kept = cv2.dnn.NMSBoxesBatched(boxes, scores, classes.astype(np.int32), _CONF, _IOU)
    chosen = boxes[np.asarray(kept)[:_MAX_DET]]
    chosen[:, 2:] += chosen[:, :2]
    return chosen


@numba.njit(nogil=True)
def _numba_decode(head, conf, iou, max_det):  # type: ignore[no-untyped-def]
    numbers, anchors = head.shape
    scores = np.empty(anchors, np.float32)
    classes = np.zeros(anchors, np.int32)
    scores[:] = head[4]
    for c in range(5, numbers):
        for a in range(anchors):
            if head[c, a] > scores[a]:
                scores[a] = head[c, a]
                classes[a] = c - 4
    above = np.flatnonzero(scores > conf)
    order = above[np.argsort(-scores[above], kind="mergesort")]
    boxes = np.empty((len(order), 4), np.float32)
    for i in range(len(order)):
        a = order[i]
        boxes[i, 0] = head[0, a] - head[2, a] / 2
        boxes[i, 1] = head[1, a] - head[3, a] / 2
        boxes[i, 2] = head[0, a] + head[2, a] / 2
        boxes[i, 3] = head[1, a] + head[3, a] / 2
    removed = np.zeros(len(order), np.bool_)
    kept = np.empty(max_det, np.int64)
    count = 0
    for i in range(len(order)):
        if removed[i]:
            continue
        kept[count] = i
        count += 1
        if count == max_det:
            break
        area = (boxes[i, 2] - boxes[i, 0]) * (boxes[i, 3] - boxes[i, 1])
        for j in range(i + 1, len(order)):
            if removed[j] or classes[order[j]] != classes[order[i]]:
                continue
            width = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
            height = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            if width <= 0 or height <= 0:
                continue
            other = (boxes[j, 2] - boxes[j, 0]) * (boxes[j, 3] - boxes[j, 1])
            shared = width * height
            if shared > iou * (area + other - shared):
                removed[j] = True
    return boxes[kept[:count]]


def _numba(head: NDArray[np.float32]) -> Call:
    return lambda: _numba_decode(head[0], _CONF, _IOU, _MAX_DET)


def _numpy(head: NDArray[np.float32]) -> Call:
    boxes, scores = np.empty((_MAX_DET, 4), np.float32), np.empty(_MAX_DET, np.float32)
    classes = np.empty(_MAX_DET, np.int32)

    def run() -> NDArray[np.float32]:
        count = with_numpy.yolo_detections(
            head[0], False, 1.0, 0.0, _CONF, _IOU, False, (1, 1), None, boxes, scores, classes
        )
        return boxes[:count]

    return run
