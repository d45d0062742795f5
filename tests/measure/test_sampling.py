import pytest

from hwrt.errors import InputError
from hwrt.measure.sampling import sample


def test_samples_are_the_seconds_of_each_run_in_order(clock):
    call = clock.lasting([0.5, 0.25, 0.25])

    assert sample(call, seconds=1.0, max_seconds=9.0, clock=clock) == [0.5, 0.25, 0.25]


def test_runs_go_on_until_the_samples_suffice(clock):
    samples = sample(
        clock.lasting(0.5), seconds=1.0, min_samples=64, max_seconds=100.0, clock=clock
    )

    assert len(samples) == 64


def test_runs_go_on_until_the_time_suffices(clock):
    samples = sample(
        clock.lasting(0.01), seconds=3.0, min_samples=64, max_seconds=100.0, clock=clock
    )

    assert len(samples) == 300


def test_a_slow_call_is_not_made_64_times(clock):
    samples = sample(
        clock.lasting(10.0), seconds=3.0, min_samples=64, max_seconds=30.0, clock=clock
    )

    assert samples == [10.0, 10.0, 10.0]


def test_one_run_is_made_however_little_time_there_is(clock):
    assert sample(clock.lasting(7.0), seconds=0, max_seconds=0, clock=clock) == [7.0]


def test_several_calls_take_turns(clock):
    calls = [clock.lasting(0.1), clock.lasting(0.2), clock.lasting(0.3)]

    samples = sample(calls, seconds=0, min_samples=5, max_seconds=9, clock=clock)

    assert samples == [0.1, 0.2, 0.3, 0.1, 0.2]


def test_the_real_clock_takes_samples_above_zero():
    samples = sample(lambda: sum(range(1000)), seconds=0, min_samples=20, max_seconds=5)

    assert len(samples) == 20
    assert min(samples) > 0


def test_what_a_call_raises_is_passed_on(clock):
    def fail():
        raise RuntimeError("no device")

    with pytest.raises(RuntimeError, match="no device"):
        sample(fail, seconds=1, max_seconds=1, clock=clock)


def test_no_call_is_an_error(clock):
    with pytest.raises(InputError, match="no call to time"):
        sample([], seconds=1, max_seconds=1, clock=clock)


def test_a_stop_before_the_wanted_time_is_an_error(clock):
    with pytest.raises(InputError, match="max_seconds 1"):
        sample(clock.lasting(1), seconds=2, max_seconds=1, clock=clock)
