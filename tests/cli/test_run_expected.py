"""``hwrt run`` sees in real photographs what an independent script saw (shared/expected.json).

The detector is told by its metadata alone; the classifier, which has none, by options and by a
sidecar.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PIL", reason="Pillow is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.slow

IMAGES = (
    "bird_segmentation.bmp",
    "bus.jpg",
    "cat_1080p.jpg",
    "dog.jpg",
    "grace_hopper.bmp",
    "parrot.jpg",
    "sunflower.bmp",
)
Results = dict[str, list[dict[str, Any]]]


def run(cache: Path, *arguments: object) -> Results:
    """What ``hwrt run`` says of the images, by their names."""
    command = [sys.executable, "-c", "from hwrt.cli import main; main()", "run"]
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [*command, *map(str, arguments), "--backend", "onnxruntime", "--json"],
        env={**os.environ, "PYTHONPATH": paths, "HWRT_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    entries = json.loads(done.stdout)["results"]
    kind = "detections" if "detections" in entries[0] else "classes"
    return {Path(entry["source"]).name: entry[kind] for entry in entries}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Results]:
    return json.loads((shared / "expected.json").read_text())


@pytest.fixture(scope="module")
def detected(shared: Path, cache: Path) -> Results:
    return run(cache, shared / "models" / "yolov8n.onnx", shared / "images")


@pytest.fixture(scope="module", params=["options", "sidecar"])
def classified(
    request: pytest.FixtureRequest,
    shared: Path,
    cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Results:
    model = shared / "models" / "mobilenet_v2.onnx"
    labels = shared / "models" / "imagenet_labels.txt"
    if request.param == "options":
        given = ["--task", "classify", "--mean", "127.5", "--std", "127.5", "--resize", "stretch"]
        return run(cache, model, shared / "images", *given, "--labels", labels)
    link = tmp_path_factory.mktemp("model") / "net.onnx"
    link.symlink_to(model)
    sidecar = {
        "task": "classify",
        "labels": str(labels),
        "mean": 127.5,
        "std": 127.5,
        "resize": "stretch",
    }
    link.with_name("net.onnx.hwrt.json").write_text(json.dumps(sidecar))
    return run(cache, link, shared / "images")


def iou_of(a: list[float], b: list[float]) -> float:
    common = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return common / (areas - common)


def is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (
        (one["class"], one["label"]) == (other["class"], other["label"])
        and abs(one["score"] - other["score"]) <= 0.05
        and iou_of(one["box_xyxy"], other["box_xyxy"]) >= 0.9
    )


@pytest.mark.parametrize("image", IMAGES)
def test_every_expected_object_is_found_and_no_other(
    detected: Results, expected: dict[str, Results], image: str
) -> None:
    wanted, found = expected["detect"][image], detected[image]

    assert len(wanted) == len(found)
    assert [] == [one for one in wanted if not any(is_same(one, other) for other in found)]


@pytest.mark.parametrize("image", IMAGES)
def test_the_expected_classes_are_seen_with_their_scores(
    classified: Results, expected: dict[str, Results], image: str
) -> None:
    wanted, found = expected["classify"][image], classified[image]

    assert (wanted[0]["class"], wanted[0]["label"]) == (found[0]["class"], found[0]["label"])
    scores = {one["class"]: one["score"] for one in found}
    for one in wanted:
        # A class that another one pushed out of the best five has less than the last of them.
        assert scores.get(one["class"], found[-1]["score"]) == pytest.approx(one["score"], abs=0.05)
