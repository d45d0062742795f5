"""Detectors of YOLOv8 and YOLOv5-style heads, told apart by a setting."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt import loading
from hwrt.errors import InputError, UnsupportedModel
from hwrt.spec import ModelInfo, Quantization
from hwrt.vision import Detector, load
from hwrt.vision.settings import resolve

from .two_classes import DETECT, gray

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]
YOLOV5 = replace(DETECT, head="yolov5")
ARGUMENTS: dict[str, Any] = {
    "task": "detect",
    "labels": ["cat", "dog"],
    "mean": 0,
    "std": 255,
    "resize": "letterbox",
}


def two_anchors(tensor: np.ndarray) -> np.ndarray:
    """A sure dog and an unsure cat, (B, 2, 5 + 2)."""
    anchors = np.array([[4, 4, 4, 4, 0.5, 0.25, 0.75], [2, 2, 2, 2, 0.125, 1, 0]], dtype=np.float32)
    return np.repeat(anchors[None], len(tensor), axis=0)


def overlapping(tensor: np.ndarray) -> np.ndarray:
    """A dog, and a cat in the same place, (B, 4 + 2, 2)."""
    numbers = np.array([[4, 4], [4, 4], [4, 4], [4, 4], [0.25, 0.5], [0.75, 0]], np.float32)
    return np.repeat(numbers[None], len(tensor), axis=0)


def test_a_yolov5_head_is_decoded_with_its_objectness(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    session = fake_session(model_info(output=(None, None, 7)), two_anchors)

    found = Detector(session, YOLOV5)(gray(0, 16, 32))

    assert [[8.0, 0.0, 24.0, 16.0]] == found.boxes.tolist()
    assert ([0.375], ("dog",)) == (found.scores.tolist(), found.labels)


def test_a_quantized_yolov5_head_is_decoded_as_it_is(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    info = model_info(
        output=(None, None, 7),
        output_dtype=np.uint8,
        output_quantization=Quantization((0.125,), (0,)),
    )
    session = fake_session(info, lambda tensor: (two_anchors(tensor) * 8).astype(np.uint8))

    found = Detector(session, YOLOV5)(gray(0, 16, 32))

    assert ([0.375], ("dog",)) == (found.scores.tolist(), found.labels)


def test_each_number_of_a_quantized_head_may_have_its_own_scale(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    scales = (1.0, 1.0, 1.0, 1.0, 0.25, 0.25)
    info = model_info(
        output=(None, 6, 1),
        output_dtype=np.uint8,
        output_quantization=Quantization(scales, (0,) * 6, 1),
    )
    numbers = np.array([4, 4, 4, 4, 1, 3], np.uint8)[None, :, None]
    session = fake_session(info, lambda tensor: numbers)

    assert [0.75] == Detector(session, DETECT)(gray(0)).scores.tolist()


@pytest.mark.parametrize(("head", "fits"), [("yolov8", "yolov5"), ("yolov5", "yolov8")])
def test_the_wrong_head_is_an_error_that_names_the_right_one(
    model_info: MakeInfo, fake_session: MakeSession, head: str, fits: str
) -> None:
    output = {"yolov8": (None, 6, 100), "yolov5": (None, 100, 7)}[fits]

    with pytest.raises(UnsupportedModel, match=f"give head='{fits}'"):
        Detector(fake_session(model_info(output=output), two_anchors), replace(DETECT, head=head))


def test_a_head_that_is_neither_is_an_error(
    model_info: MakeInfo, fake_session: MakeSession
) -> None:
    with pytest.raises(UnsupportedModel, match=r"2 labels.*export the head without NMS"):
        Detector(fake_session(model_info(output=(None, 100, 6)), two_anchors), YOLOV5)


def test_the_head_is_yolov8s_where_nothing_says_otherwise(model_info: MakeInfo) -> None:
    assert "yolov8" == resolve(model_info(), ARGUMENTS).head


def test_the_head_stands_in_arguments_metadata_or_sidecar(
    model_info: MakeInfo, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx.hwrt.json").write_text(json.dumps({"head": "yolov5"}))
    sidecar = model_info(path=tmp_path / "model.onnx")
    metadata = model_info(metadata={"yolo_head": "yolov5"})

    assert "yolov5" == resolve(model_info(), {**ARGUMENTS, "head": "yolov5"}).head
    assert "yolov5" == resolve(metadata, ARGUMENTS).head
    assert "yolov5" == resolve(sidecar, ARGUMENTS).head


def test_ultralytics_name_of_its_heads_class_is_none_of_ours(model_info: MakeInfo) -> None:
    info = model_info(metadata={"author": "Ultralytics", "head": "Detect"})

    assert "yolov8" == resolve(info, ARGUMENTS).head


def test_an_unknown_head_is_an_error(model_info: MakeInfo) -> None:
    with pytest.raises(InputError, match="head in the arguments is 'yolov3'"):
        resolve(model_info(), {**ARGUMENTS, "head": "yolov3"})


@pytest.mark.parametrize(("limits", "count"), [({}, 1), ({"iou": 1.0}, 2), ({"max_det": 0}, 0)])
def test_a_detector_has_its_own_thresholds(
    model_info: MakeInfo, fake_session: MakeSession, limits: Any, count: int
) -> None:
    session = fake_session(model_info(output=(None, 6, None)), overlapping)

    assert count == len(Detector(session, DETECT, class_agnostic=True, **limits)(gray(0)))


@pytest.mark.parametrize(("class_agnostic", "labels"), [(False, ("dog", "cat")), (True, ("dog",))])
def test_class_agnostic_lets_boxes_of_all_classes_suppress_each_other(
    monkeypatch: pytest.MonkeyPatch,
    model_info: MakeInfo,
    fake_session: MakeSession,
    class_agnostic: bool,
    labels: tuple[str, ...],
) -> None:
    info = model_info(output=(None, 6, None))
    monkeypatch.setattr(loading, "inspect", lambda model, cache: info)
    monkeypatch.setattr(loading, "load", lambda model, **_: fake_session(info, overlapping))

    pipeline = load("model.onnx", **ARGUMENTS, class_agnostic=class_agnostic)

    assert labels == pipeline(gray(0)).labels
