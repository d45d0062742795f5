"""Damage that knows nothing of the format."""

from __future__ import annotations

from random import Random

from tests.hostile.bases import Base
from tests.hostile.cases import Content, Mutator

__all__ = ["MUTATORS"]

_NUMBERS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    (1 << 63) - 1,
)


def flips(data: bytearray, random: Random) -> bytes:
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def bytes_set(data: bytearray, random: Random) -> bytes:
    for _ in range(random.choice((1, 4, 32))):
        data[random.randrange(len(data))] = random.choice((0, 0xFF, 0x80, random.randrange(256)))
    return bytes(data)


def numbers(data: bytearray, random: Random) -> bytes:
    width = random.choice((2, 4, 8))
    value = random.choice(_NUMBERS) % (1 << 8 * width)
    at = random.randrange(max(1, len(data) - width))
    data[at : at + width] = value.to_bytes(width, random.choice(("little", "big")))
    return bytes(data)


def inserts(data: bytearray, random: Random) -> bytes:
    at, count = random.randrange(len(data)), random.choice((1, 2, 4, 100, 5000))
    data[at:at] = (
        random.randbytes(count) if random.random() < 0.5 else bytes([random.randrange(256)]) * count
    )
    return bytes(data)


def deletes(data: bytearray, random: Random) -> bytes:
    at = random.randrange(len(data))
    del data[at : at + random.choice((1, 2, 4, 100, 5000))]
    return bytes(data)


def truncates(data: bytearray, random: Random) -> bytes:
    return bytes(data[: random.randrange(len(data))])


def copies(data: bytearray, random: Random) -> bytes:
    """Splices a part of the file over, or into, another part."""
    start, at = random.randrange(len(data)), random.randrange(len(data))
    part = data[start : start + random.choice((4, 32, 500, 4000))]
    data[at : at + (len(part) if random.random() < 0.5 else 0)] = part
    return bytes(data)


def extends(data: bytearray, random: Random) -> bytes:
    tail = random.choice(
        (b"\0" * 9, random.randbytes(300), bytes(data), b"PK\x03\x04" + b"\0" * 50)
    )
    return bytes(data + tail)


def _on_main(change: object) -> Mutator:
    def mutator(base: Base, random: Random) -> dict[str, Content]:
        data = bytearray(base.files[base.main])
        return {**base.files, base.main: change(data, random)}  # type: ignore[operator]

    return mutator


MUTATORS: dict[str, Mutator] = {
    f"bytes.{change.__name__}": _on_main(change)
    for change in (flips, bytes_set, numbers, inserts, deletes, truncates, copies, extends)
}
