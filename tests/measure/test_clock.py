import itertools
import time

import pytest

from hwrt.errors import InputError
from hwrt.measure.clock import measure_clock, now_ns


def test_the_clock_is_pythons_performance_counter():
    assert now_ns is time.perf_counter_ns


def test_resolution_is_the_smallest_step_and_cost_the_mean():
    readings = itertools.chain([0, 0, 100, 140, 140, 400], itertools.repeat(400))

    facts = measure_clock(lambda: next(readings), readings=6)

    assert facts.resolution_s == 40e-9
    assert facts.cost_s == pytest.approx(80e-9)


def test_the_real_clock_moves():
    facts = measure_clock()

    assert facts.resolution_s > 0
    assert facts.to_json() == {"resolution_s": facts.resolution_s, "cost_s": facts.cost_s}


def test_a_clock_that_stands_still_is_an_error():
    with pytest.raises(InputError, match="did not move within 50 readings"):
        measure_clock(lambda: 7, readings=50)
