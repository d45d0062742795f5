from hwrt.machine.process_tree import tree_ticks


def stat(pid, parent, *, user, system, reaped=0, name="python"):
    return f"{pid} ({name}) S {parent} 1 1 0 -1 4194304 9 9 0 0 {user} {system} {reaped} 0 20 0 1\n"


def test_a_process_is_counted_with_all_that_it_started(tree):
    root = tree(
        {
            "proc/10/stat": stat(10, 1, user=5, system=2),
            "proc/11/stat": stat(11, 10, user=30, system=0),
            "proc/12/stat": stat(12, 11, user=100, system=10),
            "proc/99/stat": stat(99, 1, user=7000, system=0),
        }
    )

    assert tree_ticks(10, root) == 7 + 30 + 110


def test_children_that_have_ended_are_counted(tree):
    root = tree({"proc/10/stat": stat(10, 1, user=5, system=2, reaped=40)})

    assert tree_ticks(10, root) == 47


def test_a_name_with_blanks_and_brackets_does_not_confuse(tree):
    root = tree({"proc/10/stat": stat(10, 1, user=5, system=2, name="a) S 1 (b")})

    assert tree_ticks(10, root) == 7


def test_a_process_that_is_not_shown_has_no_ticks(tmp_path):
    assert tree_ticks(10, tmp_path) is None
