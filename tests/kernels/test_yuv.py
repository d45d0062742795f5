"""Each form of the YuvResampler, at each target, against a reference in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .resampling import IMAGENET, LEVELS, Numbers, Span, exact_levels, noise, whole

# BT.601 in the range of 16 to 235, and numbers of no standard that tell all six apart.
BT601 = (16.0, 255 / 219, 1.596027, -0.391762, -0.812968, 2.017232)
ODD = (3.0, 1.25, 0.5, -0.75, -0.25, 1.5)
# Luma and chroma have 7 bits behind the point each.
ERROR = 1 / 16
LAYOUTS = [False, True]


def frame_of(height: int, width: int, *, packed: bool) -> np.ndarray:
    if packed:
        return noise(height, width, 2)
    return noise(height // 2 * 3, width, 1)[:, :, 0]


def exact(
    frame: np.ndarray, rows: Span, columns: Span, matrix: tuple[float, ...], *, packed: bool
) -> np.ndarray:
    """Red, green and blue (h, w, 3) in float64."""
    half = (columns[0] // 2, *columns[1:])
    if packed:
        luma, rest = frame[:, :, :1], np.stack([frame[:, ::2, 1], frame[:, 1::2, 1]], axis=2)
        u, v = np.moveaxis(exact_levels(rest, rows, half), 2, 0) - 128
    else:
        luma, rest = frame[: rows[0], :, None], frame[rows[0] :]
        rest = np.stack([rest[:, ::2], rest[:, 1::2]], axis=2)
        u, v = np.moveaxis(exact_levels(rest, (rows[0] // 2, *rows[1:]), half), 2, 0) - 128
    black, scale, red_v, green_u, green_v, blue_u = matrix
    gray = (exact_levels(luma, rows, columns)[:, :, 0] - black) * scale
    colours = [gray + red_v * v, gray + green_u * u + green_v * v, gray + blue_u * u]
    return np.clip(np.stack(colours, axis=2), 0, 255)


def run(
    kernels: Any,
    frame: np.ndarray,
    rows: Span,
    columns: Span,
    *,
    packed: bool,
    matrix: tuple[float, ...] = BT601,
    numbers: Numbers = LEVELS,
    out: np.ndarray | None = None,
    at: tuple[int, int] = (0, 0),
    threads: int = 1,
) -> np.ndarray:
    if out is None:
        out = np.full((rows[3], columns[3], 3), np.nan, np.float32)
    resampler = kernels.YuvResampler(rows, columns, packed, matrix)
    levels = numbers.scale, numbers.bias, numbers.pad, numbers.reverse
    resampler.run(frame, out, *at, *levels, threads)
    return out


@pytest.mark.parametrize("packed", LAYOUTS)
@pytest.mark.parametrize("ratio", [0.3, 0.5, 1.0, 1.37, 2.0, 4.0, 9.0])
def test_colours_are_exact_at_every_width_around_a_vector(
    kernels: Any, ratio: float, packed: bool
) -> None:
    worst = []
    for width in range(1, 34):
        source = max(round(width * ratio / 2), 1) * 2
        frame = frame_of(6, source, packed=packed)
        rows, columns = whole(6, 5), whole(source, width)
        off = run(kernels, frame, rows, columns, packed=packed)
        worst.append(np.abs(off - exact(frame, rows, columns, BT601, packed=packed)).max())

    assert max(worst) <= ERROR


@pytest.mark.parametrize("packed", LAYOUTS)
@pytest.mark.parametrize("height", [2, 4, 6, 30, 100])
@pytest.mark.parametrize("target", [1, 3, 24])
def test_colours_are_exact_at_every_height(
    kernels: Any, height: int, target: int, packed: bool
) -> None:
    frame = frame_of(height, 70, packed=packed)
    rows, columns = whole(height, target), whole(70, 33)

    levels = run(kernels, frame, rows, columns, packed=packed, matrix=ODD)

    assert np.abs(levels - exact(frame, rows, columns, ODD, packed=packed)).max() <= ERROR


def test_a_packed_frame_may_have_an_odd_height(kernels: Any) -> None:
    frame = frame_of(7, 40, packed=True)
    rows, columns = whole(7, 9), whole(40, 21)

    levels = run(kernels, frame, rows, columns, packed=True)

    assert np.abs(levels - exact(frame, rows, columns, BT601, packed=True)).max() <= ERROR


@pytest.mark.parametrize("packed", LAYOUTS)
def test_a_part_of_the_scaled_frame_is_written(kernels: Any, packed: bool) -> None:
    frame = frame_of(40, 90, packed=packed)
    rows, columns = (40, 31, 5, 20), (90, 61, 17, 30)

    levels = run(kernels, frame, rows, columns, packed=packed)

    assert np.abs(levels - exact(frame, rows, columns, BT601, packed=packed)).max() <= ERROR


@pytest.mark.parametrize("packed", LAYOUTS)
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.int8])
def test_levels_are_normalised_and_stored(
    kernels: Any, dtype: Any, planar: bool, packed: bool
) -> None:
    numbers = IMAGENET if np.dtype(dtype).kind == "f" else Numbers((0.5, 0.25, 0.4), (-60, -9, -7))
    frame = frame_of(8, 42, packed=packed)
    rows, columns = whole(8, 9), whole(42, 33)
    out = np.zeros((3, 9, 33), dtype).transpose(1, 2, 0) if planar else np.zeros((9, 33, 3), dtype)

    run(kernels, frame, rows, columns, packed=packed, numbers=numbers, out=out)

    levels = exact(frame, rows, columns, BT601, packed=packed)
    values = levels * np.array(numbers.scale) + np.array(numbers.bias)
    if out.dtype.kind != "f":
        values = np.clip(values, np.iinfo(dtype).min, np.iinfo(dtype).max)
    near = ERROR * max(numbers.scale) + (0.5 if out.dtype.kind != "f" else 3e-3)
    assert np.abs(out.astype(np.float64) - values).max() <= near


@pytest.mark.parametrize("packed", LAYOUTS)
def test_blue_comes_first_where_the_order_is_reversed(kernels: Any, packed: bool) -> None:
    frame = frame_of(8, 42, packed=packed)
    rows, columns = whole(8, 9), whole(42, 33)

    red_first = run(kernels, frame, rows, columns, packed=packed)
    numbers = Numbers((1.0, 1.0, 2.0), reverse=True)
    blue_first = run(kernels, frame, rows, columns, packed=packed, numbers=numbers)

    np.testing.assert_allclose(blue_first, red_first[:, :, ::-1] * [1, 1, 2], atol=1e-3)


@pytest.mark.parametrize("packed", LAYOUTS)
def test_what_lies_around_the_frame_is_filled(kernels: Any, packed: bool) -> None:
    out = np.full((12, 20, 3), np.nan, np.float32)
    frame = np.full((4, 10, 2) if packed else (6, 10), 128, np.uint8)

    run(kernels, frame, whole(4, 4), whole(10, 10), packed=packed, out=out, at=(3, 6))

    gray = (128 - 16) * 255 / 219
    expected = np.full((12, 20, 3), 114.0)
    expected[3:7, 6:16] = gray
    np.testing.assert_allclose(out, expected, atol=1e-3)


def test_colours_out_of_range_are_held_once_and_at_the_end(kernels: Any) -> None:
    frame = np.array([[255, 255, 0, 0]] * 2 + [[128, 128, 128, 128]], np.uint8)

    levels = run(kernels, frame, whole(2, 1), whole(4, 1), packed=False)

    # The mean of 278 and -19, not of 255 and 0.
    np.testing.assert_allclose(levels, (127.5 - 16) * 255 / 219, atol=ERROR)


@pytest.mark.parametrize("packed", LAYOUTS)
def test_frames_may_lie_at_any_stride(kernels: Any, packed: bool) -> None:
    frame = frame_of(8, 40, packed=packed)
    wide = np.zeros((2 * len(frame), 100, *frame.shape[2:]), np.uint8)
    view, columns_apart = wide[::2, 7:47], np.repeat(frame, 2, axis=1)[:, ::2]
    view[...] = frame

    expected = run(kernels, frame, whole(8, 5), whole(40, 33), packed=packed)
    for other in (view, columns_apart):
        levels = run(kernels, other, whole(8, 5), whole(40, 33), packed=packed)
        np.testing.assert_array_equal(levels, expected)


@pytest.mark.parametrize("packed", LAYOUTS)
def test_several_threads_write_what_one_writes(kernels: Any, packed: bool) -> None:
    frame = frame_of(1080, 1920, packed=packed)

    one = run(kernels, frame, whole(1080, 640), whole(1920, 1138), packed=packed)
    four = run(kernels, frame, whole(1080, 640), whole(1920, 1138), packed=packed, threads=4)

    np.testing.assert_array_equal(one, four)
