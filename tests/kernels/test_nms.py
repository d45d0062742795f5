"""Greedy suppression in each form, against the NumPy oracle and against plain facts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwrt.kernels import with_numpy

INF = np.inf


def keep(
    kernels: Any,
    boxes: Any,
    groups: Any = None,
    *,
    order: Any = None,
    iou: float = 0.45,
    most: int | None = None,
) -> list[int]:
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    count = len(corners)
    numbers = np.arange(count) if order is None else np.array(order)
    of = np.zeros(count, np.int32) if groups is None else np.array(groups, np.int32)
    kept = np.full(count if most is None else most, -7, np.int64)
    n = kernels.nms(numbers.astype(np.int64), corners, of, iou, kept)
    assert (kept[n:] == -7).all()
    return kept[:n].tolist()


def crowd(seed: int, count: int, *, reach: float = 100.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, reach, (count, 2))
    return np.hstack([corners, corners + rng.uniform(-0.02, 0.6, (count, 2)) * reach])


@pytest.mark.parametrize("reach", [1e-25, 1e-8, 1.0, 640.0, 1e9, 1e18, 3e19, 1e22, 1e37, 1e150])
@pytest.mark.parametrize("iou", [0.0, 0.001, 0.45, 0.9, 1.0])
def test_boxes_of_every_size_are_the_oracles(kernels: Any, iou: float, reach: float) -> None:
    boxes = crowd(int(iou * 10), 300, reach=reach)
    groups = np.arange(300) % 3

    expected = keep(with_numpy, boxes, groups, iou=iou)

    assert expected == keep(kernels, boxes, groups, iou=iou)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.449, 0.451])
def test_a_box_within_one_whose_area_float32_can_not_hold(kernels: Any, share: float) -> None:
    boxes = [[0, 0, 1e20, 1e20], [0, 0, 1e20 * share, 1e20]]

    assert keep(with_numpy, boxes) == keep(kernels, boxes)


@pytest.mark.parametrize("count", [*range(1, 37), 100])
def test_boxes_apart_are_all_kept_and_their_copies_are_not(kernels: Any, count: int) -> None:
    left = 20.0 * np.arange(count)
    boxes = np.stack([left, left, left + 10, left + 10], axis=1)

    assert [*range(count)] == keep(kernels, np.concatenate([boxes, boxes[::-1]]))


@pytest.mark.parametrize("count", range(1, 37))
def test_a_box_meets_the_kept_one_at_every_position_of_a_vector(kernels: Any, count: int) -> None:
    left = 20.0 * np.arange(count)
    boxes = np.stack([left, left, left + 10, left + 10], axis=1)

    kept = [keep(kernels, [*boxes, boxes[i] + 1.0], [*range(count), i]) for i in range(count)]

    assert [[*range(count)]] * count == kept


@pytest.mark.parametrize("most", [0, 1, 2, 16, 17, 1000])
def test_as_many_are_kept_as_there_is_room_for(kernels: Any, most: int) -> None:
    boxes = crowd(3, 400)

    assert keep(kernels, boxes)[:most] == keep(kernels, boxes, most=most)


def test_the_order_says_which_box_is_better(kernels: Any) -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60]]

    assert [2, 1] == keep(kernels, boxes, order=[2, 1, 0])


def test_boxes_that_the_order_leaves_out_are_not_kept(kernels: Any) -> None:
    assert [1] == keep(kernels, [[0, 0, 1, 1], [0, 0, 1, 1], [5, 5, 6, 6]], order=[1])


def test_an_iou_of_exactly_the_threshold_does_not_suppress(kernels: Any) -> None:
    boxes = [[0, 0, 2, 1], [1, 0, 2, 1]]

    assert [0, 1] == keep(kernels, boxes, iou=0.5)
    assert [0] == keep(kernels, boxes, iou=np.nextafter(0.5, 0))


def test_infinite_boxes_overlap_nothing(kernels: Any) -> None:
    boxes = [[-INF, -INF, INF, INF], [-INF, 0, INF, 1], [0, 0, 1, 1], [0, 0, 1e300, 1e300]]

    assert [0, 1, 2, 3] == keep(kernels, boxes)


def test_boxes_without_area_or_with_exchanged_corners_overlap_nothing(kernels: Any) -> None:
    boxes = [[5, 5, 5, 5], [5, 5, 5, 5], [10, 10, 0, 0], [0, 3, 10, 3], [0, 0, 10, 10]]

    assert [0, 1, 2, 3, 4] == keep(kernels, boxes, iou=0.0)


def test_groups_of_the_largest_number_are_told_apart(kernels: Any) -> None:
    boxes = [[0, 0, 10, 10]] * 4
    highest = (1 << 24) - 1

    assert [0, 1] == keep(kernels, boxes, [highest, highest - 1, highest, highest - 1])


def test_no_boxes_keep_none(kernels: Any) -> None:
    assert [] == keep(kernels, np.empty((0, 4)))
