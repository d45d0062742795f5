"""Frames of luma and chroma, as cameras and decoders give them: NV12 and YUYV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError

__all__ = ["MATRICES", "YUV_FORMATS", "Yuv", "check_matrix", "yuv_of"]

YUV_FORMATS: Mapping[str, str] = {
    "nv12": "(H * 3 / 2, W): H rows of luma and H / 2 of pairs U, V; H and W even",
    "yuyv": "(H, W, 2): luma, and U in even columns and V in odd ones; W even",
}
"""What a frame of each format is."""

Matrix = tuple[float, float, float, float, float, float]


def _matrix(red: float, blue: float, *, full: bool) -> Matrix:
    """What the kernels take, from the shares of red and blue in luma and the range of levels."""
    green = 1.0 - red - blue
    black, luma, chroma = (0.0, 1.0, 1.0) if full else (16.0, 255 / 219, 255 / 224)
    return (
        black,
        luma,
        2 * (1 - red) * chroma,
        -2 * (1 - blue) * blue / green * chroma,
        -2 * (1 - red) * red / green * chroma,
        2 * (1 - blue) * chroma,
    )


MATRICES: Mapping[str, Matrix] = {
    "bt601": _matrix(0.299, 0.114, full=False),
    "bt709": _matrix(0.2126, 0.0722, full=False),
    "bt601-full": _matrix(0.299, 0.114, full=True),
    "bt709-full": _matrix(0.2126, 0.0722, full=True),
}
"""By standard, ITU-R BT.601 and BT.709, and range: luma of 16 to 235, or "full" 0 to 255."""


class Yuv(NamedTuple):
    """How a frame holds its colours."""

    packed: bool
    matrix: Matrix


def check_matrix(matrix: str) -> Matrix:
    """The numbers of the matrix of this name; InputError where there is none."""
    if not isinstance(matrix, str) or matrix not in MATRICES:
        raise InputError(f"matrix is {matrix!r:.80}", hint=f"give one of {', '.join(MATRICES)}")
    return MATRICES[matrix]


def yuv_of(frame: NDArray[Any], yuv: str, matrix: str) -> tuple[int, int, Yuv]:
    """Height, width and the way of holding colours of such a frame.

    Raises InputError for one that is no frame of the format ``yuv``, or for an unknown name.
    """
    if not isinstance(yuv, str) or yuv not in YUV_FORMATS:
        raise InputError(f"yuv is {yuv!r:.80}", hint=f"give one of {', '.join(YUV_FORMATS)}")
    numbers = check_matrix(matrix)
    packed = yuv == "yuyv"
    if not isinstance(frame, np.ndarray) or not _fits(frame, packed):
        shown = (
            f"{frame.dtype} {frame.shape}"
            if isinstance(frame, np.ndarray)
            else f"of the type {type(frame).__name__}"
        )
        raise InputError(
            f"the frame is {shown}", hint=f"give a numpy.ndarray of uint8 {YUV_FORMATS[yuv]}"
        )
    height = frame.shape[0] if packed else frame.shape[0] // 3 * 2
    return height, frame.shape[1], Yuv(packed, numbers)


def _fits(frame: NDArray[Any], packed: bool) -> bool:
    if frame.dtype != np.uint8 or frame.size == 0:
        return False
    if packed:
        return frame.ndim == 3 and frame.shape[2] == 2 and frame.shape[1] % 2 == 0
    return frame.ndim == 2 and frame.shape[0] % 3 == 0 and frame.shape[1] % 2 == 0
