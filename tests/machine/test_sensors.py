from hwrt.machine.sensors import (
    capped_by,
    clocks_mhz,
    temperatures_c,
    throttle_events,
    throttled_periods,
)

CPUINFO = (
    "processor : 0\ncpu MHz : 2596.130\n\nprocessor : 1\ncpu MHz : 800.000\n\n"
    "processor : 2\ncpu MHz : 3100.000\n"
)


def test_clocks_are_those_of_the_given_cpus(tree):
    clock = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"
    root = tree(
        {clock.format(0): "1500000\n", clock.format(1): "1800000\n", clock.format(2): "600000\n"}
    )

    assert clocks_mhz((0, 1), root) == (1500.0, 1800.0)


def test_a_guest_without_cpufreq_tells_clocks_in_cpuinfo(tree):
    assert clocks_mhz((0, 2), tree({"proc/cpuinfo": CPUINFO})) == (2596.13, 3100.0)


def test_clocks_that_are_not_told_are_empty(tmp_path):
    assert clocks_mhz((0,), tmp_path) == ()


def test_temperatures_come_from_thermal_zones_and_chips(tree):
    root = tree(
        {
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "48312\n",
            "sys/class/hwmon/hwmon1/name": "k10temp\n",
            "sys/class/hwmon/hwmon1/temp1_input": "55125\n",
            "sys/class/hwmon/hwmon1/temp1_label": "Tctl\n",
        }
    )

    assert temperatures_c(root) == {"cpu-thermal": 48.312, "k10temp Tctl": 55.125}


def test_of_sensors_with_one_name_the_hottest_counts(tree):
    zone = "sys/class/thermal/thermal_zone{}/{}"
    root = tree(
        {
            zone.format(0, "type"): "acpitz",
            zone.format(0, "temp"): "61000",
            zone.format(1, "type"): "acpitz",
            zone.format(1, "temp"): "40000",
        }
    )

    assert temperatures_c(root) == {"acpitz": 61.0}


def test_a_sensor_that_is_not_wired_is_left_out(tree):
    zone = "sys/class/thermal/thermal_zone0/"
    root = tree({zone + "type": "gpu-thermal", zone + "temp": "-256000"})

    assert temperatures_c(root) == {}


def test_a_drive_is_not_asked_for_its_temperature(tree):
    chip = "sys/class/hwmon/hwmon0/"
    root = tree({chip + "name": "drivetemp\n", chip + "temp1_input": "33000\n"})

    assert temperatures_c(root) == {}


def test_throttle_events_of_core_and_package_add_up(tree):
    count = "sys/devices/system/cpu/cpu{}/thermal_throttle/{}_throttle_count"
    root = tree(
        {
            count.format(0, "core"): "3\n",
            count.format(0, "package"): "4\n",
            count.format(1, "core"): "5\n",
            count.format(2, "core"): "1000\n",
        }
    )

    assert throttle_events((0, 1), root) == 12


def test_throttle_events_are_unknown_where_none_are_counted(tmp_path):
    assert throttle_events((0,), tmp_path) is None


def test_periods_without_quota_left_add_up_over_nested_groups(tree):
    root = tree(
        {
            "proc/self/cgroup": "0::/a/b\n",
            "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 none rw\n",
            "sys/fs/cgroup/a/cpu.stat": "usage_usec 9\nnr_periods 10\nnr_throttled 2\n",
            "sys/fs/cgroup/a/b/cpu.stat": "usage_usec 9\nnr_periods 10\nnr_throttled 3\n",
        }
    )

    assert throttled_periods(root) == 5


def test_a_cooling_device_at_work_caps_the_clock(tree):
    device = "sys/class/thermal/cooling_device{}/{}"
    root = tree(
        {
            device.format(0, "type"): "thermal-cpufreq-0\n",
            device.format(0, "cur_state"): "2\n",
            device.format(1, "type"): "thermal-devfreq-0\n",
            device.format(1, "cur_state"): "0\n",
        }
    )

    assert capped_by(root) == ("thermal-cpufreq-0",)


def test_a_fan_caps_no_clock(tree):
    device = "sys/class/thermal/cooling_device0/"
    root = tree({device + "type": "pwm-fan\n", device + "cur_state": "3\n"})

    assert capped_by(root) == ()


def test_a_raspberry_pis_firmware_tells_under_voltage(tree):
    root = tree({"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"})

    assert capped_by(root) == ("throttled by the firmware", "under-voltage")


def test_what_a_raspberry_pi_met_in_the_past_does_not_count(tree):
    root = tree({"sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n"})

    assert capped_by(root) == ()
