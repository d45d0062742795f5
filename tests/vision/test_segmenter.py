from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError, UnsupportedModel
from hwrt.spec import ModelInfo, Quantization, TensorSpec
from hwrt.vision import Geometry, Segmenter
from hwrt.vision.segmenter import check_map

from .two_classes import DETECT

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]
Make = Callable[..., Segmenter]

SEGMENT = replace(DETECT, task="segment", labels=("floor", "cat", "dog"))
FLOAT = np.dtype(np.float32)


def by_level(tensor: np.ndarray) -> np.ndarray:
    """Scores (B, 3, h, w): class 0 where the input is black, 1 where it is 100, 2 where it is 200.

    The borders of a letterbox, of the level 114, are sure to be of class 1.
    """
    level = tensor[:, 0]
    return -np.abs(np.stack([level, level - 100, level - 200], axis=1))


def classes_of(scores: np.ndarray) -> np.ndarray:
    return scores.argmax(axis=1)


@pytest.fixture
def make(model_info: MakeInfo, fake_session: MakeSession) -> Make:
    """A segmenter over a model of 8x8 pixels that answers so."""

    def build(
        answer: Callable[..., Any] = by_level,
        output: tuple[int | None, ...] = (None, 3, 8, 8),
        *,
        resize: str = "letterbox",
        layout: str = "NCHW",
        preprocess: Any = None,
        labels: tuple[str, ...] = SEGMENT.labels,
        shape: tuple[int | None, ...] = (None, 3, 8, 8),
        **of_output: Any,
    ) -> Segmenter:
        info = model_info(shape=shape, output=output, **of_output)
        settings = replace(SEGMENT, resize=resize, layout=layout, labels=labels)
        return Segmenter(fake_session(info, answer), settings, preprocess=preprocess)

    return build


def halves(height: int, width: int) -> np.ndarray:
    """A frame whose left half is black and whose right half is of the level 200."""
    frame = np.zeros((height, width, 3), np.uint8)
    frame[:, width // 2 :] = 200
    return frame


def test_each_pixel_of_the_frame_has_its_class(make: Make) -> None:
    found = make()(halves(8, 8))

    assert (np.uint8, ("floor", "cat", "dog")) == (found.classes.dtype, found.labels)
    assert [[0, 0, 0, 0, 2, 2, 2, 2]] * 8 == found.classes.tolist()


@pytest.mark.parametrize(("height", "width"), [(40, 80), (80, 40), (4, 8), (33, 77), (16, 16)])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_the_border_of_the_input_is_no_part_of_the_result(
    make: Make, resize: str, height: int, width: int
) -> None:
    found = make(lambda t: np.where(by_level(t) > -20, 1.0, 0.0), resize=resize)(
        np.zeros((height, width, 3), np.uint8)
    )

    assert (height, width) == found.classes.shape
    assert not found.classes.any()


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_an_edge_in_the_frame_lies_where_it_was(make: Make, resize: str) -> None:
    frame = halves(320, 640)

    classes = make(resize=resize)(frame).classes

    sure = np.r_[0:270, 370:640]  # a pixel of the input is 80 of the frame's
    np.testing.assert_array_equal(classes[:, sure], (frame[:, sure, 0] == 200) * 2)


def test_a_map_smaller_than_the_input_is_brought_to_the_frame(make: Make) -> None:
    pipeline = make(lambda tensor: by_level(tensor)[:, :, ::2, ::2], (None, 3, 4, 4))

    classes = pipeline(halves(20, 40)).classes

    sure = np.r_[0:15, 25:40]
    np.testing.assert_array_equal(classes[:, sure], [[0] * 15 + [2] * 15] * 20)


def test_scores_are_resized_before_the_best_is_chosen(make: Make) -> None:
    scores = np.array([[0.0, 0.0], [-1.0, 3.0], [-9.0, -9.0]], np.float32)[None, :, None]
    pipeline = make(lambda _: scores, (1, 3, 1, 2), resize="stretch", shape=(1, 3, 8, 8))

    classes = pipeline(np.zeros((8, 16, 3), np.uint8)).classes

    # Class 1 is the best from a quarter of the way between the centres 3.5 and 11.5 on.
    assert [0] * 6 + [1] * 10 == classes[0].tolist()


def test_classes_last_in_the_output_are_found(make: Make) -> None:
    pipeline = make(lambda tensor: by_level(tensor).transpose(0, 2, 3, 1), (None, 8, 8, 3))

    assert [0, 0, 0, 0, 2, 2, 2, 2] == pipeline(halves(8, 8)).classes[0].tolist()


@pytest.mark.parametrize(("layout", "best"), [("NCHW", 2), ("NHWC", 0)])
def test_where_both_dimensions_fit_the_inputs_layout_tells(
    make: Make, layout: str, best: int
) -> None:
    scores = np.array([[0.0, -1, -2], [5, 4, 3], [9, 8, 7]], np.float32)[None, :, None]
    shape = (1, 3, 8, 8) if layout == "NCHW" else (1, 8, 8, 3)
    pipeline = make(lambda _: scores, (1, 3, 1, 3), layout=layout, shape=shape, resize="stretch")

    classes = pipeline(np.zeros((8, 8, 3), np.uint8)).classes

    assert {best} == set(classes.ravel().tolist())


def test_of_a_larger_map_of_classes_the_pixel_in_the_middle_is_taken(make: Make) -> None:
    numbers = np.arange(9, dtype=np.int64)[None, None]
    pipeline = make(lambda _: numbers, (1, 1, 9), resize="stretch", output_dtype=np.int64)

    assert [[1, 4, 7]] == pipeline(np.zeros((1, 3, 3), np.uint8)).classes.tolist()


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (lambda t: classes_of(by_level(t)), (None, 8, 8)),
        (lambda t: classes_of(by_level(t))[:, None], (None, 1, 8, 8)),
        (lambda t: classes_of(by_level(t))[..., None], (None, 8, 8, 1)),
    ],
)
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_a_map_of_classes_is_brought_to_the_frame_by_the_nearest_pixel(
    make: Make, answer: Any, output: Any, dtype: Any
) -> None:
    pipeline = make(lambda tensor: answer(tensor).astype(dtype), output, output_dtype=dtype)

    classes = pipeline(halves(4, 8)).classes
    larger = pipeline(halves(40, 80)).classes

    assert [[0, 0, 0, 0, 2, 2, 2, 2]] * 4 == classes.tolist()
    np.testing.assert_array_equal(larger, np.kron(classes, np.ones((10, 10), np.uint8)))


@pytest.mark.parametrize("number", [-1, 256])
def test_a_class_that_uint8_can_not_hold_is_an_input_error(make: Make, number: int) -> None:
    answer = np.full((1, 8, 8), number, np.int64)
    pipeline = make(lambda _: answer, (None, 8, 8), output_dtype=np.int64)

    with pytest.raises(InputError, match=f"has the number {number}"):
        pipeline(halves(8, 8))


def test_quantised_scores_are_read_by_their_scales(make: Make) -> None:
    def answer(tensor: np.ndarray) -> np.ndarray:
        numbers = np.zeros((len(tensor), 3, 8, 8), np.int8)
        numbers[:, 1] = 100  # 10 more than its zero point, times 0.5
        numbers[:, 2] = 4  # times 2
        return numbers

    quantization = Quantization((1.0, 0.5, 2.0), (0, 90, 0), 1)
    pipeline = make(answer, output_dtype=np.int8, output_quantization=quantization)

    assert {2} == set(pipeline(halves(8, 8)).classes.ravel().tolist())


def test_a_list_of_frames_runs_as_one_batch(make: Make) -> None:
    pipeline = make()

    found = pipeline([halves(8, 8), halves(20, 40), np.zeros((6, 6, 3), np.uint8)])

    assert [(8, 8), (20, 40), (6, 6)] == [one.classes.shape for one in found]
    assert [(3, 3, 8, 8)] == [tensor.shape for tensor in pipeline.session.fed]
    assert not found[2].classes.any()


def test_a_region_has_a_map_of_its_own_size(make: Make) -> None:
    found = make()(halves(40, 80), roi=(44, 0, 60, 16))

    assert (16, 16) == found.classes.shape
    assert {2} == set(found.classes.ravel().tolist())


def test_results_do_not_keep_the_models_memory(make: Make) -> None:
    numbers = np.zeros((1, 8, 8), np.uint8)
    pipeline = make(lambda _: numbers, (1, 8, 8), shape=(1, 3, 8, 8), output_dtype=np.uint8)

    found = pipeline(halves(8, 8))
    numbers[:] = 2

    assert not found.classes.any()


def fill(frame: np.ndarray, out: np.ndarray) -> None:
    out[:] = frame.transpose(2, 0, 1)[:, :8, :8]


def fill_and_tell(frame: np.ndarray, out: np.ndarray) -> Geometry:
    fill(frame, out)
    return Geometry(*frame.shape[:2], 8, 8, 1.0, 1.0, 0, 0)


@pytest.mark.parametrize(("preprocess", "size"), [(fill, (8, 8)), (fill_and_tell, (8, 10))])
def test_with_a_preprocess_the_geometry_tells_the_size(
    make: Make, preprocess: Any, size: tuple[int, int]
) -> None:
    pipeline = make(preprocess=preprocess, resize="crop")

    classes = pipeline(halves(8, 10)).classes

    assert size == classes.shape
    assert [0, 0, 0, 0, 0, 2, 2, 2] == classes[0, :8].tolist()


def test_a_crop_is_an_input_error(make: Make) -> None:
    with pytest.raises(InputError, match="resize is 'crop'"):
        make(resize="crop")


def test_an_instance_segmentation_model_is_refused_and_named() -> None:
    outputs = (
        TensorSpec("output0", FLOAT, (1, 39, 8400)),
        TensorSpec("output1", FLOAT, (1, 32, 160, 160)),
    )

    with pytest.raises(UnsupportedModel, match="those of instance segmentation, as YOLOv8-seg's"):
        check_map(outputs, SEGMENT)


@pytest.mark.parametrize("output", [(None, 4, 8, 8), (None, 3, 8), (None, 3)])
def test_an_output_that_is_no_map_of_the_labels_is_unsupported(
    make: Make, output: tuple[int | None, ...]
) -> None:
    with pytest.raises(UnsupportedModel, match="for 3 labels"):
        make(output=output)


@pytest.mark.parametrize("count", [1, 257])
def test_scores_of_one_class_or_too_many_are_unsupported(make: Make, count: int) -> None:
    with pytest.raises(UnsupportedModel, match=f"there are {count} labels"):
        make(output=(None, count, 8, 8), labels=("one",) * count)


def test_two_maps_are_unsupported() -> None:
    outputs = (TensorSpec("out", FLOAT, (1, 3, 8, 8)), TensorSpec("aux", FLOAT, (1, 3, 8, 8)))

    with pytest.raises(UnsupportedModel, match="a pipeline needs one output"):
        check_map(outputs, SEGMENT)


def test_an_output_of_open_shape_is_looked_at_when_it_is_there(make: Make) -> None:
    pipeline = make(output=None)

    assert [0, 0, 0, 0, 2, 2, 2, 2] == pipeline(halves(8, 8)).classes[0].tolist()
