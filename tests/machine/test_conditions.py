import json
from dataclasses import replace

import pytest

from hwrt.errors import InputError
from hwrt.machine.conditions import Conditions, CpuTicks, between, conditions

MACHINE = {
    "proc/self/status": "Cpus_allowed_list:\t0-1\n",
    "sys/devices/system/cpu/online": "0-3\n",
    "proc/stat": (
        "cpu  9 9 9 9 9 9 9 9 9 9\n"
        "cpu0 100 1 50 800 20 3 4 30 11 0\n"
        "cpu1 200 2 60 700 10 1 2 40 0 0\n"
        "cpu2 5000 0 0 0 0 0 0 0 0 0\n"
        "intr 1 2 3\n"
    ),
    "proc/42/stat": "42 (python) R 1 1 1 0 -1 0 0 0 0 0 70 5 0 0 20 0 1 0\n",
    "proc/loadavg": "0.50 1.25 2.00 2/345 6789\n",
    "proc/vmstat": "nr_free_pages 1\npswpin 12\npswpout 34\n",
    "proc/meminfo": "MemTotal: 4000 kB\nMemAvailable:  1000 kB\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1800000\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "ondemand\n",
}

QUIET = Conditions(
    timestamp=1000.0,
    monotonic_s=10.0,
    clocks_mhz=(600.0, 2400.0),
    governors=("performance",),
    load_average=(0.0, 0.0, 0.0),
    ticks=CpuTicks(total=10_000, busy=3_000, steal=0, own=500),
    temperatures_c={"cpu": 50.0},
    throttle_events=7,
    throttled_periods=2,
    capped_by=(),
    swapped_in_pages=100,
    swapped_out_pages=200,
    available_memory_bytes=1 << 30,
)


def test_conditions_are_read_from_the_kernels_files(tree):
    found = conditions(pid=42, root=tree(MACHINE))

    assert found.clocks_mhz == (1500.0, 1800.0)
    assert found.governors == ("ondemand",)
    assert found.load_average == (0.5, 1.25, 2.0)
    assert (found.swapped_in_pages, found.swapped_out_pages) == (12, 34)
    assert found.available_memory_bytes == 1000 * 1024


def test_ticks_are_those_of_the_allowed_cpus_and_the_process_tree(tree):
    found = conditions(pid=42, root=tree(MACHINE))

    # Guest time (the ninth column) is within user time and not counted twice.
    assert found.ticks == CpuTicks(
        total=1008 + 1015, busy=(100 + 1 + 50 + 3 + 4) + (200 + 2 + 60 + 1 + 2), steal=70, own=75
    )


def test_an_old_kernel_with_fewer_columns_has_no_steal(tree):
    root = tree({"sys/devices/system/cpu/online": "0\n", "proc/stat": "cpu0 10 0 5 85\n"})

    assert conditions(pid=42, root=root).ticks == CpuTicks(total=100, busy=15, steal=0, own=None)


def test_a_machine_that_tells_nothing_has_unknown_conditions(tmp_path):
    found = conditions(pid=42, root=tmp_path)

    assert found.clocks_mhz == ()
    assert found.ticks is None
    assert found.load_average is None
    assert found.swapped_in_pages is None
    assert found.available_memory_bytes is None


def test_conditions_survive_json():
    found = conditions()

    assert Conditions.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_another_document_is_refused():
    with pytest.raises(InputError, match="not the conditions of a machine"):
        Conditions.from_json({"ticks": None, "colour": "red"})


def test_between_two_equal_readings_nothing_happened():
    change = between(QUIET, QUIET)

    assert change.seconds == 0.0
    assert change.clock_ratio == 1.0
    assert change.throttle_events == 0
    assert change.swapped_pages == 0
    assert not change.governors_changed


def test_work_of_this_process_tree_is_not_background_load():
    ticks = CpuTicks(total=11_000, busy=3_700, steal=0, own=1_100)

    change = between(QUIET, replace(QUIET, ticks=ticks))

    assert change.others_busy == pytest.approx(0.1)  # 700 busy, 600 of them our own, of 1000


def test_own_work_on_other_cpus_does_not_make_the_load_negative():
    ticks = CpuTicks(total=11_000, busy=3_100, steal=0, own=1_500)

    assert between(QUIET, replace(QUIET, ticks=ticks)).others_busy == 0.0


def test_stolen_time_is_a_share_of_all_time():
    ticks = CpuTicks(total=11_000, busy=3_000, steal=250, own=500)

    assert between(QUIET, replace(QUIET, ticks=ticks)).steal == 0.25


def test_a_few_ticks_are_too_few_to_tell_the_load():
    ticks = CpuTicks(total=10_019, busy=3_019, steal=0, own=500)

    assert between(QUIET, replace(QUIET, ticks=ticks)).others_busy is None


def test_the_load_is_unknown_where_the_own_time_is():
    ticks = CpuTicks(total=11_000, busy=3_900, steal=0, own=None)

    assert between(QUIET, replace(QUIET, ticks=ticks)).others_busy is None


def test_the_clock_of_the_fastest_cpu_is_compared():
    after = replace(QUIET, clocks_mhz=(1800.0, 600.0))

    assert between(QUIET, after).clock_ratio == 0.75


def test_unknown_clocks_have_no_ratio():
    assert between(QUIET, replace(QUIET, clocks_mhz=())).clock_ratio is None


def test_counters_are_told_by_their_growth():
    after = replace(
        QUIET,
        monotonic_s=13.0,
        throttle_events=9,
        throttled_periods=6,
        swapped_in_pages=110,
        swapped_out_pages=201,
    )

    change = between(QUIET, after)

    assert change.seconds == 3.0
    assert change.throttle_events == 2
    assert change.throttled_periods == 4
    assert change.swapped_pages == 11


def test_what_held_clocks_down_at_either_reading_is_told():
    before, after = replace(QUIET, capped_by=("b",)), replace(QUIET, capped_by=("a", "b"))

    assert between(before, after).capped_by == ("a", "b")


def test_another_governor_is_told():
    assert between(QUIET, replace(QUIET, governors=("powersave",))).governors_changed
