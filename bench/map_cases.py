"""The best class of each pixel of a map of scores, against NumPy, OpenCV and numba."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numba
import numpy as np
from floor import Floor
from numpy.typing import NDArray
from side_by_side import Call, Case

from hwrt.vision import argmax_map

_CLASSES, _SIDE = 21, 513  # DeepLabV3's on PASCAL VOC


def cases(floor: Floor) -> Iterator[Case]:
    """A map at its own size, in both layouts, and a smaller one resized."""
    yield _own_size(floor)
    yield _interleaved(floor)
    yield _resized(floor)


def _scores(side: int) -> NDArray[np.float32]:
    random = np.random.default_rng(0)
    return random.normal(0.0, 3.0, (_CLASSES, side, side)).astype(np.float32)


def _floor(floor: Floor, scores: NDArray[np.float32]) -> Call:
    rows = np.array([scores.ctypes.data], np.uintp), scores.nbytes
    return floor.of(rows, np.empty((_SIDE, _SIDE), np.uint8))


def _own_size(floor: Floor) -> Case:
    scores = _scores(_SIDE)

    def ours() -> NDArray[np.uint8]:
        return argmax_map(scores)

    def usual() -> NDArray[np.uint8]:
        return scores.argmax(axis=0).astype(np.uint8)

    def numba_form() -> NDArray[np.uint8]:
        return _numba_argmax(scores)

    peers = {"NumPy": usual, "numba": numba_form}
    for call in peers.values():
        np.testing.assert_array_equal(ours(), call())
    return Case(f"best of {_CLASSES}x{_SIDE}x{_SIDE}", ours, peers, _floor(floor, scores))


def _interleaved(floor: Floor) -> Case:
    scores = np.ascontiguousarray(_scores(_SIDE).transpose(1, 2, 0))

    def ours() -> NDArray[np.uint8]:
        return argmax_map(scores, layout="NHWC")

    def usual() -> NDArray[np.uint8]:
        return scores.argmax(axis=2).astype(np.uint8)

    def numba_form() -> NDArray[np.uint8]:
        return _numba_argmax_last(scores)

    peers = {"NumPy": usual, "numba": numba_form}
    for call in peers.values():
        np.testing.assert_array_equal(ours(), call())
    return Case(f"best of {_SIDE}x{_SIDE}x{_CLASSES}", ours, peers, _floor(floor, scores))


def _resized(floor: Floor) -> Case:
    scores = _scores(129)
    interleaved = np.ascontiguousarray(scores.transpose(1, 2, 0))
    size = (_SIDE, _SIDE)

    def ours() -> NDArray[np.uint8]:
        return argmax_map(scores, size)

    def usual() -> NDArray[np.uint8]:
        return cv2.resize(interleaved, size[::-1]).argmax(axis=2).astype(np.uint8)

    def careful() -> NDArray[np.uint8]:
        planes = [cv2.resize(plane, size[::-1]) for plane in scores]
        return np.asarray(planes).argmax(axis=0).astype(np.uint8)

    def numba_form() -> NDArray[np.uint8]:
        return _numba_argmax(np.asarray([cv2.resize(plane, size[::-1]) for plane in scores]))

    peers = {"OpenCV + NumPy": usual, "by plane": careful, "OpenCV + numba": numba_form}
    for call in peers.values():  # sums in another order: where two are nearly equal
        assert (ours() == call()).mean() > 0.9999
    return Case(f"best of {_CLASSES}x129x129 at {_SIDE}", ours, peers, _floor(floor, scores))


@numba.njit(nogil=True)
def _numba_argmax(scores):  # type: ignore[no-untyped-def]
    classes, height, width = scores.shape
    out = np.zeros((height, width), np.uint8)
    best = np.empty(width, np.float32)
    for y in range(height):
        best[:] = -np.inf
        for c in range(classes):
            for x in range(width):
                if scores[c, y, x] > best[x]:
                    best[x] = scores[c, y, x]
                    out[y, x] = c
    return out


@numba.njit(nogil=True)
def _numba_argmax_last(scores):  # type: ignore[no-untyped-def]
    height, width, classes = scores.shape
    out = np.zeros((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            best = scores[y, x, 0]
            for c in range(1, classes):
                if scores[y, x, c] > best:
                    best = scores[y, x, c]
                    out[y, x] = c
    return out
