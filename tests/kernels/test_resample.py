"""Against OpenCV where it is installed, against plain loops in float64, and against plain facts."""

from __future__ import annotations

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.kernels.resample import Span, resample

SIZES = [
    ((480, 640), (224, 224)),
    ((37, 53), (64, 96)),
    ((64, 64), (64, 64)),
    ((128, 96), (64, 48)),
    ((1, 1), (7, 5)),
    ((1, 90), (3, 30)),
    ((301, 7), (10, 20)),
]


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(height * 1009 + width)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def scaled(frame: np.ndarray, height: int, width: int, method: str) -> np.ndarray:
    rows, columns = Span.whole(frame.shape[0], height), Span.whole(frame.shape[1], width)
    return resample(frame, rows, columns, method)


def bilinear_by_loops(line: np.ndarray, target: int) -> np.ndarray:
    result = np.empty(target)
    for i in range(target):
        centre = min(max((i + 0.5) * len(line) / target - 0.5, 0), len(line) - 1)
        low = int(centre)
        high = min(low + 1, len(line) - 1)
        result[i] = line[low] + (line[high] - line[low]) * (centre - low)
    return result


def area_by_loops(line: np.ndarray, target: int) -> np.ndarray:
    result = np.zeros(target)
    step = len(line) / target
    for i in range(target):
        for j in range(len(line)):
            result[i] += line[j] * max(min(j + 1, (i + 1) * step) - max(j, i * step), 0) / step
    return result


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_bilinear_is_within_a_level_of_opencv(
    source: tuple[int, int], target: tuple[int, int]
) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    frame = noise(*source)

    expected = cv2.resize(frame, target[::-1], interpolation=cv2.INTER_LINEAR)

    actual = scaled(frame, *target, "bilinear")
    assert target == actual.shape[:2]
    assert np.abs(expected - actual).max() <= 1.0


@pytest.mark.parametrize(("source", "target"), [((480, 640), (224, 224)), ((301, 99), (10, 20))])
def test_area_is_within_a_level_of_opencv(source: tuple[int, int], target: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    frame = noise(*source)

    expected = cv2.resize(frame, target[::-1], interpolation=cv2.INTER_AREA)

    actual = scaled(frame, *target, "area")
    assert np.abs(expected - actual).max() <= 1.0


@pytest.mark.parametrize(
    ("source", "target"), [(50, 17), (17, 50), (9, 9), (1, 4), (4, 1), (33, 32)]
)
def test_bilinear_equals_plain_loops_in_float64(source: int, target: int) -> None:
    frame = noise(1, source, 1)

    expected = bilinear_by_loops(frame[0, :, 0].astype(float), target)

    actual = scaled(frame, 1, target, "bilinear")[0, :, 0]
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize(("source", "target"), [(50, 17), (64, 16), (33, 32), (4, 1), (1000, 3)])
def test_area_equals_plain_loops_in_float64(source: int, target: int) -> None:
    frame = noise(source, 1, 1)

    expected = area_by_loops(frame[:, 0, 0].astype(float), target)

    actual = scaled(frame, target, 1, "area")[:, 0, 0]
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_area_interpolates_the_dimension_that_grows() -> None:
    frame = noise(12, 5)

    by_area = scaled(frame, 12, 11, "area")

    np.testing.assert_array_equal(scaled(frame, 12, 11, "bilinear"), by_area)


def test_a_frame_at_its_own_size_is_unchanged() -> None:
    frame = noise(19, 23)

    np.testing.assert_array_equal(frame, scaled(frame, 19, 23, "bilinear"))


@pytest.mark.parametrize("method", ["bilinear", "area"])
def test_a_window_is_a_part_of_the_whole(method: str) -> None:
    frame = noise(40, 60)
    whole = scaled(frame, 16, 24, method)

    window = resample(frame, Span(40, 16, 3, 9), Span(60, 24, 5, 12), method)

    np.testing.assert_array_equal(whole[3:12, 5:17], window)


def test_a_reversed_view_is_resampled_as_its_copy() -> None:
    frame = noise(20, 30)[::-1, ::-1]

    np.testing.assert_array_equal(
        scaled(frame.copy(), 9, 13, "bilinear"), scaled(frame, 9, 13, "bilinear")
    )


def test_another_method_is_an_error_that_lists_them() -> None:
    with pytest.raises(InputError, match=r"'cubic'.*bilinear, area"):
        scaled(noise(4, 4), 2, 2, "cubic")
