from __future__ import annotations

from hwrt.machine.oom import oom_kills


def test_the_count_of_the_innermost_group_is_read(tree):
    root = tree(
        {
            "proc/self/cgroup": "0::/outer/inner\n",
            "proc/self/mountinfo": "25 1 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            "sys/fs/cgroup/outer/inner/memory.events": "low 0\nmax 4\noom 2\noom_kill 3\n",
            "sys/fs/cgroup/outer/memory.events": "oom_kill 9\n",
        }
    )

    assert oom_kills(root) == 3


def test_version_1_counts_too(tree):
    root = tree(
        {
            "proc/self/cgroup": "4:memory:/job\n",
            "proc/self/mountinfo": (
                "30 1 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
            ),
            "sys/fs/cgroup/memory/job/memory.oom_control": (
                "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"
            ),
        }
    )

    assert oom_kills(root) == 7


def test_without_a_group_nothing_is_known(tree):
    root = tree({"proc/self/cgroup": "0::/\n"})

    assert oom_kills(root) is None
