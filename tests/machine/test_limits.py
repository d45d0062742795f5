import pytest

from hwrt.machine.limits import allowed_cpus, allowed_threads, cpu_quota, memory_limit_bytes

STATUS = "proc/self/status"
ONLINE = "sys/devices/system/cpu/online"
CGROUP = "proc/self/cgroup"
MOUNTINFO = "proc/self/mountinfo"

V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_CPU_MOUNT = "33 23 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
V1_MEMORY_MOUNT = "34 23 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
FOUR_CPUS = {STATUS: "Name:\tpython\nCpus_allowed_list:\t0-3\n", ONLINE: "0-3\n"}


def test_allowed_cpus_are_those_of_the_affinity_mask(tree):
    root = tree({STATUS: "Cpus_allowed:\t0a\nCpus_allowed_list:\t1,3\n", ONLINE: "0-3\n"})

    assert allowed_cpus(root) == (1, 3)


def test_cpus_of_the_mask_that_are_offline_are_not_allowed(tree):
    root = tree({STATUS: "Cpus_allowed_list:\t0-127\n", ONLINE: "0-1\n"})

    assert allowed_cpus(root) == (0, 1)


def test_without_a_mask_every_cpu_that_is_online_is_allowed(tree):
    assert allowed_cpus(tree({ONLINE: "0-5\n"})) == (0, 1, 2, 3, 4, 5)


def test_without_proc_and_sys_there_is_still_a_cpu(tmp_path):
    assert len(allowed_cpus(tmp_path)) >= 1


def test_without_control_groups_every_allowed_cpu_gets_a_thread(tree):
    assert allowed_threads(tree(FOUR_CPUS)) == 4


def test_a_container_with_a_quota_of_one_and_a_half_cpus_gets_one_thread(tree):
    root = tree(
        FOUR_CPUS
        | {
            CGROUP: "0::/\n",
            MOUNTINFO: V2_MOUNT,
            "sys/fs/cgroup/cpu.max": "150000 100000\n",
        }
    )

    assert cpu_quota(root) == 1.5
    assert allowed_threads(root) == 1


def test_a_quota_below_one_cpu_still_gets_one_thread(tree):
    root = tree(
        FOUR_CPUS
        | {CGROUP: "0::/\n", MOUNTINFO: V2_MOUNT, "sys/fs/cgroup/cpu.max": "20000 100000\n"}
    )

    assert allowed_threads(root) == 1


def test_a_quota_beyond_the_mask_adds_no_threads(tree):
    root = tree(
        FOUR_CPUS
        | {CGROUP: "0::/\n", MOUNTINFO: V2_MOUNT, "sys/fs/cgroup/cpu.max": "800000 100000\n"}
    )

    assert allowed_threads(root) == 4


def test_the_word_max_is_no_quota(tree):
    root = tree(
        FOUR_CPUS | {CGROUP: "0::/\n", MOUNTINFO: V2_MOUNT, "sys/fs/cgroup/cpu.max": "max 100000\n"}
    )

    assert cpu_quota(root) is None


def test_of_nested_groups_the_least_quota_holds(tree):
    root = tree(
        FOUR_CPUS
        | {
            CGROUP: "0::/system.slice/camera.service/worker\n",
            MOUNTINFO: V2_MOUNT,
            "sys/fs/cgroup/system.slice/cpu.max": "300000 100000\n",
            "sys/fs/cgroup/system.slice/camera.service/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/system.slice/camera.service/worker/cpu.max": "max 100000\n",
        }
    )

    assert cpu_quota(root) == 2.0
    assert allowed_threads(root) == 2


def test_a_sibling_groups_quota_does_not_matter(tree):
    root = tree(
        FOUR_CPUS
        | {
            CGROUP: "0::/a\n",
            MOUNTINFO: V2_MOUNT,
            "sys/fs/cgroup/a/cpu.max": "max 100000\n",
            "sys/fs/cgroup/b/cpu.max": "100000 100000\n",
        }
    )

    assert cpu_quota(root) is None


def test_a_version_1_quota_is_read_from_its_own_files(tree):
    root = tree(
        FOUR_CPUS
        | {
            CGROUP: "4:cpu,cpuacct:/box\n",
            MOUNTINFO: V1_CPU_MOUNT,
            "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        }
    )

    assert cpu_quota(root) == 2.5
    assert allowed_threads(root) == 2


def test_a_version_1_container_sees_its_own_group_at_the_mount_point(tree):
    mount = "33 23 0:30 /docker/f00 /sys/fs/cgroup/cpu ro master:3 - cgroup cgroup rw,cpu\n"
    root = tree(
        FOUR_CPUS
        | {
            CGROUP: "4:cpu:/docker/f00\n",
            MOUNTINFO: mount,
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        }
    )

    assert cpu_quota(root) == 1.0


@pytest.mark.parametrize("path", ["/../../elsewhere", "/gone", ""])
def test_a_group_out_of_sight_is_taken_for_the_mount_point(tree, path):
    root = tree(
        FOUR_CPUS
        | {
            CGROUP: f"0::{path}\n",
            MOUNTINFO: V2_MOUNT,
            "sys/fs/cgroup/cpu.max": "300000 100000\n",
        }
    )

    assert cpu_quota(root) == 3.0


def test_with_both_versions_at_once_the_least_quota_holds(tree):
    root = tree(
        FOUR_CPUS
        | {
            CGROUP: "1:cpu:/\n0::/\n",
            MOUNTINFO: V1_CPU_MOUNT
            + V2_MOUNT.replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified "),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/unified/cpu.max": "200000 100000\n",
        }
    )

    assert cpu_quota(root) == 2.0


def test_a_mount_point_may_have_a_blank_in_its_name(tree):
    root = tree(
        FOUR_CPUS
        | {
            CGROUP: "0::/\n",
            MOUNTINFO: "30 23 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n",
            "my groups/cpu.max": "100000 100000\n",
        }
    )

    assert cpu_quota(root) == 1.0


def test_memory_is_bounded_by_the_least_of_all_groups(tree):
    root = tree(
        {
            CGROUP: "0::/a/b\n",
            MOUNTINFO: V2_MOUNT,
            "sys/fs/cgroup/a/memory.max": f"{512 << 20}\n",
            "sys/fs/cgroup/a/memory.high": f"{384 << 20}\n",
            "sys/fs/cgroup/a/b/memory.max": "max\n",
        }
    )

    assert memory_limit_bytes(root) == 384 << 20


def test_memory_is_bounded_in_version_1(tree):
    root = tree(
        {
            CGROUP: "4:memory:/\n",
            MOUNTINFO: V1_MEMORY_MOUNT,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{1 << 30}\n",
            "proc/meminfo": "MemTotal:        8000000 kB\n",
        }
    )

    assert memory_limit_bytes(root) == 1 << 30


def test_a_bound_beyond_the_machines_memory_is_none(tree):
    root = tree(
        {
            CGROUP: "4:memory:/\n",
            MOUNTINFO: V1_MEMORY_MOUNT,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "proc/meminfo": "MemTotal:        8000000 kB\n",
        }
    )

    assert memory_limit_bytes(root) is None


def test_without_control_groups_memory_is_not_bounded(tmp_path):
    assert memory_limit_bytes(tmp_path) is None
