"""Detections from YOLO heads in each form: against the NumPy oracle and against plain facts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwrt.kernels import with_numpy

from .heads import Found, detect, head, same

NAN, INF = np.nan, np.inf
AROUND_VECTORS = [*range(1, 19), 31, 32, 33, 63, 64, 65, 127, 129, 511, 512, 513, 1030]
LAYOUTS = {
    "anchors beside each other": np.ascontiguousarray,
    "numbers beside each other": np.asfortranarray,
    "anchors beside each other, rows apart": lambda a: np.pad(a, ((0, 0), (3, 9)))[:, 3:-9],
    "numbers beside each other, anchors apart": lambda a: (
        np.pad(a, ((2, 5), (0, 0))).T.copy().T[2:-5]
    ),
    "anchors in reverse": lambda a: a[:, ::-1].T.copy().T[:, ::-1],
    "classes in reverse": lambda a: a[::-1].copy()[::-1],
}
QUANTIZED = {"uint8": (0.0123, 3.0), "int8": (0.0117, -101.0)}


def messy(anchors: int, classes: int, *, objectness: bool = False) -> np.ndarray:
    """Few distinct scores, so that most are equal; NaN and infinities here and there."""
    rng = np.random.default_rng((anchors, classes))
    numbers = rng.uniform(0, 60, (4 + objectness + classes, anchors)).astype(np.float32)
    numbers[4:] = rng.integers(0, 10, numbers[4:].shape) / 8
    odd = rng.choice([NAN, INF, -INF, 0.0, -0.0, 1e30], numbers.shape).astype(np.float32)
    return np.where(rng.random(numbers.shape) < 0.04, odd, numbers)


def bytes_of(anchors: int, classes: int, dtype: str, *, objectness: bool = False) -> np.ndarray:
    limits = np.iinfo(dtype)
    rng = np.random.default_rng((anchors, classes, 1))
    shape = (4 + objectness + classes, anchors)
    return rng.integers(limits.min, limits.max + 1, shape, endpoint=False).astype(dtype)


def differing(kernels: Any, heads: list[np.ndarray], **how: Any) -> list[tuple[int, ...]]:
    """The shapes of the heads in which the kernel finds something else than the oracle."""
    return [
        numbers.shape
        for numbers in heads
        if not same(detect(with_numpy, numbers, **how), detect(kernels, numbers, **how))
    ]


@pytest.mark.parametrize("class_agnostic", [False, True])
@pytest.mark.parametrize("objectness", [False, True])
@pytest.mark.parametrize("classes", [1, 2, 5, 80])
def test_detections_are_the_oracles_around_vectors(
    kernels: Any, classes: int, objectness: bool, class_agnostic: bool
) -> None:
    order = np.asfortranarray if objectness else np.ascontiguousarray
    heads = [order(messy(n, classes, objectness=objectness)) for n in AROUND_VECTORS]

    how = {"objectness": objectness, "class_agnostic": class_agnostic, "conf": 0.25}
    assert [] == differing(kernels, heads, **how)


@pytest.mark.parametrize("objectness", [False, True])
@pytest.mark.parametrize("element", QUANTIZED)
@pytest.mark.parametrize("classes", [1, 2, 80])
def test_detections_of_integers_are_the_oracles_around_vectors(
    kernels: Any, classes: int, element: str, objectness: bool
) -> None:
    order = np.asfortranarray if objectness else np.ascontiguousarray
    heads = [order(bytes_of(n, classes, element, objectness=objectness)) for n in AROUND_VECTORS]

    scale, zero_point = QUANTIZED[element]
    how = {"scale": scale, "zero_point": zero_point, "unit": (640.0, 480.0), "conf": 0.5}
    assert [] == differing(kernels, heads, objectness=objectness, **how)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("element", ["float32", *QUANTIZED])
def test_every_layout_gives_the_same_detections(kernels: Any, layout: str, element: str) -> None:
    floats = element == "float32"
    numbers = messy(300, 9) if floats else bytes_of(300, 9, element)
    scale, zero_point = (1.0, 0.0) if floats else QUANTIZED[element]
    how = {"scale": scale, "zero_point": zero_point, "conf": 0.5}

    found = detect(kernels, LAYOUTS[layout](numbers), **how)

    assert same(detect(with_numpy, numbers, **how), found)
    assert len(found.scores) > 10


@pytest.mark.parametrize("conf", [0.0, 1.0, 0.999, 0.125, float(np.float32(0.3))])
@pytest.mark.parametrize("element", ["float32", *QUANTIZED])
def test_every_threshold_is_the_oracles(kernels: Any, conf: float, element: str) -> None:
    floats = element == "float32"
    numbers = messy(200, 3) if floats else bytes_of(200, 3, element)
    scale, zero_point = (1.0, 0.0) if floats else QUANTIZED[element]

    assert [] == differing(kernels, [numbers], scale=scale, zero_point=zero_point, conf=conf)


@pytest.mark.parametrize("iou", [0.0, 0.1, 0.45, 0.5, 1.0])
def test_every_overlap_is_the_oracles(kernels: Any, iou: float) -> None:
    assert [] == differing(kernels, [messy(400, 2)], iou=iou, unit=(0.1, 0.2))


@pytest.mark.parametrize("max_det", [0, 1, 2, 15, 16, 17, 400, 401])
def test_max_det_keeps_the_first_of_the_same_detections(kernels: Any, max_det: int) -> None:
    everything = detect(kernels, messy(400, 3), max_det=1000)

    found = detect(kernels, messy(400, 3), max_det=max_det)

    assert same(Found(*(part[:max_det] for part in everything)), found)


def test_one_anchor_of_one_class_is_found(kernels: Any) -> None:
    found = detect(kernels, head([10, 20, 4, 8, 0.5]))

    assert [[8.0, 16.0, 12.0, 24.0]] == found.boxes.tolist()
    assert [0.5] == found.scores.tolist()
    assert [0] == found.classes.tolist()


def test_no_anchors_give_no_detections(kernels: Any) -> None:
    assert 0 == len(detect(kernels, np.empty((84, 0), np.float32)).scores)


def test_a_score_of_exactly_conf_does_not_count(kernels: Any) -> None:
    above = float(np.nextafter(np.float32(0.5), np.float32(1)))

    found = detect(kernels, head([10, 20, 4, 8, 0.5], [90, 20, 4, 8, above]), conf=0.5)

    assert [above] == found.scores.tolist()


def test_of_equal_scores_the_lower_anchor_comes_first(kernels: Any) -> None:
    numbers = np.zeros((5, 1700), np.float32)
    numbers[0] = np.arange(1700) * 10
    numbers[1:4], numbers[4] = 5, 0.5

    found = detect(kernels, numbers, max_det=1700)

    np.testing.assert_array_equal(numbers[0], found.boxes[:, [0, 2]].mean(axis=1))


@pytest.mark.parametrize("position", [0, 1, 3, 4, 7, 8, 15, 31, 32, 79])
def test_an_anchor_counts_with_the_lower_of_two_equal_classes(kernels: Any, position: int) -> None:
    scores = np.zeros(80)
    scores[[position, 79]] = 0.5

    found = detect(kernels, np.tile(head([10, 20, 4, 8, *scores]), (1, 40)))

    assert [position] == found.classes.tolist()


def test_a_nan_score_does_not_hide_the_class_beside_it(kernels: Any) -> None:
    numbers = head([10, 20, 4, 8, NAN, 0.5, NAN], [90, 20, 4, 8, NAN, NAN, NAN])

    found = detect(kernels, np.repeat(numbers, 20, axis=1))

    assert [1] == found.classes.tolist()
    assert [0.5] == found.scores.tolist()


def test_an_infinite_score_comes_first(kernels: Any) -> None:
    found = detect(kernels, head([10, 20, 4, 8, 0.9], [90, 20, 4, 8, INF], [50, 20, 4, 8, -INF]))

    assert [INF, np.float32(0.9)] == found.scores.tolist()


@pytest.mark.parametrize("place", range(4))
def test_a_box_with_a_nan_is_dropped(kernels: Any, place: int) -> None:
    damaged = [10, 20, 4, 8, 0.9]
    damaged[place] = NAN

    found = detect(kernels, head(damaged, [10, 20, 4, 8, 0.5]))

    assert [0.5] == found.scores.tolist()


def test_boxes_without_area_or_with_exchanged_corners_overlap_nothing(kernels: Any) -> None:
    numbers = head([9, 9, 0, 0, 0.9], [9, 9, 0, 0, 0.8], [9, 9, -4, -4, 0.7], [9, 9, 9, 9, 0.6])

    found = detect(kernels, numbers, iou=0.0)

    assert 4 == len(found.scores)


def test_boxes_out_of_the_frame_are_held_within_it(kernels: Any) -> None:
    numbers = head([10, 20, 40, 8, 0.9], [900, 900, 9, 9, 0.8], [INF, 30, 2, 2, 0.7])

    found = detect(kernels, numbers, to_frame=(2.0, 6.0, 0.5, 2.0, 100.0, 50.0))

    assert [[0.0, 5.0, 56.0, 9.0], [100.0, 50.0] * 2, [100.0, 11.5, 100.0, 12.5]] == (
        found.boxes.tolist()
    )


def test_without_a_frame_boxes_stay_as_they_are(kernels: Any) -> None:
    found = detect(kernels, head([-50, 20, 40, 8, 0.9]))

    assert [[-70.0, 16.0, -30.0, 24.0]] == found.boxes.tolist()


def test_fractions_are_multiplied_by_the_unit_before_boxes_are_compared(kernels: Any) -> None:
    numbers = head([0.5, 0.25, 0.125, 0.5, 0.9])

    found = detect(kernels, numbers, unit=(640.0, 320.0))

    assert [[280.0, 0.0, 360.0, 160.0]] == found.boxes.tolist()


@pytest.mark.parametrize(("agnostic", "kept"), [(False, [0, 1]), (True, [0])])
def test_classes_suppress_each_other_only_when_agnostic(
    kernels: Any, agnostic: bool, kept: list[int]
) -> None:
    numbers = head([10, 20, 4, 8, 0.9, 0.1], [10, 20, 4, 8, 0.1, 0.8])

    assert kept == detect(kernels, numbers, class_agnostic=agnostic).classes.tolist()


@pytest.mark.parametrize(
    ("objectness", "score", "kept"),
    [(0.5, 0.5, [0.25]), (0.2, 1.0, []), (1.0, 0.2, []), (INF, 0.5, [INF]), (NAN, 0.5, [])],
)
def test_scores_are_multiplied_by_an_objectness_that_is_above_conf_itself(
    kernels: Any, objectness: float, score: float, kept: list[float]
) -> None:
    numbers = np.asfortranarray(head([10, 20, 4, 8, objectness, 0.0, score]))

    assert kept == detect(kernels, numbers, objectness=True, conf=0.2).scores.tolist()


def test_infinity_times_an_objectness_of_zero_is_no_score(kernels: Any) -> None:
    numbers = np.asfortranarray(head([10, 20, 4, 8, INF, 0.0], [10, 20, 4, 8, 0.0, INF]))

    assert 0 == len(detect(kernels, numbers, objectness=True, conf=0.0).scores)
