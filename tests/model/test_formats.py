from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from hwrt.errors import ModelError
from hwrt.model.formats import FORMATS, detect

Save = Callable[..., Path]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x1c\0\0\0TFL3\x14\0\x20\0", "tflite"),
        (b'<?xml version="1.0"?>\n<net name="n" version="11">', "openvino-ir"),
        (b"\xef\xbb\xbf<net>", "openvino-ir"),
        (b"<!-- a > b --> <?x?><!DOCTYPE net><net/>", "openvino-ir"),
        (b"ptrt\0\0\0\0", "tensorrt-engine"),
        (b"ftrt\0\0\0\0", "tensorrt-engine"),
        (b"IMOD\0\x01\0\0", "om"),
        (b"\x08\x08\x3a\x00", "onnx"),
    ],
)
def test_a_format_is_told_by_content_whatever_the_suffix(
    data: bytes, expected: str, save: Save
) -> None:
    assert expected == detect(save(data, "model"))
    assert expected == detect(save(data, "model.onnx"))
    assert expected == detect(save(data, "model.tflite"))


def test_an_onnx_model_without_suffix_is_recognised(model: onnx.ModelProto, save: Save) -> None:
    assert "onnx" == detect(save(model, "model"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("m.onnx", "onnx"),
        ("M.ONNX", "onnx"),
        ("m.engine", "tensorrt-engine"),
        ("m.plan", "tensorrt-engine"),
        ("m.xml", "openvino-ir"),
    ],
)
def test_the_suffix_decides_where_the_content_says_nothing(
    name: str, expected: str, save: Save
) -> None:
    assert expected == detect(save(b"\x7fsomething else", name))


@pytest.mark.parametrize("name", ["m", "m.tflite", "m.om", "m.bin"])
def test_what_is_no_model_is_refused_with_its_first_bytes(name: str, save: Save) -> None:
    with pytest.raises(ModelError, match=r"no model format that hwrt knows.*x7fELF") as caught:
        detect(save(b"\x7fELF\x02\x01\x01", name))

    assert all(format_name in str(caught.value.hint) for format_name in FORMATS)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a git-lfs pointer"),
        (b"<!DOCTYPE html>\n<html><body>Not Found", "a web page"),
        (b"\n  <HTML lang='en'>", "a web page"),
        (b"PK\x03\x04\x14\0", "a zip archive"),
        (b"\x1f\x8b\x08\0", "a gzip archive"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    ],
)
def test_what_is_mistaken_for_a_model_is_called_by_its_name(
    data: bytes, what: str, save: Save
) -> None:
    path = save(data)

    with pytest.raises(ModelError, match=what) as caught:
        detect(path)

    assert caught.value.hint


def test_an_empty_file_is_refused(save: Save) -> None:
    with pytest.raises(ModelError, match="is empty"):
        detect(save(b""))


def test_many_comments_before_the_root_take_no_time_to_speak_of(save: Save) -> None:
    with pytest.raises(ModelError, match="no model format"):
        detect(save(b"<!---->" * 600, "model"))


@pytest.mark.parametrize("name", ["mobilenet_v2", "yolov8n", "yolov8n_int8"])
def test_real_onnx_models_are_recognised(name: str, shared: Path, tmp_path: Path) -> None:
    link = tmp_path / "without_suffix"
    link.symlink_to(shared / "models" / f"{name}.onnx")

    assert "onnx" == detect(link)


@pytest.mark.parametrize("name", ["mobilenet_v2_int8", "yolov8n_int8", "deeplabv3_int8"])
def test_real_tflite_models_are_recognised(name: str, shared: Path) -> None:
    assert "tflite" == detect(shared / "models" / f"{name}.tflite")


@pytest.mark.parametrize("name", ["coco_labels", "imagenet_labels"])
def test_label_files_are_no_models(name: str, shared: Path) -> None:
    with pytest.raises(ModelError, match="no model format"):
        detect(shared / "models" / f"{name}.txt")
