"""Frames at another size: bilinear interpolation with pixel centres, and averages over areas.

Both work on one dimension after the other.  The NumPy code here is the definition that the C++
kernels are tested against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError

__all__ = ["METHODS", "Method", "Span", "resample"]

Method = Literal["bilinear", "area"]
METHODS: tuple[Method, ...] = ("bilinear", "area")


@dataclass(frozen=True)
class Span:
    """``count`` pixels, from ``start``, of a dimension scaled from ``source`` to ``target``."""

    source: int
    target: int
    start: int
    count: int

    @classmethod
    def whole(cls, source: int, target: int) -> Span:
        """All pixels of the scaled dimension."""
        return cls(source, target, 0, target)


def resample(
    frame: NDArray[np.uint8], rows: Span, columns: Span, method: Method
) -> NDArray[np.float32]:
    """The frame (H, W, C) at another size: levels 0..255 (rows.count, columns.count, C).

    "bilinear" is OpenCV's INTER_LINEAR without its rounding: pixel centres, edges clamped, two
    source pixels each way however strong the reduction.  "area" is INTER_AREA: each result is the
    mean of the source area under it; a dimension that does not shrink is interpolated.
    """
    if method not in METHODS:
        raise InputError(f"the method is {method!r}", hint=f"give one of {', '.join(METHODS)}")
    values: NDArray[Any] = frame
    for dimension, span in enumerate((rows, columns)):
        shrinks = span.target < span.source
        along = _average if method == "area" and shrinks else _interpolate
        values = along(values, span, dimension)
    return values


def _interpolate(values: NDArray[Any], span: Span, dimension: int) -> NDArray[np.float32]:
    """Target pixel i has its centre at (i + 0.5) * source / target - 0.5 of the source."""
    targets = np.arange(span.start, span.start + span.count)
    centres = (targets + 0.5) * (span.source / span.target) - 0.5
    centres = np.clip(centres, 0.0, span.source - 1.0)
    low = np.floor(centres).astype(np.intp)
    high = np.minimum(low + 1, span.source - 1)
    weights = _along(centres - low, dimension).astype(np.float32)

    below: NDArray[np.float32] = _at(values, low, dimension).astype(np.float32)
    above: NDArray[np.float32] = _at(values, high, dimension).astype(np.float32)
    above -= below
    above *= weights
    below += above
    return below


def _average(values: NDArray[Any], span: Span, dimension: int) -> NDArray[np.float32]:
    """Target pixel i is the mean of the source between i and i + 1 times source / target.

    The area of pixel i holds the whole pixels between its edges, less the part of the first that
    lies before it, plus the part of the pixel at its end.  The edges are exact fractions.
    """
    edges = np.arange(span.start, span.start + span.count + 1, dtype=np.int64) * span.source
    pixels, parts = edges // span.target, (edges % span.target) / span.target
    begin, end = pixels[:-1], np.minimum(pixels[1:], span.source - 1)
    before, after = _along(parts[:-1], dimension), _along(parts[1:], dimension)

    used = _at(values, slice(pixels[-1]), dimension)
    sums = np.add.reduceat(used, begin, axis=dimension, dtype=np.float64)
    sums -= before * _at(values, begin, dimension)
    sums += after * _at(values, end, dimension)
    sums *= span.target / span.source
    return np.asarray(sums, dtype=np.float32)


def _at(values: NDArray[Any], indices: NDArray[np.intp] | slice, dimension: int) -> NDArray[Any]:
    """The values at these indices; np.take would first copy the whole of a strided frame."""
    return values[indices] if dimension == 0 else values[:, indices]


def _along(values: NDArray[Any], dimension: int) -> NDArray[Any]:
    """A vector shaped so that it broadcasts along this dimension of an (H, W, C) array."""
    return values[:, None, None] if dimension == 0 else values[None, :, None]
