"""What an independent script saw in real photographs (shared/expected.json) comes out again.

Once with the vendor's own session under the pipeline, which tries preprocess and postprocess alone,
and once through hwrt with each installed backend.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hwrt import loading, registry
from hwrt.errors import BackendUnavailable
from hwrt.spec import ModelInfo, TensorSpec
from hwrt.vision import Classification, Detections, load

from .seeing import IMAGES, frame_of, readers_of, unmatched

pytest.importorskip("PIL", reason="Pillow is not installed")

PLAIN = "plain onnxruntime"


class PlainRequest:
    """ONNX Runtime's plain ``run`` behind the face of a request."""

    def __init__(self, session: PlainSession) -> None:
        self._session = session
        self.inputs: dict[str, np.ndarray] = {}
        self.outputs: dict[str, np.ndarray] = {}
        self.resize({})

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for spec in self._session.inputs:
            shape = shapes.get(spec.name, tuple(size or 1 for size in spec.shape or ()))
            self.inputs[spec.name] = np.empty(shape, spec.dtype)

    def run(self) -> None:
        self.outputs = self._session.run(self.inputs)


class PlainSession:
    """ONNX Runtime as its own documentation uses it, in the place of a session of hwrt."""

    plan = None

    def __init__(self, info: ModelInfo) -> None:
        import onnxruntime

        self.inputs, self.outputs = info.inputs, info.outputs
        self._vendor = onnxruntime.InferenceSession(
            str(info.path), providers=["CPUExecutionProvider"]
        )

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [spec.name for spec in self.outputs]
        return dict(zip(names, self._vendor.run(names, dict(feeds)), strict=True))

    def borrow(self) -> SimpleNamespace:
        return SimpleNamespace(request=PlainRequest(self), give_back=lambda: None)

    def close(self) -> None:
        pass


def plain_info(path: Path, *, cache: bool = True) -> ModelInfo:
    import onnx

    model = onnx.load(path, load_external_data=False)
    specs = [
        TensorSpec(
            value.name,
            np.dtype(np.float32),
            tuple(size.dim_value or None for size in value.type.tensor_type.shape.dim),
        )
        for value in (*model.graph.input, *model.graph.output)
    ]
    return ModelInfo(
        path=path,
        format="onnx",
        sha256="",
        size_bytes=path.stat().st_size,
        inputs=(specs[0],),
        outputs=(specs[1],),
        metadata={entry.key: entry.value for entry in model.metadata_props},
    )


def open_plain(path: Path, **settings: Any) -> Any:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "inspect", plain_info)
        patch.setattr(loading, "load", lambda path, **_: PlainSession(plain_info(path)))
        return load(path, **settings)


def open_pipeline(runner: str, path: Path, cache: Path, **settings: Any) -> Any:
    if runner == PLAIN:
        return open_plain(path, **settings)
    try:
        registry.backend(runner).devices()
    except BackendUnavailable as exc:
        pytest.skip(f"{runner}: {exc}")
    return load(path, backend=runner, cache=cache, budget_s=2.0, **settings)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=(PLAIN, *readers_of("onnx")))
def detect(request: pytest.FixtureRequest, shared: Path, cache: Path) -> Iterator[Any]:
    """YOLOv8n, told by its metadata alone."""
    with open_pipeline(request.param, shared / "models" / "yolov8n.onnx", cache) as pipeline:
        yield pipeline


@pytest.fixture(scope="module", params=(PLAIN, *readers_of("onnx")))
def classify(request: pytest.FixtureRequest, shared: Path, cache: Path) -> Iterator[Any]:
    """MobileNetV2, which has no metadata, told by arguments."""
    with open_pipeline(
        request.param,
        shared / "models" / "mobilenet_v2.onnx",
        cache,
        task="classify",
        labels=shared / "models" / "imagenet_labels.txt",
        mean=127.5,
        std=127.5,
        resize="stretch",
    ) as pipeline:
        yield pipeline


@pytest.fixture(scope="session")
def expected(shared: Path) -> Callable[[str, str], list[dict[str, Any]]]:
    document = json.loads((shared / "expected.json").read_text())
    return lambda task, image: document[task][image]


@pytest.mark.parametrize("image", IMAGES)
def test_every_expected_object_is_found_and_no_other(
    detect: Any, expected: Any, shared: Path, image: str
) -> None:
    wanted = expected("detect", image)

    result: Detections = detect(frame_of(shared / "images" / image))

    found = result.to_json()
    assert [] == unmatched(wanted, found, iou=0.9, score=0.05)
    assert [] == unmatched(found, wanted, iou=0.9, score=0.05)
    assert len(wanted) == len(found)


@pytest.mark.parametrize("image", IMAGES)
def test_the_best_class_is_the_expected_one(
    classify: Any, expected: Any, shared: Path, image: str
) -> None:
    wanted = expected("classify", image)

    result: Classification = classify(frame_of(shared / "images" / image))

    assert (wanted[0]["class"], wanted[0]["label"]) == (result.classes[0], result.labels[0])


@pytest.mark.parametrize("image", IMAGES)
def test_the_scores_of_the_expected_classes_are_within_5_hundredths(
    classify: Any, expected: Any, shared: Path, image: str
) -> None:
    wanted = expected("classify", image)

    result: Classification = classify(frame_of(shared / "images" / image))

    scores = dict(zip(result.classes.tolist(), result.scores.tolist(), strict=True))
    for one in wanted:
        # A class that another one pushed out of the best five has less than the last of them.
        score = scores.get(one["class"], float(result.scores[-1]))
        assert score == pytest.approx(one["score"], abs=0.05)


def test_a_list_of_photographs_is_seen_as_each_alone(
    classify: Any, expected: Any, shared: Path
) -> None:
    results = classify([frame_of(shared / "images" / image) for image in IMAGES])

    assert [expected("classify", image)[0]["class"] for image in IMAGES] == [
        result.classes[0] for result in results
    ]


def test_the_sidecar_tells_what_arguments_would(
    expected: Any, shared: Path, tmp_path: Path
) -> None:
    model = tmp_path / "net.onnx"
    model.symlink_to(shared / "models" / "mobilenet_v2.onnx")
    settings = {
        "task": "classify",
        "labels": str(shared / "models" / "imagenet_labels.txt"),
        "colour": "rgb",
        "mean": [127.5, 127.5, 127.5],
        "std": 127.5,
        "resize": "stretch",
        "size": [224, 224],
        "layout": "NCHW",
    }
    (tmp_path / "net.onnx.hwrt.json").write_text(json.dumps(settings))

    with open_plain(model) as pipeline:
        result = pipeline(frame_of(shared / "images" / "parrot.jpg"))

    assert expected("classify", "parrot.jpg")[0]["class"] == result.classes[0]
