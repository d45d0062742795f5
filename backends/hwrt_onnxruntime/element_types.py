"""The element types of ONNX Runtime: NumPy's own, and those that pass as raw memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hwrt.backend import (
    Array,
    TensorSpec,
    UnsupportedModel,
    element_bits,
    pack_elements,
    unpack_elements,
)

__all__ = ["array_of", "element_type", "is_foreign", "numpy_dtype", "value_of"]

# onnxruntime's names of the types that NumPy calls otherwise.
_NUMPY = {
    "bool": "bool",
    "float": "float32",
    "float16": "float16",
    "double": "float64",
    "string": "object",
    "complex64": "complex64",
    "complex128": "complex128",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
# onnxruntime's names of the types that NumPy lacks -> those of ml_dtypes.  No kernel of the CPU
# provider takes float4e2m1.
_FOREIGN = {
    "bfloat16": "bfloat16",
    "float8e4m3fn": "float8_e4m3fn",
    "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2",
    "float8e5m2fnuz": "float8_e5m2fnuz",
    "float8e8m0": "float8_e8m0fnu",
    "int4": "int4",
    "uint4": "uint4",
    "int2": "int2",
    "uint2": "uint2",
}
# The numbers that ONNX gives to these types, by which onnxruntime takes memory as one of them.
_NUMBERS = {
    "bfloat16": 16,
    "float8_e4m3fn": 17,
    "float8_e4m3fnuz": 18,
    "float8_e5m2": 19,
    "float8_e5m2fnuz": 20,
    "uint4": 21,
    "int4": 22,
    "float8_e8m0fnu": 24,
    "uint2": 25,
    "int2": 26,
}


def numpy_dtype(node: Any, spec: TensorSpec | None) -> np.dtype[Any]:
    """The dtype of an onnxruntime NodeArg, which ``spec`` is the file's word on.

    A dtype that NumPy lacks is the file's: whoever read the file had ml_dtypes.  Raises
    UnsupportedModel for what is no tensor, for types that never pass, and for foreign ones where
    this onnxruntime takes no raw memory.
    """
    name = node.type.removeprefix("tensor(").removesuffix(")")
    if name in _NUMPY:
        return np.dtype(_NUMPY[name])
    if spec is None or _FOREIGN.get(name) != spec.dtype.name:
        raise UnsupportedModel(f"hwrt passes no {node.type} ({node.name!r}) to onnxruntime")
    from onnxruntime import OrtValue

    if not hasattr(OrtValue, "ortvalue_from_numpy_with_onnx_type"):
        raise UnsupportedModel(
            f"this onnxruntime takes no {name} ({node.name!r}) from NumPy",
            hint="pip install --upgrade onnxruntime",
        )
    return spec.dtype


def is_foreign(dtype: np.dtype[Any]) -> bool:
    """True for a dtype that onnxruntime does not know as NumPy's."""
    return dtype.name in _NUMBERS


def element_type(dtype: np.dtype[Any]) -> Any:
    """What onnxruntime calls this dtype where it is given an address: the dtype, or a number."""
    return _NUMBERS.get(dtype.name, dtype)


class _Memory:
    """The bytes of an OrtValue, for NumPy, whose array keeps this and so the OrtValue alive."""

    def __init__(self, value: Any, size_bytes: int) -> None:
        self._value = value
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (size_bytes,),
            "data": (value.data_ptr(), False),
        }


def array_of(value: Any, dtype: np.dtype[Any]) -> Array:
    """The numbers in an OrtValue on the CPU: its own memory, or a copy where it packs them."""
    shape = tuple(value.shape())
    bits = element_bits(dtype)
    size_bytes = -(-math.prod(shape) * bits // 8)
    data = np.asarray(_Memory(value, size_bytes)) if size_bytes else np.empty(0, np.uint8)
    if bits < 8:
        return unpack_elements(data, shape, dtype)
    return data.view(dtype).reshape(shape)


def value_of(array: Array) -> Any:
    """An OrtValue over the memory of a C-contiguous array; over a copy where it packs elements."""
    from onnxruntime import OrtValue

    number = _NUMBERS.get(array.dtype.name)
    if number is None:
        return OrtValue.ortvalue_from_numpy(array)
    if element_bits(array.dtype) >= 8:
        raw = array.view(np.uint16 if array.itemsize == 2 else np.uint8)
    else:
        # onnxruntime takes the shape from the array and reads its first bytes alone.
        raw = np.empty(array.shape, np.uint8)
        packed = pack_elements(array)
        raw.reshape(-1)[: packed.size] = packed
    return OrtValue.ortvalue_from_numpy_with_onnx_type(raw, number)
