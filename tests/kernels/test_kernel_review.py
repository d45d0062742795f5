"""What a review of the kernels found: inputs at which one of them was wrong, or crashed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.spec import Quantization
from hwrt.vision.postprocess import decode_yolov5, decode_yolov8
from hwrt.vision.preprocess import crop, letterbox

from .forms import compiled
from .heads import detect
from .resampling import Span, exact_levels, noise, run, whole

extension = pytest.mark.skipif(compiled is None, reason="the extension is not built")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("frame", "size"), [((333, 9999), (2, 1)), ((1000, 4000), (3, 1)), ((70, 3000), (9, 7))]
)
def test_means_of_thousands_of_pixels_are_as_exact_as_those_of_few(
    kernels: Any, frame: tuple[int, int], size: tuple[int, int], channels: int
) -> None:
    bright = np.full((*frame, channels), 255, np.uint8)
    rows, columns = (whole(*pair) for pair in zip(frame, size, strict=True))

    levels = run(kernels, bright, rows, columns, method="area")

    assert np.abs(levels - 255.0).max() <= 1e-3


@pytest.mark.parametrize(
    ("rows", "columns"),
    [((19, 41352, 7366, 400), (28, 64558, 7831, 400)), ((38, 9000, 10, 90), (32, 7001, 60, 90))],
)
def test_interpolation_between_far_levels_is_within_a_64th_of_a_level(
    kernels: Any, rows: Span, columns: Span
) -> None:
    frame = np.where(noise(rows[0], columns[0], 1) < 128, 0, 255).astype(np.uint8)

    levels = run(kernels, frame, rows, columns)

    assert np.abs(levels - exact_levels(frame, rows, columns)).max() <= 1 / 64


@extension
def test_a_strided_frame_that_memory_can_not_hold_is_an_error() -> None:
    side = 200_000_000
    frame = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (side, side, 3))
    out = np.empty((1, 1, 3), np.float32)

    with pytest.raises(MemoryError):
        run(compiled, frame, whole(side, 1), whole(side, 1), out=out)


def test_a_head_without_anchors_has_no_detections_in_either_layout(kernels: Any) -> None:
    for objectness in (False, True):
        for numbers in (np.empty((7, 0), np.float32), np.empty((0, 7), np.float32).T):
            found = detect(kernels, numbers, objectness=objectness)

            assert len(found.scores) == 0


def test_decoding_takes_a_yolov5_head_without_anchors() -> None:
    (found,) = decode_yolov5(np.empty((1, 0, 85), np.float32))

    assert len(found.scores) == 0


@pytest.mark.parametrize(
    ("scale", "zero_point", "what"),
    [
        ((0.0,), (0,), "scale is 0.0"),
        ((-0.1,), (0,), "scale is -0.1"),
        ((float("nan"),), (0,), "scale is nan"),
        ((1e39,), (0,), r"scale is 1e\+39"),
        ((0.1,), (300,), "zero point is 300"),
        ((0.1,), (), "1 scales and 0 zero points"),
        ((0.1,), (1, 2), "1 scales and 2 zero points"),
    ],
)
def test_a_quantised_head_of_numbers_that_mean_nothing_is_an_error(
    scale: tuple[float, ...], zero_point: tuple[int, ...], what: str
) -> None:
    head = np.full((1, 6, 3), 200, np.uint8)

    with pytest.raises(InputError, match=what):
        decode_yolov8(head, quantization=Quantization(scale, zero_point))


@extension
@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_the_extension_takes_no_scale_that_means_nothing(scale: float) -> None:
    with pytest.raises(ValueError, match="not finite and above 0"):
        detect(compiled, np.zeros((6, 3), np.uint8), scale=scale)

    one = np.full(1, scale, np.float32), np.zeros(1, np.float32)
    with pytest.raises(ValueError, match=r"scales has .*, not finite and above 0"):
        compiled.quantize(np.zeros((1, 1, 1), np.float32), *one, np.empty((1, 1, 1), np.uint8))


@extension
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_the_extension_takes_each_zero_point_of_the_integers_and_no_other(dtype: Any) -> None:
    limits = np.iinfo(dtype)
    scales, numbers = np.ones(1, np.float32), np.zeros((1, 1, 1), np.float32)
    integers = np.empty((1, 1, 1), dtype)

    for inside in (limits.min, limits.max):
        compiled.quantize(numbers, scales, np.full(1, inside, np.float32), integers)

        assert integers.item() == inside
    for outside in (limits.min - 1, limits.max + 1, 0.5, np.nan, 1e30):
        with pytest.raises(ValueError, match=f"no value of {integers.dtype}"):
            compiled.dequantize(integers, scales, np.full(1, outside, np.float32), numbers)


@pytest.mark.parametrize("scale", [1e308, 2.0**56, np.array([1, 2]), "2"])
def test_a_crop_that_no_frame_is_large_enough_for_is_an_error(scale: Any) -> None:
    out = np.empty((3, 8, 8), np.float32)

    with pytest.raises(InputError, match="crop_scale is"):
        crop(np.zeros((10, 10, 3), np.uint8), out, mean=0, std=1, crop_scale=scale)


@pytest.mark.parametrize("name", ["method", "layout"])
def test_a_list_where_a_name_belongs_is_an_error(name: str) -> None:
    out = np.empty((3, 8, 8), np.float32)

    with pytest.raises(InputError, match=rf"{name} is \['area'\]"):
        letterbox(np.zeros((10, 10, 3), np.uint8), out, **{name: ["area"]})
