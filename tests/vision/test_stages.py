"""Stages of the caller's own: preprocess and postprocess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwrt import loading
from hwrt.errors import InputError, UnsupportedModel
from hwrt.spec import ModelInfo, TensorSpec
from hwrt.vision import Classifier, Custom, Detector, Geometry, load

from .two_classes import CLASSIFY, DETECT, brightness, gray, level_of, one_box

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]
PLAIN = replace(CLASSIFY, softmax=False)
FLOAT = np.dtype(np.float32)


def first_level(frame: np.ndarray, out: np.ndarray) -> None:
    out[...] = frame.flat[0]


@pytest.fixture
def opened(
    monkeypatch: pytest.MonkeyPatch, fake_session: MakeSession
) -> Callable[..., list[dict[str, Any]]]:
    """Has hwrt.load give a fake session of this model; the arguments of each load."""

    def describe(info: ModelInfo, answer: Any = brightness) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def fake_load(model: Any, **arguments: Any) -> Any:
            calls.append(arguments)
            return fake_session(info, answer)

        monkeypatch.setattr(loading, "inspect", lambda model, cache: info)
        monkeypatch.setattr(loading, "load", fake_load)
        return calls

    return describe


def test_preprocess_is_given_the_frame_and_its_part_of_the_input(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    given = []

    def preprocess(frame: np.ndarray, out: np.ndarray) -> None:
        given.append((frame, out.dtype, out.shape))
        out[...] = 7

    session = fake_session(model_info(dtype=np.float16), brightness)
    frames = [gray(1), gray(2)]
    found = Classifier(session, PLAIN, preprocess=preprocess)(frames)

    assert [7.0, 7.0] == [level_of(one) for one in found]
    assert [(np.float16, (3, 8, 8))] * 2 == [one[1:] for one in given]
    assert all(frame is one[0] for frame, one in zip(frames, given, strict=True))


def test_preprocess_takes_frames_of_any_kind(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    pipeline = Classifier(fake_session(model_info(), brightness), PLAIN, preprocess=first_level)

    assert 4000.0 == level_of(pipeline(np.full((5, 5, 7), 4000, np.uint16)))


def test_preprocess_is_given_a_region_of_the_frame(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    pipeline = Classifier(fake_session(model_info(), brightness), PLAIN, preprocess=first_level)
    frame = gray(0, 24, 32)
    frame[8:, 16:] = 9

    assert 9.0 == level_of(pipeline(frame, roi=(16, 8, 20, 12)))


def test_boxes_stay_in_the_inputs_pixels_without_a_geometry(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(output=(None, 6, 1)), one_box)

    found = Detector(session, DETECT, preprocess=first_level)(gray(1, 80, 80))

    assert [[2, 2, 6, 6]] == found.boxes.tolist()


def test_the_geometry_that_preprocess_returns_places_the_boxes(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    def preprocess(frame: np.ndarray, out: np.ndarray) -> Geometry:
        out[...] = 0
        return Geometry(80, 80, 8, 8, 0.1, 0.1, 0, 0)

    session = fake_session(model_info(output=(None, 6, 1)), one_box)

    found = Detector(session, DETECT, preprocess=preprocess)(gray(1, 80, 80))

    np.testing.assert_allclose(found.boxes, [[20, 20, 60, 60]], rtol=1e-6)


def test_what_preprocess_returns_is_a_geometry_or_nothing(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(), brightness)
    pipeline = Classifier(session, PLAIN, preprocess=lambda frame, out: out)  # type: ignore[arg-type, return-value]

    with pytest.raises(InputError, match="preprocess returned a ndarray"):
        pipeline(gray(1))


def test_with_preprocess_a_model_need_not_say_mean_std_and_resize(
    model_info: MakeInfo, opened: Any
) -> None:
    opened(model_info())

    pipeline = load(
        "model.onnx", task="classify", labels=["a", "b"], softmax=False, preprocess=first_level
    )

    assert isinstance(pipeline, Classifier)
    assert 3.0 == level_of(pipeline(gray(3)))


def test_with_preprocess_a_model_may_take_other_channels_and_integers(
    model_info: MakeInfo, opened: Any
) -> None:
    opened(model_info(shape=(None, 4, 6, 5), dtype=np.uint8))

    pipeline = load(
        "model.onnx", task="classify", labels=["a", "b"], softmax=False, preprocess=first_level
    )

    assert 3.0 == level_of(pipeline(gray(3)))
    assert [(1, 4, 6, 5)] == [tensor.shape for tensor in pipeline.session.fed]


@pytest.mark.parametrize("channels", [1, 4])
def test_with_preprocess_an_open_size_has_the_models_channels(
    model_info: MakeInfo, opened: Any, channels: int
) -> None:
    calls = opened(model_info(shape=(None, channels, None, None)))

    load(
        "model.onnx",
        task="classify",
        labels=["a", "b"],
        size=(4, 6),
        layout="NCHW",
        preprocess=first_level,
    )

    assert {"images": (1, channels, 4, 6)} == calls[0]["shapes"]


def test_with_preprocess_a_size_that_the_file_leaves_open_is_still_asked_for(
    model_info: MakeInfo, opened: Any
) -> None:
    calls = opened(model_info(shape=(None, 3, None, None)))
    given: Any = {"task": "classify", "labels": ["a", "b"], "preprocess": first_level}

    with pytest.raises(InputError, match="does not say its size"):
        load("model.onnx", **given)

    load("model.onnx", **given, size=(4, 6))

    assert {"images": (1, 3, 4, 6)} == calls[0]["shapes"]


def test_postprocess_makes_the_results(model_info: MakeInfo, opened: Any) -> None:
    opened(model_info())

    pipeline = load(
        "model.onnx",
        mean=0,
        std=1,
        resize="stretch",
        postprocess=lambda outputs: {name: array.tolist() for name, array in outputs.items()},
    )

    assert isinstance(pipeline, Custom)
    assert {"out": [[3.0, -997.0]]} == pipeline(gray(3))
    assert [{"out": [[1.0, -999.0]]}, {"out": [[2.0, -998.0]]}] == pipeline([gray(1), gray(2)])
    assert [{"out": [[5.0, -995.0]]}] == list(pipeline.stream([gray(5)]))


def test_both_stages_need_nothing_but_the_model(model_info: MakeInfo, opened: Any) -> None:
    opened(model_info())

    pipeline = load(
        "model.onnx",
        preprocess=first_level,
        postprocess=lambda outputs: float(outputs["out"][0, 0]),
    )

    assert 3.0 == pipeline(gray(3))


def test_postprocess_gets_every_output_of_any_type(model_info: MakeInfo, opened: Any) -> None:
    info = model_info()
    count = TensorSpec("count", np.dtype(np.int64), (None,))
    info = replace(info, outputs=(*info.outputs, count))
    opened(info, lambda tensor: (brightness(tensor), np.arange(len(tensor))))

    pipeline = load(
        "model.onnx",
        preprocess=first_level,
        postprocess=lambda outputs: (float(outputs["out"][0, 0]), outputs["count"].tolist()),
    )

    assert [(1.0, [0]), (2.0, [1])] == pipeline([gray(1), gray(2)])


def test_a_frame_alone_in_a_fixed_batch_gets_its_own_row(model_info: MakeInfo, opened: Any) -> None:
    opened(model_info(shape=(2, 3, 8, 8), output=(2, 2)))

    pipeline = load(
        "model.onnx", preprocess=first_level, postprocess=lambda outputs: outputs["out"].tolist()
    )

    assert [[3.0, -997.0]] == pipeline(gray(3))


def test_a_frame_alone_gets_outputs_of_any_size(model_info: MakeInfo, opened: Any) -> None:
    opened(model_info(output=(None, 6)), lambda tensor: np.zeros((17, 6), np.float32))

    pipeline = load(
        "model.onnx",
        preprocess=first_level,
        postprocess=lambda outputs: outputs["out"].shape,
    )

    assert (17, 6) == pipeline(gray(1))


@pytest.mark.parametrize("shape", [(), (1, 6), (17, 6)])
def test_outputs_without_a_row_for_each_frame_are_refused_in_a_batch(
    model_info: MakeInfo, opened: Any, shape: tuple[int, ...]
) -> None:
    opened(model_info(output=None), lambda tensor: np.zeros(shape, np.float32))

    pipeline = load("model.onnx", preprocess=first_level, postprocess=dict)

    with pytest.raises(InputError, match=r"no row for each frame.*batch=1"):
        pipeline([gray(1), gray(2)])


def test_postprocess_is_given_the_geometry_where_it_asks_for_it(
    model_info: MakeInfo, opened: Any
) -> None:
    opened(model_info())

    def place(outputs: Any, geometry: Geometry) -> Any:
        return geometry.frame_width, geometry.pad_y

    pipeline = load("model.onnx", mean=0, std=1, resize="letterbox", postprocess=place)

    assert (16, 2) == pipeline(gray(0, 8, 16))


def test_postprocess_serves_tasks_that_no_pipeline_does(model_info: MakeInfo, opened: Any) -> None:
    metadata = {"author": "Ultralytics", "task": "pose", "names": "['person']"}
    opened(model_info(metadata=metadata))

    with pytest.raises(UnsupportedModel, match="'pose'"):
        load("model.onnx")

    pipeline = load("model.onnx", postprocess=lambda outputs: 1)

    assert (1, "pose") == (pipeline(gray(0)), pipeline.settings.task)


def test_a_custom_pipeline_has_no_tiles(model_info: MakeInfo, opened: Any) -> None:
    opened(model_info())
    pipeline = load("model.onnx", preprocess=first_level, postprocess=dict)

    with pytest.raises(InputError, match="'custom'"):
        pipeline.tiled(gray(0))


def test_what_postprocess_raises_the_call_raises(model_info: MakeInfo, opened: Any) -> None:
    opened(model_info())
    pipeline = load("model.onnx", preprocess=first_level, postprocess=lambda outputs: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        pipeline(gray(0))


def test_functions_compiled_by_numba_are_stages(model_info: MakeInfo, opened: Any) -> None:
    numba = pytest.importorskip("numba", reason="numba is not installed")

    @numba.njit
    def fill(frame, out):  # type: ignore[no-untyped-def]
        for c in range(out.shape[0]):
            for y in range(out.shape[1]):
                for x in range(out.shape[2]):
                    out[c, y, x] = frame[y, x, 2 - c] * 2.0

    @numba.njit
    def best(scores):  # type: ignore[no-untyped-def]
        return scores[0].argmax(), scores[0].max()

    opened(model_info())
    # Compiled functions take arrays, no dict of Python's.
    pipeline = load("model.onnx", preprocess=fill, postprocess=lambda outputs: best(outputs["out"]))

    assert (0, 6.0) == pipeline(gray(3))
    assert (0, 8.0) == pipeline(gray(4, 16, 16), roi=(1, 2, 9, 10))
