"""FlatBuffers written from plain data, over the Builder of the package flatbuffers.

A table is a dict of slot -> value; a value is a Scalar, a str, a dict (a table), a list of tables,
a list of int32 given as an int32 array, or Payload (bytes aligned to 16).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["Payload", "Scalar", "Table", "finish"]

Table = dict[int, Any]
_FIRST_BYTES = 1 << 12


class Scalar(NamedTuple):
    """A number in its slot; ``kind`` is FlatBuffers' name: Int8, Uint8, Bool, Int32, Uint32."""

    kind: str
    value: int


class Payload(NamedTuple):
    """Bytes that are mapped and read as elements, and so must be aligned."""

    data: bytes


def finish(root: Table, identifier: bytes) -> bytes:
    """The bytes of a FlatBuffer with this root table and file identifier."""
    from flatbuffers import Builder  # type: ignore[import-untyped, import-not-found, unused-ignore]

    builder = Builder(_FIRST_BYTES)
    builder.Finish(_table(builder, root), file_identifier=identifier)
    return bytes(builder.Output())


def _offset(builder: Any, value: Any) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Payload):
        return _payload(builder, value.data)
    if isinstance(value, np.ndarray):
        return int(builder.CreateNumpyVector(value))
    if isinstance(value, dict):
        return _table(builder, value)
    offsets = [_table(builder, table) for table in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _payload(builder: Any, data: bytes) -> int:
    builder.StartVector(1, len(data), 16)
    # As CreateByteVector does, which aligns to 4 only.
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    return int(builder.EndVector())


def _table(builder: Any, table: Table) -> int:
    # Children come before the table that points at them.
    offsets = {
        slot: _offset(builder, value)
        for slot, value in table.items()
        if not isinstance(value, Scalar)
    }
    builder.StartObject(max(table, default=-1) + 1)
    for slot, value in table.items():
        if isinstance(value, Scalar):
            getattr(builder, f"Prepend{value.kind}")(value.value)
        else:
            builder.PrependUOffsetTRelative(offsets[slot])
        builder.Slot(slot)
    return int(builder.EndObject())
