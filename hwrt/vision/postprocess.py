"""A model's output made into results: the best classes, decoded YOLO heads, NMS."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError
from hwrt.kernels import form, softmax_top_k
from hwrt.spec import Quantization
from hwrt.vision.geometry import Geometry
from hwrt.vision.quantization import check_step, dequantize
from hwrt.vision.results import Detections
from hwrt.vision.scalars import number, whole_number

__all__ = [
    "check_k",
    "check_thresholds",
    "decode_yolov5",
    "decode_yolov8",
    "nms",
    "top_k",
]

_PART = "give a number in 0..1"


def top_k(
    logits: NDArray[Any], k: int = 5, *, softmax: bool = True
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k best classes and their scores, best first, of logits (C,) or (B, C).

    Both results are (min(k, C),) or (B, min(k, C)).  ``softmax`` turns the logits into
    probabilities over all C classes first.
    """
    rows = _array("the logits", logits)
    if rows.ndim not in (1, 2) or rows.shape[-1] == 0 or rows.dtype.kind != "f":
        raise InputError(
            f"the logits are {rows.dtype} {rows.shape}", hint="give floats (C,) or (B, C)"
        )
    count = check_k(k)
    with np.errstate(over="ignore"):  # of float64: what is too large is infinite
        flat = np.ascontiguousarray(np.atleast_2d(rows), dtype=np.float32)
    classes, scores = softmax_top_k(flat, min(count, flat.shape[1]), softmax=softmax)
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
    groups = _groups(classes, len(ranks))
    _, most_iou, most = check_thresholds(iou=iou, max_det=max_det)

    valid = np.flatnonzero(~np.isnan(ranks) & ~np.isnan(corners).any(axis=1))
    order = valid[np.argsort(-ranks[valid], kind="stable")].astype(np.int64, copy=False)
    kept = np.empty(min(most, len(order)), dtype=np.int64)
    count = form().nms(order, corners, groups, most_iou, kept)
    return kept[:count].astype(np.intp, copy=False)


def decode_yolov8(
    output: NDArray[Any],
    *,
    conf: float = 0.25,
    iou: float = 0.45,
    max_det: int = 300,
    class_agnostic: bool = False,
    geometry: Geometry | Sequence[Geometry] | None = None,
    labels: Sequence[str] | None = None,
    quantization: Quantization | None = None,
    fractions_of: tuple[int, int] | None = None,
) -> list[Detections]:
    """Detections of each image from a YOLOv8 head's output (B, 4 + C, N), best first.

    Rows 0..3 are the boxes' centre x, centre y, width and height in the input's pixels, the others
    the scores of C classes.  An anchor counts with its best class (the lower one of equals; a NaN
    is no score) and only above ``conf``; then ``nms`` among the boxes of a class, or of all with
    ``class_agnostic``, in the input's pixels.  ``geometry``, one for all images or one each, brings
    the boxes into the frame and clips them to it; without it they stay as they are.

    The output is floats, or int8 or uint8 of which ``quantization`` says what they stand for: one
    scale for all.  ``fractions_of`` is the input's height and width where the boxes are given as
    fractions of it.
    """
    return _decode(
        _batch(output, 4, quantization, "a YOLOv8 head's output (B, 4 + C, N)"),
        _Head(objectness=False, quantization=quantization, fractions_of=fractions_of),
        _Limits(conf, iou, max_det, class_agnostic),
        geometry,
        labels,
    )


def decode_yolov5(
    output: NDArray[Any],
    *,
    conf: float = 0.25,
    iou: float = 0.45,
    max_det: int = 300,
    class_agnostic: bool = False,
    geometry: Geometry | Sequence[Geometry] | None = None,
    labels: Sequence[str] | None = None,
    quantization: Quantization | None = None,
    fractions_of: tuple[int, int] | None = None,
) -> list[Detections]:
    """Detections of each image from a YOLOv5-style head's output (B, N, 5 + C), best first.

    Numbers 0..3 of an anchor are the box, number 4 its objectness, the others the scores of C
    classes.  An anchor's score is that of its best class times the objectness; both the objectness
    and the score must be above ``conf``.  The rest is as for ``decode_yolov8``.
    """
    batch = _batch(output, 5, quantization, "a YOLOv5 head's output (B, N, 5 + C)", axis=2)
    return _decode(
        batch.transpose(0, 2, 1),
        _Head(objectness=True, quantization=quantization, fractions_of=fractions_of),
        _Limits(conf, iou, max_det, class_agnostic),
        geometry,
        labels,
    )


class _Head(NamedTuple):
    objectness: bool
    quantization: Quantization | None
    fractions_of: tuple[int, int] | None


class _Limits(NamedTuple):
    conf: float
    iou: float
    max_det: int
    class_agnostic: bool


def _batch(
    output: NDArray[Any],
    box_numbers: int,
    quantization: Quantization | None,
    expected: str,
    *,
    axis: int = 1,
) -> NDArray[Any]:
    batch = _array("the output", output)
    kinds = "f" if quantization is None else "iu"
    if batch.ndim != 3 or batch.shape[axis] <= box_numbers or batch.dtype.kind not in kinds:
        given = "floats" if quantization is None else "integers, as quantization was given"
        raise InputError(
            f"the output is {batch.dtype} {batch.shape}", hint=f"give {expected} of {given}"
        )
    if quantization is not None:
        if (len(quantization.scale), len(quantization.zero_point)) != (1, 1):
            raise InputError(
                f"the output has {len(quantization.scale)} scales and "
                f"{len(quantization.zero_point)} zero points",
                hint="dequantize it along its axis, and give the floats",
            )
        check_step(quantization.scale[0], quantization.zero_point[0], batch.dtype)
    return batch


def _decode(
    batch: NDArray[Any],
    head: _Head,
    limits: _Limits,
    geometry: Geometry | Sequence[Geometry] | None,
    labels: Sequence[str] | None,
) -> list[Detections]:
    """From (B, numbers, anchors)."""
    conf, iou, max_det = check_thresholds(conf=limits.conf, iou=limits.iou, max_det=limits.max_det)
    names = _names(batch.shape[1] - (5 if head.objectness else 4), labels)
    scale, zero_point = 1.0, 0.0
    if head.quantization is not None:
        (scale,), (zero_point,) = head.quantization.scale, head.quantization.zero_point
    unit = _unit(head.fractions_of)
    most = min(max_det, batch.shape[2])
    boxes, scores = np.empty((most, 4), np.float32), np.empty(most, np.float32)
    classes = np.empty(most, np.int32)
    detections = form().yolo_detections
    found = []
    for image, place in zip(batch, _one_each(geometry, len(batch)), strict=True):
        n = detections(
            _numbers(image, head),
            head.objectness,
            scale,
            zero_point,
            conf,
            iou,
            limits.class_agnostic,
            unit,
            None if place is None else place.box_map,
            boxes,
            scores,
            classes,
        )
        found.append(
            Detections(
                boxes=boxes[:n].copy(),
                scores=scores[:n].copy(),
                classes=classes[:n].copy(),
                labels=_chosen(names, classes[:n].tolist()),
            )
        )
    return found


def _names(count: int, labels: Sequence[str] | None) -> Sequence[str]:
    if labels is None:
        return _numerals(count)
    if len(labels) != count:
        raise InputError(
            f"{len(labels)} labels for the {count} classes of the output",
            hint="give one label a class",
        )
    return labels


def _chosen(names: Sequence[str], numbers: list[int]) -> tuple[str, ...]:
    if len(numbers) < 2:  # of one, itemgetter gives no tuple
        return tuple(names[number] for number in numbers)
    chosen: tuple[str, ...] = itemgetter(*numbers)(names)  # twice as fast as a loop
    return chosen


@lru_cache(16)
def _numerals(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def _numbers(image: NDArray[Any], head: _Head) -> NDArray[Any]:
    """The head (numbers, anchors) as the kernel takes it: its types, one dimension dense."""
    if image.dtype not in (np.float32, np.int8, np.uint8):
        if head.quantization is None:
            with np.errstate(over="ignore"):  # of float64: what is too large is infinite
                image = image.astype(np.float32)
        else:
            image = dequantize(image, head.quantization.scale, head.quantization.zero_point)
    numbers_dense = image.strides[0] == image.itemsize
    if image.flags.aligned and (
        numbers_dense or (image.strides[1] == image.itemsize and not head.objectness)
    ):
        return image
    return np.asarray(image.T.copy().T if head.objectness else image.copy())


def _checked_boxes(
    boxes: NDArray[Any], scores: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    corners, ranks = _array("the boxes", boxes), _array("the scores", scores)
    fits = corners.ndim == 2 and corners.shape[1] == 4 and ranks.shape == corners.shape[:1]
    if not fits or corners.dtype.kind not in "fiu" or ranks.dtype.kind not in "fiu":
        raise InputError(
            f"the boxes are {corners.dtype} {corners.shape}, the scores {ranks.dtype} "
            f"{ranks.shape}",
            hint="give numbers: boxes (N, 4) and scores (N,)",
        )
    return np.require(corners, np.float64, ["C", "A"]), ranks.astype(np.float64)


def _groups(classes: NDArray[Any] | None, count: int) -> NDArray[np.int32]:
    """A number from 0 on for each box, the same for those of one class."""
    if classes is None:
        return np.zeros(count, np.int32)
    groups = _array("classes", classes)
    if groups.shape != (count,):
        raise InputError(f"classes are {groups.shape}", hint=f"give one a box: {(count,)}")
    try:
        numbers = np.unique(groups, return_inverse=True)[1]
    except TypeError as exc:  # objects without an order
        raise InputError(f"classes are {classes!r:.80}", hint="give numbers") from exc
    return numbers.reshape(-1).astype(np.int32)


def _array(name: str, value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as exc:  # rows of different lengths
        raise InputError(f"{name} are {value!r:.80}", hint="give an array") from exc


def _unit(fractions_of: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height of what the boxes' numbers are parts of."""
    if fractions_of is None:
        return 1, 1
    try:
        height, width = fractions_of
    except (TypeError, ValueError) as exc:
        raise InputError(
            f"fractions_of is {fractions_of!r:.80}", hint="give the input's height and width"
        ) from exc
    height = whole_number("fractions_of", height, least=1)
    return whole_number("fractions_of", width, least=1), height


def _one_each(
    geometry: Geometry | Sequence[Geometry] | None, count: int
) -> Sequence[Geometry | None]:
    if geometry is None or isinstance(geometry, Geometry):
        return [geometry] * count
    places = list(geometry) if isinstance(geometry, Sequence) else [geometry]
    if not all(place is None or isinstance(place, Geometry) for place in places):
        raise InputError(f"geometry is {geometry!r:.80}", hint="give what letterbox returned")
    if len(places) != count:
        raise InputError(
            f"{len(places)} geometries for {count} images", hint="give one for all, or one each"
        )
    return places


def check_thresholds(*, iou: float, max_det: int, conf: float = 0.0) -> tuple[float, float, int]:
    """conf, iou and max_det as Python's numbers; InputError for thresholds that mean nothing."""
    try:
        return _checked_thresholds(conf, iou, max_det)
    except TypeError:  # an array has no hash
        numbers = number("conf", conf, _PART), number("iou", iou, _PART)
        return _checked_thresholds(*numbers, whole_number("max_det", max_det, least=0))


@lru_cache(16, typed=True)  # True is no number of detections, 1 is
def _checked_thresholds(conf: float, iou: float, max_det: int) -> tuple[float, float, int]:
    parts = number("conf", conf, _PART), number("iou", iou, _PART)
    for name, value in zip(("conf", "iou"), parts, strict=True):
        if not 0 <= value <= 1:
            raise InputError(f"{name} is {value!r}", hint=_PART)
    return *parts, whole_number("max_det", max_det, least=0)


def check_k(k: int, name: str = "k") -> int:
    """How many of the best are wanted; InputError unless it is a whole number from 1."""
    return whole_number(name, k, least=1)
