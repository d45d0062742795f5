"""Numbers made into the integers of a quantised tensor, and back.

Source: ONNX's QuantizeLinear and DequantizeLinear,
https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dequantize", "quantize"]


def quantize(
    x: NDArray[np.float32],
    scales: NDArray[np.float32],
    zero_points: NDArray[np.float32],
    out: NDArray[Any],
) -> None:
    """Fill ``out`` with ``round(x / scale) + zero_point``, saturated to the range of its dtype.

    Both are (outer, channels, inner); scales and zero points are (channels,).  Halves are rounded
    to the even neighbour, infinities saturate, NaN becomes the zero point.
    """
    limits = np.iinfo(out.dtype)
    along = (1, -1, 1)
    zeros = zero_points.reshape(along)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        levels = np.rint(x / scales.reshape(along)) + zeros
    levels = np.where(np.isnan(levels), zeros, levels)
    np.copyto(out, np.clip(levels, limits.min, limits.max), casting="unsafe")


def dequantize(
    q: NDArray[Any],
    scales: NDArray[np.float32],
    zero_points: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Fill ``out`` with ``(q - zero_point) * scale`` in float32; the shapes are ``quantize``'s."""
    along = (1, -1, 1)
    # A difference of 16-bit integers is exact in float32.
    np.subtract(q, zero_points.reshape(along), out=out, dtype=np.float32)
    with np.errstate(over="ignore", under="ignore"):
        np.multiply(out, scales.reshape(along), out=out)
