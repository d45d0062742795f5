"""The kernels in numba: for a machine without the compiled extension.

Of them, softmax_top_k and argmax_map; the others are NumPy's.  Importing this module imports numba
and compiles, which takes seconds; numba keeps the result in its cache, beside this file or in the
user's cache folder, where it can write one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from hwrt.kernels.with_numpy import (
    Resampler,
    YuvResampler,
    dequantize,
    nms,
    quantize,
    yolo_detections,
)
from hwrt.kernels.with_numpy.argmax_map import MOST, Part, map_taps

__all__ = [
    "Resampler",
    "YuvResampler",
    "argmax_map",
    "dequantize",
    "nms",
    "quantize",
    "softmax_top_k",
    "yolo_detections",
]

F = TypeVar("F", bound=Callable[..., None])


def _jit(*signature: Any) -> Callable[[F], F]:
    """Compile for this one signature, or for what is met where none is given; without the GIL."""

    def compiled(function: F) -> F:
        jitted: F
        try:
            jitted = numba.njit(*signature, nogil=True, cache=True)(function)
        except RuntimeError:  # what numba raises where it can write neither folder
            jitted = numba.njit(*signature, nogil=True)(function)
        return jitted

    return compiled


@_jit()
def _select(
    row: NDArray[np.float32], classes: NDArray[np.int32], keys: NDArray[np.float32]
) -> None:
    """Fill ``classes`` and ``keys`` (k,) with the best of ``row`` by insertion: k is small."""
    kept = 0
    for i in range(row.shape[0]):
        key = row[i] if row[i] >= -np.inf else np.float32(-np.inf)  # NaN ranks as -inf
        if kept == keys.shape[0]:
            if not key > keys[kept - 1]:
                continue
            kept -= 1
        j = kept
        while j > 0 and keys[j - 1] < key:
            keys[j] = keys[j - 1]
            classes[j] = classes[j - 1]
            j -= 1
        keys[j] = key
        classes[j] = i
        kept += 1


@_jit()
def _weigh(row: NDArray[np.float32], scores: NDArray[np.float32]) -> None:
    """Turn ``scores`` (k,), the row's best keys, into probabilities."""
    least = np.float32(-87.0)
    top = scores[0]
    if top == -np.inf:
        scores[:] = np.nan
        return
    if top == np.inf:
        scores[:] = np.where(scores == np.inf, 1.0 / np.sum(row == np.inf), 0.0)
        return
    total = 0.0
    for i in range(row.shape[0]):
        below = row[i] - top
        if below >= least:
            total += math.exp(np.float64(below))
    for j in range(scores.shape[0]):
        below = scores[j] - top
        scores[j] = math.exp(np.float64(below)) / total if below >= least else 0.0


# One signature for every layout, read-only or not: each other one would be compiled anew.
@_jit(
    numba.void(
        numba.types.Array(numba.float32, 2, "A", readonly=True),
        numba.int32[:, ::1],
        numba.float32[:, ::1],
        numba.boolean,
    )
)
def softmax_top_k(
    logits: NDArray[np.float32],
    classes: NDArray[np.int32],
    scores: NDArray[np.float32],
    softmax: bool,
) -> None:
    """Fill ``classes`` and ``scores`` as ``with_numpy.softmax_top_k`` does."""
    for r in range(logits.shape[0]):
        row = logits[r]
        _select(row, classes[r], scores[r])
        if softmax:
            _weigh(row, scores[r])
        else:
            for j in range(classes.shape[1]):
                scores[r, j] = row[classes[r, j]]


_SCORES = numba.types.Array(numba.float32, 3, "A", readonly=True)


@_jit(numba.void(_SCORES, numba.uint8[:, ::1]))
def _classes(scores: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    best = np.empty(out.shape[1], np.float32)
    for y in range(out.shape[0]):
        best[:] = -np.inf
        out[y] = 0
        for c in range(scores.shape[2]):
            for x in range(out.shape[1]):
                if scores[y, x, c] > best[x]:
                    best[x] = scores[y, x, c]
                    out[y, x] = c


@_jit(
    numba.void(
        _SCORES,
        numba.uint8[:, ::1],
        numba.int32[::1],
        numba.float32[::1],
        numba.int32[::1],
        numba.float32[::1],
        numba.float32,
    )
)
def _resized_classes(
    scores: NDArray[np.float32],
    out: NDArray[np.uint8],
    low: NDArray[np.int32],
    weights: NDArray[np.float32],
    low_x: NDArray[np.int32],
    weights_x: NDArray[np.float32],
    most: np.float32,
) -> None:
    width = scores.shape[1]
    row = np.empty(width + 1, np.float32)  # its last pixel twice
    best = np.empty(out.shape[1], np.float32)
    for y in range(out.shape[0]):
        high = min(low[y] + 1, scores.shape[0] - 1)
        best[:] = -np.inf
        out[y] = 0
        for c in range(scores.shape[2]):
            for x in range(width):
                a, b = scores[low[y], x, c], scores[high, x, c]
                a = min(a, most) if a > -most else -most  # NaN too
                b = min(b, most) if b > -most else -most
                row[x] = a + (b - a) * weights[y]
            row[width] = row[width - 1]
            for x in range(out.shape[1]):
                left = row[low_x[x]]
                score = left + (row[low_x[x] + 1] - left) * weights_x[x]
                if score > best[x]:
                    best[x] = score
                    out[y, x] = c


def argmax_map(
    scores: NDArray[np.float32], out: NDArray[np.uint8], part: Part | None = None
) -> None:
    """Fill ``out`` as ``with_numpy.argmax_map`` does."""
    if part is None:
        _classes(scores, out)
        return
    top, height, left, width = part
    down = map_taps(top, height, scores.shape[0], out.shape[0])
    across = map_taps(left, width, scores.shape[1], out.shape[1])
    _resized_classes(scores, out, *down, *across, MOST)
