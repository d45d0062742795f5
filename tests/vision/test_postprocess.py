from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.vision import Geometry, decode_yolov8, nms, top_k
from hwrt.vision.postprocess import decode_yolov5

NAN, INF = np.nan, np.inf


def iou_of(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    total = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / total


def nms_by_loops(
    boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, iou: float, max_det: int
) -> list[int]:
    corners = boxes.astype(float).tolist()
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    kept: list[int] = []
    for index in order:
        rivals = [other for other in kept if classes[other] == classes[index]]
        if all(iou_of(corners[index], corners[other]) <= iou for other in rivals):
            kept.append(index)
    return kept[:max_det]


def crowd(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 100, (count, 2))
    boxes = np.hstack([corners, corners + rng.uniform(1, 60, (count, 2))]).astype(np.float32)
    scores = rng.integers(1, 50, count).astype(np.float32) / 50  # with many ties
    return boxes, scores, rng.integers(0, 3, count)


def head(*anchors: list[float], classes: int = 2) -> np.ndarray:
    """The output of one image, anchors as rows: cx, cy, w, h and the classes' scores."""
    return np.array(anchors, dtype=np.float32).reshape(1, -1, 4 + classes).transpose(0, 2, 1)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("iou", [0.0, 0.3, 0.45, 1.0])
def test_class_aware_nms_equals_plain_loops(seed: int, iou: float) -> None:
    boxes, scores, classes = crowd(seed)

    expected = nms_by_loops(boxes, scores, classes, iou, 30)

    assert expected == nms(boxes, scores, classes, iou=iou, max_det=30).tolist()


@pytest.mark.parametrize("seed", range(20))
def test_nms_without_classes_equals_plain_loops(seed: int) -> None:
    boxes, scores, classes = crowd(seed)

    expected = nms_by_loops(boxes, scores, np.zeros_like(classes), 0.45, 300)

    assert expected == nms(boxes, scores).tolist()


def test_the_lower_index_of_equal_scores_is_kept() -> None:
    boxes = np.array([[0, 0, 10, 10]] * 3, dtype=np.float32)

    assert [1] == nms(boxes, np.array([0.5, 0.9, 0.9])).tolist()


def test_an_iou_of_exactly_the_threshold_does_not_suppress() -> None:
    boxes = np.array([[0, 0, 2, 1], [1, 0, 2, 1]], dtype=np.float32)

    assert [0, 1] == nms(boxes, np.array([0.9, 0.8]), iou=0.5).tolist()


def test_a_nan_score_is_never_kept() -> None:
    boxes = np.array([[0, 0, 1, 1], [5, 5, 6, 6], [8, 8, 9, 9]], dtype=np.float32)

    assert [2] == nms(boxes, np.array([NAN, NAN, -INF])).tolist()


def test_a_nan_coordinate_is_never_kept() -> None:
    boxes = np.array([[0, NAN, 1, 1], [5, 5, 6, 6]], dtype=np.float32)

    assert [1] == nms(boxes, np.array([0.9, 0.8])).tolist()


def test_an_infinite_score_comes_first() -> None:
    boxes = np.array([[0, 0, 1, 1], [5, 5, 6, 6]], dtype=np.float32)

    assert [1, 0] == nms(boxes, np.array([0.9, INF])).tolist()


def test_boxes_without_area_or_with_exchanged_corners_overlap_nothing() -> None:
    boxes = np.array(
        [[0, 0, 10, 10], [5, 5, 5, 5], [5, 5, 5, 5], [10, 10, 0, 0], [0, 3, 10, 3]],
        dtype=np.float32,
    )

    kept = nms(boxes, np.array([0.5, 0.6, 0.7, 0.8, 0.9]), iou=0.0)

    assert [4, 3, 2, 1, 0] == kept.tolist()


def test_infinite_boxes_overlap_nothing_and_warn_of_nothing() -> None:
    boxes = np.array([[-INF, -INF, INF, INF], [-INF, 0, INF, 1], [0, 0, 1, 1]], dtype=np.float32)

    assert [0, 1, 2] == nms(boxes, np.array([0.9, 0.8, 0.7])).tolist()


def test_no_boxes_give_no_indices() -> None:
    assert [] == nms(np.empty((0, 4)), np.empty(0), np.empty(0, int)).tolist()


def test_max_det_of_zero_keeps_nothing() -> None:
    assert [] == nms(np.array([[0, 0, 1, 1]]), np.array([0.9]), max_det=0).tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"boxes": np.zeros((2, 5))}, "boxes"),
        ({"boxes": np.zeros((2, 4), complex)}, "boxes are complex128"),
        ({"boxes": np.array([["a"] * 4] * 2)}, "boxes are <U1"),
        ({"scores": np.array(["a", "b"])}, "scores <U1"),
        ({"scores": np.zeros(3)}, "scores"),
        ({"classes": np.zeros(3)}, "classes"),
        ({"classes": [None, 1]}, r"classes are \[None, 1\]"),
        ({"classes": [[1], [1, 2]]}, "classes are"),
        ({"boxes": [[1, 2], [1]]}, "boxes are"),
        ({"iou": 1.5}, "iou is 1.5"),
        ({"iou": NAN}, "iou is nan"),
        ({"max_det": -1}, "max_det is -1"),
        ({"max_det": 2.5}, "max_det is 2.5"),
    ],
)
def test_nms_names_the_argument_that_is_wrong(arguments: dict[str, Any], message: str) -> None:
    defaults: dict[str, Any] = {"boxes": np.zeros((2, 4)), "scores": np.zeros(2)}

    with pytest.raises(InputError, match=message):
        nms(**{**defaults, **arguments})


def test_decoding_gives_corners_score_class_and_label() -> None:
    output = head([10, 20, 4, 8, 0.1, 0.75])

    (found,) = decode_yolov8(output, labels=("cat", "dog"))

    assert [[8.0, 16.0, 12.0, 24.0]] == found.boxes.tolist()
    assert [0.75] == found.scores.tolist()
    assert [1] == found.classes.tolist()
    assert ("dog",) == found.labels
    assert (np.float32, np.float32, np.int32) == (
        found.boxes.dtype,
        found.scores.dtype,
        found.classes.dtype,
    )


def test_without_labels_the_class_number_is_the_label() -> None:
    (found,) = decode_yolov8(head([10, 20, 4, 8, 0.1, 0.75]))

    assert ("1",) == found.labels


def test_only_scores_above_conf_count() -> None:
    output = head([10, 20, 4, 8, 0.5, 0.1], [90, 20, 4, 8, 0.1, 0.625])

    (found,) = decode_yolov8(output, conf=0.5)

    assert [0.625] == found.scores.tolist()


def test_an_anchor_counts_with_the_lower_of_two_equal_classes() -> None:
    (found,) = decode_yolov8(head([10, 20, 4, 8, 0.5, 0.5]))

    assert [0] == found.classes.tolist()


def test_a_nan_score_does_not_hide_the_class_beside_it() -> None:
    output = head([10, 20, 4, 8, NAN, 0.5], [90, 20, 4, 8, NAN, NAN])

    (found,) = decode_yolov8(output)

    assert [1] == found.classes.tolist()
    assert [0.5] == found.scores.tolist()


def test_boxes_of_two_classes_suppress_each_other_only_when_agnostic() -> None:
    output = head([10, 20, 4, 8, 0.9, 0.1], [10, 20, 4, 8, 0.1, 0.8])

    (aware,), (agnostic,) = decode_yolov8(output), decode_yolov8(output, class_agnostic=True)

    assert [0, 1] == aware.classes.tolist()
    assert [0] == agnostic.classes.tolist()


def test_max_det_keeps_the_best() -> None:
    output = head([10, 20, 4, 8, 0.5, 0.1], [90, 20, 4, 8, 0.1, 0.75])

    (found,) = decode_yolov8(output, max_det=1)

    assert [0.75] == found.scores.tolist()


def test_each_image_of_a_batch_has_its_own_detections_and_geometry() -> None:
    output = np.concatenate([head([10, 20, 4, 8, 0.9, 0.1]), head([10, 20, 4, 8, 0.1, 0.2])])
    output = np.concatenate([output, head([10, 20, 4, 40, 0.9, 0.1])])
    plain = Geometry(40, 40, 40, 40, scale_x=1.0, scale_y=1.0, pad_x=0, pad_y=0)
    half = Geometry(60, 80, 40, 40, scale_x=0.5, scale_y=0.5, pad_x=0, pad_y=5)

    first, second, third = decode_yolov8(output, geometry=[plain, plain, half])

    assert [[8.0, 16.0, 12.0, 24.0]] == first.boxes.tolist()
    assert (0, 4) == second.boxes.shape
    assert [[16.0, 0.0, 24.0, 60.0]] == third.boxes.tolist()


@pytest.mark.parametrize("shape", [(1, 7, 30), (2, 6, 1)])
def test_an_unaligned_output_is_decoded(shape: tuple[int, int, int]) -> None:
    output = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    unaligned = np.empty(output.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(shape)
    unaligned[...] = output

    found, expected = decode_yolov8(unaligned), decode_yolov8(output)

    assert [one.boxes.tolist() for one in expected] == [one.boxes.tolist() for one in found]
    by_objectness = decode_yolov5(unaligned.transpose(0, 2, 1))[0]
    assert decode_yolov5(output.transpose(0, 2, 1))[0].scores.tolist() == (
        by_objectness.scores.tolist()
    )


def test_unaligned_boxes_are_served() -> None:
    boxes = np.zeros(65, np.uint8)[1:].view(np.float64).reshape(2, 4)
    boxes[:] = [[0, 0, 10, 10], [0, 0, 10, 9]]

    assert [1] == nms(boxes, np.array([0.5, 0.75])).tolist()


@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4", "f4"])
def test_floats_of_every_width_are_decoded_in_float32(dtype: str) -> None:
    output = head([10, 20, 4, 8, 0.125, 0.75]).astype(dtype)

    (found,) = decode_yolov8(output)

    assert [0.75] == found.scores.tolist()
    assert [[8.0, 16.0, 12.0, 24.0]] == found.boxes.tolist()


def test_numbers_beyond_float32_are_infinite_and_warn_of_nothing() -> None:
    output = head([10, 20, 4, 8, 0.1, 0.1]).astype(np.float64)
    output[0, 5, 0] = 1e300

    (found,) = decode_yolov8(output)

    assert [INF] == found.scores.tolist()
    assert [1.0, 0.0] == top_k(np.array([0.0, 1e300]))[1].tolist()


def test_an_output_without_anchors_has_no_detections() -> None:
    (found,) = decode_yolov8(np.empty((1, 84, 0), dtype=np.float32))

    assert 0 == len(found)


@pytest.mark.parametrize(
    ("output", "arguments"),
    [
        (np.zeros((84, 10), np.float32), {}),
        (np.zeros((1, 4, 10), np.float32), {}),
        (np.zeros((1, 84, 10), np.int32), {}),
        (np.zeros((1, 84, 10), np.float32), {"conf": NAN}),
        (np.zeros((1, 84, 10), np.float32), {"labels": ["one"]}),
        (np.zeros((1, 84, 10), np.float32), {"geometry": []}),
        (np.zeros((1, 84, 10), np.float32), {"geometry": 3}),
        (np.zeros((1, 84, 10), np.float32), {"geometry": ["a"]}),
        (np.zeros((1, 84, 10), np.float32), {"fractions_of": 640}),
        (np.zeros((1, 84, 10), np.float32), {"fractions_of": (0, 640)}),
        (np.zeros((1, 84, 10), np.float32), {"fractions_of": ("a", "b")}),
        ([[[1.0]], [[1.0, 2.0]]], {}),
    ],
)
def test_what_can_not_be_decoded_is_an_error(output: np.ndarray, arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        decode_yolov8(output, **arguments)


def test_top_k_of_one_row_is_one_dimensional() -> None:
    classes, scores = top_k(np.array([1.0, 3.0, 2.0]), 2, softmax=False)

    assert [1, 2] == classes.tolist()
    assert [3.0, 2.0] == scores.tolist()


def test_top_k_gives_softmax_probabilities_of_each_row() -> None:
    logits = np.log(np.array([[0.125, 0.625, 0.25], [0.5, 0.25, 0.25]]))

    classes, scores = top_k(logits, 2)

    assert [[1, 2], [0, 1]] == classes.tolist()
    np.testing.assert_allclose(scores, [[0.625, 0.25], [0.5, 0.25]], rtol=1e-6)


def test_top_k_of_fewer_classes_gives_them_all() -> None:
    assert [1, 0] == top_k(np.array([0.0, 1.0]))[0].tolist()


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_a_k_that_is_no_count_is_an_error(k: Any) -> None:
    with pytest.raises(InputError, match=f"k is {k}"):
        top_k(np.zeros(3), k)


@pytest.mark.parametrize("logits", [np.zeros((1, 2, 3)), np.zeros((2, 0)), np.zeros(3, int)])
def test_what_are_no_logits_is_an_error(logits: np.ndarray) -> None:
    with pytest.raises(InputError, match="logits"):
        top_k(logits)
