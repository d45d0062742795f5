"""What the extension's yolo_detections and nms refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

compiled = pytest.importorskip("hwrt._kernels", reason="the extension is not compiled")


def decode(**changed: Any) -> int:
    given = {
        "numbers": np.zeros((7, 10), np.float32),
        "objectness": False,
        "scale": 1.0,
        "zero_point": 0.0,
        "conf": 0.25,
        "iou": 0.45,
        "class_agnostic": False,
        "unit": (1.0, 1.0),
        "to_frame": None,
        "boxes": np.zeros((3, 4), np.float32),
        "scores": np.zeros(3, np.float32),
        "classes": np.zeros(3, np.int32),
    }
    return int(compiled.yolo_detections(**(given | changed)))


def suppress(**changed: Any) -> int:
    given = {
        "order": np.arange(3),
        "boxes": np.zeros((3, 4)),
        "groups": np.zeros(3, np.int32),
        "iou": 0.45,
        "kept": np.zeros(3, np.int64),
    }
    return int(compiled.nms(**(given | changed)))


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def test_what_the_calls_below_change_is_right_without_it() -> None:
    assert 0 == decode()
    assert 3 == suppress()


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("numbers", np.zeros((7, 10)), "the head is float64, not float32, uint8 or int8"),
        ("numbers", np.zeros((7, 10), np.float16), "the head is float16"),
        ("numbers", np.zeros((7, 10), ">f4"), "the head is >f4"),
        ("numbers", np.zeros((7, 10), np.int16), "the head is int16"),
        ("boxes", np.zeros((3, 4)), "boxes is float64, not float32"),
        ("scores", np.zeros(3), "scores is float64, not float32"),
        ("classes", np.zeros(3, np.int64), "classes is int64, not int32"),
        ("to_frame", (1.0, 2.0), "incompatible function arguments"),
        ("unit", None, "incompatible function arguments"),
    ],
)
def test_another_type_for_a_head_is_a_type_error(name: str, array: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        decode(**{name: array})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"numbers": np.zeros(70, np.float32)}, r"the head has the shape \(70,\)"),
        ({"numbers": np.zeros((1, 7, 10), np.float32)}, r"the head has the shape \(1, 7, 10\)"),
        ({"numbers": np.zeros((4, 10), np.float32)}, r"not \(4 \+ classes, anchors\)"),
        ({"numbers": np.zeros((5, 10), np.float32, "F"), "objectness": True}, r"not \(5 \+ cla"),
        ({"numbers": np.zeros((1 << 24, 0), np.uint8)}, r"the head has the shape \(16777216, 0"),
        ({"numbers": np.zeros((14, 20), np.float32)[::2, ::2]}, "strides of 160 and 8 bytes"),
        ({"numbers": np.zeros((7, 10), np.float32)[:, ::-1]}, "strides of 40 and -4 bytes"),
        ({"objectness": True}, "the numbers of an anchor are 40 bytes apart, not 4"),
        (
            {"numbers": np.zeros(281, np.uint8)[1:].view(np.float32).reshape(7, 10)},
            "the head has strides of 40 and 4 bytes|multiple of 4",
        ),
        ({"boxes": np.zeros((3, 5), np.float32)}, r"boxes has the shape \(3, 5\)"),
        ({"boxes": np.zeros((2, 4), np.float32)}, r"boxes has the shape \(2, 4\)"),
        ({"boxes": np.zeros((4, 3), np.float32).T}, "boxes is not C-contiguous"),
        ({"boxes": read_only(np.zeros((3, 4), np.float32))}, "boxes is read-only"),
        ({"scores": np.zeros(4, np.float32)}, r"scores \(4,\)"),
        ({"scores": np.zeros(6, np.float32)[::2]}, "scores is not C-contiguous"),
        ({"classes": np.zeros(2, np.int32)}, r"classes \(2,\)"),
        ({"classes": read_only(np.zeros(3, np.int32))}, "classes is read-only"),
        ({"conf": -0.5}, r"conf is -0\.50*, not 0 or more"),
        ({"conf": float("nan")}, "conf is nan"),
    ],
)
def test_a_head_of_another_shape_or_layout_is_a_value_error(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        decode(**changed)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("order", np.arange(3, dtype=np.int32)),
        ("boxes", np.zeros((3, 4), np.float32)),
        ("groups", np.zeros(3, np.int64)),
        ("kept", np.zeros(3, np.int32)),
    ],
)
def test_another_type_for_boxes_is_a_type_error(name: str, array: np.ndarray) -> None:
    with pytest.raises(TypeError, match=f"{name} is {array.dtype}, not "):
        suppress(**{name: array})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"order": np.array([0, 3])}, "order has 3 for 3 boxes"),
        ({"order": np.array([-1, 0])}, "order has -1 for 3 boxes"),
        ({"order": np.arange(6)[::2]}, "C-contiguous"),
        ({"boxes": np.zeros((3, 5))}, r"boxes has the shape \(3, 5\)"),
        ({"boxes": np.zeros((4, 3)).T}, "C-contiguous"),
        ({"groups": np.zeros(2, np.int32)}, r"groups \(2,\)"),
        ({"groups": np.array([0, -1, 0], np.int32)}, "groups has -1"),
        ({"groups": np.array([0, 0, 1 << 24], np.int32)}, "groups has 16777216"),
        ({"kept": np.zeros(6, np.int64)[::2]}, "kept is not C-contiguous"),
        ({"kept": read_only(np.zeros(3, np.int64))}, "kept is read-only"),
    ],
)
def test_boxes_of_another_shape_or_layout_are_a_value_error(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        suppress(**changed)
