"""Segmentation with real models: DeepLabV3's map of classes, and maps of scores in ONNX."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt import registry
from hwrt.errors import BackendUnavailable, UnsupportedModel
from hwrt.vision import Segmenter, load

from .seeing import IMAGES, frame_of, readers_of

pytest.importorskip("PIL", reason="Pillow is not installed")

SURE = 0.6  # what test_quantized_models takes for sure


def require(backend: str) -> None:
    try:
        registry.backend(backend).devices()
    except BackendUnavailable as exc:
        pytest.skip(f"{backend}: {exc}")


def names_of(shared: Path) -> list[str]:
    text = (shared / "models" / "pascal_voc_segmentation_labels.txt").read_text()
    return text.split("\n\n")[0].splitlines()  # a remark follows


def deeplab(shared: Path, **arguments: Any) -> Segmenter:
    path = shared / "models" / "deeplabv3_int8.tflite"
    pipeline = load(
        path, task="segment", labels=names_of(shared), mean=127.5, std=127.5, **arguments
    )
    assert isinstance(pipeline, Segmenter)
    return pipeline


@pytest.fixture(scope="module", params=readers_of("tflite"))
def segment(
    request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Segmenter]:
    require(request.param)
    where: dict[str, Any] = {"backend": request.param, "cache": tmp_path_factory.mktemp("cache")}
    with deeplab(shared, resize="stretch", budget_s=1.0, **where) as pipeline:
        yield pipeline


@pytest.mark.slow
@pytest.mark.parametrize("image", IMAGES)
def test_the_classes_of_the_pixels_are_those_of_the_objects(
    segment: Segmenter, shared: Path, image: str
) -> None:
    frame = frame_of(shared / "images" / image)
    objects = json.loads((shared / "expected.json").read_text())["detect"][image]
    names = names_of(shared)
    sure = [one for one in objects if one["label"] in names and one["score"] >= SURE]

    found = segment(frame)

    assert frame.shape[:2] == found.classes.shape
    assert [] == [one["label"] for one in sure if filled(found.classes, one, names) < 0.25]
    large = {row["label"] for row in found.to_json() if row["share"] >= 0.02}
    assert set() == large - {"background"} - {one["label"] for one in objects}


def filled(classes: np.ndarray, one: dict[str, Any], names: list[str]) -> float:
    """What part of an object's box is of its class."""
    x0, y0, x1, y1 = map(int, one["box_xyxy"])
    return float((classes[y0:y1, x0:x1] == names.index(one["label"])).mean())


@pytest.mark.slow
@pytest.mark.parametrize("image", ["bus.jpg", "cat_1080p.jpg"])
def test_a_letterbox_and_a_stretch_give_maps_that_lie_alike(
    segment: Segmenter, shared: Path, tmp_path: Path, image: str
) -> None:
    frame = frame_of(shared / "images" / image)
    backend = segment.session.plan.backend
    with deeplab(
        shared, resize="letterbox", backend=backend, cache=tmp_path, budget_s=1.0
    ) as other:
        boxed = other(frame).classes

    stretched = segment(frame).classes

    assert (boxed == stretched).mean() > 0.95


MakeModel = Callable[..., Path]


@pytest.fixture
def brightness_model(tmp_path: Path) -> MakeModel:
    """Writes a model of scores for dark, gray and bright, of the means of 2x2 pixels."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx import TensorProto, checker, helper, save

    def write(transposed: bool) -> Path:
        weights = np.full((3, 3, 2, 2), 1 / 12, np.float32)
        weights[:, :, :, :] *= np.array([-1, 0, 1], np.float32)[:, None, None, None]
        bias = np.array([0.25, 0.0, -0.75], np.float32)
        nodes = [helper.make_node("Conv", ["images", "w", "b"], ["maps"], strides=[2, 2])]
        shape = [1, 8, 16, 3] if transposed else [1, 3, 8, 16]
        if transposed:
            nodes.append(helper.make_node("Transpose", ["maps"], ["out"], perm=[0, 2, 3, 1]))
        else:
            nodes.append(helper.make_node("Identity", ["maps"], ["out"]))
        graph = helper.make_graph(
            nodes,
            "brightness",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 16, 32])],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
            [
                helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.ravel()),
                helper.make_tensor("b", TensorProto.FLOAT, bias.shape, bias),
            ],
        )
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        checker.check_model(model)
        path = tmp_path / "brightness.onnx"
        save(model, str(path))
        sidecar = {
            "task": "segment",
            "labels": ["dark", "gray", "bright"],
            "mean": 0,
            "std": 255,
            "resize": "letterbox",
        }
        (tmp_path / "brightness.onnx.hwrt.json").write_text(json.dumps(sidecar))
        return path

    return write


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("backend", readers_of("onnx"))
def test_a_model_with_a_sidecar_segments_a_frame_of_another_shape(
    brightness_model: MakeModel, tmp_path: Path, backend: str, transposed: bool
) -> None:
    require(backend)
    frame = np.zeros((120, 120, 3), np.uint8)
    frame[:40] = 255
    frame[80:] = 120
    path = brightness_model(transposed)

    with load(path, backend=backend, cache=tmp_path / "cache", budget_s=0.2) as pipeline:
        classes = pipeline(frame).classes

    assert (120, 120) == classes.shape
    rows = [np.unique(classes[first:last]) for first, last in ((0, 30), (50, 70), (95, 120))]
    assert [[2], [0], [1]] == [one.tolist() for one in rows]


def test_an_instance_segmentation_model_is_refused_before_it_is_tuned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx import TensorProto, helper

    from hwrt import loading

    def value(name: str, shape: list[int]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes = [
        helper.make_node("RandomNormal", [], [name], shape=shape)
        for name, shape in (("output0", [1, 38, 21]), ("output1", [1, 32, 8, 8]))
    ]
    graph = helper.make_graph(
        nodes,
        "seg",
        [value("images", [1, 3, 32, 32])],
        [value("output0", [1, 38, 21]), value("output1", [1, 32, 8, 8])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    metadata = {"author": "Ultralytics", "task": "segment", "names": "['cat', 'dog']"}
    for key, text in metadata.items():
        model.metadata_props.add(key=key, value=text)
    onnx.save(model, str(tmp_path / "yolov8n-seg.onnx"))
    monkeypatch.delattr(loading, "load")

    with pytest.raises(UnsupportedModel, match="instance segmentation, as YOLOv8-seg's"):
        load(tmp_path / "yolov8n-seg.onnx")
