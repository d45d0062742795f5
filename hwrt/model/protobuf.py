"""An ONNX file without its weights.

``onnx.load`` reads the whole file and copies every weight: most of a second for 100 MB.  All that a
ModelInfo needs lies in the few kilobytes around the weights.  So the wire format is walked here by
its headers only, seeking over the payloads of tensors, and the rest is copied as it is: onnx parses
that copy, and what it says of it is what it says of the file.

What is left out are the elements of tensors, not their dims, type, name, or place in an external
file.  They are checked as far as protobuf would refuse the whole file for them.  Nothing else is
interpreted, and nothing in the copy is reordered, so repeated and unknown fields mean what they
meant.

Source: https://protobuf.dev/programming-guides/encoding/ and the field numbers in onnx.proto, which
its compatibility rules fix for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hwrt.model.file import Malformed

__all__ = ["is_onnx", "skeleton"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_HEADER_BYTES = 20  # two varints of at most ten bytes: the tag and the length or value
_SMALL_BYTES = 1024
"""A message up to this size is copied whole: looking into it costs more than its weights do."""
_MAX_BYTES = (1 << 31) - 1
"""The largest message that protobuf parses."""
_FREE_STEPS = 100_000
_BYTES_PER_STEP = 256
"""How many fields are looked at in a file of any size, and one more for how many bytes of it."""
_MOST_COPIED_BYTES = 64 << 20
"""A longer copy would be refused before it is parsed: see hwrt.model.onnx_expansion."""
_MAX_DEPTH = 100
"""The nesting at which protobuf gives up; deeper messages are copied for it to refuse."""
_GRAPH_FIELD = 7
_PREFIX_BYTES = 5
"""The most bytes of a tag or length; a value may have ten."""
_VARINTS = 0
_ANY = 1
_ENDLESS_BYTES = 10
_ENDLESS = re.compile(rb"[\x80-\xff]{10}")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class _Message:
    """How one of onnx.proto's messages is copied.

    ``nested`` maps field numbers to the messages that may hold weights, ``dropped`` the fields left
    out to the bytes of one packed element, _VARINTS where that varies.  After ``walked`` fields the
    rest is copied whole: a million numbers stored one by one are quicker read than skipped.
    """

    nested: Mapping[int, _Message] = field(default_factory=dict)
    dropped: Mapping[int, int] = field(default_factory=dict)
    walked: int = 1 << 20


def _messages() -> _Message:
    elements = {4: 4, 5: _VARINTS, 7: _VARINTS, 9: _ANY, 10: 8, 11: _VARINTS}
    tensor = _Message(dropped=elements, walked=64)
    sparse = _Message({1: tensor, 2: tensor}, walked=64)
    graph_fields: dict[int, _Message] = {5: tensor, 15: sparse}
    graph = _Message(graph_fields)
    attribute = _Message(
        {5: tensor, 6: graph, 10: tensor, 11: graph, 22: sparse, 23: sparse}, walked=256
    )
    node = _Message({5: attribute})
    graph_fields[1] = node  # a node's attributes hold graphs again
    function = _Message({7: node, 11: attribute})
    training = _Message({1: graph, 2: graph})
    return _Message({_GRAPH_FIELD: graph, 20: training, 25: function}, walked=1 << 16)


_MODEL = _messages()


@dataclass
class _Budget:
    """How many fields may still be looked at, and how many bytes be copied."""

    steps: int
    copied_bytes: int = _MOST_COPIED_BYTES

    def step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Malformed("it has unreasonably many parts for its size")

    def take(self, file: BinaryIO, start: int, end: int) -> bytes:
        self.copied_bytes -= end - start
        if self.copied_bytes < 0:
            raise Malformed(
                f"the parts of it that are no weights take more than {_MOST_COPIED_BYTES >> 20} MB"
            )
        return _take(file, start, end)


class _Field(NamedTuple):
    """One field's number and wire type, and where its header, payload and end lie in the file."""

    number: int
    wire: int
    start: int
    payload: int
    end: int


def skeleton(path: Path) -> bytes:
    """The serialised ONNX model without its weights.

    Raises Malformed where the file is truncated, no protobuf, or larger than protobuf takes, and
    where what is no weights has unreasonably many parts or bytes.
    """
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise Malformed(
            f"it has {size} bytes and protobuf takes at most {_MAX_BYTES}",
            hint="export it with external data, which keeps the weights in a file beside it",
        )
    with path.open("rb") as file:
        budget = _Budget(_FREE_STEPS + size // _BYTES_PER_STEP)
        return bytes(_copy(file, 0, size, _MODEL, budget))


def is_onnx(path: Path) -> bool:
    """True when the file's outermost fields are those of an ONNX model with a graph."""
    graphs = 0
    try:
        with path.open("rb") as file:
            for count, item in enumerate(_fields(file, 0, path.stat().st_size)):
                if count == _MODEL.walked or (item.number == 1 and item.wire != _VARINT):
                    return False
                if item.number == _GRAPH_FIELD:
                    graphs += item.wire == _BYTES
    except Malformed:
        return False
    return graphs > 0


def _copy(
    file: BinaryIO,
    start: int,
    end: int,
    message: _Message,
    budget: _Budget,
    *,
    depth: int = 0,
) -> bytearray:
    """The message between two places in the file, without what is to be dropped."""
    copy = bytearray()
    for count, item in enumerate(_fields(file, start, end)):
        budget.step()
        if count == message.walked:
            copy += budget.take(file, item.start, end)
            break
        if item.number in message.dropped:
            _check_elements(file, item, message.dropped[item.number])
            continue
        nested = message.nested.get(item.number) if item.wire == _BYTES else None
        if nested is None or item.end - item.payload <= _SMALL_BYTES or depth == _MAX_DEPTH:
            copy += budget.take(file, item.start, item.end)
        else:
            inner = _copy(file, item.payload, item.end, nested, budget, depth=depth + 1)
            copy += _encode(item.number << 3 | _BYTES) + _encode(len(inner)) + inner
    return copy


def _check_elements(file: BinaryIO, item: _Field, width: int) -> None:
    """Raise Malformed where protobuf could not unpack the elements of a tensor."""
    if item.wire != _BYTES or width == _ANY:
        return
    count = item.end - item.payload
    sound = width == _VARINTS or count % width == 0
    if width == _VARINTS and count:
        sound = _take(file, item.end - 1, item.end)[0] < 0x80
        for start in range(item.payload, item.end, _CHUNK_BYTES):
            stop = min(start + _CHUNK_BYTES + _ENDLESS_BYTES, item.end)
            sound = sound and not _ENDLESS.search(_take(file, start, stop))
    if not sound:
        raise Malformed(f"the elements of the tensor at byte {item.start} are damaged")


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[_Field]:
    """The fields of the message between two places in the file, in its order."""
    while start < end:
        header = _take(file, start, min(start + _HEADER_BYTES, end))
        tag, at = _decode(header, 0, start, _PREFIX_BYTES)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise Malformed(f"at byte {start} stands the impossible field number {number}")
        payload = start + at
        if wire == _VARINT:
            payload_end = start + _decode(header, at, start)[1]
        elif wire == _BYTES:
            length, at = _decode(header, at, start, _PREFIX_BYTES)
            payload = start + at
            payload_end = payload + length
        elif wire in (_FIXED32, _FIXED64):
            payload_end = payload + (4 if wire == _FIXED32 else 8)
        else:
            raise Malformed(f"at byte {start} stands the wire type {wire}, which ONNX never uses")
        if payload_end > end:
            raise Malformed(
                f"the field at byte {start} should end at byte {payload_end}, beyond the"
                f" {end} bytes there are: the file is truncated or damaged"
            )
        yield _Field(number, wire, start, payload, payload_end)
        start = payload_end


def _take(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    data = file.read(end - start)
    if len(data) != end - start:
        raise Malformed(f"it became shorter than {end} bytes while it was read")
    return data


def _decode(data: bytes, at: int, start: int, most: int = _ENDLESS_BYTES) -> tuple[int, int]:
    """The varint of at most so many bytes at an offset of the data, and the offset behind it."""
    value = 0
    for index in range(at, min(at + most, len(data))):
        value |= (data[index] & 0x7F) << 7 * (index - at)
        if data[index] < 0x80:
            return value, index + 1
    raise Malformed(f"the field at byte {start} has a number without end")


def _encode(value: int) -> bytes:
    """The value as a varint."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
