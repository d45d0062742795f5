from __future__ import annotations

import pytest

from hwrt.errors import InputError
from hwrt.vision.metadata import convention, read_metadata


@pytest.mark.parametrize(
    ("key", "metadata", "expected"),
    [
        ("task", {"task": "detect"}, "detect"),
        ("labels", {"names": "{0: 'person', 1: 'bicycle'}"}, {0: "person", 1: "bicycle"}),
        ("labels", {"names": '{"0": "person"}'}, {"0": "person"}),
        ("labels", {"names": '["person", "bicycle"]'}, ["person", "bicycle"]),
        ("size", {"imgsz": "[480, 640]"}, [480, 640]),
        ("mean", {"mean": "[123.675, 116.28, 103.53]"}, [123.675, 116.28, 103.53]),
        ("softmax", {"softmax": "False"}, False),
        ("boxes", {"boxes": "fractions"}, "fractions"),
        ("std", {"mean": "1"}, None),
    ],
)
def test_a_setting_is_read_from_its_key(
    key: str, metadata: dict[str, str], expected: object
) -> None:
    assert expected == read_metadata(metadata, key, "the metadata")


@pytest.mark.parametrize(
    "text",
    [
        "person, bicycle",
        "__import__('os').getcwd()",
        "{0: 'person'",
        "'/etc/hostname'",
        '"/etc/hostname"',
        "None",
        "",
        "\x00",
        "[" * 100_000,
        "-" * 100_000 + "1",
        "1+" * 100_000 + "1",
        "9" * 100_000,
        "{" + "0:0," * 2_000_000 + "}",
    ],
)
def test_text_that_is_no_literal_is_an_error_naming_the_key(text: str) -> None:
    with pytest.raises(InputError, match=r"^names in the metadata is") as caught:
        read_metadata({"names": text}, "labels", "the metadata")

    assert len(str(caught.value)) < 300


def test_ultralytics_defines_how_a_detector_is_fed() -> None:
    known = convention({"author": "Ultralytics", "task": "detect"}, "onnx")

    assert ("rgb", 0.0, 255.0, "letterbox", "NCHW", "pixels") == tuple(
        known[key] for key in ("colour", "mean", "std", "resize", "layout", "boxes")
    )


def test_ultralytics_tflite_is_nhwc_with_boxes_in_fractions() -> None:
    known = convention({"author": "Ultralytics", "task": "detect"}, "tflite")

    assert ("NHWC", "fractions") == (known["layout"], known["boxes"])


def test_ultralytics_crops_for_a_classifier() -> None:
    assert "crop" == convention({"author": "Ultralytics", "task": "classify"}, "onnx")["resize"]


def test_another_exporter_defines_nothing() -> None:
    assert {} == convention({"author": "somebody", "task": "detect"}, "onnx")
