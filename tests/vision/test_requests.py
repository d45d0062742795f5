"""How a pipeline uses its session's requests: from any thread, in place, and given back."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from hwrt.errors import BackendFailure, InputError, SessionError, UnsupportedModel
from hwrt.spec import ModelInfo, Quantization, Range
from hwrt.vision import Classifier

from .two_classes import CLASSIFY, brightness, gray, level_of

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]
PLAIN = dataclasses.replace(CLASSIFY, softmax=False)


def fail(tensor: np.ndarray) -> np.ndarray:
    raise BackendFailure("the vendor broke")


def test_frames_one_after_the_other_share_one_request(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    pipeline = Classifier(fake_session(model_info(), brightness), PLAIN)

    assert [7.0, 5.0, 9.0] == [level_of(pipeline(gray(level))) for level in (7, 5, 9)]
    assert 1 == len(pipeline.session.model.requests)


def test_threads_get_the_results_of_their_own_frames(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    pipeline = Classifier(fake_session(model_info(), brightness, limit=3), PLAIN)
    levels = list(range(200))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda level: level_of(pipeline(gray(level))), levels))

    assert levels == found


def test_no_more_requests_are_made_than_the_backend_serves(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    both = threading.Barrier(2)

    def together(tensor: np.ndarray) -> np.ndarray:
        both.wait(30)
        return brightness(tensor)

    pipeline = Classifier(fake_session(model_info(), together, limit=2), PLAIN)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda level: pipeline(gray(level)), range(20)))

    assert 2 == len(pipeline.session.model.requests)


def test_a_request_is_given_back_after_a_run_that_failed(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    pipeline = Classifier(fake_session(model_info(), fail, limit=1), PLAIN)
    for _ in range(3):
        with pytest.raises(BackendFailure, match="the vendor broke"):
            pipeline(gray(1))

    assert 1 == len(pipeline.session.model.requests)


def test_a_request_is_given_back_after_a_frame_that_was_refused(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    pipeline = Classifier(fake_session(model_info(), brightness, limit=1), PLAIN)
    with pytest.raises(InputError):
        pipeline([gray(1), np.zeros((8, 8, 4), np.uint8)])

    assert 5.0 == level_of(pipeline(gray(5)))


def test_a_pipeline_whose_session_was_replaced_serves_the_new_model(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(), brightness, then=lambda tensor: brightness(tensor) + 100)
    pipeline = Classifier(session, PLAIN)
    before = level_of(pipeline(gray(7)))
    pipeline.session.replace("new.onnx")

    assert (7.0, 107.0) == (before, level_of(pipeline(gray(7))))
    assert pipeline.session.model.closed


def test_a_closed_pipeline_says_so(model_info: MakeInfo, fake_session: MakeSession) -> None:
    pipeline = Classifier(fake_session(model_info(), brightness), PLAIN)
    pipeline(gray(1))
    pipeline.close()

    with pytest.raises(SessionError, match="closed"):
        pipeline(gray(1))
    assert 1 == pipeline.session.model.closed


def test_lists_of_several_lengths_each_run_as_one_batch(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    pipeline = Classifier(fake_session(model_info(), brightness), PLAIN)
    for count in (1, 3, 2):
        found = pipeline([gray(level) for level in range(count)])

        assert list(range(count)) == [level_of(result) for result in found]
    assert [1, 3, 2] == [len(tensor) for tensor in pipeline.session.fed]


def test_a_range_bounds_the_batches(model_info: MakeInfo, fake_session: MakeSession) -> None:
    shapes = {"images": (Range(2, 2, 4), 3, 8, 8)}
    pipeline = Classifier(fake_session(model_info(), brightness, shapes=shapes), PLAIN)

    found = pipeline([gray(level) for level in range(9)])

    assert list(range(9)) == [level_of(result) for result in found]
    assert [4, 4, 2] == [len(tensor) for tensor in pipeline.session.fed]


@pytest.mark.parametrize(
    ("dtype", "quantization", "blank"),
    [
        (np.uint8, Quantization((1.0,), (3,)), 3),
        (np.int16, Quantization((1.0,), (-5,)), -5),
        (np.int8, Quantization((1.0, 1.0, 1.0), (1, 2, 3), 1), [[[1]], [[2]], [[3]]]),
    ],
)
def test_what_fills_up_a_quantized_batch_stands_for_zero(
    model_info: MakeInfo, fake_session: MakeSession, dtype: Any, quantization: Any, blank: Any
) -> None:
    info = model_info(shape=(2, 3, 8, 8), output=(2, 2), dtype=dtype, quantization=quantization)
    pipeline = Classifier(fake_session(info, brightness), PLAIN)

    pipeline(gray(7))

    (tensor,) = pipeline.session.fed
    np.testing.assert_array_equal(np.broadcast_to(blank, (3, 8, 8)), tensor[1])


def test_a_quantized_input_of_16_bits_is_fed_its_integers(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    info = model_info(dtype=np.int16, quantization=Quantization((0.25,), (-1000,)))
    pipeline = Classifier(fake_session(info, brightness), PLAIN)

    pipeline(gray(7))
    pipeline(gray(9))

    assert [-972, -964] == [int(tensor[0, 0, 0, 0]) for tensor in pipeline.session.fed]
    assert all((tensor == tensor[0, 0, 0, 0]).all() for tensor in pipeline.session.fed)


def test_the_channels_of_an_interleaved_quantized_input_have_their_own_scales(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    quantization = Quantization((1.0, 2.0, 4.0), (0, 1, 2), 3)
    info = model_info(shape=(None, 8, 8, 3), dtype=np.uint8, quantization=quantization)
    settings = dataclasses.replace(PLAIN, layout="NHWC", mean=(8.0,), std=(1.0, 1.0, 2.0))
    pipeline = Classifier(fake_session(info, lambda tensor: np.zeros((1, 2), np.float32)), settings)

    pipeline(gray(48))

    assert [40, 21, 7] == pipeline.session.fed[0][0, 0, 0].tolist()


def test_the_channels_of_a_quantized_input_of_16_bits_have_their_own_scales(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    quantization = Quantization((1.0, 2.0, 0.5), (0, 1, 2), 1)
    info = model_info(dtype=np.int16, quantization=quantization)
    pipeline = Classifier(fake_session(info, brightness), PLAIN)

    pipeline([gray(8), gray(16)])

    assert [[8, 5, 18], [16, 9, 34]] == pipeline.session.fed[0][:, :, 3, 3].tolist()


def test_the_rows_of_a_quantized_input_may_have_their_own_scales(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    quantization = Quantization((1.0, 2.0, 4.0), (0, 0, 0), 1)
    info = model_info(shape=(None, 3, 8, 3), dtype=np.uint8, quantization=quantization)
    settings = dataclasses.replace(PLAIN, layout="NHWC", size=(3, 8))
    pipeline = Classifier(fake_session(info, lambda tensor: np.zeros((1, 2), np.float32)), settings)

    pipeline(gray(48))

    assert [48, 24, 12] == pipeline.session.fed[0][0, :, 5, 1].tolist()


def test_a_scale_for_each_image_of_a_batch_is_refused(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    quantization = Quantization((1.0, 2.0), (0, 0), 0)
    info = model_info(shape=(2, 3, 8, 8), output=(2, 2), dtype=np.uint8, quantization=quantization)

    with pytest.raises(UnsupportedModel, match="a scale for each image"):
        Classifier(fake_session(info, brightness), PLAIN)
