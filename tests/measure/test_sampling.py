import threading

import pytest

from hwrt.errors import InputError
from hwrt.measure import sampling
from hwrt.measure.sampling import best_in_flight, sample, sample_in_flight


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


def test_the_rate_of_one_request_is_its_runs_by_the_time_they_took(clock):
    samples, rate = sample_in_flight([[clock.lasting(0.25)]], seconds=1.0, clock=clock)

    assert samples == [0.25, 0.25, 0.25, 0.25]
    assert rate == pytest.approx(4.0)


def test_a_window_in_flight_has_a_run_however_short_it_is(clock):
    samples, rate = sample_in_flight([[clock.lasting(2.0)]], seconds=0.0, clock=clock)

    assert (samples, rate) == ([2.0], pytest.approx(0.5))


def test_requests_in_flight_run_at_the_same_time():
    together = threading.Barrier(3)

    samples, rate = sample_in_flight([[lambda: together.wait(60)]] * 3, seconds=0.0)

    assert len(samples) == 3
    assert rate > 0


def test_the_calls_of_one_request_take_turns(clock):
    line = [clock.lasting(0.1), clock.lasting(0.2)]

    samples, _ = sample_in_flight([line], seconds=0.35, clock=clock)

    assert samples == [0.1, 0.2, 0.1]


def test_what_a_run_in_flight_raises_is_passed_on():
    def fail():
        raise RuntimeError("no device")

    with pytest.raises(RuntimeError, match="no device"):
        sample_in_flight([[fail], [fail]], seconds=0.0)


def test_no_request_in_flight_is_an_error():
    with pytest.raises(InputError, match="no call to time"):
        sample_in_flight([], seconds=1.0)


class Rates:
    """Stands in for sampling: so many runs end in a second with so many in flight."""

    def __init__(self, rates):
        self.rates = rates
        self.asked = []

    def __call__(self, lines, **_):
        self.asked.append(len(lines))
        return [], self.rates[len(lines)]


@pytest.mark.parametrize(
    ("rates", "best"),
    [
        ({1: 100.0, 2: 180.0, 4: 181.0}, 2),
        ({1: 100.0, 2: 102.0, 4: 150.0}, 4),
        ({1: 100.0, 2: 70.0, 4: 60.0}, 1),
    ],
    ids=["more gain nothing", "a step that gains little", "more lose"],
)
def test_the_fewest_requests_that_reach_the_best_rate_are_chosen(monkeypatch, rates, best):
    monkeypatch.setattr(sampling, "sample_in_flight", Rates(rates))

    assert best_in_flight([[print]] * 4, [4, 1, 2], seconds=0.1) == best


def test_numbers_in_flight_take_turns(monkeypatch):
    asked = Rates({1: 1.0, 2: 2.0})
    monkeypatch.setattr(sampling, "sample_in_flight", asked)

    best_in_flight([[print]] * 2, [1, 2], seconds=0.1, passes=2)

    assert asked.asked == [1, 2, 1, 2]


def test_where_more_in_flight_lose_plainly_still_more_are_not_tried(monkeypatch):
    asked = Rates({1: 100.0, 2: 80.0, 4: 500.0})
    monkeypatch.setattr(sampling, "sample_in_flight", asked)

    best_in_flight([[print]] * 4, [1, 2, 4], seconds=0.1, passes=2)

    assert asked.asked == [1, 2, 1, 2]
