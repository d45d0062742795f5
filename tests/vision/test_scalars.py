from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.vision import decode_yolov8, letterbox, nms, quantize, top_k
from hwrt.vision.scalars import number, whole_number

FRAME = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), np.array(3), np.array(3, np.uint8)])
def test_every_integer_is_a_whole_number(value: Any) -> None:
    found = whole_number("threads", value, least=1)

    assert (3, int) == (found, type(found))


@pytest.mark.parametrize("value", [True, np.True_, 3.0, "3", None, 0, np.array([3]), [3]])
def test_what_is_no_whole_number_is_named(value: Any) -> None:
    with pytest.raises(InputError, match=r"threads is .* from 1"):
        whole_number("threads", value, least=1)


@pytest.mark.parametrize("value", [3, 3.0, np.float16(3), np.int64(3), np.array(3), np.array(3.0)])
def test_every_scalar_is_a_number(value: Any) -> None:
    found = number("mean", value)

    assert (3.0, float) == (found, type(found))


@pytest.mark.parametrize(
    "value", ["3", b"3", None, np.nan, -np.inf, 10**400, 1j, [3.0], np.array([3.0])]
)
def test_what_is_no_number_is_named(value: Any) -> None:
    with pytest.raises(InputError, match="mean is"):
        number("mean", value)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"mean": np.array(3.0)}, {"mean": 3.0}),
        ({"std": np.array(2)}, {"std": 2.0}),
        ({"mean": [np.array(1.0), 2, 3]}, {"mean": [1.0, 2.0, 3.0]}),
        ({"threads": np.int64(2)}, {"threads": 2}),
        ({"threads": np.array(2)}, {"threads": 2}),
        ({"threads": 1 << 40}, {"threads": 2}),
        ({"bgr": np.True_}, {"bgr": True}),
    ],
)
def test_preprocess_takes_numpys_numbers(given: dict[str, Any], plain: dict[str, Any]) -> None:
    expected, out = np.empty((2, 1, 3, 8, 8), np.float32)
    letterbox(FRAME, expected, **plain)

    letterbox(FRAME, out, **given)

    np.testing.assert_array_equal(expected, out)


@pytest.mark.parametrize("bgr", ["no", None, 2, np.array([True, False])])
def test_a_bgr_that_is_neither_true_nor_false_is_an_error(bgr: Any) -> None:
    with pytest.raises(InputError, match="bgr is"):
        letterbox(FRAME, np.empty((1, 3, 8, 8), np.float32), bgr=bgr)


def test_postprocess_takes_numpys_numbers() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60]], np.float32)
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    head = np.concatenate([boxes, scores[:, None]], axis=1).T[None]

    kept = nms(boxes, scores, iou=np.array(0.5), max_det=np.array(1))
    (found,) = decode_yolov8(head, conf=np.array(0.75), max_det=np.array(1))
    classes, _ = top_k(scores, np.array(2))

    assert [0] == kept.tolist()
    np.testing.assert_array_equal(scores[:1], found.scores)
    assert [0, 1] == classes.tolist()


def test_quantize_takes_numpys_numbers() -> None:
    x = np.ones((2, 2), np.float32)

    given = quantize(x, [0.5, 0.25], np.array(1), "int8", axis=np.array(0))

    assert [[3, 3], [5, 5]] == given.tolist()
