from fractions import Fraction
from math import ceil, comb

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.measure.percentile import (
    median_interval,
    nearest_rank,
    percentile,
    samples_needed,
    surely_above,
)

# docs: BENCHMARKING's table of the smallest sample counts at 99 % confidence.
TABLE = [
    (0.5, 0, 7),
    (0.5, 1, 11),
    (0.9, 0, 44),
    (0.9, 1, 64),
    (0.9, 2, 81),
    (0.95, 0, 90),
    (0.95, 1, 130),
    (0.95, 2, 165),
    (0.99, 0, 459),
    (0.99, 1, 662),
    (0.99, 2, 838),
    (0.999, 0, 4603),
    (0.999, 1, 6636),
    (0.999, 2, 8403),
]


def exact_rank_of_bound(n: int, q: Fraction, confidence: Fraction) -> int | None:
    """The least k with P(Bin(n, q) < k) >= confidence, in rational numbers."""
    below = Fraction(0)
    for k in range(1, n + 1):
        below += comb(n, k - 1) * q ** (k - 1) * (1 - q) ** (n - k + 1)
        if below >= confidence:
            return k
    return None


@pytest.mark.parametrize(("q", "above", "count"), TABLE)
def test_the_smallest_sample_counts_are_those_of_the_table(q, above, count):
    assert samples_needed(q, above=above) == count


@pytest.mark.parametrize(
    ("q", "count"), [(0.5, 11), (0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636)]
)
def test_a_percentile_is_told_from_one_sample_above_its_bound_on(q, count):
    samples = np.arange(count, dtype=float)

    enough, too_few = percentile(samples, q), percentile(samples[:-1], q)

    assert enough.value == ceil(Fraction(str(q)) * count) - 1
    assert enough.upper == count - 2
    assert enough.reason is None
    assert too_few == (None, None, f"needs >= {count} samples")


@pytest.mark.parametrize("q", ["0.25", "0.5", "0.9", "0.97"])
@pytest.mark.parametrize("confidence", ["0.9", "0.95", "0.99"])
def test_bounds_equal_those_of_rational_arithmetic(q, confidence):
    counts = range(1, 161, 3)

    bounds = [percentile(range(1, n + 1), float(q), confidence=float(confidence)) for n in counts]

    exact = [exact_rank_of_bound(n, Fraction(q), Fraction(confidence)) for n in counts]
    allowed = [k if k is not None and k < n else None for k, n in zip(exact, counts, strict=True)]
    assert [bound.upper for bound in bounds] == allowed


def test_the_bound_covers_the_true_percentile_as_often_as_promised():
    draws = np.random.default_rng(20261121).lognormal(sigma=1.5, size=(4000, 100))
    truth = np.exp(1.5 * 1.2815515655446004)  # the 0.9 quantile of that distribution

    covered = np.mean([percentile(samples, 0.9).upper >= truth for samples in draws])

    assert covered >= 0.985  # 0.99 less three standard errors of 4000 trials


def test_a_million_samples_have_the_bound_of_the_normal_limit():
    n = 1_000_000

    rank = percentile(np.arange(1.0, n + 1), 0.5).upper

    assert abs(rank - (n / 2 + 2.3263479 * np.sqrt(n) / 2)) <= 2


def test_a_bound_is_never_below_its_percentile():
    samples = np.random.default_rng(1).exponential(size=2000)

    found = [percentile(samples[:n], q) for n in range(11, 2000, 97) for q in (0.5, 0.9, 0.99)]

    assert all(one.upper >= one.value for one in found if one.value is not None)


def test_the_order_of_samples_does_not_matter():
    samples = np.random.default_rng(2).exponential(size=100)

    assert percentile(samples, 0.9) == percentile(np.sort(samples), 0.9)


def test_nearest_rank_is_a_sample_and_never_between_two():
    assert nearest_rank([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert nearest_rank([4.0, 1.0, 3.0, 2.0], 0.51) == 3.0
    assert nearest_rank([4.0, 1.0, 3.0, 2.0], 0.25) == 1.0


def test_nearest_rank_counts_shares_as_they_are_written():
    assert 0.07 * 100 > 7

    assert nearest_rank(list(range(1, 101)), 0.07) == 7


def test_nearest_rank_of_one_sample_is_that_sample():
    assert nearest_rank([0.25], 0.99) == 0.25


def test_nearest_rank_of_no_samples_is_an_error():
    with pytest.raises(InputError, match="no samples"):
        nearest_rank([], 0.5)


@pytest.mark.parametrize("q", [0, 1, 50, -0.1])
def test_a_share_outside_0_to_1_is_an_error(q):
    with pytest.raises(InputError, match=f"q is {q}"):
        percentile([1.0] * 100, q)


@pytest.mark.parametrize("confidence", [0.5, 1, 99])
def test_a_confidence_that_is_none_is_an_error(confidence):
    with pytest.raises(InputError, match=f"confidence is {confidence}"):
        percentile([1.0] * 100, 0.5, confidence=confidence)


def test_the_median_of_five_samples_has_no_95_percent_interval():
    assert median_interval([1, 2, 3, 4, 5]) is None


def test_the_median_of_six_samples_lies_between_the_first_and_the_last():
    assert median_interval([6, 1, 2, 5, 3, 4]) == (1, 6)


def test_the_interval_of_twenty_samples_is_the_textbooks():
    # Conover, "Practical Nonparametric Statistics", table A3: ranks 6 and 15.
    assert median_interval(range(1, 21)) == (6, 15)


def test_the_interval_covers_the_true_median_as_often_as_promised():
    draws = np.random.default_rng(7).exponential(size=(4000, 25))
    intervals = np.array([median_interval(samples) for samples in draws])

    covered = np.mean((intervals[:, 0] <= np.log(2)) & (np.log(2) <= intervals[:, 1]))

    assert covered >= 0.94  # 0.95 less three standard errors of 4000 trials


def test_two_of_ten_above_a_limit_show_that_the_p99_is():
    assert surely_above([1.0] * 8 + [9.0] * 2, 0.99, 2.0)


def test_one_of_ten_above_a_limit_may_be_chance():
    assert not surely_above([1.0] * 9 + [9.0], 0.99, 2.0)


@pytest.mark.parametrize("above", range(1, 15))
def test_what_is_surely_above_is_what_chance_hardly_gives(above):
    n, q = 400, 0.99
    by_chance = sum(comb(n, k) * (1 - q) ** k * q ** (n - k) for k in range(above, n + 1))

    samples = [1.0] * (n - above) + [9.0] * above

    assert surely_above(samples, q, 2.0) == (by_chance <= 0.01)


def test_no_sample_shows_nothing():
    assert not surely_above([], 0.99, 2.0)
