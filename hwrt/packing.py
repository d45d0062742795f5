"""Elements smaller than a byte: one in each byte in NumPy, several in each byte at the vendors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["element_bits", "pack_elements", "unpack_elements"]

_SMALL = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2}


def element_bits(dtype: np.dtype[Any]) -> int:
    """The bits that an element of this dtype takes where elements are packed."""
    return _SMALL.get(dtype.name, 8 * dtype.itemsize)


def pack_elements(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The elements in as few bytes as they take, the first in the lowest bits, in a new array.

    ``array`` is of a dtype of 2 or 4 bits.  Bits after the last element are 0.
    """
    bits = element_bits(array.dtype)
    per_byte = 8 // bits
    codes = np.zeros(-(-array.size // per_byte) * per_byte, np.uint8)
    codes[: array.size] = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
    codes &= (1 << bits) - 1
    codes <<= np.tile(np.arange(0, 8, bits, dtype=np.uint8), codes.size // per_byte)
    packed: NDArray[np.uint8] = np.bitwise_or.reduce(codes.reshape(-1, per_byte), axis=1)
    return packed


def unpack_elements(
    packed: NDArray[np.uint8], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """The array of this shape and dtype that ``pack_elements`` made these bytes of."""
    bits = element_bits(dtype)
    codes = packed[:, np.newaxis] >> np.arange(0, 8, bits, dtype=np.uint8)
    codes &= (1 << bits) - 1
    return codes.reshape(-1)[: math.prod(shape)].view(dtype).reshape(shape)
