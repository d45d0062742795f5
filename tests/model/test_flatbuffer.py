from __future__ import annotations

import io
import math
import struct
from pathlib import Path

import pytest

from hwrt.model.file import Malformed
from hwrt.model.flatbuffer import BOOL, FLOAT32, INT8, UINT32, UINT64, Source, Table, root
from tests.model.flatbuffer_bytes import Number, Offset, Repeated, Vector, pack

VTABLE, TABLE = 8, 16  # where pack puts those of a root with up to two fields


def opened(data: bytes) -> Table:
    """The root table of a FlatBuffer."""
    return root(Source(io.BytesIO(data)), b"TFL3")


def changed(data: bytes, at: int, form: str, value: int) -> bytes:
    changing = bytearray(data)
    struct.pack_into(f"<{form}", changing, at, value)
    return bytes(changing)


def test_numbers_of_every_form_are_read() -> None:
    table = opened(pack({0: Number("b", -3), 1: Number("Q", 1 << 63), 3: Number("?", True)}))

    assert (-3, 1 << 63) == (table.integer(0, INT8), table.integer(1, UINT64))
    assert 1 == table.integer(3, BOOL)


def test_a_field_that_is_not_stored_has_its_default() -> None:
    table = opened(pack({1: 5}))

    assert (7, 5, 0) == (table.integer(0, default=7), table.integer(1), table.integer(9))
    assert (None, (), ()) == (table.text(0), table.integers(0), table.floats(9))
    assert (None, None, 0) == (table.table(0), table.span(9), len(table.tables(0)))
    assert (False, True) == (table.has(0), table.has(1))


def test_vectors_texts_and_tables_are_read() -> None:
    data = {
        0: Vector("i", [1, -2]),
        1: "häh",
        2: {0: 4},
        3: [{0: 1}, {0: 2}],
        4: Vector("f", [0.5]),
    }

    table = opened(pack(data))

    assert ((1, -2), "häh", (0.5,)) == (table.integers(0), table.text(1), table.floats(4))
    assert 4 == table.table(2).integer(0)
    assert [1, 2] == [item.integer(0) for item in table.tables(3)]
    assert 2 == table.tables(3)[1].integer(0)


def test_a_span_says_where_bytes_lie_without_reading_them() -> None:
    data = pack({0: b"weights"})

    at, count = opened(data).span(0)

    assert b"weights" == data[at : at + count]


def test_what_crosses_the_blocks_of_reading_is_whole() -> None:
    numbers = list(range(20_000))

    table = opened(pack({0: Vector("i", numbers), 1: [{0: i} for i in range(2000)]}))

    assert tuple(numbers) == table.integers(0)
    assert list(range(2000)) == [item.integer(0) for item in table.tables(1)]


def test_a_flatbuffer_inside_a_file_keeps_to_its_bounds() -> None:
    inner = pack({0: "inside"}, b"M001")
    data = Source(io.BytesIO(b"before" + inner + b"behind"))

    assert "inside" == root(data, b"M001", 6, len(inner)).text(0)
    with pytest.raises(Malformed, match="outside"):
        root(data, b"M001", 6, len(inner) - 4).text(0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the offset of the root table"),
        (b"\x08\0\0\0TF", "the identifier"),
        (b"\x08\0\0\0TFL2" + bytes(20), "the identifier b'TFL2'"),
        (changed(pack({0: 1}), 0, "I", 0xFFFFFFF0), "a table should lie at"),
        (changed(pack({0: 1}), 0, "I", 1 << 20), "a table should lie at"),
        (changed(pack({0: 1}), TABLE, "i", 1 << 20), "a vtable should lie at"),
        (changed(pack({0: 1}), TABLE, "i", -(1 << 20)), "a vtable should lie at"),
        (changed(pack({0: 1}), VTABLE, "H", 0xFFFE), "a vtable should lie at"),
        (changed(pack({0: 1}), VTABLE, "H", 2), "the impossible size 2"),
        (changed(pack({0: 1}), VTABLE, "H", 7), "the impossible size 7"),
        (changed(pack({0: 1}), VTABLE + 2, "H", 3), "the impossible size 3"),
        (changed(pack({0: 1}), VTABLE + 2, "H", 0xFFFF), "a table should lie at"),
    ],
)
def test_a_root_table_out_of_bounds_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        opened(data)


@pytest.mark.parametrize("place", [1, 3, 5, 8, 0xFFFF])
def test_a_field_outside_of_its_table_is_refused(place: int) -> None:
    table = opened(changed(pack({0: 1}), VTABLE + 4, "H", place))

    with pytest.raises(Malformed, match="field 0 of the table at byte 16"):
        table.integer(0)


@pytest.mark.parametrize("offset", [0x7FFFFFFF, 0xFFFFFFFF, 1000])
@pytest.mark.parametrize("read", ["text", "table", "integers", "floats", "span", "tables"])
def test_an_offset_beyond_the_end_is_refused(read: str, offset: int) -> None:
    table = opened(pack({0: Offset(offset)}))

    with pytest.raises(Malformed, match="should lie at the bytes"):
        getattr(table, read)(0)


@pytest.mark.parametrize("read", ["text", "integers", "floats", "span", "tables"])
def test_a_length_beyond_the_end_is_refused(read: str) -> None:
    data = pack({0: b"abc"})
    table = opened(changed(data, data.index(b"abc") - 4, "I", 0xFFFFFFFF))

    with pytest.raises(Malformed, match="a vector of 4294967295 should lie at"):
        getattr(table, read)(0)


def test_an_offset_never_leads_backwards_into_a_cycle() -> None:
    table = opened(pack({0: Offset((1 << 32) - 4)}))

    with pytest.raises(Malformed, match="should lie at the bytes"):
        table.table(0)


def test_a_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(Malformed, match="is not UTF-8"):
        opened(pack({0: b"\xff\xfe"})).text(0)


def test_an_index_outside_of_a_vector_is_an_index_error() -> None:
    tables = opened(pack({0: [{}]})).tables(0)

    with pytest.raises(IndexError):
        tables[1]
    with pytest.raises(IndexError):
        tables[-1]


def test_a_million_offsets_to_one_table_are_given_up() -> None:
    table = opened(pack({0: Repeated({0: 1}, 1_000_000)}))

    with pytest.raises(Malformed, match="has no end"):
        list(table.tables(0))


def test_one_long_vector_read_again_and_again_is_given_up() -> None:
    table = opened(pack({0: Vector("f", [0.0] * 300_000)}))

    with pytest.raises(Malformed, match="has no end"):
        [table.floats(0) for _ in range(100)]


def test_a_large_file_is_granted_no_more_than_the_most_work(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.write_bytes(pack({0: Repeated({0: 1}, 700_000)}))
    with path.open("r+b") as file:
        file.truncate(1 << 40)
        table = root(Source(file), b"TFL3")

        with pytest.raises(Malformed, match="has no end"):
            list(table.tables(0))


@pytest.mark.parametrize(
    ("numbers", "found"),
    [([], False), ([0.0, -0.0], False), ([0.0] * 5000 + [0.5], True), ([math.nan], True)],
)
def test_whether_any_float_is_not_zero_is_told(numbers: list[float], found: bool) -> None:
    table = opened(pack({0: Vector("f", numbers)}))

    assert found == table.any_float(0)
    assert not table.any_float(1)


def test_millions_of_floats_may_be_looked_at() -> None:
    table = opened(pack({0: Vector("f", [0.0] * 300_000)}))

    assert not any(table.any_float(0) for _ in range(50))


def test_thousands_of_large_overlapping_tables_are_given_up() -> None:
    data = bytearray(pack({0: Repeated({}, 4000), 1: Vector("H", [0x1000] * 50_000)}))
    vector, _ = opened(bytes(data)).span(0, 4)
    sizes, _ = opened(bytes(data)).span(1)
    for i in range(4000):
        at = sizes + 4 * i
        struct.pack_into("<I", data, vector + 4 * i, at - vector - 4 * i)
        struct.pack_into("<i", data, at, -40_000)

    with pytest.raises(Malformed, match="has no end"):
        list(opened(bytes(data)).tables(0))


def test_a_file_that_becomes_shorter_while_it_is_read_is_malformed() -> None:
    file = io.BytesIO(pack({0: b"x" * 100_000}))
    table = root(Source(file), b"TFL3")
    file.truncate(50_000)

    with pytest.raises(Malformed, match="became shorter"):
        table.text(0)


def test_forms_are_little_endian() -> None:
    assert (b"\1\0\0\0", b"\0\0\x80?") == (UINT32.pack(1), FLOAT32.pack(1.0))
