from dataclasses import replace

import numpy as np
import pytest

from hwrt.machine.conditions import Conditions, CpuTicks
from hwrt.measure.preset import PRESETS
from hwrt.measure.statistics import describe
from hwrt.measure.verdict import Rules, Verdict, judge
from hwrt.measure.warm_up import WarmUp
from hwrt.spec import Placement

STEADY = WarmUp(True, 12, 0.6, (0.05, 0.05, 0.05))
GOOD = describe([0.05, 0.0505, 0.0495, 0.05] * 16)
BEFORE = Conditions(
    timestamp=1000.0,
    monotonic_s=10.0,
    clocks_mhz=(2400.0, 2400.0),
    governors=("performance",),
    load_average=(0.0, 0.0, 0.0),
    ticks=CpuTicks(total=10_000, busy=3_000, steal=0, own=500),
    temperatures_c={},
    throttle_events=7,
    throttled_periods=0,
    capped_by=(),
    swapped_in_pages=0,
    swapped_out_pages=0,
    available_memory_bytes=None,
)
AFTER = replace(BEFORE, ticks=CpuTicks(total=10_640, busy=3_330, steal=3, own=820))


def reasons(summary=GOOD, *, warm_up=STEADY, after=AFTER, preset="quick", **given):
    return judge(
        summary, preset=PRESETS[preset], warm_up=warm_up, before=BEFORE, after=after, **given
    ).reasons


def test_a_quiet_run_is_valid():
    verdict = judge(
        GOOD,
        preset=PRESETS["quick"],
        warm_up=STEADY,
        before=BEFORE,
        after=AFTER,
        placement=Placement({"cpu:0": 66}),
        device="cpu:0",
    )

    assert verdict == Verdict(True, ())
    assert str(verdict) == "VALID"


def test_conditions_that_are_not_told_are_not_held_against_the_run():
    assert judge(GOOD, preset=PRESETS["quick"], warm_up=STEADY).valid


def test_too_few_samples_are_a_reason():
    assert reasons(describe([0.05] * 63)) == ("too few samples: 63, quick needs 64",)


def test_too_short_a_run_is_a_reason():
    assert reasons(describe([0.01] * 64)) == ("too short: 0.64 s, quick needs 3 s",)


def test_samples_that_sum_to_the_bound_are_long_enough():
    summary = describe([0.0048] * 625)

    assert summary.total_s < 3.0  # by the rounding of 0.0048
    assert reasons(summary) == ()


def test_another_preset_asks_for_more():
    assert reasons(preset="standard") == (
        "too few samples: 64, standard needs 662",
        "too short: 3.2 s, standard needs 10 s",
    )


def test_scattered_samples_are_a_reason():
    samples = np.random.default_rng(4).exponential(0.1, size=3000)

    (reason,) = reasons(describe(samples))

    assert reason.startswith("samples scatter: CoV ")


def test_a_level_that_jumps_is_a_reason():
    rules = Rules(max_cov=1.0)

    (reason,) = reasons(describe([0.05] * 50 + [0.06] * 50), rules=rules)

    assert reason == "not steady: medians of blocks differ by 18.2%, at most 10.0% is allowed"


def test_a_warm_up_that_did_not_settle_is_a_reason():
    warm_up = WarmUp(False, 40, 5.02, (0.1, 0.2, 0.3))

    assert reasons(warm_up=warm_up) == ("not steady after 5.02 s and 40 runs of warm-up",)


def test_no_warm_up_is_a_reason():
    assert reasons(warm_up=None) == ("not warmed up",)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"throttle_events": 9}, "throttled by heat 2 times"),
        ({"throttled_periods": 4}, "stopped by the CPU quota in 4 periods"),
        ({"capped_by": ("under-voltage",)}, "clocks held down by under-voltage"),
        ({"clocks_mhz": (1800.0, 1200.0)}, "clocks moved to 75% of what they were"),
        ({"clocks_mhz": (3600.0, 1200.0)}, "clocks moved to 150% of what they were"),
        ({"governors": ("powersave",)}, "the CPU frequency governor was changed"),
        (
            {"ticks": CpuTicks(total=11_000, busy=4_000, steal=0, own=1_000)},
            "background load: other processes took 50% of the CPUs",
        ),
        (
            {"ticks": CpuTicks(total=11_000, busy=3_500, steal=200, own=1_000)},
            "the hypervisor took 20% of the CPUs",
        ),
        ({"swapped_in_pages": 50, "swapped_out_pages": 50}, "swapping: 100 pages"),
    ],
)
def test_disturbed_conditions_are_a_reason(changed, reason):
    assert reasons(after=replace(AFTER, **changed)) == (reason,)


@pytest.mark.parametrize(
    "changed",
    [
        {"clocks_mhz": (2300.0, 800.0)},
        {"swapped_in_pages": 3},
        {"throttle_events": None, "throttled_periods": None, "clocks_mhz": (), "ticks": None},
    ],
)
def test_small_or_unknown_changes_are_no_reason(changed):
    assert reasons(after=replace(AFTER, **changed)) == ()


def test_a_part_that_ran_elsewhere_is_a_reason():
    placement = Placement({"npu:0": 60, "cpu:0": 3})

    found = reasons(placement=placement, device="npu:0")

    assert found == ("ran in part on cpu:0 where npu:0 was asked for",)


def test_a_kind_of_device_is_met_by_any_of_its_kind():
    assert reasons(placement=Placement({"cuda:1": None}), device="cuda") == ()


def test_wrong_outputs_are_the_first_reason():
    found = reasons(warm_up=None, wrong_outputs="output 'y': shape (1,)")

    assert found == ("wrong outputs: output 'y': shape (1,)", "not warmed up")


def test_thresholds_are_the_callers_to_set():
    samples = np.random.default_rng(4).exponential(0.1, size=3000)

    assert reasons(describe(samples), rules=Rules(max_cov=2.0)) == ()


def test_every_reason_is_told_in_text_and_json():
    verdict = Verdict(False, ("not warmed up", "swapping: 100 pages"))

    assert str(verdict) == "INVALID: not warmed up; swapping: 100 pages"
    assert verdict.to_json() == {
        "valid": False,
        "reasons": ["not warmed up", "swapping: 100 pages"],
    }
