"""Files in the zip archive that exporters append to a model, read within bounds.

The standard library's zipfile takes whatever an archive states: a directory of gigabytes, entries
that unpack to terabytes, compressors that need as much memory as they are told to.  A model's
archive holds a few small texts, so anything else is refused here.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from hwrt.model.file import Malformed
from hwrt.model.flatbuffer import Source

__all__ = ["LARGEST_FILE", "ZipTrailer"]

LARGEST_FILE = 1 << 20
"""The largest file that is read from an archive, in bytes, packed or unpacked."""

_MOST_FILES = 256
_LARGEST_DIRECTORY = 1 << 16
_LONGEST_COMMENT = (1 << 16) - 1
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _UTF8 = 1 << 0, 1 << 11
_RAW_DEFLATE = -zlib.MAX_WBITS

_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\5\6"
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_CENTRAL_MARK = b"PK\1\2"
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_MARK = b"PK\3\4"


class _Entry(NamedTuple):
    """A file in the archive; ``at`` is where its header lies in the model's file."""

    flags: int
    method: int
    checksum: int
    packed_bytes: int
    size_bytes: int
    at: int


class ZipTrailer:
    """The archive at the end of a file; one without files where there is none.

    Raises Malformed where there is one that is damaged or larger than a model needs.  Archives in
    the zip64 form count as damaged.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._entries: dict[str, _Entry] = {}
        self._end = source.size
        end = _find_end(source)
        if end is None:
            return
        _, _, _, _, count, size, offset, _ = _END.unpack(source.take(end, _END.size))
        if count > _MOST_FILES or not size <= min(_LARGEST_DIRECTORY, end):
            raise Malformed(f"its zip archive states {count} files and a directory of {size} bytes")
        self._end = end - size
        self._read_directory(source.take(self._end, size), count, self._end - offset)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the files."""
        return tuple(self._entries)

    def read(self, name: str) -> bytes:
        """The content of the file ``name``.

        Raises Malformed where it is encrypted, packed in an unusual way, larger than LARGEST_FILE
        or damaged, and KeyError where there is none.
        """
        entry = self._entries[name]
        owner = f"the file {name!r:.80} in its zip archive"
        if entry.flags & _ENCRYPTED or entry.method not in (_STORED, _DEFLATED):
            raise Malformed(f"{owner} is encrypted or packed by the method {entry.method}")
        if max(entry.packed_bytes, entry.size_bytes) > LARGEST_FILE:
            raise Malformed(f"{owner} has {entry.size_bytes} bytes, more than {LARGEST_FILE}")
        data = self._packed(entry, owner)
        if entry.method == _DEFLATED:
            try:
                data = zlib.decompressobj(_RAW_DEFLATE).decompress(data, entry.size_bytes + 1)
            except zlib.error as exc:
                raise Malformed(f"{owner} can not be unpacked: {exc}") from exc
        if len(data) != entry.size_bytes or zlib.crc32(data) != entry.checksum:
            raise Malformed(f"{owner} is not what the archive states: it is damaged")
        return data

    def _read_directory(self, directory: bytes, count: int, moved: int) -> None:
        """Note the entries; their offsets are off by what ``moved`` the archive in its file."""
        at = 0
        for _ in range(count):
            if at + _CENTRAL.size > len(directory):
                raise Malformed("the directory of its zip archive is damaged")
            field = _CENTRAL.unpack_from(directory, at)
            name_at = at + _CENTRAL.size
            name = directory[name_at : name_at + field[10]]
            at = name_at + field[10] + field[11] + field[12]
            if field[0] != _CENTRAL_MARK or at > len(directory):
                raise Malformed("the directory of its zip archive is damaged")
            encoding = "utf-8" if field[3] & _UTF8 else "cp437"
            entry = _Entry(field[3], field[4], field[7], field[8], field[9], moved + field[16])
            self._entries.setdefault(name.decode(encoding, "replace"), entry)

    def _packed(self, entry: _Entry, owner: str) -> bytes:
        """The bytes of an entry as they are stored."""
        at = entry.at + _LOCAL.size
        if _LOCAL.size <= at <= self._end:
            header = _LOCAL.unpack(self._source.take(entry.at, _LOCAL.size))
            at += header[9] + header[10]
            if header[0] == _LOCAL_MARK and at + entry.packed_bytes <= self._end:
                return self._source.take(at, entry.packed_bytes)
        raise Malformed(f"{owner} does not lie where the archive states")


def _find_end(source: Source) -> int | None:
    """Where the record that ends an archive lies: its comment fills the rest of the file."""
    start = max(0, source.size - _END.size - _LONGEST_COMMENT)
    tail = source.take(start, source.size - start)
    at = tail.rfind(_END_MARK)
    while at >= 0:
        rest = len(tail) - at - _END.size
        if rest >= 0 and _END.unpack_from(tail, at)[7] == rest:
            return start + at
        at = tail.rfind(_END_MARK, 0, at)
    return None
