from hwrt.machine.proc import parse_cpu_list, read_fields, read_int, read_text


def test_a_missing_file_has_no_text(tmp_path):
    assert read_text(tmp_path / "absent") is None


def test_a_folder_has_no_text(tmp_path):
    assert read_text(tmp_path) is None


def test_the_nul_byte_of_a_device_tree_text_is_stripped(tree):
    root = tree({"model": "Raspberry Pi 5 Model B Rev 1.0\0"})

    assert read_text(root / "model") == "Raspberry Pi 5 Model B Rev 1.0"


def test_bytes_that_are_not_utf8_do_not_raise(tmp_path):
    (tmp_path / "odd").write_bytes(b"ok\xff\n")

    assert read_text(tmp_path / "odd") == "ok�"


def test_a_number_may_be_decimal_or_hexadecimal(tree):
    root = tree({"decimal": "1800000\n", "hexadecimal": "0x1ac1\n"})

    assert read_int(root / "decimal") == 1_800_000
    assert read_int(root / "hexadecimal") == 0x1AC1


def test_a_text_is_no_number(tree):
    assert read_int(tree({"quota": "max\n"}) / "quota") is None


def test_fields_are_cut_at_the_first_separator(tree):
    root = tree({"information": "Model: \t Orin\nBus Location: 0000:01:00.0\n\nlone\n"})

    fields = read_fields(root / "information", ":")

    assert fields == {"Model": "Orin", "Bus Location": "0000:01:00.0"}


def test_fields_are_cut_at_blanks_without_a_separator(tree):
    root = tree({"cpu.stat": "nr_periods 10\nnr_throttled 3\n"})

    assert read_fields(root / "cpu.stat") == {"nr_periods": "10", "nr_throttled": "3"}


def test_a_cpu_list_holds_ranges_and_single_numbers():
    assert parse_cpu_list("8,0-3") == (0, 1, 2, 3, 8)


def test_an_empty_cpu_list_holds_nothing():
    assert parse_cpu_list("") == ()
