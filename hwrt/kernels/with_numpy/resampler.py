"""Frames at another size, normalised and laid out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwrt.kernels.resample import Span, resample

__all__ = ["Resampler", "SpanTuple", "Three", "as_elements"]

Three = tuple[float, float, float]
SpanTuple = tuple[int, int, int, int]


class Resampler:
    """Makes frames of one size and number of channels into tensors' contents of one size.

    ``rows`` and ``columns`` are the fields of a ``Span``.  ``area`` takes the means of areas where
    a dimension shrinks; without it, and for one that does not, the frame is interpolated.
    """

    def __init__(self, rows: SpanTuple, columns: SpanTuple, channels: int, area: bool) -> None:
        self._rows, self._columns = Span(*rows), Span(*columns)
        self._channels = channels
        self._area = area

    def run(
        self,
        frame: NDArray[np.uint8],
        out: NDArray[Any],
        top: int,
        left: int,
        scale: Three,
        bias: Three,
        pad: Three,
        reverse: bool,
        threads: int = 1,
    ) -> None:
        """Write the frame (H, W, C) into ``out`` (h, w, c) at (top, left), and ``pad`` around it.

        Channel c of the tensor is ``level * scale[c] + bias[c]`` of the frame's channel c, or of
        its channel 2 - c where the order is reversed; a gray frame fills all channels.  Integers
        are rounded, halves to the even neighbour, and saturated.  At most so many ``threads`` work
        on it; fewer where there is too little to do.
        """
        channels = out.shape[2]
        levels = resample(frame, self._rows, self._columns, "area" if self._area else "bilinear")
        if reverse:
            levels = levels[:, :, ::-1]
        wide = levels.astype(np.float64) * scale[:channels] + bias[:channels]
        height, width = self._rows.count, self._columns.count
        out[...] = as_elements(np.array(pad[:channels], np.float64), out.dtype)
        out[top : top + height, left : left + width] = as_elements(wide, out.dtype)


def as_elements(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The numbers as a tensor holds them: integers rounded, to the even one, and saturated."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
