"""How far hwrt.vision is from what models are trained with: the figures of docs/parity.md."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwrt.vision import crop, letterbox, resize

SHRINKING = [((480, 640), (224, 224)), ((720, 1280), (360, 640)), ((667, 1000), (640, 640))]
GROWING = [((200, 300), (333, 500)), ((64, 48), (640, 480)), ((5, 7), (31, 9))]
WHOLE_RATIOS = [((720, 1280), (360, 640)), ((1080, 1920), (180, 320)), ((90, 120), (30, 24))]


def noise(height: int, width: int) -> np.ndarray:
    """The worst case: neighbours have nothing to do with each other."""
    rng = np.random.default_rng(height * 1009 + width)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def scene(height: int, width: int) -> np.ndarray:
    """Smooth shapes with some noise of a sensor."""
    y, x = np.mgrid[:height, :width]
    smooth = 127 + 60 * np.sin(x / 17) + 50 * np.cos(y / 11)
    grain = np.random.default_rng(width).normal(0, 12, (height, width, 3))
    return np.clip(smooth[..., None] + grain, 0, 255).astype(np.uint8)


def stretched(frame: np.ndarray, size: tuple[int, int], method: Any) -> np.ndarray:
    out = np.empty((*size, 3), np.float32)
    resize(frame, out, mean=0, std=1, method=method)
    return out


def opencv(frame: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    resized = cv2.resize(frame, size[::-1], interpolation=getattr(cv2, interpolation))
    return np.asarray(resized, np.float64)


def pillow(frame: np.ndarray, size: tuple[int, int], filter_name: str) -> np.ndarray:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    resized = image.fromarray(frame).resize(size[::-1], image.Resampling[filter_name])
    return np.asarray(resized, np.float64)


@pytest.mark.parametrize(("source", "target"), SHRINKING + GROWING)
def test_bilinear_is_within_a_level_of_opencvs_inter_linear(
    source: tuple[int, int], target: tuple[int, int]
) -> None:
    frame = noise(*source)

    difference = stretched(frame, target, "bilinear") - opencv(frame, target, "INTER_LINEAR")

    assert np.abs(difference).max() <= 1.0


@pytest.mark.parametrize(("source", "target"), SHRINKING + WHOLE_RATIOS)
def test_area_is_within_a_level_of_opencvs_inter_area_where_both_sides_shrink(
    source: tuple[int, int], target: tuple[int, int]
) -> None:
    frame = noise(*source)

    difference = stretched(frame, target, "area") - opencv(frame, target, "INTER_AREA")

    assert np.abs(difference).max() <= 1.0


def test_area_is_another_than_opencvs_where_a_side_grows() -> None:
    frame = noise(200, 300)

    difference = stretched(frame, (333, 500), "area") - opencv(frame, (333, 500), "INTER_AREA")

    assert np.abs(difference).max() > 20
    np.testing.assert_array_less(
        np.abs(stretched(frame, (333, 500), "area") - opencv(frame, (333, 500), "INTER_LINEAR")),
        1.0,
    )


@pytest.mark.parametrize("method", ["bilinear", "area"])
@pytest.mark.parametrize(("source", "target"), GROWING)
def test_both_methods_are_within_a_level_of_pillows_bilinear_where_both_sides_grow(
    source: tuple[int, int], target: tuple[int, int], method: str
) -> None:
    frame = noise(*source)

    difference = stretched(frame, target, method) - pillow(frame, target, "BILINEAR")

    assert np.abs(difference).max() <= 1.01  # Pillow rounds after each of its two passes


@pytest.mark.parametrize(("source", "target"), WHOLE_RATIOS)
def test_area_is_within_a_level_of_pillows_box_at_whole_ratios(
    source: tuple[int, int], target: tuple[int, int]
) -> None:
    frame = noise(*source)

    difference = stretched(frame, target, "area") - pillow(frame, target, "BOX")

    assert np.abs(difference).max() <= 1.01


@pytest.mark.parametrize("factor", [2, 3, 6])
def test_area_is_within_a_level_of_pillows_reduce(factor: int) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    frame = noise(180, 240)

    reduced = np.asarray(image.fromarray(frame).reduce(factor), np.float64)

    difference = stretched(frame, (180 // factor, 240 // factor), "area") - reduced
    assert np.abs(difference).max() <= 1.0


def test_of_the_two_area_is_nearer_to_pillows_antialiased_bilinear() -> None:
    frame = scene(480, 640)
    antialiased = pillow(frame, (224, 224), "BILINEAR")

    area = np.abs(stretched(frame, (224, 224), "area") - antialiased).mean()
    bilinear = np.abs(stretched(frame, (224, 224), "bilinear") - antialiased).mean()

    assert 0.5 < area < 2.0
    assert 3.0 < bilinear < 8.0


@pytest.mark.parametrize("size", [(480, 640), (1080, 810), (333, 500), (31, 64)])
def test_a_letterbox_is_that_of_ultralytics_within_a_level(size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    frame, out = noise(*size), np.empty((3, 64, 96), np.float32)
    ratio = min(64 / size[0], 96 / size[1])
    height, width = round(size[0] * ratio), round(size[1] * ratio)
    dh, dw = (64 - height) / 2, (96 - width) / 2
    expected = cv2.copyMakeBorder(
        cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR),
        *(round(dh - 0.1), round(dh + 0.1), round(dw - 0.1), round(dw + 0.1)),
        cv2.BORDER_CONSTANT,
        value=(114,) * 3,
    )[..., ::-1]

    letterbox(frame, out, bgr=True)

    assert np.abs(out.transpose(1, 2, 0) - expected / 255.0).max() <= 1 / 255


def test_a_crop_is_the_resize_to_256_and_the_middle_224() -> None:
    frame, out = noise(512, 640), np.empty((224, 224, 3), np.float32)

    crop(frame, out, mean=0, std=1, method="area")

    middle = opencv(frame, (256, 320), "INTER_AREA")[16:240, 48:272]
    assert np.abs(out - middle).max() <= 1.0


@pytest.mark.parametrize(
    ("height", "width"), [(480, 640), (667, 1000), (300, 257), (257, 601), (256, 343), (224, 900)]
)
def test_a_crop_cuts_where_torchvisions_resize_and_center_crop_do(height: int, width: int) -> None:
    shorter, longer = sorted((height, width))
    cut = round((256 * longer // shorter - 224) / 2)  # torchvision: int() of the longer side
    frame, out = noise(height, width), np.empty((224, 224, 3), np.float32)

    geometry = crop(frame, out, mean=0, std=1)

    assert (-geometry.pad_y, -geometry.pad_x) == ((16, cut) if height < width else (cut, 16))
