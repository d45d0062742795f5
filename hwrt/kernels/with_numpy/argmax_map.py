"""The class with the highest score of each pixel, at the map's own size or another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST", "Part", "argmax_map", "map_taps"]

Part = tuple[float, float, float, float]
"""top, height, left, width of what a result covers, in pixels of the map and fractions of them."""

MOST = np.float32(1e38)
"""Scores are held within +- this before they are resized: of two, the difference is a number."""


def argmax_map(
    scores: NDArray[np.float32], out: NDArray[np.uint8], part: Part | None = None
) -> None:
    """Fill ``out`` with the class of the highest score, the lowest of equals, of each pixel.

    ``scores`` is (h, w, C) with C at most 256.  Without ``part``, ``out`` is (h, w); a NaN ranks as
    -inf does, and where there is nothing else the class is 0.

    With it, ``out`` is (H, W) and covers that part of the map: the scores are interpolated in
    float32, rows before columns, at the places that ``map_taps`` says.  They are held within
    +-1e38 first, a NaN at the lower end: where one counts, its class does not.
    """
    if part is None:
        out[...] = np.where(np.isnan(scores), np.float32(-np.inf), scores).argmax(axis=2)
        return
    top, height, left, width = part
    low, weights = map_taps(top, height, scores.shape[0], out.shape[0])
    low_x, weights_x = map_taps(left, width, scores.shape[1], out.shape[1])
    high = np.minimum(low + 1, scores.shape[0] - 1)
    high_x = np.minimum(low_x + 1, scores.shape[1] - 1)
    for y in range(out.shape[0]):
        row = _between(_held(scores[low[y]]), _held(scores[high[y]]), weights[y])
        out[y] = _between(row[low_x], row[high_x], weights_x[:, None]).argmax(axis=1)


def map_taps(
    begin: float, extent: float, source: int, count: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The lower neighbour of each of ``count`` pixels, and the weight of the next one (count,).

    They cover ``extent`` of ``source`` pixels from ``begin`` on.  Pixel i has its centre at
    ``(i + 0.5) * extent / count + begin - 0.5``, held within the centres of the outermost pixels
    of the part, and within the map.
    """
    centres = (np.arange(count) + 0.5) * (extent / count) + begin - 0.5
    least, most = begin, begin + extent - 1.0
    if most < least:  # less than a pixel
        least = most = (least + most) / 2.0
    centres = np.clip(np.clip(centres, least, most), 0.0, source - 1.0)
    low = np.floor(centres)
    return low.astype(np.int32), (centres - low).astype(np.float32)


def _held(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(np.where(np.isnan(scores), -MOST, scores), -MOST, MOST)


def _between(
    a: NDArray[np.float32], b: NDArray[np.float32], weight: NDArray[np.float32] | np.float32
) -> NDArray[np.float32]:
    return np.asarray(a + (b - a) * weight)
