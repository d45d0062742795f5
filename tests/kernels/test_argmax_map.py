"""Each form of argmax_map, at each target, against the NumPy oracle and against plain facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from hwrt.kernels import with_numpy
from hwrt.kernels.with_numpy.argmax_map import map_taps

from .forms import FORMS, form

Fill = Callable[..., None]

SIDES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 1023, 1025]
COUNTS = [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 21, 150, 256]
NAN, INF = np.nan, np.inf


@pytest.fixture(params=(*FORMS, "numba"))
def fill(request: pytest.FixtureRequest) -> Iterator[Fill]:
    """``argmax_map(scores, out, part)`` in one form."""
    if request.param == "numba":
        pytest.importorskip("numba", reason="numba is not installed")
        from hwrt.kernels import with_numba

        yield with_numba.argmax_map
        return
    with form(request.param) as module:
        yield module.argmax_map


@pytest.fixture(params=["planar", "interleaved"])
def lay(request: pytest.FixtureRequest) -> Callable[[np.ndarray], np.ndarray]:
    """What lays scores (C, h, w) out and gives the view (h, w, C) of them."""
    if request.param == "planar":
        return lambda scores: np.ascontiguousarray(scores).transpose(1, 2, 0)
    return lambda scores: np.ascontiguousarray(scores.transpose(1, 2, 0))


def scores_of(classes: int, height: int, width: int) -> np.ndarray:
    """(C, h, w), many of them equal."""
    random = np.random.default_rng(classes * 7919 + width)
    return np.round(random.normal(0.0, 3.0, (classes, height, width)), 1).astype(np.float32)


def filled(
    fill: Fill,
    scores: np.ndarray,
    size: tuple[int, int] | None = None,
    part: tuple[float, ...] | None = None,
) -> np.ndarray:
    height, width = scores.shape[:2]
    out = np.full(size or (height, width), 77, np.uint8)
    if part is None and size is not None:
        part = (0.0, height, 0.0, width)
    fill(scores, out, part)
    return out


def expected(scores: np.ndarray, *how: Any) -> np.ndarray:
    return filled(with_numpy.argmax_map, scores, *how)


@pytest.mark.parametrize("width", SIDES)
def test_classes_are_numpys_at_every_width(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray], width: int
) -> None:
    scores = scores_of(11, 3, width)

    np.testing.assert_array_equal(filled(fill, lay(scores)), scores.argmax(axis=0))


@pytest.mark.parametrize("classes", COUNTS)
def test_classes_are_numpys_for_every_number_of_them(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray], classes: int
) -> None:
    scores = scores_of(classes, 2, 45)

    np.testing.assert_array_equal(filled(fill, lay(scores)), scores.argmax(axis=0))


@pytest.mark.parametrize("width", SIDES)
@pytest.mark.parametrize("wanted", [1, 2, 7, 8, 9, 40, 67])
def test_resized_classes_are_the_oracles_at_every_width(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray], width: int, wanted: int
) -> None:
    scores = lay(scores_of(11, 4, width))

    np.testing.assert_array_equal(filled(fill, scores, (5, wanted)), expected(scores, (5, wanted)))


@pytest.mark.parametrize("classes", COUNTS)
def test_resized_classes_are_the_oracles_for_every_number_of_them(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray], classes: int
) -> None:
    scores = lay(scores_of(classes, 6, 9))

    np.testing.assert_array_equal(filled(fill, scores, (7, 21)), expected(scores, (7, 21)))


@pytest.mark.parametrize("size", [(1, 1), (5, 33), (13, 9), (40, 70), (3, 4)])
def test_resized_scores_are_those_of_an_exact_interpolation(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray], size: tuple[int, int]
) -> None:
    scores = np.random.default_rng(5).normal(0.0, 3.0, (6, 13, 9)).astype(np.float32)
    exact = interpolated(scores, size)
    ranked = np.sort(exact, axis=0)
    clear = ranked[-1] - ranked[-2] > 1e-5

    classes = filled(fill, lay(scores), size)

    assert clear.mean() > 0.99
    np.testing.assert_array_equal(classes[clear], exact.argmax(axis=0)[clear])


def interpolated(scores: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scores (C, h, w) at another size in float64: pixel centres, edges held."""
    values = scores.astype(np.float64)
    for axis, count in ((1, size[0]), (2, size[1])):
        source = values.shape[axis]
        centres = (np.arange(count) + 0.5) * source / count - 0.5
        places = np.clip(centres, 0, source - 1)
        values = np.apply_along_axis(
            lambda line, at, x: np.interp(at, x, line), axis, values, places, np.arange(source)
        )
    return values


@pytest.mark.parametrize("part", [(1, 3, 2, 5), (0, 6, 4, 4), (5, 1, 7, 1)])
def test_a_part_of_whole_pixels_is_resized_as_if_it_were_the_map(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray], part: tuple[int, ...]
) -> None:
    scores = scores_of(9, 6, 8)
    top, height, left, width = part
    alone = lay(scores[:, top : top + height, left : left + width])

    classes = filled(fill, lay(scores), (11, 19), part)

    np.testing.assert_array_equal(classes, expected(alone, (11, 19)))


@pytest.mark.parametrize(
    "part", [(0.25, 4.5, 1.75, 5.1), (-2.0, 9.0, -0.5, 10.0), (2.3, 0.2, 3.9, 0.4)]
)
def test_a_part_of_fractions_is_the_oracles(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray], part: tuple[float, ...]
) -> None:
    scores = lay(scores_of(9, 6, 8))

    np.testing.assert_array_equal(
        filled(fill, scores, (11, 19), part), expected(scores, (11, 19), part)
    )


@pytest.mark.parametrize("resized", [False, True])
def test_of_equal_scores_the_lowest_class_is_found(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray], resized: bool
) -> None:
    scores = np.zeros((30, 2, 9), np.float32)
    scores[[9, 12, 25]] = 1.0
    scores[:9, :, 3] = -0.0

    classes = filled(fill, lay(scores), (2, 9) if resized else None)

    assert [9] == np.unique(classes).tolist()


@pytest.mark.parametrize("classes", [3, 20])
@pytest.mark.parametrize("resized", [False, True])
def test_nan_is_no_score(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray], classes: int, resized: bool
) -> None:
    scores = scores_of(classes, 2, 19)
    scores[::2] = NAN

    found = filled(fill, lay(scores), (2, 19) if resized else None)

    np.testing.assert_array_equal(found, scores[1::2].argmax(axis=0) * 2 + 1)


@pytest.mark.parametrize("classes", [3, 20])
@pytest.mark.parametrize("resized", [False, True])
def test_a_pixel_without_any_score_is_of_class_0(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray], classes: int, resized: bool
) -> None:
    scores = np.full((classes, 2, 11), -INF, np.float32)
    scores[::2] = NAN

    found = filled(fill, lay(scores), (2, 11) if resized else None)

    assert not found.any()


@pytest.mark.parametrize("resized", [False, True])
def test_an_infinite_score_is_the_highest_and_the_lowest(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray], resized: bool
) -> None:
    scores = np.full((20, 1, 17), -INF, np.float32)
    scores[11] = -1e30
    scores[13, :, 5] = INF

    found = filled(fill, lay(scores), (1, 17) if resized else None)

    assert [11] * 5 + [13] + [11] * 11 == found[0].tolist()


def test_rows_and_planes_may_lie_at_any_stride(fill: Fill) -> None:
    scores = scores_of(9, 12, 30)[::-1, ::-2, 4:27]

    found = filled(fill, scores.transpose(1, 2, 0))
    resized = filled(fill, scores.transpose(1, 2, 0), (9, 50))

    np.testing.assert_array_equal(found, scores.argmax(axis=0))
    np.testing.assert_array_equal(resized, expected(scores.copy().transpose(1, 2, 0), (9, 50)))


def test_what_lies_around_the_output_is_left_alone(
    fill: Fill, lay: Callable[[np.ndarray], np.ndarray]
) -> None:
    scores = lay(scores_of(9, 3, 21))
    out = np.full((5, 21), 77, np.uint8)

    fill(scores, out[1:4], None)
    fill(scores, out[1:4], (0.0, 3.0, 0.0, 21.0))

    assert [77] == np.unique(out[[0, 4]]).tolist()


def test_taps_of_a_part_stay_within_it() -> None:
    low, weights = map_taps(2.0, 3.0, 8, 12)

    places = low + weights
    assert (2.0, 4.0) == (places.min(), places.max())
