from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.vision import argmax_map, resize

LOGITS = np.random.default_rng(0).normal(0.0, 3.0, (5, 6, 8)).astype(np.float32)


def test_the_best_class_of_each_pixel_is_numpys() -> None:
    classes = argmax_map(LOGITS)

    assert (np.uint8, (6, 8)) == (classes.dtype, classes.shape)
    np.testing.assert_array_equal(classes, LOGITS.argmax(axis=0))


def test_a_leading_dimension_of_one_is_left_out() -> None:
    np.testing.assert_array_equal(argmax_map(LOGITS[None]), LOGITS.argmax(axis=0))


@pytest.mark.parametrize("size", [None, (11, 5)])
def test_both_layouts_give_the_same(size: Any) -> None:
    interleaved = np.ascontiguousarray(LOGITS.transpose(1, 2, 0))

    np.testing.assert_array_equal(
        argmax_map(interleaved, size, layout="NHWC"), argmax_map(LOGITS, size)
    )


@pytest.mark.parametrize("size", [(6, 8), (12, 20), (3, 4), (1, 1), (40, 9)])
def test_logits_are_resized_as_frames_are(size: tuple[int, int]) -> None:
    levels = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    resized = np.empty((3, *size), np.float32)
    resize(levels, resized, mean=0, std=1, layout="NCHW")
    ranked = np.sort(resized, axis=0)
    clear = ranked[2] - ranked[1] > 0.05  # a frame's levels have 7 bits behind the point

    classes = argmax_map(levels.transpose(2, 0, 1).astype(np.float32), size)

    assert clear.mean() > 0.9
    np.testing.assert_array_equal(classes[clear], resized.argmax(axis=0)[clear])


@pytest.mark.parametrize(
    "logits",
    [
        pytest.param(LOGITS[:, ::2, ::-1], id="a view"),
        pytest.param(np.asfortranarray(LOGITS), id="column by column"),
        pytest.param(LOGITS.astype(np.float64), id="float64"),
        pytest.param(LOGITS.astype(np.float16), id="float16"),
        pytest.param(LOGITS.astype(">f4"), id="the other byte order"),
        pytest.param(LOGITS[:1], id="one class"),
        pytest.param(LOGITS[:, :, 3:4], id="one column"),
        pytest.param(LOGITS[:, 2:3, ::3], id="one row"),
    ],
)
def test_logits_may_be_floats_in_any_layout(logits: np.ndarray) -> None:
    np.testing.assert_array_equal(argmax_map(logits), logits.argmax(axis=0))


def test_256_classes_are_told_apart() -> None:
    logits = np.zeros((256, 1, 256), np.float32)
    logits[np.arange(256), 0, np.arange(256)] = 1

    assert list(range(256)) == argmax_map(logits)[0].tolist()


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        ([[[1.0]]], "the logits are list"),
        (np.zeros((3, 4, 4), np.int64), "the logits are int64"),
        (np.zeros((4, 4), np.float32), r"the shape \(4, 4\)"),
        (np.zeros((2, 3, 4, 4), np.float32), r"the shape \(2, 3, 4, 4\)"),
        (np.zeros((3, 0, 4), np.float32), r"the shape \(3, 0, 4\)"),
        (np.zeros((257, 4, 4), np.float32), "257 classes as NCHW"),
    ],
)
def test_what_are_no_logits_is_an_input_error(logits: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        argmax_map(logits)


@pytest.mark.parametrize("size", [5, (5,), (5, 0), (-1, 5), (2.5, 5), "ab", (True, 5)])
def test_what_is_no_size_is_an_input_error(size: Any) -> None:
    with pytest.raises(InputError, match="size is"):
        argmax_map(LOGITS, size)


@pytest.mark.parametrize("layout", ["nchw", None, ["NCHW"]])
def test_another_layout_is_an_input_error(layout: Any) -> None:
    with pytest.raises(InputError, match="layout is"):
        argmax_map(LOGITS, layout=layout)
