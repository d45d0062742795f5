"""What hwrt._kernels.YuvResampler checks before the kernel sees an array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

compiled = pytest.importorskip("hwrt._kernels", reason="the extension is not compiled")

MATRIX = (16.0, 1.1, 1.6, -0.4, -0.8, 2.0)
WHOLE = (4, 4, 0, 4)


def resampler(rows: Any = WHOLE, columns: Any = WHOLE, *, packed: bool = False) -> Any:
    return compiled.YuvResampler(rows, columns, packed, MATRIX)


def run(made: Any, frame: np.ndarray, out: np.ndarray | None = None, top: int = 0) -> None:
    target = np.empty((4, 4, 3), np.float32) if out is None else out
    three = (1.0, 1.0, 1.0)
    made.run(frame, target, top, 0, three, three, three, False)


@pytest.mark.parametrize(
    ("rows", "columns", "packed"),
    [((5, 4, 0, 4), WHOLE, False), (WHOLE, (5, 4, 0, 4), False), (WHOLE, (5, 4, 0, 4), True)],
)
def test_a_frame_without_whole_pairs_is_a_value_error(
    rows: Any, columns: Any, packed: bool
) -> None:
    with pytest.raises(ValueError, match="has no whole pairs of them"):
        resampler(rows, columns, packed=packed)


def test_a_span_of_nothing_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="rows is"):
        resampler((4, 4, 0, 0))


@pytest.mark.parametrize(
    ("packed", "shape"),
    [(False, (4, 4)), (False, (6, 5)), (False, (6, 4, 1)), (True, (6, 4)), (True, (4, 4, 3))],
)
def test_a_frame_of_another_shape_is_a_value_error(packed: bool, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="frame has the shape"):
        run(resampler(packed=packed), np.zeros(shape, np.uint8))


def test_a_frame_of_another_dtype_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="frame is int8, not uint8"):
        run(resampler(), np.zeros((6, 4), np.int8))


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.zeros((4, 4, 1), np.float32), r"which is not \(h, w, 3\)"),
        (np.zeros((4, 3, 3), np.float32), "does not hold 4 x 4"),
    ],
)
def test_a_tensor_that_does_not_fit_is_a_value_error(out: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(resampler(), np.zeros((6, 4), np.uint8), out)


def test_a_place_outside_the_tensor_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"from \(1, 0\)"):
        run(resampler(), np.zeros((6, 4), np.uint8), top=1)


def test_a_tensor_in_the_frames_memory_is_a_value_error() -> None:
    memory = np.zeros(100, np.uint8)

    with pytest.raises(ValueError, match="out shares the frame's memory"):
        run(resampler(), memory[:24].reshape(6, 4), memory[20:68].reshape(4, 4, 3))
