"""Writes FlatBuffers, sound and unsound, without the library: front to back, children behind."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

Table = dict[int, Any]


class Number(NamedTuple):
    """A number stored in the table itself, in a form of the struct module."""

    form: str
    value: int | float


class Vector(NamedTuple):
    """Numbers, each in a form of the struct module."""

    form: str
    values: list[Any]


class Offset(NamedTuple):
    """An offset as it stands in the file, wherever it leads."""

    value: int


class Repeated(NamedTuple):
    """A vector of ``count`` offsets that all lead to one table."""

    table: Table
    count: int


def pack(root: Table, identifier: bytes = b"TFL3") -> bytes:
    """The FlatBuffer; in tables, an int is an int32 and a list holds tables."""
    data = bytearray(struct.pack("<I4s", 0, identifier))
    _lead(data, 0, _table(data, root))
    return bytes(data)


def _lead(data: bytearray, place: int, target: int) -> None:
    struct.pack_into("<I", data, place, target - place)


def _align(data: bytearray) -> int:
    data.extend(bytes(-len(data) % 8))
    return len(data)


def _table(data: bytearray, table: Table) -> int:
    fields = {slot: _inline(value) for slot, value in table.items()}
    places, size = {}, 4
    for slot, inline in fields.items():
        places[slot] = size
        size += len(inline)
    slots = max(table, default=-1) + 1
    vtable = _align(data)
    entries = [places.get(slot, 0) for slot in range(slots)]
    data.extend(struct.pack(f"<{slots + 2}H", 4 + 2 * slots, size, *entries))
    at = _align(data)
    data.extend(struct.pack("<i", at - vtable) + b"".join(fields.values()))
    for slot, value in table.items():
        if not isinstance(value, int | Number | Offset):
            _lead(data, at + places[slot], _child(data, value))
    return at


def _inline(value: Any) -> bytes:
    if isinstance(value, Number):
        return struct.pack(f"<{value.form}", value.value)
    if isinstance(value, int):
        return struct.pack("<i", value)
    return struct.pack("<I", value.value if isinstance(value, Offset) else 0)


def _child(data: bytearray, value: Any) -> int:
    if isinstance(value, dict):
        return _table(data, value)
    at = _align(data)
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        data.extend(struct.pack("<I", len(value)) + value + b"\0")
    elif isinstance(value, Vector):
        count = len(value.values)
        data.extend(struct.pack(f"<I{count}{value.form}", count, *value.values))
    elif isinstance(value, Repeated):
        data.extend(struct.pack("<I", value.count) + bytes(4 * value.count))
        target = _table(data, value.table)
        offsets = target - at - 4 - 4 * np.arange(value.count)
        data[at + 4 : at + 4 + 4 * value.count] = offsets.astype("<u4").tobytes()
    else:
        data.extend(struct.pack("<I", len(value)) + bytes(4 * len(value)))
        for i, table in enumerate(value):
            _lead(data, at + 4 + 4 * i, _table(data, table))
    return at
