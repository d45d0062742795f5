"""Pipelines over integers that stand for numbers, and boxes in fractions of the input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwrt.errors import UnsupportedModel
from hwrt.spec import ModelInfo, Quantization
from hwrt.vision import Classifier, Detector

from .two_classes import CLASSIFY
from .two_classes import DETECT as TWO_CLASSES

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]

DETECT = dataclasses.replace(TWO_CLASSES, std=(255.0,))
RED = np.full((8, 8, 3), (250, 20, 10), dtype=np.uint8)


def test_a_quantized_input_is_fed_the_integers_of_its_levels(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    info = model_info(dtype=np.int8, quantization=Quantization((1.0,), (-128,)))
    session = fake_session(info, lambda tensor: np.zeros((len(tensor), 2), "f4"))
    Classifier(session, CLASSIFY)(RED)

    (tensor,) = session.fed
    assert np.int8 == tensor.dtype
    np.testing.assert_array_equal(np.array([250, 20, 10]) - 128, tensor[0, :, 3, 3])


def test_a_quantized_output_is_read_as_what_it_stands_for(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    info = model_info(output_dtype=np.uint8, output_quantization=Quantization((1 / 256,), (0,)))
    session = fake_session(info, lambda tensor: np.array([[64, 192]], "u1"))

    result = Classifier(session, CLASSIFY)(RED)

    assert ([1, 0], [0.75, 0.25]) == (result.classes.tolist(), result.scores.tolist())


def test_quantized_probabilities_need_not_sum_to_1_exactly(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    info = model_info(output_dtype=np.int8, output_quantization=Quantization((1 / 64,), (-64,)))
    session = fake_session(info, lambda tensor: np.array([[-48, -17]], "i1"))

    result = Classifier(session, CLASSIFY)(RED)

    assert [47 / 64, 0.25] == result.scores.tolist()


def test_boxes_in_fractions_are_brought_to_the_frame(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    scores = np.array([0.25, 0.75], "f4")
    answer = np.concatenate([np.full(4, 0.5, "f4"), scores])[None, :, None]
    session = fake_session(model_info(output=(None, 6, 1)), lambda tensor: answer)
    detector = Detector(session, dataclasses.replace(DETECT, boxes="fractions"))

    frame = np.zeros((16, 16, 3), "u1")
    np.testing.assert_array_equal([[4, 4, 12, 12]], detector(frame).boxes)
    np.testing.assert_array_equal(0.5, answer[0, :4, 0])


def test_each_channel_of_a_quantized_input_has_its_own_scale(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    quantization = Quantization((1.0, 2.0, 0.5), (0, 0, 5), 1)
    info = model_info(dtype=np.uint8, quantization=quantization)
    session = fake_session(info, lambda tensor: np.zeros((len(tensor), 2), "f4"))

    Classifier(session, CLASSIFY)(RED)

    np.testing.assert_array_equal([250, 10, 25], session.fed[0][0, :, 3, 3])


def test_each_class_of_a_quantized_output_may_have_its_own_scale(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    quantization = Quantization((1 / 256, 1 / 128), (0, 0), 1)
    info = model_info(output_dtype=np.uint8, output_quantization=quantization)
    session = fake_session(info, lambda tensor: np.array([[64, 96]], "u1"))

    assert [0.75, 0.25] == Classifier(session, CLASSIFY)(RED).scores.tolist()


@pytest.mark.parametrize("levels", [[17, 49], [70, 0]], ids=["sum too large", "one above 1"])
def test_quantized_logits_become_probabilities(
    model_info: MakeInfo, fake_session: MakeSession, levels: list[int]
) -> None:
    info = model_info(output_dtype=np.uint8, output_quantization=Quantization((1 / 64,), (0,)))
    session = fake_session(info, lambda tensor: np.array([levels], "u1"))

    scores = Classifier(session, CLASSIFY)(RED).scores

    assert float(scores.sum()) == pytest.approx(1, abs=1e-6)
    assert scores[0] < 0.75


def test_integers_wider_than_16_bits_are_unsupported_with_a_scale_too(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    info = model_info(output_dtype=np.int32, output_quantization=Quantization((0.5,), (0,)))

    with pytest.raises(UnsupportedModel, match="int32"):
        Classifier(fake_session(info, lambda tensor: tensor), CLASSIFY)


def test_fractions_are_of_the_inputs_own_width_and_height(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    answer = np.array([0.5, 0.25, 0.25, 0.5, 0.25, 0.75], "f4")[None, :, None]
    session = fake_session(
        model_info(shape=(None, 3, 8, 16), output=(None, 6, 1)), lambda _: answer
    )
    detector = Detector(session, dataclasses.replace(DETECT, boxes="fractions", size=(8, 16)))

    found = detector(np.zeros((8, 16, 3), "u1"))

    np.testing.assert_array_equal([[6, 0, 10, 4]], found.boxes)


def test_quantized_boxes_in_fractions_are_brought_to_the_frame(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    info = model_info(
        shape=(2, 3, 8, 8),
        output=(2, 6, 1),
        output_dtype=np.int8,
        output_quantization=Quantization((1 / 256,), (-128,)),
    )
    answer = np.array([0, 0, 0, 0, -64, 64], "i1")[None, :, None].repeat(2, axis=0)
    detector = Detector(
        fake_session(info, lambda _: answer), dataclasses.replace(DETECT, boxes="fractions")
    )

    found = detector([np.zeros((16, 16, 3), "u1")] * 3)

    assert [[[4.0, 4.0, 12.0, 12.0]]] * 3 == [result.boxes.tolist() for result in found]
    assert [[0.75]] * 3 == [result.scores.tolist() for result in found]
