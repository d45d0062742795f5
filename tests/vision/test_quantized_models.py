"""Quantised files see in photographs what the float models see, on every backend that reads them.

A network in int8 is another network than the one it was made from, and engines round within it
each in its own way: on photographs MobileNetV2's two right engines differ by up to 18 of 255
levels, YOLOv8n's by 135, and each of eight recipes for YOLOv8n in int8 loses one of the float
model's detections.  So no value is compared but what is seen, and only what is sure:

* Classifier: the first class is the float model's, its score within 0.15 (largest seen: 0.11).
* Detector: what the float model sees with a score of 0.6 or more is found, of the same class, its
  box with an IoU of 0.9 or more and its score within 0.15 (largest seen: 0.10; a box's coordinates
  come in steps of 2.5 pixels).  Nothing is found with 0.5 or more that the float model does not
  see.  In between, scores fall below the threshold or rise above it: the largest change is 0.29.
* Label map, of which there is no float model here: what the float detector sees with 0.6 or more
  fills a quarter of its box, and no label fills 2 % of the frame that the detector does not see.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwrt
from hwrt import registry
from hwrt.errors import BackendUnavailable
from hwrt.vision import Detections, load, quantize, resize

from .seeing import IMAGES, frame_of, readers_of, unmatched

pytest.importorskip("PIL", reason="Pillow is not installed")
pytestmark = pytest.mark.slow

SURE, SEEN = 0.6, 0.5
DETECTORS = [
    (f"yolov8n_int8.{suffix}", backend)
    for suffix in ("onnx", "tflite")
    for backend in readers_of(suffix)
]
Expected = Callable[[str, str], list[dict[str, Any]]]


def require(backend: str) -> None:
    try:
        registry.backend(backend).devices()
    except BackendUnavailable as exc:
        pytest.skip(f"{backend}: {exc}")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def expected(shared: Path) -> Expected:
    document = json.loads((shared / "expected.json").read_text())
    return lambda task, image: document[task][image]


@pytest.fixture(scope="module", params=DETECTORS, ids=" on ".join)
def detect(request: pytest.FixtureRequest, shared: Path, cache: Path) -> Iterator[Any]:
    """Told by the file's metadata alone, of which the TFLite file keeps its in a zip at its end."""
    model, backend = request.param
    require(backend)
    with load(shared / "models" / model, backend=backend, cache=cache, budget_s=1.0) as pipeline:
        yield pipeline


@pytest.fixture(scope="module", params=readers_of("tflite"))
def classify(request: pytest.FixtureRequest, shared: Path, cache: Path) -> Iterator[Any]:
    """Labels, mean and std are the file's own."""
    require(request.param)
    path = shared / "models" / "mobilenet_v2_int8.tflite"
    with load(
        path, task="classify", resize="stretch", backend=request.param, cache=cache, budget_s=1.0
    ) as pipeline:
        yield pipeline


@pytest.fixture(scope="module", params=readers_of("tflite"))
def segment(request: pytest.FixtureRequest, shared: Path, cache: Path) -> Iterator[Any]:
    require(request.param)
    path = shared / "models" / "deeplabv3_int8.tflite"
    with hwrt.load(path, backend=request.param, cache=cache, budget_s=1.0) as session:
        yield session


@pytest.mark.parametrize("image", IMAGES)
def test_every_sure_object_is_found(
    detect: Any, expected: Expected, shared: Path, image: str
) -> None:
    sure = [one for one in expected("detect", image) if one["score"] >= SURE]

    result: Detections = detect(frame_of(shared / "images" / image))

    assert [] == unmatched(sure, result.to_json(), iou=0.9, score=0.15)


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_is_seen_that_is_not_there(
    detect: Any, expected: Expected, shared: Path, image: str
) -> None:
    result: Detections = detect(frame_of(shared / "images" / image))

    seen = [one for one in result.to_json() if one["score"] >= SEEN]
    assert [] == unmatched(seen, expected("detect", image), iou=0.5, score=1.0)


@pytest.mark.parametrize("image", IMAGES)
def test_the_first_class_is_the_float_models(
    classify: Any, expected: Expected, shared: Path, image: str
) -> None:
    wanted = expected("classify", image)[0]

    result = classify(frame_of(shared / "images" / image))

    assert (wanted["class"], wanted["label"]) == (result.classes[0], result.labels[0])
    assert result.scores[0] == pytest.approx(wanted["score"], abs=0.15)


@pytest.mark.parametrize("image", IMAGES)
def test_the_label_map_shows_what_the_float_detector_sees(
    segment: hwrt.Session, expected: Expected, shared: Path, image: str
) -> None:
    frame = frame_of(shared / "images" / image)
    names = (shared / "models" / "pascal_voc_segmentation_labels.txt").read_text().splitlines()

    labels = label_map(segment, frame)

    objects = [one for one in expected("detect", image) if one["label"] in names]
    sure = [one for one in objects if one["score"] >= SURE]
    filled = [inside(labels, one["box_xyxy"], frame.shape) for one in sure]
    assert [] == [
        one["label"]
        for one, box in zip(sure, filled, strict=True)
        if np.mean(box == names.index(one["label"])) < 0.25
    ]
    shares = np.bincount(labels.ravel(), minlength=len(names)) / labels.size
    large = {names[i] for i in range(1, len(names)) if shares[i] >= 0.02}
    assert set() == large - {one["label"] for one in objects}


def label_map(session: hwrt.Session, frame: np.ndarray) -> np.ndarray:
    """The class of each pixel, (513, 513): the model's levels run from -1 to 1."""
    (spec,) = session.inputs
    assert spec.quantization is not None
    levels = np.empty(tuple(size or 1 for size in spec.shape or ()), "f4")
    resize(frame, levels, mean=127.5, std=127.5)
    scale, zero_point, _ = spec.quantization
    (output,) = session(quantize(levels, scale, zero_point, spec.dtype)).values()
    return output[0]


def inside(labels: np.ndarray, box: list[float], frame_shape: tuple[int, ...]) -> np.ndarray:
    height, width = labels.shape
    x0, x1 = (int(x * width / frame_shape[1]) for x in box[0::2])
    y0, y1 = (int(y * height / frame_shape[0]) for y in box[1::2])
    return labels[y0 : y1 + 1, x0 : x1 + 1]
