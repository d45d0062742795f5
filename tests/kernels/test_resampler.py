"""The values that each form of the Resampler writes, against a reference in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from .forms import TARGETS, form
from .resampling import (
    IMAGENET,
    LEVEL_ERROR,
    Numbers,
    exact,
    exact_levels,
    noise,
    run,
    whole,
)

METHODS = ["bilinear", "area"]
AROUND_VECTORS = range(1, 34)
# Source pixels for each of the target; 4 and more have a path of their own.
RATIOS = [0.3, 0.5, 1.0, 1.37, 2.0, 3.0, 4.0, 5.5, 9.0]
LAYOUTS = {"NCHW": (1, 2, 0), "NHWC": (0, 1, 2)}
ELEMENTS = {
    "float32": IMAGENET,
    "float16": IMAGENET,
    "uint8": Numbers(scale=(1.0, 1.25, 0.5), bias=(0.0, -20.0, 3.5), pad=(114.0, 300.0, -5.0)),
    "int8": Numbers(scale=(1.0, 0.5, 2.0), bias=(-128.0, -60.5, -200.0), pad=(-14.0, 200.0, -300)),
}


def level_error(kernels: Any, source: tuple[int, int], target: tuple[int, int], **how: Any) -> Any:
    """How far the levels are from the exact ones, at most."""
    channels = how.pop("channels", 3)
    frame = noise(*source, channels)
    rows, columns = whole(source[0], target[0]), whole(source[1], target[1])
    actual = run(kernels, frame, rows, columns, **how)
    return np.abs(actual - exact_levels(frame, rows, columns, **how)).max()


def rounding_of(values: np.ndarray, dtype: np.dtype[Any], numbers: Numbers) -> np.ndarray:
    """How far an element may be from what it stands for, by its own rounding alone."""
    if dtype.kind != "f":
        return np.full(values.shape, 0.5)
    # The product and the sum are rounded in float32.
    reach = 255 * np.max(np.abs(numbers.scale)) + np.max(np.abs(numbers.bias))
    steps = 2 * np.spacing(np.float32(reach)).astype(np.float64)
    return steps + np.abs(np.spacing(values.astype(dtype))).astype(np.float64) / 2


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ratio", RATIOS)
def test_levels_are_exact_at_every_width_around_a_vector(
    kernels: Any, method: str, ratio: float, channels: int
) -> None:
    errors = [
        level_error(kernels, (5, math.ceil(n * ratio)), (3, n), method=method, channels=channels)
        for n in AROUND_VECTORS
    ]

    assert max(errors) <= LEVEL_ERROR[method]


def test_bilinear_levels_of_black_and_white_keep_the_bound_of_the_arithmetic(kernels: Any) -> None:
    frame = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (160, 808, 3))
    rows, columns = whole(160, 718), whole(808, 759)

    actual = run(kernels, frame, rows, columns)

    error = np.abs(actual - exact_levels(frame, rows, columns)).max()
    assert error <= 1 / 64


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ratio", RATIOS)
def test_levels_are_exact_at_every_height(kernels: Any, method: str, ratio: float) -> None:
    errors = [
        level_error(kernels, (math.ceil(n * ratio), 20), (n, 17), method=method)
        for n in range(1, 12)
    ]

    assert max(errors) <= LEVEL_ERROR[method]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("source", "target"),
    [((720, 1280), (360, 640)), ((667, 1000), (427, 640)), ((480, 640), (224, 224))],
)
def test_frames_of_common_sizes_are_exact(
    kernels: Any, method: str, source: tuple[int, int], target: tuple[int, int]
) -> None:
    assert level_error(kernels, source, target, method=method) <= LEVEL_ERROR[method]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("source", [(1, 20_000), (20_000, 1), (3000, 4000)])
def test_areas_of_very_many_pixels_are_exact(
    kernels: Any, source: tuple[int, int], channels: int
) -> None:
    frame = noise(*source, channels)

    mean = run(kernels, frame, whole(source[0], 1), whole(source[1], 1), method="area")

    np.testing.assert_allclose(mean[0, 0], frame.mean(axis=(0, 1)), atol=LEVEL_ERROR["area"])


@pytest.mark.parametrize("level", [None, 255])
@pytest.mark.parametrize(("source", "target"), [((5_003, 12), (3, 12)), ((2, 20_011), (1, 7))])
def test_areas_of_very_many_cut_pixels_are_exact(
    kernels: Any, source: tuple[int, int], target: tuple[int, int], level: int | None
) -> None:
    frame = noise(*source) if level is None else np.full((*source, 3), level, np.uint8)
    rows, columns = whole(source[0], target[0]), whole(source[1], target[1])

    out = run(kernels, frame, rows, columns, method="area")

    wanted = exact_levels(frame, rows, columns, method="area")
    np.testing.assert_allclose(out, wanted, atol=LEVEL_ERROR["area"])


@pytest.mark.parametrize("level", [0, 1, 114, 254, 255])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", [(1, 1), (7, 31), (100, 100), (130, 300)])
def test_a_frame_of_one_level_keeps_it(
    kernels: Any, level: int, method: str, target: tuple[int, int]
) -> None:
    frame = np.full((101, 203, 3), level, np.uint8)

    out = run(kernels, frame, whole(101, target[0]), whole(203, target[1]), method=method)

    np.testing.assert_allclose(out, level, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_frame_at_its_own_size_is_unchanged(kernels: Any, method: str, channels: int) -> None:
    frame = noise(9, 37, channels)

    out = run(kernels, frame, whole(9, 9), whole(37, 37), method=method)

    np.testing.assert_array_equal(frame, out)


def test_half_the_size_is_the_mean_of_four_pixels(kernels: Any) -> None:
    frame = noise(20, 66)

    out = run(kernels, frame, whole(20, 10), whole(66, 33))

    means = frame.reshape(10, 2, 33, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(out, means, atol=1 / 64)


@pytest.mark.parametrize("source", [(1, 1), (1, 10), (10, 1), (7, 10)])
@pytest.mark.parametrize("target", [(1, 1), (1, 40), (40, 1), (10, 10)])
@pytest.mark.parametrize("method", METHODS)
def test_tiny_frames_are_served(
    kernels: Any, source: tuple[int, int], target: tuple[int, int], method: str
) -> None:
    assert level_error(kernels, source, target, method=method) <= LEVEL_ERROR[method]


def excess(
    kernels: Any, shape: tuple[int, int, int], frame: np.ndarray, how: dict[str, Any], layout: str
) -> float:
    """By how much the worst element of out is further off than it may be."""
    height, width, channels = shape
    dtype, numbers, method = how["dtype"], how["numbers"], how["method"]
    rows, columns = whole(frame.shape[0], height), whole(frame.shape[1], width)
    stored = shape if layout == "NHWC" else (channels, height, width)
    out = np.zeros(stored, dtype).transpose(LAYOUTS[layout])
    run(kernels, frame, rows, columns, method=method, numbers=numbers, out=out)

    values = exact(frame, rows, columns, method=method, numbers=numbers, channels=channels)
    if dtype.kind != "f":
        values = np.clip(values, np.iinfo(dtype).min, np.iinfo(dtype).max)
    allowed = LEVEL_ERROR[method] * np.array(numbers.scale[:channels])
    allowed = allowed + rounding_of(values, dtype, numbers)
    return float((np.abs(out - values) - allowed).max())


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("of", "to"), [(1, 1), (1, 3), (3, 3)])
@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("method", METHODS)
def test_every_element_layout_and_order_of_channels_holds_the_exact_values(
    kernels: Any, method: str, element: str, of: int, to: int, reverse: bool
) -> None:
    numbers = replace(ELEMENTS[element], reverse=reverse)
    how = {"dtype": np.dtype(element), "numbers": numbers, "method": method}
    frame = noise(11, 47, of)

    excesses = [
        excess(kernels, (6, width, to), frame, how, layout)
        for width in (10, 16, 33)
        for layout in LAYOUTS
    ]

    assert max(excesses) <= 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_lies_around_the_frame_is_padded(
    kernels: Any, element: str, layout: str, channels: int
) -> None:
    numbers, dtype = ELEMENTS[element], np.dtype(element)
    shape = (12, 40, channels) if layout == "NHWC" else (channels, 12, 40)
    out = np.full(shape, 77, dtype).transpose(LAYOUTS[layout])

    run(
        kernels,
        noise(8, 9, channels),
        whole(8, 6),
        whole(9, 21),
        numbers=numbers,
        out=out,
        at=(4, 3),
    )

    around = np.ones((12, 40), np.bool_)
    around[4:10, 3:24] = False
    pads = np.array(numbers.pad[:channels])
    if dtype.kind != "f":
        pads = np.clip(np.rint(pads), np.iinfo(dtype).min, np.iinfo(dtype).max)
    np.testing.assert_array_equal(np.broadcast_to(pads.astype(dtype), (354, channels)), out[around])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "columns", [(60, 24, 0, 1), (60, 24, 5, 17), (60, 9, 7, 2), (20, 90, 41, 33)]
)
@pytest.mark.parametrize("rows", [(40, 16, 3, 9), (10, 40, 39, 1)])
def test_a_crop_is_a_part_of_the_whole(
    kernels: Any, method: str, channels: int, rows: Any, columns: Any
) -> None:
    frame = noise(rows[0], columns[0], channels)
    everything = run(kernels, frame, whole(*rows[:2]), whole(*columns[:2]), method=method)

    crop = run(kernels, frame, rows, columns, method=method)

    top, left = rows[2], columns[2]
    np.testing.assert_allclose(
        crop, everything[top : top + rows[3], left : left + columns[3]], atol=1e-4
    )


@pytest.mark.parametrize("element", ["uint8", "int8"])
@pytest.mark.parametrize(("scale", "bias"), [(1e9, 0.0), (1e9, -1e10), (-1e9, 3.0), (0.0, 1e30)])
def test_integers_saturate_however_large_the_numbers_are(
    kernels: Any, element: str, scale: float, bias: float
) -> None:
    frame, limits = noise(4, 37), np.iinfo(element)
    out = np.zeros((4, 37, 3), element)

    run(
        kernels,
        frame,
        whole(4, 4),
        whole(37, 37),
        numbers=Numbers((scale,) * 3, (bias,) * 3, (bias,) * 3),
        out=out,
    )

    wanted = np.clip(np.float32(scale) * frame.astype(float) + bias, limits.min, limits.max)
    np.testing.assert_array_equal(np.rint(wanted), out)


@pytest.mark.parametrize(("scale", "bias"), [(257.0, 0.0), (300.0, 0.0), (2.0**-26, 2.0**-25)])
def test_float16_overflows_to_infinity_and_keeps_its_smallest_numbers(
    kernels: Any, scale: float, bias: float
) -> None:
    frame = noise(4, 37)
    out = np.zeros((4, 37, 3), np.float16)

    run(
        kernels,
        frame,
        whole(4, 4),
        whole(37, 37),
        numbers=Numbers((scale,) * 3, (bias,) * 3),
        out=out,
    )

    with np.errstate(over="ignore"):
        wanted = (frame.astype(np.float32) * np.float32(scale) + np.float32(bias)).astype("f2")
    np.testing.assert_array_equal(wanted, out)


@pytest.mark.parametrize("element", ["float32", "uint8"])
@pytest.mark.parametrize("size", [(480, 640), (333, 500), (64, 96), (40, 33), (1000, 900)])
def test_bilinear_levels_are_the_same_bytes_at_every_target(
    size: tuple[int, int], element: str
) -> None:
    outs = []
    for target in TARGETS:
        with form(target) as kernels:
            out = np.zeros((64, 96, 3), element)
            outs.append(run(kernels, noise(*size), whole(size[0], 64), whole(size[1], 96), out=out))

    assert {outs[0].tobytes()} == {out.tobytes() for out in outs}


@pytest.mark.parametrize("method", METHODS)
def test_normalised_floats_of_two_targets_differ_by_their_rounding_alone(method: str) -> None:
    outs = []
    for target in TARGETS:
        with form(target) as kernels:
            how: dict[str, Any] = {"method": method, "numbers": IMAGENET}
            outs.append(run(kernels, noise(333, 500), whole(333, 64), whole(500, 96), **how))

    # An ulp of the largest term: near 0 a fused product is more exact than one that is rounded.
    bilinear, area = np.spacing(np.float32(4.0)), 4 * np.spacing(np.float32(4.0))
    spread = np.max(outs, axis=0) - np.min(outs, axis=0)
    assert spread.max() <= (bilinear if method == "bilinear" else area)
