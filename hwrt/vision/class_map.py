"""The class of each pixel, from a map of scores or of classes, in a frame's size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError
from hwrt.kernels import form
from hwrt.vision.geometry import Geometry
from hwrt.vision.scalars import whole_number

__all__ = ["MOST_CLASSES", "Part", "argmax_map", "best_classes", "nearest_classes", "part_of"]

MOST_CLASSES = 256
"""What uint8 can number."""

Part = tuple[float, float, float, float]
"""top, height, left, width of a part of a map, in its pixels and fractions of them."""

_AXES = {"NCHW": 0, "NHWC": 2}


def argmax_map(
    logits: NDArray[Any], size: Sequence[int] | None = None, *, layout: str = "NCHW"
) -> NDArray[np.uint8]:
    """The class with the highest logit of each pixel, uint8 (H, W); the lowest one of equals.

    ``logits`` are floats (C, h, w), with ``layout="NHWC"`` (h, w, C), with or without a leading
    dimension of 1; C is at most 256.  A NaN ranks as -inf does.

    ``size`` is the (H, W) wanted: the logits are resized to it first, bilinearly with pixel centres
    as ``hwrt.vision.resize`` does, and held within +-1e38 for that; the resized ones are never
    stored.  The result is the caller's.
    """
    scores = _scores(logits, layout)
    if size is None:
        return best_classes(scores, scores.shape[:2], None)
    height, width = _size(size)
    return best_classes(scores, (height, width), (0.0, scores.shape[0], 0.0, scores.shape[1]))


def best_classes(
    scores: NDArray[Any], size: tuple[int, ...], part: Part | None
) -> NDArray[np.uint8]:
    """The best class of each of (H, W) pixels, which cover this part of the scores (h, w, C).

    ``part`` is None where the pixels are those of the scores.
    """
    with np.errstate(over="ignore"):  # of float64: what is too large is infinite
        floats = scores.astype(np.float32, copy=False)
    if not _is_readable(floats):
        floats = np.ascontiguousarray(floats)
    out = np.empty(size, np.uint8)
    form().argmax_map(floats, out, part)
    return out


def nearest_classes(
    numbers: NDArray[Any], size: tuple[int, int], part: Part | None
) -> NDArray[np.uint8]:
    """The class of each of (H, W) pixels, from the pixel of this part of ``numbers`` that it is in.

    ``numbers`` is (h, w), of integers.  Raises InputError for one that is not in 0..255.
    """
    least, most = int(numbers.min()), int(numbers.max())
    if not 0 <= least <= most < MOST_CLASSES:
        raise InputError(
            f"the map of classes has the number {least if least < 0 else most}",
            hint=f"classes are numbered from 0 to {MOST_CLASSES - 1}",
        )
    classes = numbers.astype(np.uint8)
    if part is None:
        return classes
    rows = _nearest(*part[:2], classes.shape[0], size[0])
    columns = _nearest(*part[2:], classes.shape[1], size[1])
    return classes[rows][:, columns]


def part_of(place: Geometry, height: int, width: int) -> Part:
    """The part that the frame covers of a map (height, width) of the whole input."""
    rows, columns = height / place.input_height, width / place.input_width
    return (
        place.pad_y * rows,
        place.frame_height * place.scale_y * rows,
        place.pad_x * columns,
        place.frame_width * place.scale_x * columns,
    )


def _nearest(begin: float, extent: float, source: int, count: int) -> NDArray[np.intp]:
    places = np.floor((np.arange(count) + 0.5) * (extent / count) + begin)
    return np.asarray(np.clip(places, 0, source - 1), np.intp)


def _scores(logits: NDArray[Any], layout: str) -> NDArray[Any]:
    """A view (h, w, C) of the logits."""
    if not isinstance(layout, str) or layout not in _AXES:
        raise InputError(f"layout is {layout!r:.80}", hint=f"give one of {', '.join(_AXES)}")
    shown = "(C, h, w)" if layout == "NCHW" else "(h, w, C)"
    if not isinstance(logits, np.ndarray) or logits.dtype.kind != "f":
        kind = logits.dtype if isinstance(logits, np.ndarray) else type(logits).__name__
        raise InputError(f"the logits are {kind}", hint=f"give floats {shown}")
    image = logits[0] if logits.ndim == 4 and len(logits) == 1 else logits
    if image.ndim != 3 or image.size == 0:
        raise InputError(f"the logits have the shape {logits.shape}", hint=f"give {shown}")
    scores = np.moveaxis(image, _AXES[layout], 2)
    if scores.shape[2] > MOST_CLASSES:
        raise InputError(
            f"the logits {logits.shape} have {scores.shape[2]} classes as {layout}",
            hint=f"uint8 can number {MOST_CLASSES}; give layout where the other one was meant",
        )
    return scores


def _size(size: Sequence[int]) -> tuple[int, int]:
    try:
        height, width = size
    except (TypeError, ValueError) as exc:
        raise InputError(f"size is {size!r:.80}", hint="give (height, width)") from exc
    return whole_number("size", height, least=1), whole_number("size", width, least=1)


def _is_readable(scores: NDArray[np.float32]) -> bool:
    """True where the kernels read the scores (h, w, C) where they lie."""
    if not scores.flags.aligned or not scores.dtype.isnative:
        return False
    if scores.flags.c_contiguous or scores.shape[1] == 1:
        return True
    return scores.strides[1] == scores.itemsize or (
        scores.strides[2] == scores.itemsize
        and scores.strides[1] == scores.itemsize * scores.shape[2]
    )
