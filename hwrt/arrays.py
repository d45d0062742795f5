"""Other libraries' arrays as NumPy's: by DLPack, ``__array__`` or ``__array_interface__``."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError

__all__ = ["feed_array", "host_array"]

# dlpack.h's DLDeviceType.  The host's processor reads those of the first line itself.
_HOST_DEVICES = frozenset({1, 3, 11, 13})  # cpu, memory pinned by CUDA or ROCm, CUDA's managed
_OTHER_DEVICES = {2: "cuda", 4: "opencl", 7: "vulkan", 8: "metal", 9: "vpi", 10: "rocm",
                  12: "ext_dev", 14: "oneapi", 15: "webgpu", 16: "hexagon", 17: "maia"}  # fmt: skip
# dlpack.h's DLDataTypeCode and bits of the dtypes that NumPy does not have -> ml_dtypes' name.
_SMALL_FLOATS = {
    (4, 16): "bfloat16",
    (7, 8): "float8_e3m4",
    (8, 8): "float8_e4m3",
    (9, 8): "float8_e4m3b11fnuz",
    (10, 8): "float8_e4m3fn",
    (11, 8): "float8_e4m3fnuz",
    (12, 8): "float8_e5m2",
    (13, 8): "float8_e5m2fnuz",
    (14, 8): "float8_e8m0fnu",
}


def feed_array(value: Any, name: str) -> NDArray[Any]:
    """The value (an array of any library on the host, a list, a number) as a NumPy array.

    Its memory is shared where that is possible.  Raises InputError, naming the feed, for an array
    on another device and for what is no array.
    """
    if hasattr(type(value), "__dlpack__"):
        _check_on_host(value, f"the feed {name!r}")
        shared, fault = _shared(value)
        if shared is not None:
            return shared
        if not hasattr(type(value), "__array__"):
            raise _no_array(value, f"the feed {name!r}", fault) from fault
    try:
        return np.asarray(value)
    except Exception as exc:  # whatever __array__ of another library raises
        raise _no_array(value, f"the feed {name!r}", exc) from exc


def host_array(value: Any, name: str) -> NDArray[Any]:
    """The array of any library on the host as a NumPy array over the same memory; never a copy.

    It keeps the value alive.  Raises InputError, naming the tensor it is for, where that can not
    be.
    """
    if isinstance(value, np.ndarray):
        return value
    what = f"the array for {name!r}"
    fault: Exception | None = None
    if hasattr(type(value), "__dlpack__"):
        _check_on_host(value, what)
        shared, fault = _shared(value)
        if shared is not None:
            return shared
    if hasattr(value, "__array_interface__"):
        try:
            return np.asarray(value)
        except Exception as exc:
            raise _no_array(value, what, exc) from exc
    raise InputError(
        f"{what} is a {type(value).__name__}, whose memory can not be used in place"
        f"{f': {fault}' if fault else ''}",
        hint="give a numpy.ndarray, or an array of the host with __dlpack__",
    )


def _check_on_host(value: Any, what: str) -> None:
    try:
        kind, index = map(int, value.__dlpack_device__())
    except Exception as exc:
        raise _no_array(value, what, exc) from exc
    if kind not in _HOST_DEVICES:
        device = f"{_OTHER_DEVICES.get(kind, f'DLPack device type {kind}')}:{index}"
        raise InputError(
            f"{what} lies on {device}",
            hint="copy it to the host first, for example with .cpu(): hwrt reads host memory",
        )


def _shared(value: Any) -> tuple[NDArray[Any] | None, Exception | None]:
    """(an array over the value's memory, None), or (None, why there is none)."""
    try:
        return np.from_dlpack(value), None
    except Exception as exc:  # noqa: BLE001 - what exporters raise is theirs
        fault = exc
    try:
        # NumPy knows no bfloat16.
        return _small_floats(value), None
    except Exception:  # noqa: BLE001 - as above; the first one tells more
        return None, fault


def _no_array(value: Any, what: str, fault: Exception | None) -> InputError:
    return InputError(
        f"{what}, a {type(value).__name__}, can not be read as an array: {fault}",
        hint="give a numpy.ndarray",
    )


class _Tensor(ctypes.Structure):
    """dlpack.h's DLTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Memory:
    """What NumPy makes an array of.  The capsule gives the memory back when it is dropped."""

    def __init__(self, capsule: object, interface: dict[str, Any]) -> None:
        self.capsule = capsule
        self.__array_interface__ = interface


def _small_floats(value: Any) -> NDArray[Any]:
    """The array of a dtype of ml_dtypes.  Raises KeyError for another dtype."""
    import ml_dtypes

    capsule = value.__dlpack__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    tensor = _Tensor.from_address(pointer(capsule, b"dltensor"))
    dtype = np.dtype(getattr(ml_dtypes, _SMALL_FLOATS[tensor.code, tensor.bits]))
    shape = tuple(tensor.shape[: tensor.ndim])
    size = dtype.itemsize
    interface = {
        "version": 3,
        "data": ((tensor.data or 0) + tensor.byte_offset, False),
        "typestr": f"<u{size}" if size > 1 else "|u1",
        "shape": shape,
        "strides": tuple(step * size for step in tensor.strides[: tensor.ndim])
        if tensor.strides
        else None,
    }
    return np.asarray(_Memory(capsule, interface)).view(dtype)
