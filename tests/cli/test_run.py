from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt import loading
from hwrt.errors import NoBackend
from hwrt.spec import ModelInfo, TensorSpec

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

FLOAT = np.dtype(np.float32)
CLASSIFIER = ["--task", "classify", "--mean", "127.5", "--std", "1,2,3", "--resize", "stretch"]


def test_the_objects_of_an_image_are_listed(call: Any, folder: Path) -> None:
    code, out, err = call("detector.onnx", folder / "b.png")

    assert (0, "") == (code, err)
    assert [
        "detector.onnx: detect on fake, cpu:0, f32",
        f"{folder / 'b.png'} (32x16):",
        "  0.75  dog  (8, 0) to (24, 16)",
    ] == out.splitlines()


def test_an_image_without_objects_says_so(call: Any, folder: Path) -> None:
    code, out, _ = call("detector.onnx", folder / "b.png", "--conf", "0.8")

    assert 0 == code
    assert f"{folder / 'b.png'} (32x16): nothing found" == out.splitlines()[-1]


def test_the_classes_of_an_image_are_listed_best_first(
    call: Any, folder: Path, labels: str
) -> None:
    code, out, _ = call("net.onnx", folder / "b.png", *CLASSIFIER, "--labels", labels)

    assert 0 == code
    assert ["  0.75  dog", "  0.25  cat"] == out.splitlines()[2:]


@pytest.mark.parametrize(
    ("options", "found"),
    [([], ["  0.75  dog", "  0.50  cat"]), (["--class-agnostic"], ["  0.75  dog"])],
)
def test_class_agnostic_lets_boxes_of_all_classes_suppress_each_other(
    call: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    seeing_request: Any,
    options: list[str],
    found: list[str],
) -> None:
    two = np.array([[4, 4], [4, 4], [4, 4], [4, 4], [0.25, 0.5], [0.75, 0]], np.float32)
    monkeypatch.setattr(seeing_request, "answer", lambda _, count: np.stack([two] * count))

    _, out, _ = call("detector.onnx", folder / "b.png", *options)

    assert found == [line[:11] for line in out.splitlines()[2:]]


def test_a_head_that_the_model_does_not_have_is_one_line_and_code_2(
    call: Any, folder: Path
) -> None:
    code, _, err = call("detector.onnx", folder / "b.png", "--head", "yolov5")

    assert (2, 1) == (code, err.count("\n"))
    assert "give head='yolov8'" in err


def test_top_limits_the_classes(call: Any, folder: Path, labels: str) -> None:
    options = [*CLASSIFIER, "--labels", labels, "--top", "1"]

    _, out, _ = call("net.onnx", folder / "b.png", *options)

    assert ["  0.75  dog"] == out.splitlines()[2:]


def test_a_folder_stands_for_its_images_by_name(call: Any, folder: Path) -> None:
    _, out, _ = call("detector.onnx", folder, "--json")

    sources = [entry["source"] for entry in json.loads(out)["results"]]
    assert [str(folder / "a.JPG"), str(folder / "b.png")] == sources


def test_an_image_that_is_named_twice_is_looked_at_once(call: Any, folder: Path) -> None:
    _, out, _ = call("detector.onnx", folder / "b.png", folder, folder / "b.png", "--json")

    sources = [entry["source"] for entry in json.loads(out)["results"]]
    assert [str(folder / "b.png"), str(folder / "a.JPG")] == sources


def test_json_is_one_document_on_stdout(call: Any, folder: Path) -> None:
    code, out, err = call("detector.onnx", folder / "b.png", "--json")

    expected = {
        "schema": "hwrt.run/1",
        "model": "detector.onnx",
        "task": "detect",
        "backend": "fake",
        "device": "cpu:0",
        "precision": "f32",
        "results": [
            {
                "source": str(folder / "b.png"),
                "width": 32,
                "height": 16,
                "detections": [
                    {"class": 1, "label": "dog", "score": 0.75, "box_xyxy": [8.0, 0.0, 24.0, 16.0]}
                ],
            }
        ],
    }
    assert (0, "") == (code, err)
    assert expected == json.loads(out)


def test_a_pipe_is_refused_and_not_waited_for(call: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")

    code, _, err = call("detector.onnx", tmp_path / "pipe.png")

    assert 2 == code
    assert "is a pipe, socket or device" in err


def test_a_pipe_in_a_folder_is_passed_over(call: Any, folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")

    assert 0 == call("detector.onnx", folder)[0]


def test_scores_that_are_no_numbers_are_null(
    call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, seeing_request: Any
) -> None:
    def broken(_: Any, count: int) -> np.ndarray:
        return np.full((count, 2), np.nan, dtype=np.float32)

    monkeypatch.setattr(seeing_request, "answer", broken)
    labels = folder / "labels.txt"
    labels.write_text("cat\ndog\n")
    arguments = ["classifier.onnx", folder / "b.png", *CLASSIFIER, "--labels", labels]

    _, shown, _ = call(*arguments)
    _, out, _ = call(*arguments, "--json", "--save", folder / "out")

    assert "nan  cat" in shown
    assert [None, None] == [row["score"] for row in json.loads(out)["results"][0]["classes"]]


def test_a_label_does_not_steer_the_terminal(call: Any, folder: Path) -> None:
    labels = folder / "labels.txt"
    labels.write_text("\x1b[31mcat\n[red]dog\n")

    _, out, _ = call("classifier.onnx", folder / "b.png", *CLASSIFIER, "--labels", labels)

    assert r"\x1b[31mcat" in out
    assert "[red]dog" in out


def test_a_layout_that_the_shape_leaves_open_can_be_given(
    call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        loading,
        "inspect",
        lambda *_, **__: ModelInfo(
            path=Path("open.onnx"),
            format="onnx",
            sha256="",
            size_bytes=0,
            inputs=(TensorSpec("images", FLOAT, (None, None, None, None)),),
            outputs=(TensorSpec("out", FLOAT, (None, 2)),),
        ),
    )
    labels = folder / "labels.txt"
    labels.write_text("cat\ndog\n")
    arguments = ["open.onnx", folder / "b.png", *CLASSIFIER, "--labels", labels, "--size", "8"]

    _, _, err = call(*arguments)
    code, out, _ = call(*arguments, "--layout", "NCHW")

    assert "does not say its layout (give hwrt run --layout NCHW|NHWC" in err
    assert (0, True) == (code, "0.75  dog" in out)


def test_a_zoo_model_is_built_with_the_batch(
    call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def inspect(model: str, **_: Any) -> ModelInfo:
        asked.append(model)
        raise NoBackend("enough")

    monkeypatch.setattr(loading, "inspect", inspect)

    call("zoo:yolov8n", folder, "--batch", "4")
    call("zoo:yolov8n@2", folder, "--batch", "2")

    assert ["zoo:yolov8n@4", "zoo:yolov8n@2"] == asked


def test_load_options_reach_the_load(call: Any, folder: Path, loads: Any, tmp_path: Path) -> None:
    options = [
        *("--backend", "one", "--backend", "two", "--device", "cpu", "--threads", "2"),
        *("--accuracy", "relaxed", "--samples", tmp_path, "--objective", "p99"),
        *("--shape", "images=1x3x8x8"),
    ]

    call("detector.onnx", folder / "b.png", *options)

    expected = {
        "backend": ["one", "two"],
        "device": "cpu",
        "threads": 2,
        "accuracy": "relaxed",
        "samples": tmp_path,
        "objective": "p99",
        "shapes": {"images": (1, 3, 8, 8)},
    }
    assert [expected] == loads


def test_batch_runs_that_many_images_at_once(call: Any, folder: Path, loads: Any) -> None:
    _, out, _ = call("detector.onnx", folder, "--batch", "2", "--json")

    assert [{"shapes": {"images": (2, 3, 8, 8)}}] == loads
    assert 2 == len(json.loads(out)["results"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gopher://camera/1", "an address begins with http, https, rtmp, rtsp"),
        ("film.MP4", "there is no 'film.MP4'"),
        ("gone.png", "there is no 'gone.png'"),
        ("9999999999", "there is no '9999999999'"),
        ("", "a SOURCE is empty"),
        ("\N{ARABIC-INDIC DIGIT THREE}", "there is no"),
        ("a" * 300, "can not be read: File name too long"),
    ],
)
def test_a_source_that_is_not_read_is_one_line_and_code_2(
    call: Any, source: str, message: str
) -> None:
    code, out, err = call("detector.onnx", source)

    assert (2, "") == (code, out)
    assert message in err
    assert 1 == err.count("\n")


def test_a_folder_without_images_is_one_line_and_code_2(call: Any, tmp_path: Path) -> None:
    code, _, err = call("detector.onnx", tmp_path)

    assert (2, 1) == (code, err.count("\n"))
    assert "holds no images" in err


def test_a_file_that_is_no_image_is_one_line_and_code_2(call: Any, folder: Path) -> None:
    code, _, err = call("detector.onnx", folder / "notes.txt", "--json")

    assert (2, 1) == (code, err.count("\n"))
    assert "notes.txt" in err


def test_a_model_that_does_not_say_its_settings_is_one_line_and_code_2(
    call: Any, folder: Path
) -> None:
    code, _, err = call("net.onnx", folder)

    assert (2, 1) == (code, err.count("\n"))
    assert "net.onnx does not say its task, labels, mean, std, resize" in err


@pytest.mark.parametrize(
    "options",
    [
        ["--conf", "2"],
        ["--conf", "x"],
        ["--mean", "1,x"],
        ["--size", "big"],
        ["--size", "9"],
        ["--resize", "squash"],
        ["--labels", "gone.txt"],
        ["--top", "0"],
        ["--shape", "images=0x3"],
        ["--shape", "images"],
        ["--shape", "images=1x3x8x8", "--shape", "images=1x3x8x8"],
        ["--threads", "0"],
        ["--accuracy", "f99"],
        ["--samples", "gone"],
        ["--unknown"],
    ],
)
def test_a_wrong_option_is_one_line_and_code_2(call: Any, folder: Path, options: list[str]) -> None:
    code, out, err = call("detector.onnx", folder, *options)

    assert (2, "", 1) == (code, out, err.count("\n"))


def test_no_source_is_one_line_and_code_2(call: Any) -> None:
    code, _, err = call("detector.onnx")

    assert (2, 1) == (code, err.count("\n"))


def test_no_backend_is_code_1_and_keeps_every_reason(
    call: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(model: str, **arguments: Any) -> None:
        raise NoBackend("no backend runs it", reasons={"one": "is absent", "two": "is broken"})

    monkeypatch.setattr(loading, "load", refuse)

    code, _, err = call("detector.onnx", folder)

    assert 1 == code
    assert ["hwrt: no backend runs it", "  one: is absent", "  two: is broken"] == err.splitlines()
