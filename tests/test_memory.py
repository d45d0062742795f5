from __future__ import annotations

import numpy as np
import pytest

from hwrt.memory import ALIGNMENT_BYTES, empty_aligned

SHAPES = [(), (1,), (3,), (7, 11, 13), (1, 3, 640, 640)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "f2", "f4", "f8", "c16"])
def test_array_has_shape_and_dtype_and_begins_at_a_multiple_of_64(
    shape: tuple[int, ...], dtype: str
) -> None:
    array = empty_aligned(shape, np.dtype(dtype))

    assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
    assert array.ctypes.data % ALIGNMENT_BYTES == 0
    assert array.flags.carray


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 5)], ids=str)
def test_array_without_elements_has_its_shape_and_dtype(shape: tuple[int, ...]) -> None:
    array = empty_aligned(shape, np.dtype("f8"))

    assert (array.shape, array.dtype, array.size) == (shape, np.dtype("f8"), 0)


def test_every_one_of_many_is_aligned() -> None:
    arrays = [empty_aligned((n,), np.dtype("u1")) for n in range(1, 200)]

    assert {array.ctypes.data % ALIGNMENT_BYTES for array in arrays} == {0}


def test_arrays_do_not_share_memory() -> None:
    first, second = empty_aligned((5,), np.dtype("f4")), empty_aligned((5,), np.dtype("f4"))

    assert not np.shares_memory(first, second)


def test_all_of_the_memory_is_the_arrays() -> None:
    array = empty_aligned((3, 5), np.dtype("f8"))
    array[...] = np.arange(15).reshape(3, 5)

    np.testing.assert_array_equal(np.arange(15).reshape(3, 5), array)


def test_strings_are_ordinary_arrays_of_none() -> None:
    array = empty_aligned((2, 2), np.dtype(object))

    assert array.tolist() == [[None, None], [None, None]]


def test_types_of_ml_dtypes_are_aligned_too() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    array = empty_aligned((3, 3), np.dtype(ml_dtypes.bfloat16))
    array[...] = 1.5

    assert array.dtype == ml_dtypes.bfloat16
    assert array.ctypes.data % ALIGNMENT_BYTES == 0
    assert (array == 1.5).all()
