"""Numbers made into the integers of a quantised tensor, and back.

Source: ONNX's QuantizeLinear and DequantizeLinear,
https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html; TFLite's integers mean the same,
https://ai.google.dev/edge/litert/models/quantization_spec.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hwrt.errors import InputError
from hwrt.kernels import form

__all__ = ["check_step", "dequantize", "quantize"]

# By NumPy's letters.
_INTEGERS = {"b": "int8", "B": "uint8", "h": "int16", "H": "uint16"}

Scale = float | Sequence[float] | NDArray[Any]
ZeroPoint = int | Sequence[int] | NDArray[Any]


def quantize(
    x: NDArray[Any],
    scale: Scale,
    zero_point: ZeroPoint,
    dtype: DTypeLike,
    out: NDArray[Any] | None = None,
    *,
    axis: int | None = None,
) -> NDArray[Any]:
    """The integers ``round(x / scale) + zero_point``, saturated to the range of ``dtype``.

    ``x`` holds floats of any shape; the arithmetic is float32, halves are rounded to the even
    neighbour, infinities saturate and NaN becomes the zero point.  ``dtype`` is int8, uint8, int16
    or uint16.  ``scale`` and ``zero_point`` are one number each, or one for each index of the
    dimension ``axis``.  ``out`` takes the result where it is given, which must have the shape of x
    and the dtype; it is returned.
    """
    values = np.asarray(x)
    if values.dtype.kind != "f":
        raise InputError(f"x is {values.dtype}", hint="give floats")
    kind = _integer(dtype)
    axis = _dimension(axis, values.shape)
    scales, zeros = _parameters(scale, zero_point, axis, values.shape, kind)
    result = _target(out, values.shape, kind)
    shape = _channels(values.shape, axis, len(scales))
    with np.errstate(over="ignore"):  # of float64: what is too large is infinite
        dense = np.require(values, np.float32, ["C", "A"])
    filled = result if _can_fill(result, dense) else np.empty(values.shape, kind)
    form().quantize(dense.reshape(shape), scales, zeros, filled.reshape(shape))
    if filled is not result:
        result[...] = filled
    return result


def dequantize(
    q: NDArray[Any],
    scale: Scale,
    zero_point: ZeroPoint,
    out: NDArray[Any] | None = None,
    *,
    axis: int | None = None,
) -> NDArray[np.float32]:
    """The numbers ``(q - zero_point) * scale`` in float32, for integers as ``quantize`` gives them.

    ``scale``, ``zero_point``, ``axis`` and ``out`` are as for ``quantize``; ``out`` is float32.
    """
    integers = np.asarray(q)
    kind = _integer(integers.dtype)
    axis = _dimension(axis, integers.shape)
    scales, zeros = _parameters(scale, zero_point, axis, integers.shape, kind)
    result = _target(out, integers.shape, np.dtype(np.float32))
    shape = _channels(integers.shape, axis, len(scales))
    dense = np.require(integers, kind, ["C", "A"])
    filled = result if _can_fill(result, dense) else np.empty(integers.shape, np.float32)
    form().dequantize(dense.reshape(shape), scales, zeros, filled.reshape(shape))
    if filled is not result:
        result[...] = filled
    return result


def check_step(scale: float, zero_point: int, dtype: DTypeLike) -> None:
    """Raise InputError unless integers of this dtype can have this scale and zero point."""
    _parameters(scale, zero_point, None, (), _integer(dtype))


def _can_fill(out: NDArray[Any], read: NDArray[Any]) -> bool:
    """True where the kernel may write this array while it reads the other."""
    flags = out.flags
    return flags.c_contiguous and flags.aligned and not np.may_share_memory(out, read)


def _channels(shape: tuple[int, ...], axis: int | None, count: int) -> tuple[int, int, int]:
    """The shape as (outer, channels, inner), where the channels have scales of their own."""
    if axis is None or count == 1:
        return 1, 1, math.prod(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def _dimension(axis: int | None, shape: tuple[int, ...]) -> int | None:
    """The axis counted from the first; InputError where the shape has none of that number."""
    if axis is None:
        return None
    try:
        found = operator.index(axis)
    except TypeError:
        found = len(shape)
    if isinstance(axis, bool) or not -len(shape) <= found < len(shape):
        raise InputError(f"axis is {axis} for the shape {shape}", hint="give one of its dimensions")
    return found % len(shape)


def _integer(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        kind = np.dtype(dtype)
    except TypeError:  # "int4", which NumPy lacks
        kind = None
    if kind is None or kind.char not in _INTEGERS or not kind.isnative:
        raise InputError(
            f"the dtype is {dtype}", hint=f"it is one of {', '.join(_INTEGERS.values())}"
        )
    return kind


def _numbers(name: str, value: Any, hint: str) -> NDArray[np.float64]:
    try:
        if np.asarray(value).dtype.kind in "SUc":
            raise TypeError(value)
        return np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError) as exc:
        raise InputError(f"the {name} is {value!r:.80}", hint=hint) from exc


def _parameters(
    scale: Scale,
    zero_point: ZeroPoint,
    axis: int | None,
    shape: tuple[int, ...],
    kind: np.dtype[Any],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scales and zero points in float32, as many of one as of the other."""
    if axis is None and isinstance(scale, float) and isinstance(zero_point, int):
        return _one_step(scale, zero_point, kind)
    return _steps(scale, zero_point, axis, shape, kind)


@lru_cache(64)
def _one_step(
    scale: float, zero_point: int, kind: np.dtype[Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The usual case, checked once.  Nobody writes to the arrays."""
    return _steps(scale, zero_point, None, (), kind)


def _steps(
    scale: Scale,
    zero_point: ZeroPoint,
    axis: int | None,
    shape: tuple[int, ...],
    kind: np.dtype[Any],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    numbers = "give finite numbers above 0"
    with np.errstate(over="ignore"):
        scales = _numbers("scale", scale, numbers).astype(np.float32)
    if not (np.isfinite(scales) & (scales > 0)).all():
        raise InputError(f"the scale is {scale!r:.80}", hint=numbers)
    limits = np.iinfo(kind)
    integers = f"give integers of {kind}: {limits.min} to {limits.max}"
    zeros = _numbers("zero point", zero_point, integers)
    if not ((zeros >= limits.min) & (zeros <= limits.max) & (zeros == np.rint(zeros))).all():
        raise InputError(f"the zero point is {zero_point!r:.80}", hint=integers)
    count = 1 if axis is None else shape[axis]
    if scales.size not in (1, count) or zeros.size not in (1, count):
        raise InputError(
            f"there are {scales.size} scales and {zeros.size} zero points for axis={axis} of the "
            f"shape {shape}",
            hint=f"give 1, or {count}",
        )
    parts = max(scales.size, zeros.size)
    return (
        np.ascontiguousarray(np.broadcast_to(scales.ravel(), parts)),
        np.ascontiguousarray(np.broadcast_to(zeros.astype(np.float32).ravel(), parts)),
    )


def _target(out: NDArray[Any] | None, shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
    if out is None:
        return np.empty(shape, kind)
    if not isinstance(out, np.ndarray) or out.dtype != kind or out.shape != shape:
        shown = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InputError(f"out is {shown}", hint=f"give an array of {kind} {shape}")
    if not out.flags.writeable:
        raise InputError("out is read-only", hint="give an array that can be written")
    return out
