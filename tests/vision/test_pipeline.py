from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError, UnsupportedModel
from hwrt.spec import ModelInfo, TensorSpec
from hwrt.vision import Classifier, Detector

from .two_classes import CLASSIFY, one_box
from .two_classes import DETECT as TWO_CLASSES

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]

DETECT = replace(TWO_CLASSES, std=(255.0,))
RED = np.full((8, 8, 3), (250, 20, 10), dtype=np.uint8)
BLUE = np.full((8, 8, 3), (10, 20, 250), dtype=np.uint8)


def redness(tensor: np.ndarray) -> np.ndarray:
    """Two logits an image: how blue it is, how red it is."""
    return tensor[:, [2, 0]].mean(axis=(2, 3)) / 10


@pytest.fixture
def classifier(model_info: MakeInfo, fake_session: MakeSession) -> Classifier:
    return Classifier(fake_session(model_info(), redness), CLASSIFY)


@pytest.fixture
def detector(model_info: MakeInfo, fake_session: MakeSession) -> Detector:
    return Detector(fake_session(model_info(output=(None, 6, 1)), one_box), DETECT)


def test_a_frame_gives_its_classes_best_first(classifier: Classifier) -> None:
    found = classifier(RED)

    assert [1, 0] == found.classes.tolist()
    assert ("dog", "cat") == found.labels
    np.testing.assert_allclose(found.scores, [1, 0], atol=1e-6)


def test_a_list_of_frames_runs_as_one_batch(classifier: Classifier) -> None:
    found = classifier([RED, BLUE, RED])

    assert ["dog", "cat", "dog"] == [result.labels[0] for result in found]
    assert [(3, 3, 8, 8)] == [tensor.shape for tensor in classifier.session.fed]


def test_an_empty_list_gives_an_empty_list(classifier: Classifier) -> None:
    assert [] == classifier([])
    assert [] == classifier.session.fed


def test_a_fixed_batch_is_filled_up(model_info: MakeInfo, fake_session: MakeSession) -> None:
    session = fake_session(model_info(shape=(2, 3, 8, 8), output=(2, 2)), redness)

    found = Classifier(session, CLASSIFY)([RED, BLUE, RED])

    assert ["dog", "cat", "dog"] == [result.labels[0] for result in found]
    assert [(2, 3, 8, 8)] * 2 == [tensor.shape for tensor in session.fed]
    assert not session.fed[1][1].any()


def test_probabilities_are_left_as_they_are(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(), lambda _: np.array([[0.25, 0.75]], np.float32))

    found = Classifier(session, CLASSIFY)(RED)

    assert [0.75, 0.25] == found.scores.tolist()


@pytest.mark.parametrize("row", [[1.25, -0.25], [0.25, 0.5], [3.0, 1.0]])
def test_logits_become_probabilities(
    model_info: MakeInfo, fake_session: MakeSession, row: list[float]
) -> None:
    session = fake_session(model_info(), lambda _: np.array([row], np.float32))

    found = Classifier(session, CLASSIFY)(RED)

    expected = np.sort(np.exp(row) / np.exp(row).sum())[::-1]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-6)


def test_softmax_false_takes_the_outputs_as_scores(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(), lambda _: np.array([[0.5, 0.75]], np.float32))
    settings = replace(CLASSIFY, softmax=False)

    assert [0.75, 0.5] == Classifier(session, settings)(RED).scores.tolist()


def test_top_limits_the_classes(model_info: MakeInfo, fake_session: MakeSession) -> None:
    found = Classifier(fake_session(model_info(), redness), CLASSIFY, top=1)(RED)

    assert ("dog",) == found.labels


def test_an_output_of_1x1_maps_is_a_row_of_classes(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    info = model_info(output=(None, 2, 1, 1))
    session = fake_session(info, lambda tensor: redness(tensor)[:, :, None, None])

    assert "dog" == Classifier(session, CLASSIFY)(RED).labels[0]


def test_bgr_frames_are_turned_for_an_rgb_model(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    pipeline = Classifier(fake_session(model_info(), redness), CLASSIFY, frames="bgr")

    assert "cat" == pipeline(RED).labels[0]


def test_rgb_frames_are_turned_for_a_bgr_model(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    settings = replace(CLASSIFY, colour="bgr")

    assert "cat" == Classifier(fake_session(model_info(), redness), settings)(RED).labels[0]


def test_bgr_frames_stay_as_they_are_for_a_bgr_model(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    settings = replace(CLASSIFY, colour="bgr")
    pipeline = Classifier(fake_session(model_info(), redness), settings, frames="bgr")

    assert "dog" == pipeline(RED).labels[0]


def test_gray_frames_fill_three_channels(model_info: MakeInfo, fake_session: MakeSession) -> None:
    session = fake_session(model_info(), redness)

    Classifier(session, CLASSIFY, frames="gray")(np.full((4, 4), 7, np.uint8))

    np.testing.assert_array_equal(np.full((1, 3, 8, 8), 7, np.float32), session.fed[0])


def test_an_interleaved_model_is_fed_its_layout(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(
        model_info(shape=(None, 8, 8, 3)), lambda tensor: tensor[:, 0, 0, [2, 0]]
    )
    settings = replace(CLASSIFY, layout="NHWC")

    assert "dog" == Classifier(session, settings)(RED).labels[0]


def test_crop_feeds_the_middle(model_info: MakeInfo, fake_session: MakeSession) -> None:
    session = fake_session(model_info(), redness)
    settings = replace(CLASSIFY, resize="crop", crop_scale=1.0)
    frame = np.zeros((8, 16, 3), np.uint8)
    frame[:, 4:12] = 9

    Classifier(session, settings)(frame)

    np.testing.assert_array_equal(np.full((1, 3, 8, 8), 9, np.float32), session.fed[0])


def test_the_crop_scale_tells_how_much_is_cut_off(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(), redness)
    settings = replace(CLASSIFY, resize="crop", crop_scale=2.0)
    frame = np.zeros((8, 8, 3), np.uint8)
    frame[1:7, 1:7] = 9

    Classifier(session, settings)(frame)

    np.testing.assert_array_equal(np.full((1, 3, 8, 8), 9, np.float32), session.fed[0])


def test_negative_numbers_of_the_sum_1_are_logits(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    row = [0.75, 0.75, -0.5]
    session = fake_session(model_info(output=(None, 3)), lambda _: np.array([row], np.float32))

    found = Classifier(session, replace(CLASSIFY, labels=("a", "b", "c")))(RED)

    expected = np.sort(np.exp(row) / np.exp(row).sum())[::-1]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-6)


def test_a_model_of_half_floats_is_fed_half_floats(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(dtype=np.float16), redness)

    Classifier(session, CLASSIFY)(RED)

    assert np.float16 == session.fed[0].dtype


def test_detections_lie_in_the_frames_pixels(detector: Detector) -> None:
    found = detector(np.zeros((16, 32, 3), np.uint8))

    assert [[8.0, 0.0, 24.0, 16.0]] == found.boxes.tolist()
    assert ("dog",) == found.labels


def test_frames_of_several_sizes_have_their_own_geometry(detector: Detector) -> None:
    found = detector([np.zeros((16, 32, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)])

    assert [[[8.0, 0.0, 24.0, 16.0]], [[2.0, 2.0, 6.0, 6.0]]] == [
        result.boxes.tolist() for result in found
    ]


def test_a_pipeline_closes_its_session(classifier: Classifier) -> None:
    with classifier as entered:
        assert not entered.session.closed

    assert classifier.session.closed


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 0, 3), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        "bus.jpg",
        [RED, "bus.jpg"],
        [RED.tolist()],
    ],
)
def test_what_is_no_frame_is_an_error(classifier: Classifier, frame: Any) -> None:
    with pytest.raises(InputError, match=r"the frame is.*uint8 \(H, W, 3\), rgb"):
        classifier(frame)


def test_a_colour_frame_is_refused_where_gray_was_said(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    pipeline = Classifier(fake_session(model_info(), redness), CLASSIFY, frames="gray")

    with pytest.raises(InputError, match=r"\(H, W\), gray"):
        pipeline(RED)


def test_a_gray_model_asks_for_gray_frames(model_info: MakeInfo, fake_session: MakeSession) -> None:
    session = fake_session(model_info(shape=(None, 1, 8, 8)), redness)
    settings = replace(CLASSIFY, channels=1)

    with pytest.raises(InputError, match="frames='gray'"):
        Classifier(session, settings)


@pytest.mark.parametrize("output", [(None, 3), (None, 1), (None, 2, 7, 7), (2,)])
def test_a_classifiers_output_must_fit_the_labels(
    model_info: MakeInfo, fake_session: MakeSession, output: Any
) -> None:
    with pytest.raises(UnsupportedModel, match="2 labels"):
        Classifier(fake_session(model_info(output=output), redness), CLASSIFY)


@pytest.mark.parametrize("output", [(None, 84, 8400), (None, 8400, 6), (None, 6)])
def test_a_detectors_output_must_fit_the_labels(
    model_info: MakeInfo, fake_session: MakeSession, output: Any
) -> None:
    with pytest.raises(UnsupportedModel, match="2 labels"):
        Detector(fake_session(model_info(output=output), one_box), DETECT)


def test_an_output_of_open_shape_is_checked_when_it_comes(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    pipeline = Detector(fake_session(model_info(output=None), redness), DETECT)

    with pytest.raises(UnsupportedModel, match=r"\(1, 2\), not \(batch, 6, anchors\)"):
        pipeline(RED)


def test_one_label_is_that_of_an_output_of_one_class(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(output=(None, 1)), lambda _: np.array([[0.75]], np.float32))
    settings = replace(CLASSIFY, labels=("cat",), softmax=False)

    found = Classifier(session, settings)(RED)

    assert (("cat",), [0.75]) == (found.labels, found.scores.tolist())


@pytest.mark.parametrize(
    ("kind", "settings", "answer"),
    [
        (Classifier, CLASSIFY, lambda tensor: redness(tensor)[:1]),
        (Detector, DETECT, lambda tensor: one_box(tensor)[:1]),
    ],
    ids=["classifier", "detector"],
)
def test_an_output_without_a_row_for_each_frame_is_an_error(
    model_info: MakeInfo, fake_session: MakeSession, kind: Any, settings: Any, answer: Any
) -> None:
    pipeline = kind(fake_session(model_info(output=None), answer), settings)

    with pytest.raises(InputError, match="for a batch of 2: it has no row for each frame"):
        pipeline([RED, BLUE])


def test_a_model_of_two_outputs_is_unsupported(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    info = model_info()
    more = TensorSpec("more", np.dtype(np.float32), (1,))
    session = fake_session(replace(info, outputs=(*info.outputs, more)), redness)

    with pytest.raises(UnsupportedModel, match="one output"):
        Classifier(session, CLASSIFY)


def test_a_model_of_integers_is_unsupported(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    with pytest.raises(UnsupportedModel, match="integers with a scale"):
        Classifier(fake_session(model_info(dtype=np.uint8), redness), CLASSIFY)


def test_an_output_of_plain_integers_is_unsupported(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    with pytest.raises(UnsupportedModel, match="one output of floats"):
        Classifier(fake_session(model_info(output_dtype=np.int64), redness), CLASSIFY)
