"""The kernels, served by the best form that this installation has.

The compiled extension comes first, then numba where it is installed, then NumPy.  The choice is
made at the first call and kept.  Whatever is not the extension is said once on the logger ``hwrt``,
or is an error where ``HWRT_REQUIRE_KERNELS=1`` asks for the extension.

Every form is a module with the same functions, which fill arrays that the caller brings; those of
``with_numpy`` say what they do.  ``softmax_top_k`` here, and the modules of ``hwrt.vision``, check,
allocate and call.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import HwrtError, InputError

__all__ = ["Form", "Resampler", "active", "form", "softmax_top_k"]

_REBUILD = "install a C++17 compiler (apt install g++), then `pip install -e .` from the checkout"


class Resampler(Protocol):
    """``with_numpy.Resampler`` or ``YuvResampler``, in some form.

    Any thread may call it, also at the same time.
    """

    def run(
        self,
        frame: NDArray[np.uint8],
        out: NDArray[Any],
        top: int,
        left: int,
        scale: tuple[float, float, float],
        bias: tuple[float, float, float],
        pad: tuple[float, float, float],
        reverse: bool,
        threads: int = 1,
    ) -> None:
        """Write the frame into out (h, w, C), and pad around it."""


SpanTuple = tuple[int, int, int, int]
Matrix = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, eq=False)
class Form:
    """One form of the kernels: what serves them, and its functions; it is equal to itself alone."""

    name: str
    argmax_map: Callable[..., None]
    softmax_top_k: Callable[[NDArray[Any], NDArray[np.int32], NDArray[np.float32], bool], None]
    resampler: Callable[[SpanTuple, SpanTuple, int, bool], Resampler]
    yuv_resampler: Callable[[SpanTuple, SpanTuple, bool, Matrix], Resampler]
    yolo_detections: Callable[..., int]
    nms: Callable[..., int]
    quantize: Callable[..., None]
    dequantize: Callable[..., None]

    @classmethod
    def of(cls, name: str, module: Any) -> Form:
        """The form whose functions are those of the module."""
        return cls(
            name,
            module.argmax_map,
            module.softmax_top_k,
            module.Resampler,
            module.YuvResampler,
            module.yolo_detections,
            module.nms,
            module.quantize,
            module.dequantize,
        )


def active() -> str:
    """What serves the kernels: ``extension`` and its target, ``numba`` or ``numpy``.

    Raises HwrtError where the extension is required and missing, InputError where
    ``HWRT_MAX_TARGET`` names no target of this machine.
    """
    name = form().name
    return f"{name} {_target()}" if name == "extension" else name


def softmax_top_k(
    logits: NDArray[np.float32], k: int = 5, *, softmax: bool = True
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The classes with the ``k`` highest logits of each row and their scores, best first.

    ``logits`` is (n, C) float32 in any layout; the result is a (n, min(k, C)) int32 and a (n,
    min(k, C)) float32 array, owned by the caller.  Of two equal logits the lower class comes first.
    Scores are softmax probabilities, or without ``softmax`` the logits as they stand.  A NaN ranks
    as -inf does and has the probability 0; m classes of +inf have 1 / m each; a row of nothing but
    NaN and -inf has NaN for probabilities.

    Raises InputError for another dtype, another number of dimensions, rows without classes and a
    ``k`` below 1; and what ``active`` raises.
    """
    _check(logits, k)
    if logits.strides[1] != logits.itemsize or not logits.flags.aligned:
        logits = np.ascontiguousarray(logits)
    shape = (logits.shape[0], min(k, logits.shape[1]))
    classes, scores = np.empty(shape, np.int32), np.empty(shape, np.float32)
    form().softmax_top_k(logits, classes, scores, softmax)
    return classes, scores


def _check(logits: NDArray[Any], k: int) -> None:
    if not isinstance(logits, np.ndarray) or logits.dtype != np.float32:
        kind = logits.dtype if isinstance(logits, np.ndarray) else type(logits).__name__
        raise InputError(
            f"logits is {kind}, not a float32 array", hint="np.asarray(logits, np.float32)"
        )
    if logits.ndim != 2 or logits.shape[1] == 0:
        raise InputError(
            f"logits has the shape {logits.shape}", hint="give (n, C) with at least one class"
        )
    if not isinstance(k, int | np.integer) or k < 1:
        raise InputError(f"k is {k!r}", hint="give a whole number from 1")


_chosen: Form | None = None
_choosing = threading.Lock()


def form() -> Form:
    """The form that serves; chosen at the first call.

    Raises what ``active`` raises.
    """
    global _chosen
    if _chosen is None:
        with _choosing:
            if _chosen is None:
                _chosen = _choose()
    return _chosen


def _choose() -> Form:
    try:
        chosen = _extension()
    except ImportError as exc:
        if os.environ.get("HWRT_REQUIRE_KERNELS") == "1":
            raise HwrtError(
                f"the compiled kernels are missing and HWRT_REQUIRE_KERNELS=1 asks for them: {exc}",
                hint=_REBUILD,
            ) from exc
        chosen = _fallback()
        logging.getLogger("hwrt").warning(
            "the compiled kernels are missing (%s): %s serves them, slower; to mend it, %s",
            exc,
            chosen.name,
            _REBUILD,
        )
    return chosen


def _extension() -> Form:
    import hwrt._kernels as compiled

    _target()
    return Form.of("extension", compiled)


def _target() -> str:
    import hwrt._kernels as compiled

    try:
        return compiled.current_target()
    except ValueError as exc:
        raise InputError(str(exc), hint="set HWRT_MAX_TARGET to one of them, or unset it") from exc


def _fallback() -> Form:
    from hwrt.kernels import with_numpy

    try:
        from hwrt.kernels import with_numba
    except ImportError:
        return Form.of("numpy", with_numpy)
    return Form.of("numba", with_numba)
