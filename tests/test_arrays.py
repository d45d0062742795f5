from __future__ import annotations

import ctypes
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hwrt.arrays import _Tensor, feed_array, host_array
from hwrt.errors import InputError

CPU, CUDA, PINNED = (1, 0), (2, 1), (3, 0)


class Foreign:
    """Another library's array, by DLPack alone; ``code`` is the dtype's where NumPy has none."""

    def __init__(
        self, array: np.ndarray, device: tuple[int, int] = CPU, code: int | None = None
    ) -> None:
        self._array, self._device, self._code = array, device, code

    def __dlpack__(self, **named: Any) -> object:
        if self._code is None:
            return self._array.__dlpack__(**named)
        if named:
            raise TypeError("this one is of before DLPack had versions")
        capsule = self._array.__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
        _Tensor.from_address(pointer(capsule, b"dltensor")).code = self._code
        return capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device


class Interface:
    def __init__(self, array: np.ndarray) -> None:
        self.__array_interface__ = array.__array_interface__
        self._array = array


class Converts:
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.arange(3.0)


class Broken(Foreign):
    def __dlpack__(self, **named: Any) -> object:
        raise BufferError("it needs a gradient")


class BrokenButConverts(Broken, Converts):
    pass


BOTH = pytest.mark.parametrize("read", [feed_array, host_array])


@BOTH
def test_memory_of_another_library_is_shared(read: Any) -> None:
    array = np.arange(12.0).reshape(3, 4)[::2, 1:]

    found = read(Foreign(array), "x")

    assert np.shares_memory(found, array)
    np.testing.assert_array_equal(found, array)


@BOTH
@pytest.mark.parametrize("device", [PINNED, (13, 0), (11, 0)])
def test_host_memory_that_a_device_sees_too_is_host_memory(
    read: Any, device: tuple[int, int]
) -> None:
    np.testing.assert_array_equal(read(Foreign(np.ones(3), device), "x"), np.ones(3))


@BOTH
@pytest.mark.parametrize(
    ("device", "name"),
    [(CUDA, "cuda:1"), ((8, 0), "metal:0"), ((77, 2), "DLPack device type 77:2")],
)
def test_an_array_on_another_device_is_refused_by_its_name(
    read: Any, device: tuple[int, int], name: str
) -> None:
    with pytest.raises(InputError, match=rf"'x' lies on {name} \(copy it to the host first"):
        read(Foreign(np.ones(3), device), "x")


@BOTH
@pytest.mark.parametrize(
    ("raw", "code", "dtype"),
    [
        (np.uint16, 4, ml_dtypes.bfloat16),
        (np.uint8, 10, ml_dtypes.float8_e4m3fn),
        (np.uint8, 12, ml_dtypes.float8_e5m2),
    ],
)
def test_small_floats_that_numpy_does_not_know_are_those_of_ml_dtypes(
    read: Any, raw: type, code: int, dtype: type
) -> None:
    values = np.array([[1, 2], [-3, 0.5]], dtype)[:, ::-1]

    found = read(Foreign(values.view(raw), code=code), "x")

    assert found.dtype == dtype
    assert np.shares_memory(found, values)
    np.testing.assert_array_equal(found.astype(np.float32), values.astype(np.float32))


def test_memory_of_another_library_is_kept_while_an_array_is_over_it() -> None:
    values = np.full(1000, 2.0, ml_dtypes.bfloat16)
    found = host_array(Foreign(values.view(np.uint16).copy(), code=4), "x")
    np.full(1000, 9, np.uint16)

    np.testing.assert_array_equal(found.astype(np.float32), np.full(1000, 2, np.float32))


def test_read_only_memory_of_another_library_is_shared_and_stays_so() -> None:
    array = np.ones(3)
    array.flags.writeable = False

    assert not host_array(Foreign(array), "x").flags.writeable


@BOTH
def test_the_array_interface_is_shared(read: Any) -> None:
    array = np.arange(3.0)

    assert np.shares_memory(read(Interface(array), "x"), array)


@BOTH
def test_a_wrong_array_interface_is_refused_with_the_reason(read: Any) -> None:
    wrong = Interface(np.ones(3))
    wrong.__array_interface__ = {"shape": (3,), "version": 3}  # type: ignore[assignment]

    with pytest.raises(InputError, match=r"'x', a Interface, .* typestr"):
        read(wrong, "x")


def test_a_feed_may_be_what_converts_itself_a_list_or_a_number() -> None:
    np.testing.assert_array_equal(feed_array(Converts(), "x"), np.arange(3.0))
    np.testing.assert_array_equal(feed_array([1, 2], "x"), np.array([1, 2]))
    assert feed_array(2.5, "x").shape == ()


def test_a_feed_whose_dlpack_fails_may_convert_itself() -> None:
    np.testing.assert_array_equal(feed_array(BrokenButConverts(np.ones(1)), "x"), np.arange(3.0))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Broken(np.ones(1)), "it needs a gradient"),
        ([[1], [1, 2]], "inhomogeneous"),
    ],
    ids=["broken", "ragged"],
)
def test_a_feed_that_is_no_array_is_refused_with_the_reason(value: object, why: str) -> None:
    with pytest.raises(InputError, match=rf"the feed 'x', a .* read as an array: .*{why}"):
        feed_array(value, "x")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1.0], "is a list, whose memory can not be used in place"),
        (Converts(), "is a Converts, whose memory can not be used in place"),
        (Broken(np.ones(1)), "is a Broken, .* in place: it needs a gradient"),
    ],
    ids=["list", "converts", "broken"],
)
def test_nothing_is_copied_to_be_bound(value: object, expected: str) -> None:
    with pytest.raises(InputError, match=f"the array for 'x' {expected}"):
        host_array(value, "x")
