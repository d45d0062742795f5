"""Pipelines whose session moves to another engine: no frame is lost, none is answered twice."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from hwrt.errors import BackendFailure
from hwrt.spec import ModelInfo
from hwrt.vision import Classifier

from .two_classes import CLASSIFY, brightness, gray, level_of

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]
PLAIN = dataclasses.replace(CLASSIFY, softmax=False)


class Failing:
    """Answers so many frames, and fails at each one after."""

    def __init__(self, good: int) -> None:
        self._left, self._lock = good, threading.Lock()

    def __call__(self, tensor: np.ndarray) -> np.ndarray:
        with self._lock:
            self._left -= 1
            if self._left < 0:
                raise BackendFailure("the device is lost")
        return brightness(tensor)


def tenfold(tensor: np.ndarray) -> np.ndarray:
    """What the spare engine answers: one can tell who it was."""
    return brightness(tensor) * 10


@pytest.fixture
def classifier(model_info: MakeInfo, fake_session: MakeSession) -> Callable[..., Classifier]:
    def make(good: int, limit: int | None = None, **shape: Any) -> Classifier:
        info = model_info(**shape)
        session = fake_session(info, Failing(good), then=tenfold, limit=limit, has_spare=True)
        return Classifier(session, PLAIN)

    return make


def test_the_frame_that_failed_is_answered_by_the_next_engine(
    classifier: Callable[..., Classifier],
) -> None:
    pipeline = classifier(good=1)

    assert [level_of(pipeline(gray(level))) for level in (3, 4, 5)] == [3.0, 40.0, 50.0]
    assert pipeline.session.fallbacks == 1


def test_a_batch_that_failed_is_answered_by_the_next_engine(
    classifier: Callable[..., Classifier],
) -> None:
    pipeline = classifier(good=0)

    assert list(map(level_of, pipeline([gray(3), gray(4)]))) == [30.0, 40.0]


@pytest.mark.parametrize("limit", [1, 2, None])
@pytest.mark.parametrize("good", range(5))
def test_a_stream_goes_on_where_its_engine_failed(
    classifier: Callable[..., Classifier], limit: int | None, good: int
) -> None:
    pipeline = classifier(good, limit)
    found = list(map(level_of, pipeline.stream(gray(level) for level in range(1, 7))))
    factors = [found[i] / (i + 1) for i in range(6)]

    assert len(found) == 6
    assert factors == sorted(factors)
    assert set(factors) <= {1.0, 10.0}
    assert factors.count(1.0) == good


def test_a_stream_whose_frames_come_in_one_array_answers_each(
    classifier: Callable[..., Classifier],
) -> None:
    def frames() -> Iterator[np.ndarray]:
        frame = gray(0)
        for level in range(1, 6):
            frame[:] = level
            yield frame

    pipeline = classifier(good=2, limit=2)

    assert list(map(level_of, pipeline.stream(frames()))) == [1.0, 2.0, 30.0, 40.0, 50.0]


def test_threads_whose_frames_fail_together_get_their_own_results(
    classifier: Callable[..., Classifier],
) -> None:
    pipeline = classifier(good=20, limit=4)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda level: level_of(pipeline(gray(level))), range(1, 101)))

    assert all(found[i] in (i + 1, 10 * (i + 1)) for i in range(100))
    assert found.count(1.0) + sum(found[i] == i + 1 for i in range(1, 100)) == 20
    assert pipeline.session.fallbacks == 1


def test_all_requests_come_back_after_the_engine_failed(
    classifier: Callable[..., Classifier],
) -> None:
    pipeline = classifier(good=2, limit=2)
    list(pipeline.stream(gray(level) for level in range(6)))
    loans = [pipeline.session.try_borrow() for _ in range(2)]

    assert None not in loans
    for loan in loans:
        loan.give_back()  # type: ignore[union-attr]
    pipeline.close()
    assert pipeline.session.model.closed == 1


def test_a_frame_that_the_next_engine_fails_at_too_is_an_error_that_says_so(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(), Failing(0), then=Failing(0), has_spare=True)

    with pytest.raises(BackendFailure, match=r"was to run what failed on fake cpu:0: the device"):
        Classifier(session, PLAIN)(gray(1))
    with pytest.raises(BackendFailure, match=r"was to run what failed on fake cpu:0: the device"):
        next(Classifier(session, PLAIN).stream([gray(1)]))
