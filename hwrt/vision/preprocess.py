"""A uint8 frame made into a model's input: resized, channels in order, normalised, laid out.

Each function writes the caller's ``out`` and returns the Geometry that undoes boxes.

frame:  uint8 (H, W, 3), or (H, W) and (H, W, 1) for gray; any strides; at least 1x1.
out:    float32, float16, uint8 or int8, (C, h, w) or (h, w, C), with or without a leading dimension
        of 1; any strides; writeable.  C is 3, or 1 for a gray frame; a gray frame fills three
        channels alike.
layout: "NCHW" or "NHWC"; None reads it from the place of the channels in ``out``'s shape.
mean, std: levels 0..255, one number or one per channel of ``out``; the tensor is
        ``(level - mean) / std``, computed in float32.
scale, zero_point: of a quantised tensor; it is ``(level - mean) / std / scale + zero_point``, for
        integers rounded (halves to the even neighbour) and saturated.
threads: at most so many work on a frame; below some 8 MB of frame and tensor one does.
bgr:    True reverses the channels: a BGR frame for a model that wants RGB, or the other way; of a
        ``yuv`` frame, the model wants BGR.
yuv:    "nv12" for a frame (H * 3 / 2, W) of H rows of luma and H / 2 of pairs U, V; "yuyv" for one
        (H, W, 2) of luma, and U in even columns and V in odd ones.  W is even, NV12's H too, and
        ``out`` has three channels.  Luma and chroma are resized and then converted, and held
        within 0..255 once; a sample of chroma lies in the middle of the pixels that share it.
matrix: what a ``yuv`` frame is converted by: "bt601", "bt709" (luma of 16 to 235), "bt601-full" or
        "bt709-full" (0 to 255).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError
from hwrt.kernels import Form, Resampler, form
from hwrt.kernels.resample import METHODS, Method, Span
from hwrt.vision.affine import Affine, Levels, affine
from hwrt.vision.geometry import Geometry
from hwrt.vision.scalars import number, whole_number
from hwrt.vision.yuv import Yuv, yuv_of

__all__ = ["IMAGENET_CROP_SCALE", "Layout", "Levels", "crop", "letterbox", "resize"]

Layout = Literal["NCHW", "NHWC"]
IMAGENET_CROP_SCALE = 256 / 224
_LAYOUTS = (None, "NCHW", "NHWC")
# NumPy's letters for float32, float16, uint8 and int8.
_ELEMENTS = frozenset("feBb")
# At this scale the longest frame has too many pixels for the smallest input.
_MOST_CROP_SCALE = 2.0**56
_MOST_THREADS = (1 << 16) - 1


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
    scale: float = 1.0,
    zero_point: int = 0,
    threads: int = 1,
    yuv: str | None = None,
    matrix: str = "bt601",
) -> Geometry:
    """Fit the whole frame into ``out``, its shape kept, centred on borders of the level ``pad``.

    The sizes are those of Ultralytics' LetterBox: one scale, the smaller of the two; the new size
    rounded (half to even); an odd border pixel at the right and at the bottom.
    """
    source, shape, target = _views(frame, out, layout, method, yuv, matrix)
    plan = _letterbox_plan(form(), shape, target.shape[:2], method)
    levels = affine(mean, std, scale, zero_point, pad, target.shape[2])
    return plan.run(source, target, levels, bgr, threads)


def resize(
    frame: NDArray[Any],
    out: NDArray[Any],
    *,
    mean: Levels,
    std: Levels,
    method: Method = "bilinear",
    bgr: bool = False,
    layout: Layout | None = None,
    scale: float = 1.0,
    zero_point: int = 0,
    threads: int = 1,
    yuv: str | None = None,
    matrix: str = "bt601",
) -> Geometry:
    """Stretch the whole frame over ``out``; its shape is not kept."""
    source, shape, target = _views(frame, out, layout, method, yuv, matrix)
    plan = _resize_plan(form(), shape, target.shape[:2], method)
    levels = affine(mean, std, scale, zero_point, 0.0, target.shape[2])
    return plan.run(source, target, levels, bgr, threads)


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
    scale: float = 1.0,
    zero_point: int = 0,
    threads: int = 1,
    yuv: str | None = None,
    matrix: str = "bt601",
) -> Geometry:
    """Cover ``out`` with the middle of the frame, its shape kept; what is too long is cut off.

    The frame is scaled to ``crop_scale`` times the size at which it just covers ``out``: 1 cuts as
    little as can be, 256 / 224 is what ImageNet's networks are judged with (the shorter side to
    256, then the middle 224).
    """
    source, shape, target = _views(frame, out, layout, method, yuv, matrix)
    cover = number("crop_scale", crop_scale, "give a number from 1")
    if not 1 <= cover < _MOST_CROP_SCALE:
        raise InputError(f"crop_scale is {crop_scale!r:.80}", hint="give a number from 1")
    plan = _crop_plan(form(), shape, target.shape[:2], method, cover)
    levels = affine(mean, std, scale, zero_point, 0.0, target.shape[2])
    return plan.run(source, target, levels, bgr, threads)


@dataclass(frozen=True)
class _Plan:
    """How frames of one size go into tensors of one size; any thread may run it."""

    geometry: Geometry
    top: int
    left: int
    resampler: Resampler

    @classmethod
    def make(
        cls,
        kernels: Form,
        channels: int | Yuv,
        rows: Span,
        columns: Span,
        method: Method,
        place: _Place,
    ) -> _Plan:
        geometry = Geometry(
            frame_height=rows.source,
            frame_width=columns.source,
            input_height=place.height,
            input_width=place.width,
            scale_x=columns.target / columns.source,
            scale_y=rows.target / rows.source,
            pad_x=place.left - columns.start,
            pad_y=place.top - rows.start,
        )
        try:
            spans = astuple(rows), astuple(columns)
            form = (
                kernels.yuv_resampler(*spans, channels.packed, channels.matrix)
                if isinstance(channels, Yuv)
                else kernels.resampler(*spans, channels, method == "area")
            )
        except (TypeError, ValueError) as exc:  # more pixels than its tables can number
            raise InputError(
                f"{rows.source} x {columns.source} pixels at {rows.target} x {columns.target}",
                hint="give a frame and a size of less than 268435456 pixels a side",
            ) from exc
        return cls(geometry, place.top, place.left, form)

    def run(
        self,
        source: NDArray[np.uint8],
        target: NDArray[Any],
        levels: Affine,
        bgr: bool,
        threads: int,
    ) -> Geometry:
        count = min(whole_number("threads", threads, least=1), _MOST_THREADS)
        if not isinstance(bgr, bool | np.bool_):
            raise InputError(f"bgr is {bgr!r:.80}", hint="give True or False")
        try:
            self.resampler.run(source, target, self.top, self.left, *levels, bgr, count)
        except ValueError as exc:  # of out's address, which the shapes do not tell
            raise InputError(str(exc), hint="give an aligned array of its own memory") from exc
        return self.geometry


class _Place(NamedTuple):
    """An input's size, and where the frame begins in it."""

    height: int
    width: int
    top: int = 0
    left: int = 0


_Shape = tuple[int, int, int | Yuv]
"""Height, width and channels of a frame."""

# A plan is a few tables; a program meets few sizes of frames.
_PLANS = 64


@lru_cache(_PLANS)
def _letterbox_plan(kernels: Form, frame: _Shape, size: tuple[int, int], method: Method) -> _Plan:
    (height, width, channels), (input_height, input_width) = frame, size
    scale = min(input_height / height, input_width / width)
    rows = Span.whole(height, max(round(height * scale), 1))
    columns = Span.whole(width, max(round(width * scale), 1))
    # The 0.1 keeps a border of n + 0.5 from being rounded to the even side on both ends.
    top = round((input_height - rows.target) / 2 - 0.1)
    left = round((input_width - columns.target) / 2 - 0.1)
    return _Plan.make(kernels, channels, rows, columns, method, _Place(*size, top, left))


@lru_cache(_PLANS)
def _resize_plan(kernels: Form, frame: _Shape, size: tuple[int, int], method: Method) -> _Plan:
    rows, columns = Span.whole(frame[0], size[0]), Span.whole(frame[1], size[1])
    return _Plan.make(kernels, frame[2], rows, columns, method, _Place(*size))


@lru_cache(_PLANS)
def _crop_plan(
    kernels: Form,
    frame: _Shape,
    size: tuple[int, int],
    method: Method,
    crop_scale: float,
) -> _Plan:
    (height, width, channels), (input_height, input_width) = frame, size
    # As torchvision's Resize and CenterCrop: the side that decides is rounded, the other one cut.
    if input_height * width >= input_width * height:
        scaled_height = round(input_height * crop_scale)
        scaled_width = max(scaled_height * width // height, input_width)
    else:
        scaled_width = round(input_width * crop_scale)
        scaled_height = max(scaled_width * height // width, input_height)
    top = round((scaled_height - input_height) / 2)
    left = round((scaled_width - input_width) / 2)
    rows = Span(height, scaled_height, top, input_height)
    columns = Span(width, scaled_width, left, input_width)
    return _Plan.make(kernels, channels, rows, columns, method, _Place(*size))


def _views(
    frame: NDArray[Any],
    out: NDArray[Any],
    layout: Layout | None,
    method: Method,
    yuv: str | None,
    matrix: str,
) -> tuple[NDArray[np.uint8], _Shape, NDArray[Any]]:
    """The frame as the kernels take it, its shape, and ``out`` as (h, w, C); they fit."""
    if method not in METHODS:
        raise InputError(f"the method is {method!r:.80}", hint=f"give one of {', '.join(METHODS)}")
    if yuv is not None:
        return frame, *_yuv_views(frame, out, layout, method, yuv, matrix)
    source, target = _frame(frame), _tensor(out, layout)
    if source.shape[2] > target.shape[2]:
        raise InputError(
            f"the frame {frame.shape} has 3 channels, out {out.shape} has 1",
            hint="give a gray frame (H, W)",
        )
    height, width, channels = source.shape
    return source, (height, width, channels), target


def _yuv_views(
    frame: NDArray[Any],
    out: NDArray[Any],
    layout: Layout | None,
    method: Method,
    yuv: str,
    matrix: str,
) -> tuple[_Shape, NDArray[Any]]:
    shape = yuv_of(frame, yuv, matrix)
    target = _tensor(out, layout)
    if method != "bilinear":
        raise InputError(f"the method is {method!r} for yuv={yuv!r}", hint="it is 'bilinear' alone")
    if target.shape[2] != 3:
        raise InputError(
            f"the frame is {yuv}, out {out.shape} has 1 channel",
            hint="give its luma as a gray frame, without yuv",
        )
    return shape, target


def _frame(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """The frame as (H, W, C) with C 1 or 3."""
    if not isinstance(frame, np.ndarray):
        raise InputError(
            f"the frame is of the type {type(frame).__name__}",
            hint="give a numpy.ndarray of uint8 (H, W, 3), or (H, W) for gray",
        )
    pixels = frame[:, :, None] if frame.ndim == 2 else frame
    fits = pixels.ndim == 3 and pixels.shape[2] in (1, 3) and pixels.size > 0
    if frame.dtype.char != "B" or not fits:
        raise InputError(
            f"the frame is {frame.dtype} {frame.shape}",
            hint="give uint8 (H, W, 3), or (H, W) for gray, of at least one pixel",
        )
    return pixels


def _tensor(out: NDArray[Any], layout: Layout | None) -> NDArray[Any]:
    """A view of ``out`` as (h, w, C)."""
    if not isinstance(out, np.ndarray) or not _is_element(out.dtype):
        kind = out.dtype if isinstance(out, np.ndarray) else type(out).__name__
        raise InputError(
            f"out is {kind}", hint="give a numpy.ndarray of float32, float16, uint8 or int8"
        )
    if not out.flags.writeable:
        raise InputError("out is read-only", hint="give an array that can be written")
    image = out[0] if out.ndim == 4 and out.shape[0] == 1 else out
    if image.ndim != 3 or image.size == 0:
        raise InputError(f"out has the shape {out.shape}", hint="give (1, 3, h, w) or (1, h, w, 3)")
    planar = _is_planar(image.shape, layout) if layout in _LAYOUTS else None
    if planar is None:
        raise InputError(
            f"out has the shape {out.shape} and layout is {layout!r:.80}",
            hint="give 1 or 3 channels, and layout='NCHW' or 'NHWC' where both would fit",
        )
    return image.transpose(1, 2, 0) if planar else image


def _is_element(dtype: np.dtype[Any]) -> bool:
    return dtype.char in _ELEMENTS and dtype.isnative


@lru_cache(_PLANS)
def _is_planar(shape: tuple[int, ...], layout: Layout | None) -> bool | None:
    """True for (C, h, w), False for (h, w, C), None where both or none of them fit."""
    places = {"NCHW": shape[0] in (1, 3), "NHWC": shape[2] in (1, 3)}
    possible = [name for name, fits in places.items() if fits and layout in (None, name)]
    return possible == ["NCHW"] if len(possible) == 1 else None
