"""Frames of luma and chroma at another size, as red, green and blue."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwrt.kernels.resample import Span, resample
from hwrt.kernels.with_numpy.resampler import SpanTuple, Three, as_elements

__all__ = ["Matrix", "YuvResampler"]

Matrix = tuple[float, float, float, float, float, float]
"""black, luma_scale, red_v, green_u, green_v, blue_u."""


class YuvResampler:
    """Makes frames of one size, of luma and chroma, into tensors' contents of one size.

    ``rows`` and ``columns`` are the fields of a ``Span`` of the frame's pixels, H and W, which are
    even.  A frame is uint8: ``packed`` (YUYV) it is (H, W, 2), the second byte of a pixel being U
    in even and V in odd columns, and H may be odd; else (NV12) (H * 3 / 2, W), H rows of luma and
    H / 2 of pairs U, V.
    """

    def __init__(self, rows: SpanTuple, columns: SpanTuple, packed: bool, matrix: Matrix) -> None:
        self._rows, self._columns = Span(*rows), Span(*columns)
        self._packed = packed
        self._matrix = matrix

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
        """Write the frame into ``out`` (h, w, 3) at (top, left), and ``pad`` around it.

        Luma and chroma are interpolated by themselves, a sample of chroma lying in the middle of
        the pixels that share it, and converted where they arrive:

            luma = (Y - black) * luma_scale
            red = luma + red_v * (V - 128)
            green = luma + green_u * (U - 128) + green_v * (V - 128)
            blue = luma + blue_u * (U - 128)

        These are held within 0..255 once, and are the levels that ``Resampler.run`` speaks of.
        """
        black, luma_scale, red_v, green_u, green_v, blue_u = self._matrix
        luma, u, v = self._planes(frame)
        gray = (luma - black) * luma_scale
        colours = (gray + red_v * v, gray + green_u * u + green_v * v, gray + blue_u * u)
        levels = np.clip(np.stack(colours[::-1] if reverse else colours, axis=2), 0.0, 255.0)
        height, width = self._rows.count, self._columns.count
        out[...] = as_elements(np.array(pad, np.float64), out.dtype)
        out[top : top + height, left : left + width] = as_elements(levels * scale + bias, out.dtype)

    def _planes(
        self, frame: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Luma, and U and V less 128, at their new size."""
        rows, columns = self._rows, self._columns
        if self._packed:
            luma = frame[:, :, :1]
            chroma = frame[:, :, 1].reshape(rows.source, columns.source // 2, 2)
        else:
            luma = frame[: rows.source, :, None]
            chroma = frame[rows.source :].reshape(rows.source // 2, columns.source // 2, 2)
        rows_of_chroma = rows if self._packed else _halved(rows)
        levels = resample(luma, rows, columns, "bilinear").astype(np.float64)
        pairs = resample(chroma, rows_of_chroma, _halved(columns), "bilinear").astype(np.float64)
        pairs -= 128.0
        return levels[:, :, 0], pairs[:, :, 0], pairs[:, :, 1]


def _halved(span: Span) -> Span:
    return Span(span.source // 2, span.target, span.start, span.count)
