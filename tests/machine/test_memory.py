from hwrt.machine.memory import free_bytes, peak_rss_bytes


def test_the_peak_is_the_high_water_mark_of_the_process(tree):
    root = tree({"proc/77/status": "VmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n"})

    assert peak_rss_bytes(77, root=root) == 2048 * 1024


def test_the_peak_of_a_process_that_is_gone_is_not_known(tmp_path):
    assert peak_rss_bytes(77, root=tmp_path) is None


def test_this_process_has_held_memory():
    assert peak_rss_bytes() > 1 << 20


MEMINFO = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 5000 kB\n"}
V1 = {
    "proc/self/cgroup": "4:memory:/box\n",
    "proc/self/mountinfo": "34 23 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
    "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "3000000\n",
    "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "2000000\n",
    "sys/fs/cgroup/memory/box/memory.stat": "cache 5\ntotal_inactive_file 400000\n",
}
V2 = {
    "proc/self/cgroup": "0::/box\n",
    "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    "sys/fs/cgroup/box/memory.max": "max\n",
    "sys/fs/cgroup/box/memory.high": "3000000\n",
    "sys/fs/cgroup/box/memory.current": "2500000\n",
    "sys/fs/cgroup/box/memory.stat": "anon 1\ninactive_file 100000\n",
}


def test_without_control_groups_what_the_kernel_calls_available_is_free(tree):
    assert free_bytes(tree(MEMINFO)) == 5000 * 1024


def test_a_group_of_version_1_leaves_what_it_has_not_used_but_for_idle_files(tree):
    assert free_bytes(tree({**MEMINFO, **V1})) == 1_400_000


def test_a_group_of_version_2_leaves_what_its_high_mark_does(tree):
    assert free_bytes(tree({**MEMINFO, **V2})) == 600_000


def test_a_group_that_used_more_than_its_bound_leaves_nothing(tree):
    over = {"sys/fs/cgroup/memory/box/memory.usage_in_bytes": "9000000\n"}

    assert free_bytes(tree({**MEMINFO, **V1, **over})) == 0


def test_what_is_free_is_not_known_without_proc(tmp_path):
    assert free_bytes(tmp_path) is None
