# The compiled kernels.  Any thread may call them; the GIL is dropped while a kernel runs.
#
# A TypeError names a wrong dtype and a ValueError a wrong shape, layout or target, with the value.

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# The targets that this machine can run, lowest first, up to HWRT_MAX_TARGET.
def targets() -> tuple[str, ...]: ...

# The target that kernels use: the highest of targets() within the limit.
def current_target() -> str: ...

# Lets kernels use no higher target, in every thread; None lifts the limit.  For tests.
def limit_target(name: str | None) -> None: ...

# Fills classes and scores (n, k) with the k best of each row of logits (n, C), as
# hwrt.kernels.with_numpy.softmax_top_k does.  Rows lie at any stride that is a multiple of
# 4 bytes, the classes of a row next to each other.  The outputs are the caller's, C-contiguous, and
# share no memory with the logits.
def softmax_top_k(
    logits: NDArray[np.float32],
    classes: NDArray[np.int32],
    scores: NDArray[np.float32],
    softmax: bool,
) -> None: ...

# hwrt.kernels.with_numpy.argmax_map.  Either the pixels of a row lie next to each other, or the
# classes of a pixel and the pixels of a row do.  out is the caller's, C-contiguous, and shares no
# memory with the scores.
def argmax_map(
    scores: NDArray[np.float32],
    out: NDArray[np.uint8],
    part: tuple[float, float, float, float] | None = ...,
) -> None: ...

_Three: TypeAlias = tuple[float, float, float]
_SpanTuple: TypeAlias = tuple[int, int, int, int]

# hwrt.kernels.with_numpy.Resampler.  A frame whose pixels or channels do not lie side by
# side is copied first, but for a view [..., ::-1].  The memory for intermediate rows is each
# thread's own and kept.
class Resampler:
    def __init__(
        self, rows: _SpanTuple, columns: _SpanTuple, channels: int, area: bool
    ) -> None: ...
    def run(
        self,
        frame: NDArray[np.uint8],
        out: NDArray[Any],
        top: int,
        left: int,
        scale: _Three,
        bias: _Three,
        pad: _Three,
        reverse: bool,
        threads: int = ...,
    ) -> None: ...

# hwrt.kernels.with_numpy.YuvResampler.  A frame whose bytes of a row do not lie side by side is
# copied first.
class YuvResampler:
    def __init__(
        self,
        rows: _SpanTuple,
        columns: _SpanTuple,
        packed: bool,
        matrix: tuple[float, float, float, float, float, float],
    ) -> None: ...
    def run(
        self,
        frame: NDArray[np.uint8],
        out: NDArray[Any],
        top: int,
        left: int,
        scale: _Three,
        bias: _Three,
        pad: _Three,
        reverse: bool,
        threads: int = ...,
    ) -> None: ...

# hwrt.kernels.with_numpy.yolo_detections.  One of the head's two dimensions is dense, with
# objectness the first.
def yolo_detections(
    numbers: NDArray[Any],
    objectness: bool,
    scale: float,
    zero_point: float,
    conf: float,
    iou: float,
    class_agnostic: bool,
    unit: tuple[float, float],
    to_frame: tuple[float, float, float, float, float, float] | None,
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.int32],
) -> int: ...

# hwrt.kernels.with_numpy.nms.  All arrays are C-contiguous.
def nms(
    order: NDArray[np.int64],
    boxes: NDArray[np.float64],
    groups: NDArray[np.int32],
    iou: float,
    kept: NDArray[np.int64],
) -> int: ...

# hwrt.kernels.with_numpy.quantize and dequantize.  All arrays are C-contiguous.
def quantize(
    x: NDArray[np.float32],
    scales: NDArray[np.float32],
    zero_points: NDArray[np.float32],
    out: NDArray[Any],
) -> None: ...
def dequantize(
    q: NDArray[Any],
    scales: NDArray[np.float32],
    zero_points: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None: ...
