from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.vision import Geometry, crop, letterbox, resize

LEVELS = {"mean": 0.0, "std": 1.0}


def noise(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(height * 1009 + width)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def ultralytics_letterbox(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """LetterBox of Ultralytics 8 with auto=False and scaleup=True, as documented there."""
    import cv2

    ratio = min(height / frame.shape[0], width / frame.shape[1])
    unpadded = round(frame.shape[1] * ratio), round(frame.shape[0] * ratio)
    dw, dh = (width - unpadded[0]) / 2, (height - unpadded[1]) / 2
    if frame.shape[1::-1] != unpadded:
        frame = cv2.resize(frame, unpadded, interpolation=cv2.INTER_LINEAR)
    top, bottom = round(dh - 0.1), round(dh + 0.1)
    left, right = round(dw - 0.1), round(dw + 0.1)
    return cv2.copyMakeBorder(
        frame, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114)
    )


@pytest.mark.parametrize(
    "size", [(480, 640), (1080, 810), (333, 500), (67, 101), (64, 64), (31, 64), (640, 639)]
)
def test_a_letterbox_is_within_a_level_of_ultralytics(size: tuple[int, int]) -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    frame, out = noise(*size), np.empty((3, 64, 96), dtype=np.float32)
    expected = ultralytics_letterbox(frame, 64, 96)

    letterbox(frame, out, **LEVELS)

    assert np.abs(expected - out.transpose(1, 2, 0)).max() <= 1.0


def test_a_letterbox_pads_with_the_level_114_normalised() -> None:
    out = np.empty((1, 3, 8, 8), dtype=np.float32)

    letterbox(np.zeros((4, 8, 3), dtype=np.uint8), out)

    np.testing.assert_array_equal(np.float32(114) / np.float32(255), out[:, :, :2])
    np.testing.assert_array_equal(np.float32(0), out[:, :, 2:6])
    np.testing.assert_array_equal(np.float32(114) / np.float32(255), out[:, :, 6:])


def test_the_odd_pixel_of_a_letterbox_goes_right_and_below() -> None:
    out = np.empty((3, 9, 8), dtype=np.float32)

    geometry = letterbox(np.zeros((4, 8, 3), dtype=np.uint8), out)

    assert Geometry(4, 8, 9, 8, scale_x=1.0, scale_y=1.0, pad_x=0, pad_y=2) == geometry


def test_a_thin_frame_keeps_one_pixel_in_a_letterbox() -> None:
    out = np.empty((3, 8, 8), dtype=np.float32)

    geometry = letterbox(np.full((1, 1000, 3), 255, dtype=np.uint8), out)

    assert geometry.scale_y == 1.0
    assert np.all(out[:, geometry.pad_y] == 1.0)


@pytest.mark.parametrize("size", [(480, 640), (1080, 810), (67, 101), (1, 1000), (1000, 1)])
def test_the_corners_of_a_letterboxed_frame_come_back(size: tuple[int, int]) -> None:
    height, width = size
    geometry = letterbox(noise(*size), np.empty((3, 64, 96), dtype=np.float32))
    right = geometry.pad_x + width * geometry.scale_x
    bottom = geometry.pad_y + height * geometry.scale_y

    corners = geometry.to_frame(np.array([[geometry.pad_x, geometry.pad_y, right, bottom]]))

    np.testing.assert_allclose(corners, [[0, 0, width, height]], rtol=1e-6)


def test_resize_stretches_the_frame_over_the_input() -> None:
    frame = np.array([[[0, 0, 0], [255, 255, 255]]], dtype=np.uint8)
    out = np.empty((4, 2, 3), dtype=np.float32)

    geometry = resize(frame, out, **LEVELS)

    np.testing.assert_array_equal(np.repeat(frame, 4, axis=0), out)
    assert Geometry(1, 2, 4, 2, scale_x=1.0, scale_y=4.0, pad_x=0, pad_y=0) == geometry


def test_crop_takes_the_middle_of_the_frame() -> None:
    frame = noise(8, 14)
    out = np.empty((8, 8, 3), dtype=np.float32)

    geometry = crop(frame, out, **LEVELS, crop_scale=1.0)

    np.testing.assert_array_equal(frame[:, 3:11], out)
    assert Geometry(8, 14, 8, 8, scale_x=1.0, scale_y=1.0, pad_x=-3, pad_y=0) == geometry


def test_crop_scales_the_shorter_side_to_256_for_an_input_of_224() -> None:
    frame = noise(256, 300)
    out = np.empty((224, 224, 3), dtype=np.float32)

    crop(frame, out, **LEVELS)

    np.testing.assert_array_equal(frame[16:240, 38:262], out)


def test_mean_and_std_are_applied_per_channel_of_the_tensor() -> None:
    frame = np.full((2, 2, 3), (10, 20, 30), dtype=np.uint8)
    out = np.empty((3, 2, 2), dtype=np.float32)

    resize(frame, out, mean=(5, 10, 20), std=(1, 2, 4))

    assert [5.0, 5.0, 2.5] == out[:, 0, 0].tolist()


def test_bgr_reverses_the_channels_before_they_are_normalised() -> None:
    frame = np.full((2, 2, 3), (10, 20, 30), dtype=np.uint8)
    out = np.empty((3, 2, 2), dtype=np.float32)

    resize(frame, out, mean=(30, 0, 0), std=1, bgr=True)

    assert [0.0, 20.0, 10.0] == out[:, 0, 0].tolist()


@pytest.mark.parametrize("frame_shape", [(2, 2), (2, 2, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_gray_frame_fills_every_channel(frame_shape: tuple[int, ...], channels: int) -> None:
    out = np.empty((channels, 2, 2), dtype=np.float32)

    resize(np.full(frame_shape, 51, dtype=np.uint8), out, mean=0, std=255)

    np.testing.assert_array_max_ulp(np.full_like(out, 0.2), out, maxulp=1)


def test_planar_and_interleaved_outputs_hold_the_same_values() -> None:
    frame = noise(11, 17)
    planar = np.empty((1, 3, 8, 8), dtype=np.float32)
    interleaved = np.empty((1, 8, 8, 3), dtype=np.float32)

    letterbox(frame, planar)
    letterbox(frame, interleaved)

    np.testing.assert_array_equal(planar.transpose(0, 2, 3, 1), interleaved)


def test_a_layout_that_the_shape_leaves_open_is_asked_for() -> None:
    out = np.empty((3, 8, 3), dtype=np.float32)

    with pytest.raises(InputError, match="layout"):
        letterbox(noise(4, 4), out)


def test_a_layout_that_is_given_decides() -> None:
    out = np.empty((3, 8, 3), dtype=np.float32)

    geometry = letterbox(noise(4, 4), out, layout="NHWC")

    assert (3, 8) == (geometry.input_height, geometry.input_width)


def test_float16_outputs_are_rounded_from_float32() -> None:
    frame = noise(11, 17)
    single, half = np.empty((3, 8, 8), np.float32), np.empty((3, 8, 8), np.float16)

    letterbox(frame, single)
    letterbox(frame, half)

    np.testing.assert_array_equal(single.astype(np.float16), half)


def test_a_strided_output_is_written_in_place() -> None:
    frame = noise(11, 17)
    backing, plain = np.zeros((3, 16, 16), np.float32), np.empty((3, 8, 8), np.float32)

    letterbox(frame, plain)
    letterbox(frame, backing[:, ::2, ::-2])

    np.testing.assert_array_equal(plain, backing[:, ::2, ::-2])
    assert not backing[:, 1::2].any()


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((0, 4, 3), dtype=np.uint8),
        np.zeros((4, 4, 3, 1), dtype=np.uint8),
        [[1, 2], [3, 4]],
    ],
)
def test_what_is_no_frame_is_an_error(frame: Any) -> None:
    with pytest.raises(InputError, match="the frame is"):
        letterbox(frame, np.empty((3, 8, 8), dtype=np.float32))


@pytest.mark.parametrize(
    "place", [pytest.param(slice(0, 192), id="begin"), pytest.param(slice(599, 791), id="end")]
)
def test_out_in_the_frames_memory_is_an_error(place: slice) -> None:
    pytest.importorskip("hwrt._kernels", reason="NumPy reads the frame before it writes")
    memory = np.zeros(1000, np.uint8)
    frame = memory[:600].reshape(10, 20, 3)

    with pytest.raises(InputError, match=r"out shares the frame's memory \(give"):
        letterbox(frame, memory[place].reshape(3, 8, 8))


def test_an_unaligned_out_is_an_error() -> None:
    pytest.importorskip("hwrt._kernels", reason="NumPy writes to any address")
    out = np.zeros(3 * 8 * 8 * 4 + 1, np.uint8)[1:].view(np.float32).reshape(3, 8, 8)

    with pytest.raises(InputError, match="out is not aligned"):
        letterbox(noise(4, 4), out)


def test_a_read_only_frame_of_any_strides_is_served() -> None:
    frame = noise(20, 30)[::-1, ::2, ::-1]
    frame.flags.writeable = False
    from_view, from_copy = np.empty((3, 8, 8), np.float32), np.empty((3, 8, 8), np.float32)

    letterbox(frame, from_view)
    letterbox(frame.copy(), from_copy)

    np.testing.assert_array_equal(from_copy, from_view)


@pytest.mark.parametrize("size", [(1, 1), (1, 10), (10, 1), (8, 8), (17, 3)])
@pytest.mark.parametrize("fit", [letterbox, resize, crop])
def test_frames_and_inputs_of_one_pixel_are_served(fit: Any, size: tuple[int, int]) -> None:
    frame, out = np.full((*size, 3), 51, np.uint8), np.empty((3, 1, 1), np.float32)

    fit(frame, out, mean=0, std=255, layout="NCHW")

    np.testing.assert_array_max_ulp(np.full_like(out, 0.2), out, maxulp=1)


@pytest.mark.parametrize(("side", "named"), [(400_000_000, "400000000"), (1 << 32, "4294967296")])
def test_a_side_of_more_pixels_than_can_be_numbered_is_an_error(side: int, named: str) -> None:
    pytest.importorskip("hwrt._kernels", reason="NumPy numbers all of them")
    frame = np.broadcast_to(np.uint8(3), (2, side, 3))

    with pytest.raises(InputError, match=f"2 x {named} pixels at .*less than 268435456"):
        resize(frame, np.empty((3, 8, 8), np.float32), **LEVELS)


@pytest.mark.parametrize("crop_scale", [0.9, np.nan, np.inf, "1", None])
def test_a_crop_scale_that_is_no_number_from_1_is_an_error(crop_scale: Any) -> None:
    with pytest.raises(InputError, match="crop_scale is"):
        crop(noise(8, 8), np.empty((3, 4, 4), np.float32), **LEVELS, crop_scale=crop_scale)


@pytest.mark.parametrize("threads", [0, -1, 1.0, True, None])
def test_what_is_no_number_of_threads_is_an_error(threads: Any) -> None:
    with pytest.raises(InputError, match="threads is"):
        letterbox(noise(4, 4), np.empty((3, 8, 8), np.float32), threads=threads)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({"std": 1e-300}, "std is 1e-300"),
        ({"std": 1e-20, "scale": 1e-20}, "std is 1e-20, scale is 1e-20"),
        ({"std": 1e-300, "scale": 1e-300}, "std is 1e-300"),
        ({"mean": 1e300}, r"mean is 1e\+300"),
        ({"pad": -1e40}, r"pad is -1e\+40"),
        ({"pad": [1]}, r"pad is \[1\]"),
        ({"scale": np.zeros(2)}, "scale is"),
        ({"zero_point": None}, "zero_point is None"),
    ],
)
def test_numbers_that_float32_can_not_hold_are_an_error(
    levels: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        letterbox(noise(4, 4), np.empty((3, 8, 8), dtype=np.float32), **levels)


def _read_only() -> np.ndarray:
    out = np.empty((3, 8, 8), dtype=np.float32)
    out.flags.writeable = False
    return out


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.empty((3, 8, 8), dtype=np.float64),
        lambda: np.empty((2, 8, 8), dtype=np.float32),
        lambda: np.empty((2, 3, 8, 8), dtype=np.float32),
        lambda: np.empty((3, 0, 8), dtype=np.float32),
        lambda: [0.0],
        _read_only,
    ],
)
def test_what_can_not_be_written_is_an_error(make: Callable[[], Any]) -> None:
    with pytest.raises(InputError, match="out"):
        letterbox(noise(4, 4), make())


def test_a_colour_frame_does_not_fit_one_channel() -> None:
    with pytest.raises(InputError, match="3 channels"):
        letterbox(noise(4, 4), np.empty((1, 8, 8), dtype=np.float32))


@pytest.mark.parametrize(
    "levels", [{"mean": (1, 2)}, {"mean": np.nan}, {"mean": "x"}, {"std": 0}, {"std": (1, -1, 1)}]
)
def test_levels_that_mean_nothing_are_an_error(levels: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(levels))):
        letterbox(noise(4, 4), np.empty((3, 8, 8), dtype=np.float32), **levels)
