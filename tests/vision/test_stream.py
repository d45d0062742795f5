from __future__ import annotations

import dataclasses
import gc
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from hwrt.errors import BackendFailure, InputError, SessionError
from hwrt.spec import ModelInfo
from hwrt.vision import Classifier

from .conftest import FakeRequest
from .two_classes import CLASSIFY, brightness, gray, level_of

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]
PLAIN = dataclasses.replace(CLASSIFY, softmax=False)
WRONG = np.zeros((8, 8, 4), np.uint8)


@pytest.fixture(params=[None, 2, 1], ids=["no bound", "two requests", "one request"])
def limit(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def pipeline(model_info: MakeInfo, fake_session: MakeSession, limit: Any) -> Classifier:
    return Classifier(fake_session(model_info(), brightness, limit=limit), PLAIN)


class Camera:
    """Holds a stream that holds the camera."""

    def __init__(self, pipeline: Classifier) -> None:
        self.results = pipeline.stream(self.frames())

    def frames(self) -> Iterator[np.ndarray]:
        yield from map(gray, range(5))


def levels_until_error(results: Iterator[Any]) -> tuple[list[float], Exception | None]:
    levels: list[float] = []
    try:
        for result in results:
            levels.append(level_of(result))  # noqa: PERF401 - those before an error count
    except Exception as exc:  # noqa: BLE001 - it is what is asked for
        return levels, exc
    return levels, None


def all_are_back(pipeline: Classifier) -> bool:
    """True when every request of the session lies in its pool."""
    engine = pipeline.session._engine
    return len(engine.idle) == len(pipeline.session.model.requests) and not engine._lent


def test_results_come_in_the_order_of_the_frames(pipeline: Classifier) -> None:
    found = [level_of(one) for one in pipeline.stream(map(gray, range(20)))]

    assert list(range(20)) == found
    assert all_are_back(pipeline)


def test_a_stream_of_what_can_not_be_iterated_is_refused(pipeline: Classifier) -> None:
    with pytest.raises(InputError, match="the frames are of the type int"):
        pipeline.stream(5)  # type: ignore[arg-type]


def test_a_stream_of_nothing_ends_at_once(pipeline: Classifier) -> None:
    assert [] == list(pipeline.stream([]))
    assert [] == pipeline.session.model.requests


def test_frames_without_end_are_taken_as_results_are_asked_for(pipeline: Classifier) -> None:
    taken = []

    def frames() -> Iterator[np.ndarray]:
        for level in itertools.count():
            taken.append(level)
            yield gray(level % 256)

    results = pipeline.stream(frames())
    found = [level_of(next(results)) for _ in range(5)]

    assert [0, 1, 2, 3, 4] == found
    assert len(taken) <= 6


def test_a_frame_is_prepared_while_the_one_before_runs(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    prepared = threading.Event()

    def run(tensor: np.ndarray) -> np.ndarray:
        assert prepared.wait(30)
        return brightness(tensor)

    def prepare(frame: np.ndarray, out: np.ndarray) -> None:
        out[...] = frame[0, 0, 0]
        if frame[0, 0, 0] == 1:
            prepared.set()

    session = fake_session(model_info(), run)
    stream = Classifier(session, PLAIN, preprocess=prepare).stream([gray(0), gray(1)])

    assert [0.0, 1.0] == [level_of(one) for one in stream]
    assert 2 == len(session.model.requests)


def test_frames_run_one_after_the_other_where_no_run_can_be_started(
    pipeline: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(request: FakeRequest) -> None:
        raise SessionError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(FakeRequest, "start", start)

    assert list(range(5)) == [level_of(one) for one in pipeline.stream(map(gray, range(5)))]
    assert all_are_back(pipeline)


def test_two_runs_of_a_stream_do_not_overlap(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    one_at_a_time = threading.Lock()

    def run(tensor: np.ndarray) -> np.ndarray:
        assert one_at_a_time.acquire(blocking=False)
        try:
            return brightness(tensor)
        finally:
            one_at_a_time.release()

    stream = Classifier(fake_session(model_info(), run), PLAIN).stream(map(gray, range(50)))

    assert list(range(50)) == [level_of(one) for one in stream]


def test_a_wrong_frame_is_an_error_after_the_results_before_it(pipeline: Classifier) -> None:
    levels, error = levels_until_error(pipeline.stream([gray(1), gray(2), WRONG, gray(3)]))

    assert [1.0, 2.0] == levels
    assert isinstance(error, InputError)
    assert all_are_back(pipeline)


def test_what_the_frames_raise_is_raised_after_the_results_before_it(
    pipeline: Classifier,
) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield gray(1)
        yield gray(2)
        raise RuntimeError("the camera is gone")

    levels, error = levels_until_error(pipeline.stream(frames()))

    assert [1.0, 2.0] == levels
    assert "the camera is gone" == str(error)
    assert all_are_back(pipeline)


def test_what_a_run_raises_is_raised_in_the_place_of_its_result(
    model_info: MakeInfo, fake_session: MakeSession, limit: Any
) -> None:
    def run(tensor: np.ndarray) -> np.ndarray:
        if tensor[0, 0, 0, 0] == 2:
            raise BackendFailure("the vendor broke")
        return brightness(tensor)

    pipeline = Classifier(fake_session(model_info(), run, limit=limit), PLAIN)

    levels, error = levels_until_error(pipeline.stream(map(gray, range(5))))

    assert [0.0, 1.0] == levels
    assert isinstance(error, BackendFailure)
    assert all_are_back(pipeline)


def test_what_preprocess_raises_is_raised_after_the_results_before_it(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    def prepare(frame: np.ndarray, out: np.ndarray) -> None:
        out[...] = 1 // frame[0, 0, 0].item()

    session = fake_session(model_info(), brightness)
    pipeline = Classifier(session, PLAIN, preprocess=prepare)

    levels, error = levels_until_error(pipeline.stream([gray(1), gray(0)]))

    assert [1.0] == levels
    assert isinstance(error, ZeroDivisionError)
    assert all_are_back(pipeline)


def test_a_stream_that_is_closed_gives_everything_back(pipeline: Classifier) -> None:
    results = pipeline.stream(map(gray, itertools.cycle(range(9))))
    next(results)
    results.close()

    assert all_are_back(pipeline)


def test_a_stream_that_nobody_holds_any_more_gives_everything_back(pipeline: Classifier) -> None:
    for _ in pipeline.stream(map(gray, itertools.cycle(range(9)))):
        break

    assert all_are_back(pipeline)


def test_a_stream_is_abandoned_though_its_next_run_fails(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    def run(tensor: np.ndarray) -> np.ndarray:
        if tensor[0, 0, 0, 0] == 1:
            raise BackendFailure("the vendor broke")
        return brightness(tensor)

    pipeline = Classifier(fake_session(model_info(), run), PLAIN)
    results = pipeline.stream(map(gray, range(5)))
    next(results)
    results.close()

    assert all_are_back(pipeline)


def test_a_stream_collected_as_garbage_in_the_thread_of_its_run_does_not_wait_for_itself(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    collected, is_garbage = threading.Event(), threading.Event()

    def run(tensor: np.ndarray) -> np.ndarray:
        if tensor[0, 0, 0, 0] == 1:
            assert is_garbage.wait(30)
            gc.collect()
            collected.set()
        return brightness(tensor)

    pipeline = Classifier(fake_session(model_info(), run, limit=2), PLAIN)
    camera = Camera(pipeline)
    next(camera.results)
    pipeline.session.model.requests.clear()
    del camera
    is_garbage.set()

    assert collected.wait(10)
    assert [7.0, 7.0] == [level_of(pipeline(gray(level))) for level in (7, 7)]
    pipeline.close()


def test_whoever_reads_a_stream_may_call_the_pipeline(pipeline: Classifier) -> None:
    results = pipeline.stream(map(gray, range(5)))

    found = [(level_of(one), level_of(pipeline(gray(99)))) for one in results]

    assert [(level, 99.0) for level in range(5)] == found


def test_streams_may_be_read_within_streams(pipeline: Classifier) -> None:
    found = [
        [level_of(a), level_of(b), level_of(c)]
        for a in pipeline.stream(map(gray, range(3)))
        for b in pipeline.stream(map(gray, range(3)))
        for c in pipeline.stream(map(gray, range(3)))
    ]

    assert [list(levels) for levels in itertools.product(range(3), repeat=3)] == found
    assert all_are_back(pipeline)


def test_the_pipeline_may_be_closed_while_a_stream_is_read(pipeline: Classifier) -> None:
    results = pipeline.stream(map(gray, range(5)))
    next(results)
    pipeline.close()

    with pytest.raises(SessionError, match="closed"):
        next(results)
    assert pipeline.session.model.closed


def test_the_session_may_be_replaced_while_a_stream_is_read(
    model_info: MakeInfo, fake_session: MakeSession, limit: Any
) -> None:
    session = fake_session(
        model_info(), brightness, then=lambda tensor: brightness(tensor) + 100, limit=limit
    )
    results = Classifier(session, PLAIN).stream(map(gray, range(5)))
    first = level_of(next(results))
    session.replace("new.onnx")

    rest = [level_of(one) for one in results]

    # The second frame may have begun on the old model.
    assert 0.0 == first
    assert [102.0, 103.0, 104.0] == rest[1:]
    assert session.model.closed


@pytest.mark.parametrize("batch", [1, 2])
def test_the_source_may_fill_one_array_again_and_again(
    model_info: MakeInfo, fake_session: MakeSession, batch: int
) -> None:
    info = model_info(shape=(batch, 3, 8, 8), output=(batch, 2))
    frame = gray(0)

    def frames() -> Iterator[np.ndarray]:
        for level in range(5):
            frame[...] = level
            yield frame

    stream = Classifier(fake_session(info, brightness), PLAIN).stream(frames())

    assert list(range(5)) == [level_of(one) for one in stream]


def test_a_model_of_a_fixed_batch_takes_as_many_frames_at_once(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    info = model_info(shape=(2, 3, 8, 8), output=(2, 2))
    pipeline = Classifier(fake_session(info, brightness), PLAIN)

    levels, error = levels_until_error(pipeline.stream([*map(gray, range(5)), WRONG]))

    assert list(range(5)) == levels
    assert isinstance(error, InputError)
    assert 3 == len(pipeline.session.fed)
