"""The frames that a pipeline takes: their channel order, said once at load, and their shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError
from hwrt.vision.settings import Settings

__all__ = ["FRAMES", "check_frame", "check_frames", "expected"]

FRAMES = ("rgb", "bgr", "gray")
_FORESEEN_FRAMES = ("nv12", "yuyv")


def check_frames(frames: str, settings: Settings) -> None:
    """Raise InputError where such frames can not be served."""
    if frames in _FORESEEN_FRAMES:
        raise InputError(
            f"frames={frames!r} is not available in this version",
            hint=f"convert them; it takes {', '.join(FRAMES)}",
        )
    if frames not in FRAMES:
        raise InputError(f"frames is {frames!r}", hint=f"give one of {', '.join(FRAMES)}")
    if settings.channels == 1 and frames != "gray":
        raise InputError(
            f"the model takes one channel, frames is {frames!r}", hint="give frames='gray'"
        )


def check_frame(frame: NDArray[Any], frames: str) -> None:
    """Raise InputError unless the frame is a uint8 image of these channels."""
    fits = isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.size > 0
    channels = (1,) if frames == "gray" else (3,)
    shapes_fit = fits and (
        (frame.ndim == 2 and frames == "gray") or (frame.ndim == 3 and frame.shape[2:] == channels)
    )
    if not shapes_fit:
        kind = type(frame).__name__
        shown = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else kind
        raise InputError(f"the frame is {shown}", hint=f"give {expected(frames)}")


def expected(frames: str) -> str:
    """What a frame has to be, for an error's hint."""
    shape = "(H, W)" if frames == "gray" else "(H, W, 3)"
    return f"a numpy.ndarray of uint8 {shape}, {frames}"
