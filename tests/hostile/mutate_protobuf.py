"""Damage to protobuf's wire format, at the fields that onnx.proto says there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

from tests.hostile.bases import Base
from tests.hostile.cases import Content, Mutator

__all__ = ["MUTATORS", "varint"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VALUES = (
    0,
    1,
    2,
    127,
    128,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
_TEXTS = (
    b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"x", b"y", b"w", b"../x", b"/etc/passwd",
    b"a" * 70_000,
    b"\xf0\x9f\x98\x80" * 99, b"%s%n{}{0}", b"\n" * 9, b"\xc3", b"If", b"Loop",
)  # fmt: skip


class Field(NamedTuple):
    """One field: its number, wire type, place, message (None for scalars) and all around it."""

    number: int
    wire: int
    start: int
    payload: int
    end: int
    message: str | None
    around: tuple[Field, ...]


def varint(value: int, padding: int = 0) -> bytes:
    """The value as a varint, with so many superfluous bytes."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value | (0x80 if padding else 0))
    if padding:
        encoded += b"\x80" * (padding - 1) + b"\0"
    return bytes(encoded)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


@lru_cache(maxsize=32)
def fields(data: bytes) -> tuple[Field, ...]:
    """Every field of a sound ONNX model, those of nested messages included."""
    import onnx

    return tuple(_fields(data, 0, len(data), onnx.ModelProto.DESCRIPTOR, ()))


def _fields(
    data: bytes, at: int, end: int, descriptor: Any, around: tuple[Field, ...]
) -> Iterator[Field]:
    while at < end:
        start = at
        tag, at = _read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        known = descriptor.fields_by_number.get(number)
        inner = known.message_type if known is not None and wire == _BYTES else None
        payload = at
        if wire == _BYTES:
            length, payload = _read_varint(data, at)
            at = payload + length
        else:
            at = {_FIXED32: at + 4, _FIXED64: at + 8}.get(wire) or _read_varint(data, at)[1]
        found = Field(number, wire, start, payload, at, inner.name if inner else None, around)
        yield found
        if inner:
            yield from _fields(data, payload, at, inner, (*around, found))


def replaced(data: bytes, field: Field, new: bytes) -> bytes:
    """The model with other bytes in a field's place, the lengths around it corrected."""
    return _rebuilt(data, field.start, field.end, field.around, new)


def inserted(data: bytes, message: Field, new: bytes) -> bytes:
    """The model with bytes at the end of a message, the lengths around it corrected."""
    return _rebuilt(data, message.end, message.end, (*message.around, message), new)


def _rebuilt(data: bytes, low: int, high: int, around: tuple[Field, ...], new: bytes) -> bytes:
    for field in reversed(around):
        inner = data[field.payload : low] + new + data[high : field.end]
        new = varint(field.number << 3 | _BYTES) + varint(len(inner)) + inner
        low, high = field.start, field.end
    return data[:low] + new + data[high:]


def _tag(field: Field, wire: int | None = None, number: int | None = None) -> bytes:
    return varint((number or field.number) << 3 | (field.wire if wire is None else wire))


def _pick(data: bytes, random: Random, wanted: Callable[[Field], bool]) -> Field:
    """One of the wanted fields; a shallow one about as often as a deep one."""
    found = [field for field in fields(data) if wanted(field)]
    depth = random.choice(sorted({len(field.around) for field in found}))
    return random.choice([field for field in found if len(field.around) == depth])


def _is_bytes(field: Field) -> bool:
    return field.wire == _BYTES


def _is_message(field: Field) -> bool:
    return field.message is not None


def lengths(data: bytes, random: Random) -> bytes:
    field = _pick(data, random, _is_bytes)
    count = field.end - field.payload
    lie = random.choice((count + 1, max(0, count - 1), count * 2 + 5, 0, *_VALUES))
    padding = random.choice((0, 0, 0, 1, 3, 5, 9))
    return replaced(
        data, field, _tag(field) + varint(lie, padding) + data[field.payload : field.end]
    )


def varints(data: bytes, random: Random) -> bytes:
    field = _pick(data, random, lambda field: field.wire == _VARINT)
    value = random.choice((*_VALUES, random.getrandbits(64)))
    return replaced(data, field, _tag(field) + varint(value, random.choice((0, 0, 0, 1, 4, 12))))


def wire_types(data: bytes, random: Random) -> bytes:
    field = _pick(data, random, lambda _: True)
    wire = random.choice([wire for wire in range(8) if wire != field.wire])
    return replaced(data, field, _tag(field, wire) + data[field.payload : field.end])


def numbers(data: bytes, random: Random) -> bytes:
    field = _pick(data, random, lambda _: True)
    number = random.choice((1 << 29, (1 << 29) - 1, 19_000, *range(1, 27)))
    head = _tag(field, number=number) if random.random() < 0.8 else varint(field.wire)
    length = varint(field.end - field.payload) if field.wire == _BYTES else b""
    return replaced(data, field, head + length + data[field.payload : field.end])


def removes(data: bytes, random: Random) -> bytes:
    return replaced(data, _pick(data, random, lambda _: True), b"")


def repeats(data: bytes, random: Random) -> bytes:
    field = _pick(data, random, lambda _: True)
    content = data[field.start : field.end]
    most = max(1, 300_000 // len(content))
    return replaced(data, field, content * min(random.choice((2, 2, 3, 100, 5000)), most))


def moves(data: bytes, random: Random) -> bytes:
    """Puts a field into another message, whatever it means there."""
    field = _pick(data, random, lambda _: True)
    target = _pick(data, random, _is_message)
    return inserted(data, target, data[field.start : field.end])


def texts(data: bytes, random: Random) -> bytes:
    field = _pick(data, random, lambda field: _is_bytes(field) and not _is_message(field))
    text = random.choice(_TEXTS)
    return replaced(data, field, _tag(field) + varint(len(text)) + text)


def swaps(data: bytes, random: Random) -> bytes:
    """Gives one message the content of another."""
    field, other = (_pick(data, random, _is_message) for _ in range(2))
    content = data[other.payload : other.end]
    return replaced(data, field, _tag(field) + varint(len(content)) + content)


def tiny_fields(data: bytes, random: Random) -> bytes:
    """Up to a million fields of two bytes, which a parser may turn into a million objects."""
    field = _pick(data, random, _is_message)
    number = random.choice((1, 2, 5, 7, 11, 12, 15, 20, 25, 99))
    tiny = varint(number << 3 | _BYTES) + b"\0"
    if random.random() < 0.3:
        tiny = varint(number << 3) + b"\x01"
    count = random.choice((1000, 50_000, 300_000, 1_000_000))
    return inserted(data, field, tiny * count)


def nests(data: bytes, random: Random) -> bytes:
    """Graphs within attributes within nodes within graphs."""
    depth = random.choice((5, 30, 33, 34, 99, 101, 400, 3000))
    filler = b"\x12" + varint(1100) + b"x" * 1100 if random.random() < 0.5 else b""
    size, heads = len(filler), []
    for _ in range(depth):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # attribute.g, node.attribute, graph.node
            heads.append(tag + varint(size))
            size += len(heads[-1])
    graph = b"".join(reversed(heads)) + filler
    field = _pick(data, random, lambda field: field.message == "GraphProto")
    return inserted(data, field, graph)


def _on_main(change: Callable[[bytes, Random], bytes]) -> Mutator:
    def mutator(base: Base, random: Random) -> dict[str, Content]:
        data = base.files[base.main]
        for _ in range(random.choice((1, 1, 1, 2))):
            try:
                data = change(data, random)
            except Exception:  # noqa: BLE001 - what is damaged already may have no such place
                break
            if len(data) > 2 * len(base.files[base.main]) + 10_000:
                break
        return {**base.files, base.main: data}

    return mutator


MUTATORS: dict[str, Mutator] = {
    f"protobuf.{change.__name__}": _on_main(change)
    for change in (
        lengths, varints, wire_types, numbers, removes, repeats, moves, texts, swaps, tiny_fields,
        nests,
    )
}  # fmt: skip
