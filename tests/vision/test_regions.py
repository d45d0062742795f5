"""A part of each frame: ``roi``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.spec import ModelInfo
from hwrt.vision import Classifier, Detector, Geometry
from hwrt.vision.frames import region

from .two_classes import CLASSIFY, DETECT, brightness, gray, level_of, one_box

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]


@pytest.fixture
def classifier(model_info: MakeInfo, fake_session: MakeSession) -> Classifier:
    session = fake_session(model_info(), brightness)
    return Classifier(session, dataclasses.replace(CLASSIFY, softmax=False))


@pytest.fixture
def detector(model_info: MakeInfo, fake_session: MakeSession) -> Detector:
    return Detector(fake_session(model_info(output=(None, 6, 1)), one_box), DETECT)


def corner_frame() -> np.ndarray:
    """Black but for the pixels from (16, 8) on."""
    frame = gray(0, 24, 32)
    frame[8:, 16:] = 9
    return frame


def test_a_region_is_a_view_of_the_frame() -> None:
    frame = corner_frame()

    part = region(frame, (16, 8, 32, 24))

    assert (16, 16, 3) == part.shape
    assert np.shares_memory(frame, part)
    assert (part == 9).all()


def test_only_the_region_is_looked_at(classifier: Classifier) -> None:
    frame = corner_frame()

    assert 9.0 == level_of(classifier(frame, roi=(16, 8, 24, 16)))
    assert 0.0 == level_of(classifier(frame))
    assert (classifier.session.fed[0] == 9).all()


def test_boxes_stay_in_the_pixels_of_the_whole_frame(detector: Detector) -> None:
    found = detector(gray(0, 24, 64), roi=(16, 8, 32, 24))

    assert [[20.0, 12.0, 28.0, 20.0]] == found.boxes.tolist()


def test_a_region_is_that_of_every_frame_of_a_list(detector: Detector) -> None:
    found = detector([gray(0, 24, 64), gray(0, 16, 40)], roi=(32, 0, 40, 16))

    assert [[[32.0, 4.0, 40.0, 12.0]]] * 2 == [result.boxes.tolist() for result in found]


def test_a_stream_takes_a_region(detector: Detector) -> None:
    (found,) = detector.stream([gray(0, 24, 64)], roi=(16, 8, 32, 24))

    assert [[20.0, 12.0, 28.0, 20.0]] == found.boxes.tolist()


def test_gray_frames_have_regions(model_info: MakeInfo, fake_session: MakeSession) -> None:
    settings = dataclasses.replace(CLASSIFY, softmax=False)
    pipeline = Classifier(fake_session(model_info(), brightness), settings, frames="gray")

    assert 9.0 == level_of(pipeline(corner_frame()[..., 0], roi=(16, 8, 17, 9)))


def test_numpys_integers_say_a_region(detector: Detector) -> None:
    found = detector(gray(0, 24, 64), roi=tuple(np.array([16, 8, 32, 24])))

    assert [[20.0, 12.0, 28.0, 20.0]] == found.boxes.tolist()


@pytest.mark.parametrize(
    "roi",
    [
        (0, 0, 33, 24),
        (0, 0, 32, 25),
        (-1, 0, 32, 24),
        (0, -1, 32, 24),
        (8, 0, 8, 24),
        (0, 9, 32, 8),
        (0, 0, 32),
        (0.0, 0.0, 8.0, 8.0),
        "all",
        7,
        {0, 1, 8, 9},
        {"x0": 0, "y0": 0, "x1": 8, "y1": 8},
        iter((0, 0, 8, 8)),
    ],
)
def test_what_is_no_region_of_the_frame_is_an_error(classifier: Classifier, roi: Any) -> None:
    with pytest.raises(InputError, match="roi is"):
        classifier(gray(0, 24, 32), roi=roi)


def test_what_is_no_frame_is_an_error_with_a_region_too(classifier: Classifier) -> None:
    with pytest.raises(InputError, match="the frame is float32"):
        classifier(np.zeros((8, 8, 3), np.float32), roi=(0, 0, 4, 4))


def test_boxes_of_a_region_need_to_know_where_the_frame_lies(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(output=(None, 6, 1)), one_box)
    detector = Detector(session, DETECT, preprocess=lambda frame, out: None)

    with pytest.raises(InputError, match="preprocess returned no Geometry"):
        detector(gray(0, 24, 64), roi=(16, 8, 32, 24))


def test_boxes_of_a_region_are_placed_by_the_geometry_of_ones_own_preprocess(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    def preprocess(frame: np.ndarray, out: np.ndarray) -> Geometry:
        height, width = frame.shape[:2]
        return Geometry(height, width, 8, 8, 8 / width, 8 / height, 0, 0)

    session = fake_session(model_info(output=(None, 6, 1)), one_box)
    detector = Detector(session, DETECT, preprocess=preprocess)

    found = detector(gray(0, 24, 64), roi=(16, 8, 48, 24))

    assert [[24.0, 12.0, 40.0, 20.0]] == found.boxes.tolist()
