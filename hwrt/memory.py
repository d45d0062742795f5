"""Host memory for requests."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALIGNMENT_BYTES", "empty_aligned"]

ALIGNMENT_BYTES = 64
"""A cache line, the width of an AVX-512 register, and what LiteRT asks of host memory."""


def empty_aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A C-contiguous array of arbitrary content whose first byte is 64-byte aligned.

    Object arrays (strings) are ordinary ones, filled with None.
    """
    if dtype.hasobject:
        return np.empty(shape, dtype)
    size_bytes = math.prod(shape) * dtype.itemsize
    block = np.empty(size_bytes + ALIGNMENT_BYTES, np.uint8)
    start = -block.ctypes.data % ALIGNMENT_BYTES
    return block[start : start + size_bytes].view(dtype).reshape(shape)
