"""The frames that a pipeline takes: how they hold colours, said once at load, and their shape."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError
from hwrt.vision.settings import Settings
from hwrt.vision.yuv import YUV_FORMATS, check_matrix, yuv_of

__all__ = ["FRAMES", "Region", "check_frame", "check_frames", "expected", "region"]

Region = tuple[int, int, int, int]
"""x0, y0, x1, y1 in a frame's pixels; x1 and y1 are the first that no longer belong to it."""

FRAMES = ("rgb", "bgr", "gray", *YUV_FORMATS)


def check_frames(frames: str, settings: Settings | None, matrix: str = "bt601") -> None:
    """Raise InputError where such frames can not be served, by a model of these settings."""
    check_matrix(matrix)
    if frames not in FRAMES:
        raise InputError(f"frames is {frames!r}", hint=f"give one of {', '.join(FRAMES)}")
    if settings is not None and settings.channels == 1 and frames != "gray":
        raise InputError(
            f"the model takes one channel, frames is {frames!r}", hint="give frames='gray'"
        )


def check_frame(frame: NDArray[Any], frames: str) -> None:
    """Raise InputError unless the frame is a uint8 image of these channels."""
    if frames in YUV_FORMATS:
        yuv_of(frame, frames, "bt601")
        return
    fits = isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.size > 0
    channels = (1,) if frames == "gray" else (3,)
    shapes_fit = fits and (
        (frame.ndim == 2 and frames == "gray") or (frame.ndim == 3 and frame.shape[2:] == channels)
    )
    if not shapes_fit:
        kind = type(frame).__name__
        shown = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else kind
        raise InputError(f"the frame is {shown}", hint=f"give {expected(frames)}")


def region(frame: NDArray[Any], roi: Region, frames: str = "rgb") -> NDArray[Any]:
    """The part of the frame as a view of its memory.

    Raises InputError unless the region has a pixel and lies within the frame, for one that parts
    the two pixels that share their chroma, and for NV12, of which a part is no view.
    """
    if frames == "nv12":
        raise InputError(
            "a region of an nv12 frame is no part of one array",
            hint="leave roi out, or convert the frame",
        )
    height, width = frame.shape[:2] if frame.ndim >= 2 else (0, 0)
    try:
        # By number, as who shifts the boxes reads them: neither a set nor an iterator will do.
        x0, y0, x1, y1 = [operator.index(roi[i]) for i in range(len(roi))]
    except (TypeError, ValueError, LookupError) as exc:
        raise InputError(f"roi is {roi!r:.80}", hint="give x0, y0, x1, y1 in pixels") from exc
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise InputError(
            f"roi is {(x0, y0, x1, y1)} for a frame {width} wide and {height} high",
            hint=f"give 0 <= x0 < x1 <= {width} and 0 <= y0 < y1 <= {height}",
        )
    if frames == "yuyv" and (x0 % 2 or x1 % 2):
        raise InputError(
            f"roi is {(x0, y0, x1, y1)} for a yuyv frame, whose columns come in pairs",
            hint="give an even x0 and x1",
        )
    return frame[y0:y1, x0:x1]


def expected(frames: str) -> str:
    """What a frame has to be, for an error's hint."""
    if frames in YUV_FORMATS:
        return f"a numpy.ndarray of uint8 {YUV_FORMATS[frames]}"
    shape = "(H, W)" if frames == "gray" else "(H, W, 3)"
    return f"a numpy.ndarray of uint8 {shape}, {frames}"
