"""How much memory a serialised ONNX model takes once it is parsed.

Two bytes of protobuf can become an object of two hundred, so a file of some megabytes can fill the
memory.  The fields are counted here before they are parsed, without making anything of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hwrt.model.file import Malformed

__all__ = ["check_expansion"]

_UNCHECKED_BYTES = 100_000
"""A file this small can not grow to more than some 20 MB."""
_FREE_BYTES = 8 << 20
_GROWTH = 40
"""A real graph of many small dimensions grows to 25 times its size."""
_MOST_BYTES = 400 << 20
_COPIES = 6
"""How often the bytes themselves are in memory while they are parsed, texts included."""
_FIELD_BYTES = 16
_TEXT_BYTES = 40
_NUMBER_GROWTH = 8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_Kinds = dict[int, tuple[int, Any]]
"""Field number -> what one such field takes, and the kinds of its own fields (None: no message)."""


def check_expansion(data: bytes) -> None:
    """Raise Malformed where parsing the serialised ModelProto would take unreasonable memory."""
    if len(data) <= _UNCHECKED_BYTES:
        return
    most = min(_MOST_BYTES, _FREE_BYTES + _GROWTH * len(data))
    try:
        if _parsed_bytes(data, most) <= most:
            return
    except IndexError:
        raise Malformed("it is truncated or damaged") from None
    raise Malformed(
        f"the {len(data)} bytes of it that are no weights would take more than {most >> 20} MB of"
        " memory: it holds unreasonably many tiny parts"
    )


def _parsed_bytes(data: bytes, most: int) -> int:
    """An estimate of the parsed model's size, given up where it exceeds ``most``."""
    total = _COPIES * len(data)
    waiting: list[tuple[int, int, _Kinds]] = [(0, len(data), _kinds())]
    while waiting and total <= most:
        at, end, kinds = waiting.pop()
        while at < end and total <= most:
            tag, at = _number(data, at)
            wire = tag & 7
            if wire == _VARINT:
                at = _number(data, at)[1]
            elif wire == _BYTES:
                length, at = _number(data, at)
                cost, inner = kinds.get(tag >> 3, (_TEXT_BYTES, None))
                if inner is not None:
                    total += cost
                    if length:
                        waiting.append((at, at + length, inner))
                else:
                    total += cost or length * _NUMBER_GROWTH
                at += length
            elif wire in (_FIXED64, _FIXED32):
                at += 8 if wire == _FIXED64 else 4
            else:
                raise Malformed(f"it has the wire type {wire}, which ONNX never uses")
    return total


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    shift = 7
    while data[at] >= 0x80:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if shift > 63:
            raise Malformed("it holds a number without end")
    return value | data[at] << shift, at + 1


@cache
def _kinds() -> _Kinds:
    """The fields of a ModelProto, those of the messages in it included."""
    import onnx

    known: dict[str, _Kinds] = {}

    def of(descriptor: Any) -> _Kinds:
        kinds = known.get(descriptor.full_name)
        if kinds is None:
            kinds = known[descriptor.full_name] = {}
            for field in descriptor.fields:
                if field.message_type is not None:
                    size = _FIELD_BYTES * (1 + len(field.message_type.fields))
                    kinds[field.number] = (size, of(field.message_type))
                elif field.cpp_type != field.CPPTYPE_STRING:
                    kinds[field.number] = (0, None)  # packed numbers
        return kinds

    return of(onnx.ModelProto.DESCRIPTOR)
