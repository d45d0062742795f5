"""Softmax with the best classes, and quantisation, against NumPy and numba."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numba
import numpy as np
from floor import Floor
from numpy.typing import NDArray
from side_by_side import Case

from hwrt import kernels
from hwrt.vision import dequantize, quantize

_SCALE, _ZERO = 0.02, 3
_COUNT = 1_228_800  # 1x3x640x640


def cases(floor: Floor) -> Iterator[Case]:
    """Top 5 of 1000 classes, and a tensor of 1.2 million numbers."""
    yield _top_k(1)
    yield _top_k(32)
    yield _quantize(floor)
    yield _dequantize(floor)


def _top_k(batch: int) -> Case:
    logits = np.random.default_rng(0).normal(0.0, 3.0, (batch, 1000)).astype(np.float32)

    def ours() -> NDArray[np.int32]:
        return kernels.softmax_top_k(logits, 5)[0]

    def usual() -> NDArray[np.int64]:
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = weights / weights.sum(axis=1, keepdims=True)
        classes = np.argsort(probabilities, axis=1)[:, ::-1][:, :5]
        np.take_along_axis(probabilities, classes, axis=1)
        return classes

    def numba_form() -> NDArray[np.int64]:
        return _numba_top_k(logits)[0]

    peers = {"NumPy": usual, "numba": numba_form}
    for call in peers.values():
        np.testing.assert_array_equal(ours(), call())
    return Case(f"softmax and top 5 of 1000, batch {batch}", ours, peers, None, {"NumPy": 12.0})


@numba.njit(nogil=True)
def _numba_top_k(logits):  # type: ignore[no-untyped-def]
    rows, count = logits.shape
    classes, scores = np.empty((rows, 5), np.int64), np.empty((rows, 5), np.float32)
    for r in range(rows):
        kept = 0
        for i in range(count):
            if kept == 5 and logits[r, i] <= scores[r, 4]:
                continue
            kept = min(kept, 4)
            j = kept
            while j > 0 and scores[r, j - 1] < logits[r, i]:
                scores[r, j], classes[r, j] = scores[r, j - 1], classes[r, j - 1]
                j -= 1
            scores[r, j], classes[r, j] = logits[r, i], i
            kept += 1
        top, total = scores[r, 0], 0.0
        for i in range(count):
            total += math.exp(logits[r, i] - top)
        for j in range(5):
            scores[r, j] = math.exp(scores[r, j] - top) / total
    return classes, scores


def _quantize(floor: Floor) -> Case:
    x = np.random.default_rng(1).normal(0.0, 1.5, _COUNT).astype(np.float32)
    out = np.empty(_COUNT, np.int8)

    def ours() -> NDArray[np.int8]:
        return quantize(x, _SCALE, _ZERO, np.int8, out)

    def numpy_form() -> NDArray[np.int8]:
        levels = np.rint(x / np.float32(_SCALE)) + np.float32(_ZERO)
        return np.clip(levels, -128, 127).astype(np.int8)

    def numba_form() -> NDArray[np.int8]:
        return _numba_quantize(x, np.float32(_SCALE), _ZERO)

    peers = {"NumPy": numpy_form, "numba": numba_form}
    for call in peers.values():
        np.testing.assert_array_equal(ours(), call())
    rows = np.array([x.ctypes.data], np.uintp), x.nbytes
    return Case("quantise 1.2 million to int8", ours, peers, floor.of(rows, out), {"NumPy": 5.0})


def _dequantize(floor: Floor) -> Case:
    q = np.random.default_rng(2).integers(-128, 128, _COUNT).astype(np.int8)
    out = np.empty(_COUNT, np.float32)

    def ours() -> NDArray[np.float32]:
        return dequantize(q, _SCALE, _ZERO, out)

    def numpy_form() -> NDArray[np.float32]:
        return (q.astype(np.float32) - np.float32(_ZERO)) * np.float32(_SCALE)

    def numba_form() -> NDArray[np.float32]:
        return _numba_dequantize(q, np.float32(_SCALE), np.float32(_ZERO))

    peers = {"NumPy": numpy_form, "numba": numba_form}
    for call in peers.values():
        np.testing.assert_array_equal(ours(), call())
    rows = np.array([q.ctypes.data], np.uintp), q.nbytes
    return Case("dequantise 1.2 million int8", ours, peers, floor.of(rows, out), {"NumPy": 3.5})


@numba.njit(nogil=True)
def _numba_quantize(x, scale, zero):  # type: ignore[no-untyped-def]
    out = np.empty(x.size, np.int8)
    for i in range(x.size):
        level = np.rint(x[i] / scale) + zero
        out[i] = np.int8(min(max(level, -128), 127))
    return out


@numba.njit(nogil=True)
def _numba_dequantize(q, scale, zero):  # type: ignore[no-untyped-def]
    out = np.empty(q.size, np.float32)
    for i in range(q.size):
        out[i] = (np.float32(q[i]) - zero) * scale
    return out
