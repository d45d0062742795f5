"""Reads FlatBuffers out of a file, believing nothing: tables, vectors and strings.

Only the bytes that are asked for are read, by blocks.  The file is not mapped: where another
process truncates a mapped file, reading it kills this one.  Every offset and length is checked
against the bounds, and all reading draws on one budget of work, since a hostile file can have a
million offsets lead to one large object.

Source: https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from hwrt.model.file import Malformed

__all__ = [
    "BOOL", "FLOAT32", "INT8", "INT32", "INT64", "UINT8", "UINT32", "UINT64",
    "Source", "Table", "Tables", "root",
]  # fmt: skip

_Form = struct.Struct
BOOL, INT8, UINT8 = _Form("<?"), _Form("<b"), _Form("<B")
INT32, UINT32, INT64, UINT64 = _Form("<i"), _Form("<I"), _Form("<q"), _Form("<Q")
FLOAT32 = _Form("<f")
_UINT16 = _Form("<H")

_BLOCK_BYTES = 1 << 14
_KEPT_BLOCKS = 1 << 11
_CHUNK = 1 << 8  # of a vector that is walked through
_STEP_BYTES = 64
"""To read a table, a vector or this many more bytes is one step of work."""
_NUMBER_BYTES = 16
"""What a number of a vector counts as, whatever its form: in Python it takes more memory."""
_FREE_STEPS = 100_000
_FILE_BYTES_PER_STEP = 24
_MOST_STEPS = 600_000
"""A file is granted the free steps and one for each of so many of its bytes, up to the most.
Networks take one for 28 bytes and more around their weights.  4 MB that refer to each other as
often as they may are refused after a second, a file of any size after a few."""
_NUMBERS_PER_SCANNED_BYTE = 4
"""How many numbers that are looked at and dropped count as one byte: large quantised networks have
millions of scales."""


class Source:
    """A file's bytes, and the work that may still be spent on it.  For one thread at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self.size = file.seek(0, os.SEEK_END)
        self._file = file
        self._blocks: dict[int, bytes] = {}
        self._steps = min(_MOST_STEPS, _FREE_STEPS + self.size // _FILE_BYTES_PER_STEP)

    def take(self, at: int, count: int) -> bytes:
        """The ``count`` bytes from ``at``.  Raises Malformed where the file has not got them."""
        number, first = divmod(at, _BLOCK_BYTES)
        if first + count > _BLOCK_BYTES:
            data = self._read(at, count)
        else:
            block = self._blocks.get(number)
            if block is None:
                block = self._block(number)
            data = block[first : first + count]
        if len(data) != count:
            raise Malformed(f"it became shorter than {at + count} bytes while it was read")
        return data

    def spend(self, count: int = 0) -> None:
        """Draw the work of reading ``count`` bytes from the budget.

        Raises Malformed where it is used up.
        """
        self._steps -= 1 + count // _STEP_BYTES
        if self._steps < 0:
            raise Malformed(
                f"its {self.size} bytes refer to each other so often that reading them has no end"
            )

    def _block(self, number: int) -> bytes:
        if len(self._blocks) >= _KEPT_BLOCKS:
            self._blocks.clear()
        block = self._blocks[number] = self._read(number * _BLOCK_BYTES, _BLOCK_BYTES)
        return block

    def _read(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(count)


class _Window:
    """The part of a file that one FlatBuffer fills."""

    __slots__ = ("end", "source", "start", "vtables")

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source, self.start, self.end = source, start, end
        self.vtables: dict[int, bytes] = {}

    def check(self, at: int, count: int, what: str) -> None:
        if at < self.start or at + count > self.end:
            raise Malformed(
                f"{what} should lie at the bytes {at} to {at + count}, outside of"
                f" {self.start} to {self.end}: the file is truncated or damaged"
            )

    def unpack(self, form: _Form, at: int, what: str) -> Any:
        self.check(at, form.size, what)
        return form.unpack(self.source.take(at, form.size))[0]

    def vtable(self, at: int) -> bytes:
        """The vtable at this place: its own size, the table's, then the place of each field."""
        vtable = self.vtables.get(at)
        if vtable is None:
            size = self.unpack(_UINT16, at, "a vtable")
            if size < 4 or size % 2:
                raise Malformed(f"the vtable at byte {at} has the impossible size {size}")
            self.check(at, size, "a vtable")
            self.source.spend(size)
            vtable = self.vtables[at] = self.source.take(at, size)
        return vtable


class Table:
    """One table; ``at`` is its place in the file.

    Fields are asked for by their number in the schema.  One that is not stored has its default, or
    is None.  All methods raise Malformed where what is stored does not lie within the bounds.
    """

    __slots__ = ("_inline", "_vtable", "_window", "at")

    def __init__(self, window: _Window, at: int) -> None:
        self.at = at
        self._window = window
        self._vtable = window.vtable(at - window.unpack(INT32, at, "a table"))
        size = _UINT16.unpack_from(self._vtable, 2)[0]
        if size < 4:
            raise Malformed(f"the table at byte {at} has the impossible size {size}")
        window.check(at, size, "a table")
        window.source.spend(size)
        self._inline = window.source.take(at, size)

    def has(self, field: int) -> bool:
        """True where the field is stored."""
        return self._place(field, 1) > 0

    def integer(self, field: int, form: struct.Struct = INT32, default: int = 0) -> int:
        """The number in a field of the given form."""
        place = self._place(field, form.size)
        return int(form.unpack_from(self._inline, place)[0]) if place else default

    def integers(self, field: int, form: struct.Struct = INT32) -> tuple[int, ...]:
        """The numbers of a vector; none where it is not stored."""
        return self._numbers(field, form)

    def floats(self, field: int) -> tuple[float, ...]:
        """The float32 numbers of a vector; none where it is not stored."""
        return self._numbers(field, FLOAT32)

    def any_float(self, field: int) -> bool:
        """True where a vector of float32 numbers has one that is not zero."""
        at, count = self.span(field, FLOAT32.size) or (0, 0)
        if not count:
            return False
        self._window.source.spend(count // _NUMBERS_PER_SCANNED_BYTE)
        data = self._window.source.take(at, count * FLOAT32.size)
        return bool(np.frombuffer(data, "<f4").any())

    def text(self, field: int) -> str | None:
        """The string in a field."""
        span = self.span(field)
        if span is None:
            return None
        at, count = span
        self._window.source.spend(count)
        data = self._window.source.take(at, count)
        try:
            return data.decode()
        except UnicodeDecodeError as exc:
            raise Malformed(f"a text in it, at byte {at}, is not UTF-8: {data[:40]!r}") from exc

    def span(self, field: int, item_bytes: int = 1) -> tuple[int, int] | None:
        """Where the elements of a vector begin in the file, and how many they are."""
        at = self._target(field)
        if at is None:
            return None
        count = self._window.unpack(UINT32, at, "a vector")
        self._window.check(at + 4, count * item_bytes, f"a vector of {count}")
        return at + 4, count

    def table(self, field: int) -> Table | None:
        """The table to which a field leads."""
        at = self._target(field)
        return None if at is None else Table(self._window, at)

    def tables(self, field: int) -> Tables:
        """The tables of a vector; none where it is not stored."""
        self._window.source.spend()
        return Tables(self._window, *(self.span(field, 4) or (0, 0)))

    def _place(self, field: int, size: int) -> int:
        """Where in the table a field of this size is stored; 0 where it is not."""
        entry = 4 + 2 * field
        if entry >= len(self._vtable):
            return 0
        place: int = _UINT16.unpack_from(self._vtable, entry)[0]
        if place and not 4 <= place <= len(self._inline) - size:
            raise Malformed(
                f"field {field} of the table at byte {self.at} lies outside of the table"
            )
        return place

    def _target(self, field: int) -> int | None:
        place = self._place(field, 4)
        if not place:
            return None
        return self.at + place + int(UINT32.unpack_from(self._inline, place)[0])

    def _numbers(self, field: int, form: struct.Struct) -> tuple[Any, ...]:
        span = self.span(field, form.size)
        if span is None:
            return ()
        at, count = span
        self._window.source.spend(count * _NUMBER_BYTES)
        data = self._window.source.take(at, count * form.size)
        return struct.unpack(f"<{count}{form.format[1:]}", data)


class Tables:
    """A vector of tables, each read when it is asked for."""

    def __init__(self, window: _Window, at: int, count: int) -> None:
        self._window = window
        self._at = at
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Table:
        if not 0 <= index < self._count:
            raise IndexError(index)
        place = self._at + 4 * index
        offset = self._window.unpack(UINT32, place, "a vector")
        return Table(self._window, place + offset)

    def __iter__(self) -> Iterator[Table]:
        for first in range(0, self._count, _CHUNK):
            count = min(_CHUNK, self._count - first)
            at = self._at + 4 * first
            data = self._window.source.take(at, 4 * count)
            for i, offset in enumerate(struct.unpack(f"<{count}I", data)):
                yield Table(self._window, at + 4 * i + offset)


def root(source: Source, identifier: bytes, start: int = 0, count: int | None = None) -> Table:
    """The root table of the FlatBuffer in ``count`` bytes from ``start``, by default the file.

    Raises Malformed where these bytes do not begin as a FlatBuffer with this identifier does.
    """
    end = source.size if count is None else start + count
    window = _Window(source, start, end)
    offset = window.unpack(UINT32, start, "the offset of the root table")
    window.check(start + 4, 4, "the identifier")
    found = source.take(start + 4, 4)
    if found != identifier:
        raise Malformed(f"it has the identifier {found!r} where {identifier!r} belongs")
    return Table(window, start + offset)
