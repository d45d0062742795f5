"""What hwrt._kernels.argmax_map checks before the kernel sees an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

compiled = pytest.importorskip("hwrt._kernels", reason="the extension is not compiled")


def call(**changed: Any) -> None:
    arguments = {
        "scores": np.zeros((4, 5, 3), np.float32),
        "out": np.empty((4, 5), np.uint8),
        "part": None,
    }
    compiled.argmax_map(**{**arguments, **changed})


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def unaligned() -> np.ndarray:
    return np.zeros(241, np.uint8)[1:].view(np.float32).reshape(4, 5, 3)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("scores", np.zeros((4, 5, 3)), "scores is float64, not float32"),
        ("scores", np.zeros((4, 5, 3), ">f4"), "scores is >f4, not float32"),
        ("out", np.zeros((4, 5), np.int8), "out is int8, not uint8"),
    ],
)
def test_another_dtype_is_a_type_error(name: str, array: np.ndarray, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(**{name: array})


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("scores", np.zeros((4, 5), np.float32), r"scores has the shape \(4, 5\)"),
        ("scores", np.zeros((0, 5, 3), np.float32), "with 1 to 256 classes"),
        ("scores", np.zeros((4, 5, 0), np.float32), "with 1 to 256 classes"),
        ("scores", np.zeros((4, 5, 257), np.float32), "with 1 to 256 classes"),
        ("scores", np.zeros((4, 5, 6), np.float32)[:, :, ::2], "neither the pixels of a row"),
        ("scores", np.zeros((4, 10, 3), np.float32)[:, ::2], "neither the pixels of a row"),
        ("scores", unaligned(), "no multiple of 4"),
        ("out", np.zeros((4, 6), np.uint8), r"out has the shape \(4, 6\), not \(4, 5\)"),
        ("out", np.zeros((4, 10), np.uint8)[:, ::2], "out is not C-contiguous"),
        ("out", read_only(np.zeros((4, 5), np.uint8)), "out is read-only"),
    ],
)
def test_another_shape_or_layout_is_a_value_error(
    name: str, array: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(**{name: array})


@pytest.mark.parametrize(
    "part",
    [
        (0.0, 0.0, 0.0, 5.0),
        (0.0, 4.0, 0.0, -1.0),
        (np.nan, 4.0, 0.0, 5.0),
        (0.0, np.inf, 0.0, 5.0),
        (0.0, 4.0, -1e300, 5.0),
    ],
)
def test_a_part_without_pixels_or_end_is_a_value_error(part: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="the part begins at"):
        call(part=part)


def test_rows_at_no_multiple_of_four_bytes_are_a_value_error() -> None:
    packed = np.zeros(4, np.dtype([("scores", np.float32, (5, 3)), ("tag", np.uint8)]))

    with pytest.raises(ValueError, match="61 bytes from one to the next of dimension 0"):
        call(scores=packed["scores"])


def test_a_result_without_pixels_is_filled_with_nothing() -> None:
    call(out=np.empty((0, 7), np.uint8), part=(0.0, 4.0, 0.0, 5.0))
    call(out=np.empty((7, 0), np.uint8), part=(0.0, 4.0, 0.0, 5.0))


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros((4, 1, 3), np.float32),
        np.zeros((1, 5, 3), np.float32),
        np.zeros((4, 5, 1), np.float32),
        np.zeros((1, 1, 1), np.float32),
        np.zeros((3, 4, 1), np.float32).transpose(1, 2, 0),
    ],
)
def test_dimensions_of_size_1_lie_at_any_stride(scores: np.ndarray) -> None:
    out = np.full(scores.shape[:2], 7, np.uint8)

    call(scores=scores, out=out)

    assert not out.any()
