"""NV12 and YUYV frames: against OpenCV's conversion, and through the pipelines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.spec import ModelInfo, Quantization
from hwrt.vision import Classifier, Detector, Segmenter, crop, letterbox, resize

from .seeing import frame_of
from .two_classes import CLASSIFY, DETECT, one_box

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]

LEVELS: dict[str, Any] = {"mean": 0, "std": 1, "layout": "NHWC"}
FORMATS = ["nv12", "yuyv"]
# Red, green and blue (levels) as luma and chroma of BT.601, luma 16 to 235.
COLOURS = {(255, 0, 0): (81, 90, 240), (0, 255, 0): (145, 54, 34), (0, 0, 255): (41, 240, 110)}


def plain(height: int, width: int, yuv: tuple[int, int, int], form: str) -> np.ndarray:
    """A frame of one colour."""
    y, u, v = yuv
    if form == "nv12":
        frame = np.full((height // 2 * 3, width), y, np.uint8)
        frame[height:, ::2], frame[height:, 1::2] = u, v
        return frame
    frame = np.full((height, width, 2), y, np.uint8)
    frame[:, ::2, 1], frame[:, 1::2, 1] = u, v
    return frame


def noise(height: int, width: int, form: str) -> np.ndarray:
    """A frame whose colours are all within range: no clamping."""
    random = np.random.default_rng(height + width)
    frame = plain(height, width, (0, 0, 0), form)
    luma = random.integers(90, 180, (height, width))
    if form == "nv12":
        frame[:height] = luma
        frame[height:] = random.integers(108, 148, (height // 2, width))
    else:
        frame[..., 0] = luma
        frame[..., 1] = random.integers(108, 148, (height, width))
    return frame


def with_opencv(frame: np.ndarray, form: str) -> np.ndarray:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    return cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_NV12 if form == "nv12" else cv2.COLOR_YUV2RGB_YUYV)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_is_what_its_standard_says(colour: tuple[int, ...], form: str) -> None:
    out = np.empty((12, 20, 3), np.float32)

    resize(plain(6, 8, COLOURS[colour], form), out, yuv=form, **LEVELS)

    np.testing.assert_allclose(out, np.broadcast_to(np.float32(colour), out.shape), atol=2)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("yuv", [(16, 128, 128), (120, 90, 200), (200, 160, 100), (235, 128, 128)])
def test_a_frame_of_one_colour_is_within_a_level_of_opencvs(
    yuv: tuple[int, int, int], form: str
) -> None:
    frame = plain(6, 8, yuv, form)
    out = np.empty((6, 8, 3), np.float32)

    resize(frame, out, yuv=form, **LEVELS)

    assert np.abs(out - with_opencv(frame, form)).max() <= 1


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("ratio", [2, 6])
def test_a_frame_reduced_by_whole_pairs_is_within_a_level_of_opencvs(form: str, ratio: int) -> None:
    frame = noise(24, 48, form)
    out, expected = np.empty((2, 24 // ratio, 48 // ratio, 3), np.float32)

    resize(frame, out, yuv=form, **LEVELS)
    resize(with_opencv(frame, form), expected, **LEVELS)

    # Where each result lies in the middle of a pair, OpenCV's chroma for both pixels is ours.
    assert np.abs(out - expected).max() <= 1


@pytest.mark.parametrize("image", ["bus.jpg", "cat_1080p.jpg"])
def test_a_photograph_is_as_with_opencvs_conversion(shared: Path, image: str) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    frame = frame_of(shared / "images" / image)
    height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
    planes = cv2.cvtColor(frame[:height, :width], cv2.COLOR_RGB2YUV_I420)
    chroma = planes[height:].reshape(2, -1).T.reshape(height // 2, width)
    nv12 = np.concatenate([planes[:height], chroma])
    ours, theirs = np.empty((2, 640, 640, 3), np.float32)

    place = letterbox(nv12, ours, yuv="nv12", **LEVELS)

    assert place == letterbox(with_opencv(nv12, "nv12"), theirs, **LEVELS)
    off = np.abs(ours - theirs)
    assert off.mean() < 1.0
    assert np.percentile(off, 99) < 8


@pytest.mark.parametrize("form", FORMATS)
def test_a_crop_takes_the_middle(form: str) -> None:
    frame = plain(8, 40, (16, 128, 128), form)
    bright = plain(8, 40, (235, 128, 128), form)
    frame[:, 16:24] = bright[:, 16:24]
    out = np.empty((4, 4, 3), np.float32)

    crop(frame, out, yuv=form, crop_scale=1.0, **LEVELS)

    np.testing.assert_allclose(out, 255, atol=0.1)


@pytest.mark.parametrize("form", FORMATS)
def test_bgr_puts_blue_first(form: str) -> None:
    frame = plain(4, 4, COLOURS[0, 0, 255], form)
    out = np.empty((4, 4, 3), np.uint8)

    resize(frame, out, yuv=form, bgr=True, **LEVELS)

    assert [255, 0, 0] == out[0, 0].tolist()


@pytest.mark.parametrize(
    ("matrix", "yuv", "colour"),
    [
        ("bt601", (145, 54, 34), (0, 255, 0)),
        ("bt709", (173, 42, 26), (0, 255, 0)),
        ("bt601-full", (150, 44, 21), (0, 255, 0)),
        ("bt709-full", (182, 30, 12), (0, 255, 0)),
        ("bt709", (235, 128, 128), (255, 255, 255)),
        ("bt601-full", (255, 128, 128), (255, 255, 255)),
    ],
)
def test_each_matrix_is_that_of_its_standard(matrix: str, yuv: Any, colour: Any) -> None:
    out = np.empty((2, 2, 3), np.float32)

    resize(plain(2, 2, yuv, "nv12"), out, yuv="nv12", matrix=matrix, **LEVELS)

    np.testing.assert_allclose(out, np.broadcast_to(np.float32(colour), out.shape), atol=2)


@pytest.mark.parametrize(
    ("frame", "how", "message"),
    [
        (np.zeros((7, 4), np.uint8), {"yuv": "nv12"}, r"the frame is uint8 \(7, 4\)"),
        (np.zeros((6, 5), np.uint8), {"yuv": "nv12"}, r"the frame is uint8 \(6, 5\)"),
        (np.zeros((6, 4, 1), np.uint8), {"yuv": "nv12"}, r"the frame is uint8 \(6, 4, 1\)"),
        (np.zeros((6, 4), np.int8), {"yuv": "nv12"}, r"the frame is int8 \(6, 4\)"),
        (np.zeros((0, 4), np.uint8), {"yuv": "nv12"}, r"the frame is uint8 \(0, 4\)"),
        (np.zeros((6, 4, 3), np.uint8), {"yuv": "yuyv"}, r"the frame is uint8 \(6, 4, 3\)"),
        (np.zeros((6, 5, 2), np.uint8), {"yuv": "yuyv"}, r"the frame is uint8 \(6, 5, 2\)"),
        ([1, 2], {"yuv": "yuyv"}, "the frame is of the type list"),
        (np.zeros((6, 4), np.uint8), {"yuv": "nv21"}, "yuv is 'nv21'"),
        (np.zeros((6, 4), np.uint8), {"yuv": ["nv12"]}, "yuv is"),
        (np.zeros((6, 4), np.uint8), {"yuv": "nv12", "matrix": "bt2020"}, "matrix is 'bt2020'"),
        (np.zeros((6, 4), np.uint8), {"yuv": "nv12", "method": "area"}, "the method is 'area'"),
    ],
)
def test_what_is_no_such_frame_is_an_input_error(frame: Any, how: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        letterbox(frame, np.empty((8, 8, 3), np.float32), layout="NHWC", **how)


def test_a_model_of_one_channel_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"out .* has 1 channel"):
        letterbox(np.zeros((6, 4), np.uint8), np.empty((8, 8, 1), np.float32), yuv="nv12")


def reds(tensor: np.ndarray) -> np.ndarray:
    """Two logits an image: how blue it is, how red it is."""
    return tensor[:, [2, 0]].mean(axis=(2, 3)) / 10


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_a_pipeline_takes_such_frames(
    model_info: MakeInfo, fake_session: MakeSession, form: str, colour: str
) -> None:
    settings = replace(CLASSIFY, colour=colour)
    classify = Classifier(fake_session(model_info(), reds), settings, frames=form)
    frames = [plain(6, 8, COLOURS[wanted], form) for wanted in ((255, 0, 0), (0, 0, 255))]

    labels = [result.labels[0] for result in classify(frames)]

    assert (["dog", "cat"] if colour == "rgb" else ["cat", "dog"]) == labels


def test_a_pipeline_takes_the_matrix(model_info: MakeInfo, fake_session: MakeSession) -> None:
    session = fake_session(model_info(), reds)
    pipeline = Classifier(session, CLASSIFY, frames="nv12", matrix="bt601-full")

    pipeline(plain(6, 8, (30, 128, 128), "nv12"))

    np.testing.assert_allclose(session.fed[0], 30, atol=0.1)


def test_an_unknown_matrix_is_an_input_error(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    with pytest.raises(InputError, match="matrix is 'bt2020'"):
        Classifier(fake_session(model_info(), reds), CLASSIFY, frames="nv12", matrix="bt2020")


@pytest.mark.parametrize("form", FORMATS)
def test_boxes_lie_in_the_pixels_of_the_frame(
    model_info: MakeInfo, fake_session: MakeSession, form: str
) -> None:
    detect = Detector(fake_session(model_info(output=(None, 6, 1)), one_box), DETECT, frames=form)

    found = detect(plain(16, 32, (16, 128, 128), form))

    assert [[8.0, 0.0, 24.0, 16.0]] == found.boxes.tolist()


@pytest.mark.parametrize("form", FORMATS)
def test_a_segmentation_has_the_size_of_the_frame(
    model_info: MakeInfo, fake_session: MakeSession, form: str
) -> None:
    session = fake_session(model_info(output=(None, 2, 8, 8)), lambda t: t[:, :2])
    segment = Segmenter(session, replace(DETECT, task="segment"), frames=form)

    found = segment(plain(16, 32, COLOURS[0, 255, 0], form))

    assert (16, 32) == found.classes.shape
    assert found.classes.all()


@pytest.mark.parametrize("form", FORMATS)
def test_a_quantised_input_takes_such_frames(
    model_info: MakeInfo, fake_session: MakeSession, form: str
) -> None:
    info = model_info(dtype=np.int8, quantization=Quantization((1.0,), (-128,), None))
    session = fake_session(info, lambda tensor: np.zeros((len(tensor), 2), np.float32))

    Classifier(session, CLASSIFY, frames=form)(plain(8, 8, COLOURS[0, 0, 255], form))

    assert [-128, -128, 127] == session.fed[0][0, :, 0, 0].tolist()


@pytest.mark.parametrize("form", FORMATS)
def test_a_frame_of_another_shape_is_an_input_error(
    model_info: MakeInfo, fake_session: MakeSession, form: str
) -> None:
    classify = Classifier(fake_session(model_info(), reds), CLASSIFY, frames=form)

    with pytest.raises(InputError, match=r"the frame is uint8 \(8, 8, 3\)"):
        classify(np.zeros((8, 8, 3), np.uint8))


def test_a_region_of_yuyv_is_looked_at(model_info: MakeInfo, fake_session: MakeSession) -> None:
    session = fake_session(model_info(), reds)
    frame = plain(16, 32, COLOURS[255, 0, 0], "yuyv")
    frame[:, :16] = plain(16, 16, COLOURS[0, 0, 255], "yuyv")

    found = Classifier(session, CLASSIFY, frames="yuyv")(frame, roi=(18, 1, 30, 16))

    assert "dog" == found.labels[0]
    np.testing.assert_allclose(session.fed[0][0, 0], 255, atol=2)


@pytest.mark.parametrize(
    ("form", "roi", "message"),
    [
        ("yuyv", (1, 0, 4, 4), "whose columns come in pairs"),
        ("yuyv", (0, 0, 5, 4), "whose columns come in pairs"),
        ("nv12", (0, 0, 4, 4), "is no part of one array"),
    ],
)
def test_a_region_that_has_no_chroma_of_its_own_is_an_input_error(
    model_info: MakeInfo, fake_session: MakeSession, form: str, roi: Any, message: str
) -> None:
    classify = Classifier(fake_session(model_info(), reds), CLASSIFY, frames=form)

    with pytest.raises(InputError, match=message):
        classify(plain(8, 8, (16, 128, 128), form), roi=roi)


@pytest.mark.parametrize("form", FORMATS)
def test_tiles_are_refused(model_info: MakeInfo, fake_session: MakeSession, form: str) -> None:
    detect = Detector(fake_session(model_info(output=(None, 6, 1)), one_box), DETECT, frames=form)

    with pytest.raises(InputError, match=f"tiles of {form} frames are not cut"):
        detect.tiled(plain(16, 32, (16, 128, 128), form))


def test_a_gray_model_asks_for_gray_frames(model_info: MakeInfo, fake_session: MakeSession) -> None:
    session = fake_session(model_info(shape=(None, 1, 8, 8)), reds)

    with pytest.raises(InputError, match="frames='gray'"):
        Classifier(session, replace(CLASSIFY, channels=1), frames="nv12")
