import json

import pytest

from hwrt.errors import InputError
from hwrt.measure.warm_up import WarmUp, warm_up


def test_an_even_call_is_steady_after_three_windows(clock):
    result = warm_up(clock.lasting(0.05), window_s=0.2, cap_s=5.0, clock=clock)

    assert result == WarmUp(
        steady=True, runs=12, seconds=pytest.approx(0.6), window_medians_s=(0.05, 0.05, 0.05)
    )


def test_a_call_that_settles_is_steady_once_three_windows_in_a_row_agree(clock):
    call = clock.lasting([1.0, 0.6, 0.4, 0.3, 0.3, 0.3])

    result = warm_up(call, window_s=0.1, cap_s=60.0, clock=clock)

    assert result.steady
    assert result.window_medians_s == (1.0, 0.6, 0.4, 0.3, 0.3, 0.3)


def test_agreement_is_the_share_by_which_windows_may_differ(clock):
    call = clock.lasting([1.0, 1.04, 1.08, 1.08])

    result = warm_up(call, window_s=0.1, agreement=0.05, cap_s=60.0, clock=clock)

    assert result.window_medians_s == (1.0, 1.04, 1.08, 1.08)


def test_a_call_that_never_settles_stops_at_the_cap(clock):
    call = clock.lasting([2.0**n for n in range(-5, 20)])

    result = warm_up(call, window_s=0.01, cap_s=5.0, clock=clock)

    assert not result.steady
    assert result.window_medians_s[-1] == 4.0
    assert result.seconds == pytest.approx(sum(2.0**n for n in range(-5, 3)))


def test_a_call_slower_than_the_cap_runs_once(clock):
    result = warm_up(clock.lasting(30.0), cap_s=5.0, clock=clock)

    assert (result.steady, result.runs) == (False, 1)


def test_agreement_reached_with_the_last_run_before_the_cap_counts(clock):
    result = warm_up(clock.lasting(2.0), window_s=0.2, cap_s=5.0, clock=clock)

    assert (result.steady, result.runs) == (True, 3)


def test_one_slow_run_in_a_window_does_not_unsettle_it(clock):
    call = clock.lasting([0.01, 0.01, 0.05, 0.01, 0.01])

    result = warm_up(call, window_s=0.09, cap_s=5.0, clock=clock)

    assert result.steady
    assert len(result.window_medians_s) == 3


def test_several_calls_take_turns(clock):
    calls = [clock.lasting(0.01), clock.lasting(0.02), clock.lasting(0.03)]

    result = warm_up(calls, window_s=0.06, cap_s=5.0, clock=clock)

    assert result.window_medians_s == (0.02, 0.02, 0.02)


def test_a_result_survives_json(clock):
    result = warm_up(clock.lasting(0.03), clock=clock)

    assert WarmUp.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_another_document_is_refused():
    with pytest.raises(InputError, match="not a warm-up"):
        WarmUp.from_json({"steady": True})


def test_a_window_without_length_is_an_error(clock):
    with pytest.raises(InputError, match="window_s is 0"):
        warm_up(clock.lasting(1.0), window_s=0, clock=clock)
