"""Damage to a TFLite file's FlatBuffer: to its offsets, vtables, lengths, numbers and texts."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import NamedTuple

from tests.hostile.bases import Base
from tests.hostile.cases import Content, Mutator

__all__ = ["MUTATORS"]

# Field numbers of schema.fbs by table: a table's name in brackets is a vector of tables.
_SCHEMA: dict[str, dict[int, str]] = {
    "Model": {
        0: "4", 1: "[OperatorCode]", 2: "[SubGraph]", 3: "text", 4: "[Buffer]", 6: "[Metadata]",
        7: "[Signature]",
    },
    "OperatorCode": {0: "1", 1: "text", 2: "4", 3: "4"},
    "SubGraph": {0: "[Tensor]", 1: "4s", 2: "4s", 3: "[Operator]", 4: "text"},
    "Tensor": {0: "4s", 1: "1", 2: "4", 3: "text", 4: "Quantization", 5: "1", 7: "4s", 8: "1"},
    "Quantization": {0: "4s", 1: "4s", 2: "4s", 3: "8s", 4: "1", 6: "4"},
    "Operator": {0: "4", 1: "4s", 2: "4s", 3: "1", 5: "1s", 7: "1s", 8: "4s"},
    "Buffer": {0: "1s", 1: "8", 2: "8"},
    "Metadata": {0: "text", 1: "4"},
    "Signature": {0: "[TensorMap]", 1: "[TensorMap]", 2: "text", 4: "4"},
    "TensorMap": {0: "text", 1: "4"},
}  # fmt: skip
_NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    7,
    127,
    128,
    255,
    65_535,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 4,
    (1 << 32) - 1,
    (1 << 63) - 1,
)
_FLOATS = (float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1e-45, 3e38)


class Site(NamedTuple):
    """A place in the file: what stands there, and of how many bytes."""

    kind: str
    at: int
    width: int


@lru_cache(maxsize=32)
def sites(data: bytes) -> tuple[Site, ...]:
    """The offsets, vtables, lengths, numbers and texts of a sound file."""
    found = [Site("offset", 0, 4), Site("number", 4, 4)]
    _table(data, struct.unpack_from("<I", data, 0)[0], "Model", found)
    return tuple(found)


def _table(data: bytes, at: int, name: str, found: list[Site]) -> None:
    vtable = at - struct.unpack_from("<i", data, at)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    found += [
        Site("vtable offset", at, 4),
        Site("vtable size", vtable, 2),
        Site("vtable size", vtable + 2, 2),
    ]
    for number, kind in _SCHEMA[name].items():
        entry = 4 + 2 * number
        if entry >= size:
            continue
        found.append(Site("vtable entry", vtable + entry, 2))
        place = struct.unpack_from("<H", data, vtable + entry)[0]
        if not place:
            continue
        if kind.isdigit():
            found.append(Site("number", at + place, int(kind)))
            continue
        found.append(Site("offset", at + place, 4))
        target = at + place + struct.unpack_from("<I", data, at + place)[0]
        if kind in _SCHEMA:
            _table(data, target, kind, found)
        else:
            _vector(data, target, kind, found)


def _vector(data: bytes, at: int, kind: str, found: list[Site]) -> None:
    count = struct.unpack_from("<I", data, at)[0]
    found.append(Site("length", at, 4))
    if kind == "text":
        if count:
            found.append(Site("text", at + 4, count))
    elif kind.startswith("["):
        for index in range(count):
            place = at + 4 + 4 * index
            found.append(Site("offset", place, 4))
            _table(data, place + struct.unpack_from("<I", data, place)[0], kind[1:-1], found)
    else:
        width = int(kind[:-1])
        found.extend(
            Site("number", at + 4 + width * index, width) for index in range(min(count, 8))
        )


def _pick(data: bytes, random: Random, *kinds: str) -> Site:
    return random.choice([site for site in sites(data) if site.kind in kinds])


def _put(data: bytes, site: Site, value: int) -> bytes:
    new = (value % (1 << 8 * site.width)).to_bytes(site.width, "little")
    return data[: site.at] + new + data[site.at + site.width :]


def offsets(data: bytes, random: Random) -> bytes:
    """Into the middle of things, behind the end, to another table, to itself."""
    site = _pick(data, random, "offset")
    old = int.from_bytes(data[site.at : site.at + 4], "little")
    other = _pick(data, random, "offset", "vtable offset", "length", "text")
    near = old + random.choice((-4, -2, -1, 1, 2, 4, 8))
    wanted = random.choice(
        (near, other.at - site.at, other.at - site.at, len(data) - site.at, *_NUMBERS)
    )
    return _put(data, site, wanted)


def vtables(data: bytes, random: Random) -> bytes:
    """Overlapping, shared, huge and empty vtables; ones that lie in other things or themselves."""
    site = _pick(data, random, "vtable offset", "vtable size", "vtable entry")
    if site.kind == "vtable offset":
        other = _pick(data, random, "vtable size", "length", "text", "vtable offset")
        return _put(
            data,
            site,
            random.choice((0, site.at - other.at, site.at, -(len(data) - site.at), *_NUMBERS)),
        )
    return _put(data, site, random.choice((0, 1, 2, 3, 4, 5, 6, 8, 12, 40, 0x7FFF, 0xFFFE, 0xFFFF)))


def lengths(data: bytes, random: Random) -> bytes:
    site = _pick(data, random, "length")
    old = int.from_bytes(data[site.at : site.at + 4], "little")
    rest = len(data) - site.at - 4
    return _put(
        data,
        site,
        random.choice(
            (old + 1, max(0, old - 1), rest, rest // 4, rest // 4 + 1, rest // 8, *_NUMBERS)
        ),
    )


def numbers(data: bytes, random: Random) -> bytes:
    """Indices, dimensions, types, scales, versions, codes."""
    for _ in range(random.choice((1, 1, 3))):
        site = _pick(data, random, "number")
        if site.width == 4 and random.random() < 0.25:
            data = _put(
                data, site, int.from_bytes(struct.pack("<f", random.choice(_FLOATS)), "little")
            )
        else:
            data = _put(data, site, random.choice((*_NUMBERS, random.getrandbits(8))))
    return data


def texts(data: bytes, random: Random) -> bytes:
    site = _pick(data, random, "text")
    letter = random.choice((b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"{", b"/"))
    new = (letter * site.width)[: site.width]
    return data[: site.at] + new + data[site.at + site.width :]


def bombs(data: bytes, random: Random) -> bytes:
    """A vector of very many offsets that all lead to one table, or to one vector again."""
    site = _pick(data, random, "offset")
    count = random.choice((1000, 60_000, 250_000))
    start = len(data) + (-len(data) % 4)
    vector = [count]
    end = start + 4 + 4 * count  # of the vector, where the one table stands
    vector += [end + 8 - (start + 4 + 4 * index) for index in range(count)]
    text_bytes = random.choice((4, 1 << 16, 1 << 20))
    # A vtable with ten fields that all lead to one text, then the table and the text.
    table = struct.pack("<HH", 8, 8) + b"\0" * 4 + struct.pack("<iI", 8, 4)
    if random.random() < 0.7:
        table = struct.pack("<HHHH", 8, 8, 4, 4) + struct.pack("<iI", 8, 4)
    tail = table + struct.pack("<I", text_bytes) + b"x" * text_bytes + b"\0" * 8
    added = struct.pack(f"<{len(vector)}I", *vector) + tail
    return _put(data, site, start - site.at) + b"\0" * (start - len(data)) + added


def grows(data: bytes, random: Random) -> bytes:
    """A zip archive behind the model that is damaged, huge when unpacked, or strange."""
    content = io.BytesIO()
    method = random.choice(
        (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    )
    name = random.choice(
        ("metadata.json", "temp_meta.txt", "labels.txt", "../x", "/etc/passwd", "a" * 60_000)
    )
    bodies = (
        b'{"names": {"0": "a"}}',
        b"{0: " * 2000,
        b"[" * 90_000,
        b"0" * (8 << 20),
        b"{'a': 9" + b"9" * 9000 + b"}",
        b'{"a": NaN, "b": 1e999}',
        b"\xff\xfe",
        b"1+1j",
        b"{'a': '\\ud800'}",
        b"((((" * 60 + b"))))" * 60,
        b"-" * 5000 + b"1",
    )
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w", method) as archive:
        warnings.simplefilter("ignore")  # two files of one name are meant
        for _ in range(random.choice((1, 1, 1, 3, 400))):
            archive.writestr(
                zipfile.ZipInfo(f"{name}" if random.random() < 0.8 else "other"),
                random.choice(bodies),
            )
    archive_bytes = bytearray(content.getvalue())
    for _ in range(random.choice((0, 0, 1, 4))):
        at = max(0, len(archive_bytes) - random.randrange(1, 150))
        archive_bytes[at] = random.choice((0, 1, 0x7F, 0xFF))
    return data + bytes(archive_bytes)


def _on_bytes(change: Callable[[bytes, Random], bytes]) -> Mutator:
    def mutator(base: Base, random: Random) -> dict[str, Content]:
        return {**base.files, base.main: change(base.files[base.main], random)}

    return mutator


MUTATORS: dict[str, Mutator] = {
    f"flatbuffer.{change.__name__}": _on_bytes(change)
    for change in (offsets, vtables, lengths, numbers, texts, bombs, grows)
}
