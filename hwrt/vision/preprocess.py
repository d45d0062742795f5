"""A uint8 frame made into a model's input: resized, channels in order, normalised, laid out.

Each function writes the caller's ``out`` and returns the Geometry that undoes boxes.

frame:  uint8 (H, W, 3), or (H, W) and (H, W, 1) for gray; any strides; at least 1x1.
out:    float32 or float16, (C, h, w) or (h, w, C), with or without a leading dimension of 1; any
        strides; writeable.  C is 3, or 1 for a gray frame; a gray frame fills three channels alike.
layout: "NCHW" or "NHWC"; None reads it from the place of the channels in ``out``'s shape.
mean, std: levels 0..255, one number or one per channel of ``out``; the tensor is
        ``(level - mean) / std``, computed in float32.
bgr:    True reverses the channels: a BGR frame for a model that wants RGB, or the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError
from hwrt.vision.geometry import Geometry
from hwrt.vision.resample import Method, Span, resample

__all__ = ["IMAGENET_CROP_SCALE", "Layout", "Levels", "crop", "letterbox", "resize"]

Layout = Literal["NCHW", "NHWC"]
Levels = float | Sequence[float]
IMAGENET_CROP_SCALE = 256 / 224


def letterbox(
    frame: NDArray[Any],
    out: NDArray[Any],
    *,
    mean: Levels = 0.0,
    std: Levels = 255.0,
    pad: float = 114,
    method: Method = "bilinear",
    bgr: bool = False,
    layout: Layout | None = None,
) -> Geometry:
    """Fit the whole frame into ``out``, its shape kept, centred on borders of the level ``pad``.

    The sizes are those of Ultralytics' LetterBox: one scale, the smaller of the two; the new size
    rounded (half to even); an odd border pixel at the right and at the bottom.
    """
    source, target = _views(frame, out, layout)
    (height, width), (input_height, input_width) = source.shape[:2], target.shape[:2]
    scale = min(input_height / height, input_width / width)
    rows = Span.whole(height, max(round(height * scale), 1))
    columns = Span.whole(width, max(round(width * scale), 1))
    # The 0.1 keeps a border of n + 0.5 from being rounded to the even side on both ends.
    top = round((input_height - rows.target) / 2 - 0.1)
    left = round((input_width - columns.target) / 2 - 0.1)

    normalise = _Normalise(mean, std, channels=target.shape[2])
    target[...] = normalise(np.full((1, 1, 1), pad, dtype=np.float32))
    levels = _ordered(resample(source, rows, columns, method), bgr=bgr)
    target[top : top + rows.count, left : left + columns.count] = normalise(levels)
    return _geometry(source, target, rows, columns, pad_x=left, pad_y=top)


def resize(
    frame: NDArray[Any],
    out: NDArray[Any],
    *,
    mean: Levels,
    std: Levels,
    method: Method = "bilinear",
    bgr: bool = False,
    layout: Layout | None = None,
) -> Geometry:
    """Stretch the whole frame over ``out``; its shape is not kept."""
    source, target = _views(frame, out, layout)
    rows = Span.whole(source.shape[0], target.shape[0])
    columns = Span.whole(source.shape[1], target.shape[1])

    normalise = _Normalise(mean, std, channels=target.shape[2])
    target[...] = normalise(_ordered(resample(source, rows, columns, method), bgr=bgr))
    return _geometry(source, target, rows, columns, pad_x=0, pad_y=0)


def crop(
    frame: NDArray[Any],
    out: NDArray[Any],
    *,
    mean: Levels,
    std: Levels,
    crop_scale: float = IMAGENET_CROP_SCALE,
    method: Method = "bilinear",
    bgr: bool = False,
    layout: Layout | None = None,
) -> Geometry:
    """Cover ``out`` with the middle of the frame, its shape kept; what is too long is cut off.

    The frame is scaled to ``crop_scale`` times the size at which it just covers ``out``: 1 cuts as
    little as can be, 256 / 224 is what ImageNet's networks are judged with (the shorter side to
    256, then the middle 224).
    """
    source, target = _views(frame, out, layout)
    if not 1 <= crop_scale < np.inf:
        raise InputError(f"crop_scale is {crop_scale!r}", hint="give a number from 1")
    (height, width), (input_height, input_width) = source.shape[:2], target.shape[:2]
    scale = crop_scale * max(input_height / height, input_width / width)
    scaled_height = max(round(height * scale), input_height)
    scaled_width = max(round(width * scale), input_width)
    top = round((scaled_height - input_height) / 2)
    left = round((scaled_width - input_width) / 2)
    rows = Span(height, scaled_height, top, input_height)
    columns = Span(width, scaled_width, left, input_width)

    normalise = _Normalise(mean, std, channels=target.shape[2])
    target[...] = normalise(_ordered(resample(source, rows, columns, method), bgr=bgr))
    return _geometry(source, target, rows, columns, pad_x=-left, pad_y=-top)


class _Normalise:
    """``(levels - mean) / std`` over the last dimension, in float32."""

    def __init__(self, mean: Levels, std: Levels, *, channels: int) -> None:
        self._mean = _per_channel("mean", mean, channels)
        self._std = _per_channel("std", std, channels)
        if not np.all(self._std > 0):
            raise InputError(f"std is {std!r}", hint="give numbers above 0, in levels 0..255")

    def __call__(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        return (levels - self._mean) / self._std


def _per_channel(name: str, value: Levels, channels: int) -> NDArray[np.float32]:
    try:
        levels = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError) as exc:
        raise InputError(f"{name} is {value!r}", hint="give a number, or one a channel") from exc
    if levels.shape not in ((), (1,), (channels,)) or not np.all(np.isfinite(levels)):
        raise InputError(
            f"{name} is {value!r} for an input of {channels} channels",
            hint=f"give one finite number, or {channels}",
        )
    return levels


def _views(
    frame: NDArray[Any], out: NDArray[Any], layout: Layout | None
) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """The frame as (H, W, C) and ``out`` as (h, w, C), which fit each other."""
    source, target = _frame(frame), _tensor(out, layout)
    if source.shape[2] > target.shape[2]:
        raise InputError(
            f"the frame {frame.shape} has 3 channels, out {out.shape} has 1",
            hint="give a gray frame (H, W)",
        )
    return source, target


def _frame(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """The frame as (H, W, C) with C 1 or 3."""
    if not isinstance(frame, np.ndarray):
        raise InputError(
            f"the frame is of the type {type(frame).__name__}",
            hint="give a numpy.ndarray of uint8 (H, W, 3), or (H, W) for gray",
        )
    pixels = frame[:, :, None] if frame.ndim == 2 else frame
    fits = pixels.ndim == 3 and pixels.shape[2] in (1, 3) and pixels.size > 0
    if frame.dtype != np.uint8 or not fits:
        raise InputError(
            f"the frame is {frame.dtype} {frame.shape}",
            hint="give uint8 (H, W, 3), or (H, W) for gray, of at least one pixel",
        )
    return pixels


def _tensor(out: NDArray[Any], layout: Layout | None) -> NDArray[Any]:
    """A view of ``out`` as (h, w, C)."""
    if not isinstance(out, np.ndarray) or out.dtype not in (np.float32, np.float16):
        kind = out.dtype if isinstance(out, np.ndarray) else type(out).__name__
        raise InputError(f"out is {kind}", hint="give a numpy.ndarray of float32 or float16")
    if not out.flags.writeable:
        raise InputError("out is read-only", hint="give an array that can be written")
    image = out[0] if out.ndim == 4 and out.shape[0] == 1 else out
    if image.ndim != 3 or image.size == 0:
        raise InputError(f"out has the shape {out.shape}", hint="give (1, 3, h, w) or (1, h, w, 3)")
    places = {"NCHW": image.shape[0] in (1, 3), "NHWC": image.shape[2] in (1, 3)}
    possible = [name for name, fits in places.items() if fits and layout in (None, name)]
    if len(possible) != 1:
        raise InputError(
            f"out has the shape {out.shape} and layout is {layout!r}",
            hint="give 1 or 3 channels, and layout='NCHW' or 'NHWC' where both would fit",
        )
    return image.transpose(1, 2, 0) if possible == ["NCHW"] else image


def _ordered(levels: NDArray[np.float32], *, bgr: bool) -> NDArray[np.float32]:
    return levels[:, :, ::-1] if bgr else levels


def _geometry(
    source: NDArray[Any],
    target: NDArray[Any],
    rows: Span,
    columns: Span,
    *,
    pad_x: int,
    pad_y: int,
) -> Geometry:
    return Geometry(
        frame_height=source.shape[0],
        frame_width=source.shape[1],
        input_height=target.shape[0],
        input_width=target.shape[1],
        scale_x=columns.target / columns.source,
        scale_y=rows.target / rows.source,
        pad_x=pad_x,
        pad_y=pad_y,
    )
