"""The code on the pages about pipelines runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import hwrt

DOCS = Path(__file__).resolve().parents[1] / "docs"

pytest.importorskip("onnxruntime", reason="the pages' models need an engine for ONNX")


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def save_mean_of_channels(path: Path, *, softmax: bool) -> None:
    """A model of one image, 3x24x32, whose output is "out": float32 (1, 3)."""
    shape = [1, 3, 24, 32]
    nodes = [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[2, 3], keepdims=0)]
    nodes += [helper.make_node("Softmax" if softmax else "Identity", ["mean"], ["out"])]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())


def test_the_detectors_example_runs_on_frames_of_720_lines(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shared / "models")
    frame = np.full((720, 1280, 3), 114, np.uint8)
    names: dict[str, Any] = {"frame": frame, "other": frame, "large_frame": frame}
    names["camera"] = iter([frame, frame])

    exec(blocks("pipelines.md", "python")[0], names)

    assert len(names["results"]) == 2
    assert len(names["found"].boxes) == 0


def test_the_example_of_stages_reads_each_second_pixel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba", reason="numba is not installed")
    save_mean_of_channels(tmp_path / "net.onnx", softmax=False)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"hwrt": hwrt}
    frame = np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)

    exec(blocks("pipelines.md", "python")[1], names)
    with names["pipeline"] as pipeline:
        result = pipeline(frame)

    expected = frame[::2, ::2].mean(axis=(0, 1)).sum() / 255
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_the_sidecar_on_the_page_is_all_that_a_classifier_needs(
    shared: Path, tmp_path: Path
) -> None:
    for name in ("mobilenet_v2.onnx", "imagenet_labels.txt"):
        (tmp_path / name).symlink_to(shared / "models" / name)
    (sidecar,) = blocks("pipelines.md", "json")
    (tmp_path / "mobilenet_v2.onnx.hwrt.json").write_text(sidecar)
    dog = pytest.importorskip("hwrt.vision.images").read_image(shared / "images" / "dog.jpg")

    with hwrt.vision.load(tmp_path / "mobilenet_v2.onnx") as classify:
        best = classify(dog).labels[0]

    assert best == "malamute, malemute, Alaskan malamute"


def test_the_stage_on_the_page_about_parity_prepares_frames_for_a_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_mean_of_channels(tmp_path / "net.onnx", softmax=True)
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"hwrt": hwrt}
    frame = np.zeros((97, 131, 3), np.uint8)
    frame[..., 1] = 200

    exec(blocks("parity.md", "python")[0], names)
    with names["classify"] as classify:
        result = classify(frame)

    assert result.labels[0] == "green"
