import json
import re

from hwrt.machine.fingerprint import fingerprint, key

JETSON = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,tegra234\0",
    "proc/sys/kernel/osrelease": "5.15.148-tegra\n",
    "proc/meminfo": "MemTotal:        7802368 kB\nMemFree: 1 kB\n",
    "var/lib/nvpmodel/status": "pmode:0001 fmode:quiet\n",
}


def test_a_jetson_is_named_by_its_board_and_power_mode(tree):
    found = fingerprint(tree(JETSON))

    assert found["board"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert found["power_mode"] == "pmode:0001"
    assert found["kernel"] == "5.15.148-tegra"
    assert found["memory_bytes"] == 7802368 * 1024
    assert [entry["name"] for entry in found["accelerators"]] == ["NVIDIA tegra234"]


def test_a_pc_is_named_by_its_firmware(tree):
    root = tree(
        {
            "sys/class/dmi/id/sys_vendor": "AAEON\n",
            "sys/class/dmi/id/product_name": "UP-APL03\n",
            "sys/firmware/acpi/platform_profile": "balanced\n",
        }
    )

    found = fingerprint(root)

    assert found["board"] == "AAEON UP-APL03"
    assert found["power_mode"] == "balanced"


def test_a_machine_that_tells_nothing_still_has_a_fingerprint(tmp_path):
    found = fingerprint(tmp_path)

    assert (found["board"], found["power_mode"], found["kernel"]) == (None, None, None)
    assert found["accelerators"] == []


def test_this_machines_fingerprint_survives_json():
    found = fingerprint()

    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_two_readings_have_one_key():
    assert key(fingerprint()) == key(fingerprint())


def test_a_key_is_a_sha256_in_hexadecimal():
    assert re.fullmatch("[0-9a-f]{64}", key({"board": None}))


def test_the_order_of_the_facts_does_not_change_the_key():
    assert key({"a": 1, "b": {"c": 2, "d": 3}}) == key({"b": {"d": 3, "c": 2}, "a": 1})


def test_another_power_mode_changes_the_key(tree):
    before = key(fingerprint(tree(JETSON)))

    after = key(fingerprint(tree({"var/lib/nvpmodel/status": "pmode:0000 fmode:quiet\n"})))

    assert before != after


def test_a_cpu_quota_changes_the_key(tree):
    before = key(fingerprint(tree(JETSON)))

    after = key(
        fingerprint(
            tree(
                {
                    "proc/self/cgroup": "0::/\n",
                    "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 none rw\n",
                    "sys/fs/cgroup/cpu.max": "150000 100000\n",
                }
            )
        )
    )

    assert before != after


def test_some_kilobytes_of_memory_do_not_change_the_key(tree):
    before = key(fingerprint(tree(JETSON)))

    after = key(fingerprint(tree({"proc/meminfo": "MemTotal:        7802300 kB\n"})))

    assert before == after
