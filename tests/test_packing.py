from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from hwrt.packing import element_bits, pack_elements, unpack_elements

VALUES = {
    "int4": range(-8, 8),
    "uint4": range(16),
    "int2": range(-2, 2),
    "uint2": range(4),
    "float4_e2m1fn": (0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6),
}


@pytest.mark.parametrize(("name", "bits"), [("int4", 4), ("uint2", 2), ("float4_e2m1fn", 4)])
def test_small_elements_have_their_own_bits(name: str, bits: int) -> None:
    assert element_bits(np.dtype(getattr(ml_dtypes, name))) == bits


@pytest.mark.parametrize(("name", "bits"), [("?", 8), ("f2", 16), ("f8", 64), ("c16", 128)])
def test_other_elements_have_the_bits_of_their_bytes(name: str, bits: int) -> None:
    assert element_bits(np.dtype(name)) == bits


def test_first_element_is_in_the_lowest_bits() -> None:
    four = np.array([1, -2, 3]).astype(ml_dtypes.int4)
    two = np.array([1, 2, 3, 0, 1]).astype(ml_dtypes.uint2)

    np.testing.assert_array_equal([0xE1, 0x03], pack_elements(four))
    np.testing.assert_array_equal([0b00111001, 0b01], pack_elements(two))


@pytest.mark.parametrize("name", VALUES)
def test_every_value_and_every_length_comes_back(name: str) -> None:
    dtype = np.dtype(getattr(ml_dtypes, name))
    values = np.array(list(VALUES[name]), "f4").astype(dtype)
    for length in range(values.size + 1):
        packed = pack_elements(values[:length])
        back = unpack_elements(packed, (length,), dtype)

        assert packed.size == -(-length * element_bits(dtype) // 8)
        assert back.dtype == dtype
        np.testing.assert_array_equal(values[:length].astype("f4"), back.astype("f4"))


@pytest.mark.parametrize("shape", [(), (3, 5), (0, 4), (2, 1, 3)], ids=str)
def test_every_shape_comes_back(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(-8, 8, shape).astype(ml_dtypes.int4)
    back = unpack_elements(pack_elements(values), shape, values.dtype)

    assert back.shape == shape
    np.testing.assert_array_equal(values.astype("i1"), back.astype("i1"))


def test_strided_elements_are_packed_in_their_order() -> None:
    values = np.arange(6).reshape(2, 3).astype(ml_dtypes.uint4).T

    np.testing.assert_array_equal([0x30, 0x41, 0x52], pack_elements(values))
