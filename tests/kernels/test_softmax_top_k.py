"""Each form of softmax_top_k, at each target, against the NumPy oracle and against plain facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from hwrt.kernels import with_numpy

compiled = pytest.importorskip("hwrt._kernels", reason="the extension is not compiled")

Fill = Callable[[np.ndarray, np.ndarray, np.ndarray, bool], None]

FORMS = [*compiled.targets(), "numba", "numpy"]
AROUND_VECTORS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 80, 511, 512, 513, 1000, 1001]
SIZES = [
    (count, k)
    for count in AROUND_VECTORS
    for k in sorted({1, 2, 3, 5, count // 2, count - 1, count})
    if 1 <= k <= count
]
NAN, INF = np.nan, np.inf


@pytest.fixture(params=FORMS)
def fill(request: pytest.FixtureRequest) -> Iterator[Fill]:
    """``softmax_top_k(logits, classes, scores, softmax)`` in one form."""
    if request.param == "numpy":
        yield with_numpy.softmax_top_k
    elif request.param == "numba":
        pytest.importorskip("numba", reason="numba is not installed")
        from hwrt.kernels import with_numba

        yield with_numba.softmax_top_k
    else:
        compiled.limit_target(request.param)
        yield compiled.softmax_top_k
        compiled.limit_target(None)


def _top_k(
    fill: Fill, logits: np.ndarray, k: int, *, softmax: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    classes = np.full((len(logits), k), -7, np.int32)
    scores = np.full((len(logits), k), -7.0, np.float32)
    fill(logits, classes, scores, softmax)
    return classes, scores


def _oracle(logits: np.ndarray, k: int, *, softmax: bool = True) -> tuple[np.ndarray, np.ndarray]:
    return _top_k(with_numpy.softmax_top_k, logits, k, softmax=softmax)


def _row(*logits: float) -> np.ndarray:
    return np.array([logits], np.float32)


def _rows(n: int, count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(0.0, 4.0, (n, count)).astype(np.float32)


@pytest.mark.parametrize(("count", "k"), SIZES)
def test_classes_and_probabilities_are_the_oracles(fill: Fill, count: int, k: int) -> None:
    logits = _rows(3, count)

    classes, scores = _top_k(fill, logits, k)

    expected_classes, expected_scores = _oracle(logits, k)
    np.testing.assert_array_equal(classes, expected_classes)
    np.testing.assert_array_max_ulp(scores, expected_scores, maxulp=4)


@pytest.mark.parametrize(("count", "k"), SIZES)
def test_without_softmax_scores_are_the_logits_as_they_stand(
    fill: Fill, count: int, k: int
) -> None:
    logits = _rows(3, count)

    classes, scores = _top_k(fill, logits, k, softmax=False)

    np.testing.assert_array_equal(scores, -np.sort(-logits, axis=1)[:, :k])
    np.testing.assert_array_equal(scores, np.take_along_axis(logits, classes.astype(int), axis=1))


@pytest.mark.parametrize("position", range(40))
def test_the_best_is_found_at_every_position_of_a_vector(fill: Fill, position: int) -> None:
    logits = np.zeros((1, 40), np.float32)
    logits[0, position] = 1.0

    classes, _ = _top_k(fill, logits, 1)

    assert position == classes.item()


def test_of_equal_logits_the_lower_class_comes_first(fill: Fill) -> None:
    logits = np.tile(np.array([1.0, 3.0, 2.0], np.float32), (1, 20))

    classes, _ = _top_k(fill, logits, 45)

    expected = [*range(1, 60, 3), *range(2, 60, 3), *range(0, 15, 3)]
    assert expected == classes[0].tolist()


def test_zero_and_minus_zero_are_equal(fill: Fill) -> None:
    classes, _ = _top_k(fill, _row(-0.0, 0.0, -0.0, 0.0), 3, softmax=False)

    assert [[0, 1, 2]] == classes.tolist()


@pytest.mark.parametrize("k", [1, 5, 300])
def test_rising_and_falling_rows_are_sorted(fill: Fill, k: int) -> None:
    rising = np.arange(300, dtype=np.float32)

    classes, scores = _top_k(fill, np.stack([rising, rising[::-1]]), k, softmax=False)

    np.testing.assert_array_equal(classes[0], np.arange(300)[::-1][:k])
    np.testing.assert_array_equal(classes[1], np.arange(k))
    np.testing.assert_array_equal(scores, np.stack([rising[::-1][:k]] * 2))


def test_a_million_equal_classes_have_a_millionth_each(fill: Fill) -> None:
    logits = np.full((1, 1_000_000), 3.5, np.float32)

    classes, scores = _top_k(fill, logits, 2)

    assert [[0, 1]] == classes.tolist()
    assert [[np.float32(1e-6)] * 2] == scores.tolist()


def test_exp_is_right_over_its_whole_range(fill: Fill) -> None:
    below = np.linspace(-87.0, 0.0, 20_001, dtype=np.float32)
    logits = np.stack([np.zeros_like(below), below], axis=1)

    _, scores = _top_k(fill, logits, 2)

    exact = np.exp(below.astype(np.float64))
    exact /= 1.0 + exact
    np.testing.assert_array_max_ulp(scores[:, 1], exact.astype(np.float32), maxulp=4)


def test_probabilities_are_zero_beyond_87_below_the_best(fill: Fill) -> None:
    _, scores = _top_k(fill, _row(100.0, 13.0, 12.999), 3)

    assert scores[0, 1] > 0.0
    assert 0.0 == scores[0, 2]


def test_logits_at_the_ends_of_float32_do_not_overflow(fill: Fill) -> None:
    largest = float(np.finfo(np.float32).max)

    classes, scores = _top_k(fill, _row(-largest, largest, 0.0), 3)

    assert [[1, 2, 0]] == classes.tolist()
    assert [[1.0, 0.0, 0.0]] == scores.tolist()


@pytest.mark.parametrize("position", [0, 1, 7, 8, 12, 18])
def test_a_nan_ranks_last_and_leaves_the_others_as_they_are(fill: Fill, position: int) -> None:
    logits = _rows(1, 19)
    logits[0, position] = NAN

    classes, scores = _top_k(fill, logits, 19)

    _, expected_scores = _oracle(np.delete(logits, position, axis=1), 18)
    assert position == classes[0, -1]
    assert 0.0 == scores[0, -1]
    np.testing.assert_array_max_ulp(scores[:, :-1], expected_scores, maxulp=4)


def test_nan_and_minus_infinity_are_equal_in_rank(fill: Fill) -> None:
    logits = _row(-INF, NAN, 1.0, NAN, -INF, 0.0)

    classes, scores = _top_k(fill, logits, 6, softmax=False)

    assert [[2, 5, 0, 1, 3, 4]] == classes.tolist()
    np.testing.assert_array_equal(scores, [[1.0, 0.0, -INF, NAN, NAN, -INF]])


def test_minus_infinity_has_the_probability_zero(fill: Fill) -> None:
    _, scores = _top_k(fill, _row(0.0, -INF, 0.0, -INF), 4)

    assert [[0.5, 0.5, 0.0, 0.0]] == scores.tolist()


def test_classes_of_plus_infinity_share_the_probability(fill: Fill) -> None:
    classes, scores = _top_k(fill, _row(3.0, INF, NAN, INF, -INF), 5)

    assert [[1, 3, 0, 2, 4]] == classes.tolist()
    assert [[0.5, 0.5, 0.0, 0.0, 0.0]] == scores.tolist()


def test_more_infinities_than_k_share_the_probability_too(fill: Fill) -> None:
    _, scores = _top_k(fill, np.full((1, 37), INF, np.float32), 2)

    assert [[np.float32(1 / 37)] * 2] == scores.tolist()


@pytest.mark.parametrize("nothing", [NAN, -INF])
def test_a_row_without_any_number_has_nan_for_probabilities(fill: Fill, nothing: float) -> None:
    logits = np.full((2, 16), nothing, np.float32)
    logits[1] = 0.0

    classes, scores = _top_k(fill, logits, 3)

    assert [[0, 1, 2]] * 2 == classes.tolist()
    np.testing.assert_array_equal(scores, [[NAN] * 3, [1 / 16] * 3])


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda a: a[:, 3:40], id="columns"),
        pytest.param(lambda a: a[::2], id="every other row"),
        pytest.param(lambda a: a[::-1], id="rows backwards"),
        pytest.param(lambda a: np.broadcast_to(a[:1], (4, 45)), id="one row four times"),
        pytest.param(lambda a: a[2:3], id="one row"),
        pytest.param(lambda a: a[:, 4:5], id="one class"),
    ],
)
def test_rows_may_lie_at_any_stride(fill: Fill, view: Callable[[np.ndarray], np.ndarray]) -> None:
    logits = view(_rows(6, 45))

    classes, scores = _top_k(fill, logits, 1)

    expected_classes, expected_scores = _oracle(logits.copy(), 1)
    np.testing.assert_array_equal(classes, expected_classes)
    np.testing.assert_array_max_ulp(scores, expected_scores, maxulp=4)


def test_no_rows_give_no_results(fill: Fill) -> None:
    classes, scores = _top_k(fill, np.empty((0, 10), np.float32), 3)

    assert (0, 3) == classes.shape == scores.shape


def test_what_lies_around_a_row_is_not_looked_at(fill: Fill) -> None:
    around = np.full((1, 33), 1e9, np.float32)
    around[0, 8:25] = np.arange(17)

    classes, scores = _top_k(fill, around[:, 8:25], 17, softmax=False)

    np.testing.assert_array_equal(classes, np.arange(17)[None, ::-1])
    np.testing.assert_array_equal(scores, np.arange(17)[None, ::-1])


def test_what_lies_around_the_outputs_is_left_alone(fill: Fill) -> None:
    classes = np.full((3, 5), -7, np.int32)
    scores = np.full((3, 5), -7.0, np.float32)

    fill(_rows(1, 50), classes[1:2], scores[1:2], True)

    np.testing.assert_array_equal(classes[::2], -7)
    np.testing.assert_array_equal(scores[::2], -7.0)
