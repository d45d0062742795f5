from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.session import Session
from hwrt.spec import TensorSpec

from .fakes import ONES, Model, session_of


class Foreign:
    """Another library's array, by DLPack alone."""

    def __init__(self, array: np.ndarray, device: tuple[int, int] = (1, 0)) -> None:
        self._array, self._device = array, device

    def __dlpack__(self, **named: Any) -> object:
        return self._array.__dlpack__(**named)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device


class Converts:
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return ONES


ROWS = np.arange(16, dtype=np.float32).reshape(1, 16) - 8


def test_an_array_of_another_library_is_fed(relu: Session) -> None:
    np.testing.assert_array_equal(relu.run({"x": Foreign(ROWS)})["y"], np.maximum(ROWS, 0))
    np.testing.assert_array_equal(relu(Foreign(ROWS))["y"], np.maximum(ROWS, 0))
    np.testing.assert_array_equal(
        relu.submit({"x": Foreign(ROWS)}).result(30)["y"], np.maximum(ROWS, 0)
    )


def test_an_array_that_converts_itself_is_fed() -> None:
    np.testing.assert_array_equal(session_of(Model())(Converts())["y"], ONES * 2)


def test_a_strided_array_of_another_library_is_fed(relu: Session) -> None:
    wide = np.repeat(ROWS, 2, axis=1)

    np.testing.assert_array_equal(relu(Foreign(wide[:, ::2]))["y"], np.maximum(ROWS, 0))


def test_an_array_on_another_device_is_refused_by_its_name() -> None:
    with pytest.raises(InputError, match=r"the feed 'x' lies on cuda:1 \(copy it to the host"):
        session_of(Model())(Foreign(ONES, (2, 1)))


def test_an_array_of_another_dtype_or_shape_is_refused_like_numpys() -> None:
    session = session_of(Model())

    with pytest.raises(InputError, match="the feed 'x', a Foreign, is float64, the input is float"):
        session(Foreign(ONES.astype(np.float64)))
    with pytest.raises(InputError, match=r"the feed 'x' has the shape \(4,\)"):
        session(Foreign(ONES[0]))


def test_a_list_is_fed_where_numpy_gives_it_the_dtype_of_the_input() -> None:
    model = Model()
    model.inputs = (TensorSpec("x", np.dtype(np.int64), (1, 4)),)

    np.testing.assert_array_equal(session_of(model)([[1, 2, 3, 4]])["y"], [[2, 4, 6, 8]])


def test_what_is_no_array_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match="the feed 'x', a list, can not be read as an array"):
        session_of(Model())([[1.0], [1.0, 2.0]])


def test_bfloat16_is_fed_as_it_is() -> None:
    model = Model()
    model.inputs = (TensorSpec("x", np.dtype(ml_dtypes.bfloat16), (1, 4)),)
    array = np.ones((1, 4), ml_dtypes.bfloat16)

    np.testing.assert_array_equal(session_of(model)(array)["y"].astype(np.float32), ONES * 2)


def test_a_request_uses_the_memory_of_another_library(relu: Session) -> None:
    x, y = ROWS.copy(), np.zeros((1, 16), np.float32)
    request = relu.request()
    request.bind("x", Foreign(x))
    request.bind("y", Foreign(y))
    request.run()
    x[...] = 5
    request.run()

    np.testing.assert_array_equal(y, np.full((1, 16), 5, np.float32))


def test_a_request_binds_nothing_that_lies_elsewhere(relu: Session) -> None:
    request = relu.request()

    with pytest.raises(InputError, match="the array for 'x' lies on cuda:0"):
        request.bind("x", Foreign(ROWS, (2, 0)))
    with pytest.raises(InputError, match="memory can not be used in place"):
        request.bind("x", ROWS.tolist())
