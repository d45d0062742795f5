from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwrt import loading
from hwrt.errors import InputError, UnsupportedModel
from hwrt.spec import ModelInfo, Range
from hwrt.vision import Classifier, Detector, load, resize

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]

ARGUMENTS: dict[str, Any] = {
    "task": "classify",
    "labels": ["cat", "dog"],
    "mean": 0,
    "std": 1,
    "resize": "stretch",
}
RED = np.full((8, 8, 3), (250, 20, 10), dtype=np.uint8)


def redness(tensor: np.ndarray) -> np.ndarray:
    """Two logits an image: how blue it is, how red it is."""
    return tensor[:, [2, 0]].mean(axis=(2, 3)) / 10


def one_box(tensor: np.ndarray) -> np.ndarray:
    """A box over the middle of each image, of the class 1."""
    anchor = np.array([4, 4, 4, 4, 0.25, 0.75], dtype=np.float32)
    return np.repeat(anchor[None, :, None], len(tensor), axis=0)


@pytest.fixture
def opened(
    monkeypatch: pytest.MonkeyPatch, model_info: MakeInfo, fake_session: MakeSession
) -> Callable[..., list[dict[str, Any]]]:
    """Has hwrt.load give a fake session of the model described; the calls it gets."""

    def describe(answer: Callable[..., Any] = redness, **model: Any) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []
        info = model_info(**model)

        def fake_load(model: Any, **arguments: Any) -> Any:
            session = fake_session(info, answer)
            calls.append({"session": session, **arguments})
            return session

        monkeypatch.setattr(loading, "inspect", lambda model, cache: info)
        monkeypatch.setattr(loading, "load", fake_load)
        return calls

    return describe


def test_load_gives_a_classifier_and_passes_the_arguments_on(opened: Any) -> None:
    calls = opened()

    pipeline = load("model.onnx", **ARGUMENTS, top=1, backend="one", threads=2)

    assert ("dog",) == pipeline(RED).labels
    assert isinstance(pipeline, Classifier)
    assert ("one", 2, None) == tuple(calls[0][key] for key in ("backend", "threads", "shapes"))


def test_load_gives_a_detector_with_its_thresholds(opened: Any) -> None:
    opened(
        one_box,
        output=(None, 6, None),
        metadata={"author": "Ultralytics", "task": "detect", "names": "['cat', 'dog']"},
    )

    pipeline = load("model.onnx", conf=0.75)

    assert isinstance(pipeline, Detector)
    assert 0 == len(pipeline(RED))


def test_load_takes_what_the_boxes_are_in(opened: Any) -> None:
    opened(one_box, output=(None, 6, None))

    pipeline = load("model.onnx", **{**ARGUMENTS, "task": "detect"}, boxes="fractions")

    assert "fractions" == pipeline.settings.boxes


def test_load_fixes_a_size_that_the_file_leaves_open(opened: Any) -> None:
    calls = opened(shape=(None, 3, None, None))

    load("model.onnx", **ARGUMENTS, size=8)

    assert {"images": (1, 3, 8, 8)} == calls[0]["shapes"]


def test_load_fixes_the_batch_that_is_asked_for(opened: Any) -> None:
    calls = opened()

    load("model.onnx", **ARGUMENTS, batch=4)

    assert {"images": (4, 3, 8, 8)} == calls[0]["shapes"]


def test_a_batch_that_the_model_does_not_have_is_an_error(opened: Any) -> None:
    opened(shape=(1, 3, 8, 8))

    with pytest.raises(InputError, match="a batch of 4"):
        load("model.onnx", **ARGUMENTS, batch=4)


def test_shapes_that_are_given_stay_and_tell_the_size(opened: Any) -> None:
    calls = opened(shape=(None, 3, None, None))
    shapes = {"images": (Range(1, 1, 4), 3, np.int64(8), 6)}

    pipeline = load("model.onnx", **ARGUMENTS, shapes=shapes)

    assert shapes == calls[0]["shapes"]
    assert (8, 6) == pipeline.settings.size


def test_shapes_of_another_rank_are_an_error(opened: Any) -> None:
    opened()

    with pytest.raises(InputError, match=r"'images' can not have the shape \(1, 3\)"):
        load("model.onnx", **ARGUMENTS, shapes={"images": (1, 3)})


@pytest.mark.parametrize("shapes", [[1, 3, 8, 8], {"images": 8}, {"images": None}, "1x3x8x8"])
def test_shapes_that_are_none_are_an_error(opened: Any, shapes: Any) -> None:
    opened()

    with pytest.raises(InputError, match=r"^shapes "):
        load("model.onnx", **ARGUMENTS, shapes=shapes)


def test_a_batch_beside_shapes_that_bound_it_is_an_error(opened: Any) -> None:
    opened()

    with pytest.raises(InputError, match="a batch of 2 was asked for, and shapes of"):
        load("model.onnx", **ARGUMENTS, batch=2, shapes={"images": (Range(1, 1, 4), 3, 8, 8)})


@pytest.mark.parametrize(
    "wrong",
    [
        {"std": None},
        {"frames": "nv21"},
        {"matrix": "bt2020"},
        {"conf": 2},
        {"max_det": -1},
        {"top": 0},
        {"batch": 0},
        {"batch": "2"},
        {"preprocess": "letterbox"},
        {"postprocess": {}},
    ],
)
def test_what_is_wrong_is_found_before_anything_is_loaded(
    opened: Any, wrong: dict[str, Any]
) -> None:
    calls = opened()

    with pytest.raises(InputError):
        load("model.onnx", **{**ARGUMENTS, **wrong})

    assert [] == calls


def test_a_session_that_does_not_fit_is_closed(opened: Any) -> None:
    calls = opened()

    with pytest.raises(UnsupportedModel):
        load("model.onnx", **{**ARGUMENTS, "labels": ["one"]})

    assert calls[0]["session"].closed


@pytest.mark.parametrize(("given", "expected"), [({"threads": 3}, 3), ({}, 2)])
def test_large_frames_are_prepared_by_the_threads_that_the_load_allows(
    opened: Any, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], expected: int
) -> None:
    opened()
    asked: list[int] = []

    def noted(*arrays: Any, threads: int, **steps: Any) -> Any:
        asked.append(threads)
        return resize(*arrays, threads=threads, **steps)

    monkeypatch.setattr("hwrt.vision.model_input.resize", noted)
    monkeypatch.setattr("hwrt.vision.loading.allowed_threads", lambda: 2)
    load("model.onnx", **ARGUMENTS, **given)(RED)

    assert [expected] == asked
