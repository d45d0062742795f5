import json
import statistics

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.measure.statistics import block_spread, describe, outliers


def test_moments_equal_those_of_the_standard_library():
    samples = [0.011, 0.010, 0.013, 0.010, 0.019]

    summary = describe(samples)

    assert summary.n == 5
    assert summary.mean == pytest.approx(statistics.mean(samples))
    assert summary.median == statistics.median(samples)
    assert summary.std == pytest.approx(statistics.stdev(samples))
    assert summary.cov == pytest.approx(statistics.stdev(samples) / statistics.mean(samples))
    assert (summary.min, summary.max) == (0.010, 0.019)
    assert summary.total_s == pytest.approx(0.063)


def test_mad_is_the_median_distance_from_the_median():
    assert describe([1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]).mad == 1.0


def test_one_sample_has_no_spread():
    summary = describe([0.5])

    assert (summary.std, summary.cov, summary.median_interval, summary.block_spread) == (None,) * 4
    assert summary.median == 0.5


def test_samples_of_zero_seconds_have_no_coefficient_of_variation():
    assert describe([0.0, 0.0]).cov is None


def test_64_samples_tell_p90_but_not_p99():
    document = describe(np.random.default_rng(3).exponential(size=64)).to_json()

    assert document["p90"] is not None
    assert "p90_reason" not in document
    assert document["p99"] is None
    assert document["p99_upper"] is None
    assert document["p99_reason"] == "needs >= 662 samples"


def test_the_document_of_a_summary_is_strict_json():
    document = describe([1.0, 2.0, 3.0]).to_json()

    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert set(document) == {
        *("p50", "p50_upper", "p50_reason", "p90", "p90_upper", "p90_reason"),
        *("p99", "p99_upper", "p99_reason", "mean", "std", "mad", "cov", "min", "max", "n"),
        *("total_s", "median", "median_interval", "outliers", "block_spread"),
    }


def test_an_interval_is_a_list_in_json():
    assert describe([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).to_json()["median_interval"] == [1.0, 6.0]


def test_no_samples_are_an_error():
    with pytest.raises(InputError, match="no samples"):
        describe([])


@pytest.mark.parametrize("wrong", [-1e-9, float("nan"), float("inf")])
def test_a_sample_that_is_no_time_is_an_error(wrong):
    with pytest.raises(InputError, match="a sample is"):
        describe([0.1, wrong])


def test_outliers_are_counted_beyond_tukeys_fences():
    samples = [*np.linspace(10, 20, 41), 1.0, -20.0, 36.0]  # quartiles 12.5 and 17.5 or nearly so

    found = outliers(samples)

    assert (found.low, found.high) == (2, 1)
    assert (found.far_low, found.far_high) == (1, 1)


def test_outliers_stay_in_the_statistics():
    samples = [1.0] * 99 + [100.0]

    summary = describe(samples)

    assert summary.outliers.far_high == 1
    assert summary.max == 100.0
    assert summary.mean == pytest.approx(1.99)


def test_equal_blocks_do_not_spread():
    assert block_spread([1.0, 2.0, 3.0] * 5) == 0.0


def test_a_level_that_drifts_spreads_the_blocks():
    samples = [1.0] * 10 + [1.1] * 10 + [1.2] * 10

    assert block_spread(samples, blocks=3) == pytest.approx(0.2 / 1.1)


def test_eight_samples_are_too_few_for_three_blocks_of_three():
    assert block_spread([1.0] * 8) is None
    assert block_spread([1.0] * 9) == 0.0


def test_fewer_than_three_blocks_are_an_error():
    with pytest.raises(InputError, match="blocks is 2"):
        block_spread([1.0] * 100, blocks=2)
