"""Tiles that cover a large frame, and their detections made into those of the frame.

An object on a border is seen by two tiles, and the one that it leaves sees a part of it.  Parts
have scores as high as whole objects, so plain NMS, which goes by score, would keep them, and their
IoU with the whole box is small.  The rule is this, among boxes of one class (of all, where the
detector is class-agnostic); a box is cut where it comes within a hundredth of the tile's side of a
border of its tile that is no border of the frame:

1. Whole boxes: NMS over all tiles, by score, with the detector's IoU.
2. A cut box is dropped where more than half of it lies in a kept whole one, whatever the scores.
3. Two cut boxes that are left are parts of one object where their IoU, within what both tiles see,
   is above the detector's: they become their union, with the better score, and so on until nothing
   more joins.  Those of one tile never are, as the detector's own NMS has kept both.

2 is the match by intersection of SAHI (its "IOS" above its 0.5), here over the cut box's own area:
over the smaller of both, as there, a small object in front of a large cut one would remove it.  3
is the union of SAHI's greedy NMM (https://github.com/obss/sahi, sahi/postprocess/combine.py); the
common region takes the place of its IOS, as two halves of an object overlap little.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError
from hwrt.vision.postprocess import nms
from hwrt.vision.results import Detections
from hwrt.vision.scalars import number

__all__ = ["Tile", "checked_tiling", "merged", "tiles_of"]

_NEAR = 0.01
_MOST_OF = 0.5
_PART = "give a part of the tile's side: 0 to 0.9"

Boxes = NDArray[np.float32]
Merged = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]


class Tile(NamedTuple):
    """A part of a frame, in its pixels."""

    x0: int
    y0: int
    x1: int
    y1: int


def checked_tiling(tile: tuple[int, int], overlap: float) -> tuple[tuple[int, int], float]:
    """Both as Python's numbers.

    Raises InputError for tiles without a pixel, and for an overlap that leaves no step.
    """
    try:
        height, width = map(operator.index, tile)
    except (TypeError, ValueError):
        height = width = 0
    if min(height, width) < 1:
        raise InputError(f"tile is {tile!r:.80}", hint="give height and width, each from 1")
    part = number("overlap", overlap, _PART)
    if not 0 <= part <= 0.9:
        raise InputError(f"overlap is {overlap!r}", hint=_PART)
    return (height, width), part


def tiles_of(frame: tuple[int, ...], tile: tuple[int, int], overlap: float) -> list[Tile]:
    """Tiles (height, width) that cover the frame (height, width), row after row.

    Where a dimension of the frame is smaller than the tile's, so are the tiles.
    """
    rows = _starts(frame[0], tile[0], overlap)
    columns = _starts(frame[1], tile[1], overlap)
    height, width = min(tile[0], frame[0]), min(tile[1], frame[1])
    return [Tile(x, y, x + width, y + height) for y in rows for x in columns]


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along a dimension: the fewest that overlap enough, evenly spread."""
    if length <= tile:
        return [0]
    shared = min(math.ceil(tile * overlap), tile - 1)
    count = math.ceil((length - shared) / (tile - shared))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def merged(
    results: Sequence[Detections],
    tiles: Sequence[Tile],
    frame: tuple[int, ...],
    *,
    iou: float,
    max_det: int,
    class_agnostic: bool,
) -> Merged:
    """Boxes, scores and classes of the frame, best first, from those of its tiles.

    The boxes of each result are in the frame's pixels.
    """
    boxes = np.concatenate([result.boxes for result in results])
    scores = np.concatenate([result.scores for result in results])
    classes = np.concatenate([result.classes for result in results])
    sizes = [len(result) for result in results]
    seen = np.repeat(np.array(tiles, np.float32), sizes, axis=0)
    groups = np.zeros_like(classes) if class_agnostic else classes

    cut = _are_cut(boxes, seen, frame)
    whole = np.flatnonzero(~cut)
    kept = nms(boxes[whole], scores[whole], groups[whole], iou=iou, max_det=len(whole))
    whole = whole[kept]
    parts = np.flatnonzero(cut)
    left = ~_are_covered(boxes, groups, parts, whole)
    joined = _joined(_Parts(boxes, scores, groups, seen), parts[left], iou)

    boxes[joined.best] = joined.boxes
    found = np.concatenate([whole, joined.best])
    found = found[np.argsort(-scores[found], kind="stable")][:max_det]
    return boxes[found], scores[found], classes[found]


def _are_cut(boxes: Boxes, seen: Boxes, frame: tuple[int, ...]) -> NDArray[np.bool_]:
    height, width = frame[:2]
    near = _NEAR * np.tile(seen[:, 2:] - seen[:, :2], 2)
    inside = np.concatenate([seen[:, :2] > 0, seen[:, 2:] < (width, height)], axis=1)
    return np.asarray((inside & (np.abs(boxes - seen) <= near)).any(axis=1))


def _are_covered(
    boxes: Boxes, groups: NDArray[np.int32], parts: NDArray[np.intp], whole: NDArray[np.intp]
) -> NDArray[np.bool_]:
    covered = np.zeros(len(parts), np.bool_)
    for one in whole:
        inside = _area(_common(boxes[parts], boxes[one]))
        covered |= (groups[parts] == groups[one]) & (inside > _MOST_OF * _area(boxes[parts]))
    return covered


class _Parts(NamedTuple):
    boxes: Boxes
    scores: NDArray[np.float32]
    groups: NDArray[np.int32]
    seen: Boxes


@dataclass(frozen=True)
class _Joined:
    """The number of the best part of each object, and the union of its parts."""

    best: NDArray[np.intp]
    boxes: Boxes


def _joined(parts: _Parts, numbers: NDArray[np.intp], iou: float) -> _Joined:
    order = numbers[np.argsort(-parts.scores[numbers], kind="stable")]
    best: list[int] = []
    unions: list[Boxes] = []
    while order.size:
        first, order = order[0], order[1:]
        union, seen = parts.boxes[first], parts.seen[first]
        while True:
            joins = _are_one(parts, order, union, seen, iou) & (
                parts.groups[order] == parts.groups[first]
            )
            if not joins.any():
                break
            # One at a time: what it adds decides on the rest.
            other = order[np.argmax(joins)]
            union, seen = _hull(union, parts.boxes[other]), _hull(seen, parts.seen[other])
            order = order[order != other]
        best.append(int(first))
        unions.append(union)
    return _Joined(np.array(best, np.intp), np.array(unions, np.float32).reshape(-1, 4))


def _are_one(
    parts: _Parts, others: NDArray[np.intp], box: Boxes, seen: Boxes, iou: float
) -> NDArray[np.bool_]:
    """Which of the others coincide with the box in the region that both have seen."""
    region = _common(parts.seen[others], seen)
    ours, theirs = _common(region, box), _common(region, parts.boxes[others])
    shared = _area(_common(ours, theirs))
    return np.asarray(shared > iou * (_area(ours) + _area(theirs) - shared))


def _common(a: Boxes, b: Boxes) -> Boxes:
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    return np.concatenate([low, high], axis=-1)


def _hull(a: Boxes, b: Boxes) -> Boxes:
    return np.concatenate([np.minimum(a[:2], b[:2]), np.maximum(a[2:], b[2:])])


def _area(boxes: Boxes) -> NDArray[np.float32]:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])
