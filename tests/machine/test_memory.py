from hwrt.machine.memory import peak_rss_bytes


def test_the_peak_is_the_high_water_mark_of_the_process(tree):
    root = tree({"proc/77/status": "VmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n"})

    assert peak_rss_bytes(77, root=root) == 2048 * 1024


def test_the_peak_of_a_process_that_is_gone_is_not_known(tmp_path):
    assert peak_rss_bytes(77, root=tmp_path) is None


def test_this_process_has_held_memory():
    assert peak_rss_bytes() > 1 << 20
