from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from hwrt.model.file import Malformed
from hwrt.model.flatbuffer import Source
from hwrt.model.zip_trailer import LARGEST_FILE, ZipTrailer

MODEL = b"the model before the archive"


def archive(
    *files: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED, before: bytes = MODEL
) -> bytes:
    """An archive of these files, appended to the bytes before it as exporters do."""
    data = io.BytesIO(before)
    with zipfile.ZipFile(data, "a", compression) as opened:
        for name, content in files:
            opened.writestr(name, content)
    return data.getvalue()


def trailer(data: bytes) -> ZipTrailer:
    return ZipTrailer(Source(io.BytesIO(data)))


def changed(data: bytes, mark: bytes, offset: int, form: str, value: int) -> bytes:
    changing = bytearray(data)
    struct.pack_into(f"<{form}", changing, data.rindex(mark) + offset, value)
    return bytes(changing)


CENTRAL, END, LOCAL = b"PK\1\2", b"PK\5\6", b"PK\3\4"
ONE = archive(("labels.txt", b"cat\ndog\n" * 100))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_are_read_as_they_were_written(compression: int) -> None:
    files = [("a.txt", b"first" * 1000), ("b/\u00e9.json", b"{}"), ("empty", b"")]

    found = trailer(archive(*files, compression=compression))

    assert tuple(name for name, _ in files) == found.names
    assert [content for _, content in files] == [found.read(name) for name in found.names]


def test_an_archive_that_was_written_alone_and_then_appended_is_read() -> None:
    found = trailer(MODEL + archive(("a.txt", b"content"), before=b""))

    assert b"content" == found.read("a.txt")


def test_a_comment_may_follow() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as opened:
        opened.writestr("a.txt", b"content")
        opened.comment = b"PK\5\6 is not the end" + bytes(40)

    assert b"content" == trailer(data.getvalue()).read("a.txt")


@pytest.mark.parametrize("data", [b"", b"PK\5\6", MODEL * 9000, ONE + b"more", ONE[:-1]])
def test_a_file_without_an_archive_at_its_end_has_no_files(data: bytes) -> None:
    assert () == trailer(data).names


def test_the_first_of_two_files_of_one_name_counts() -> None:
    data = archive(("a.txt", b"first"), ("b.txt", b"other")).replace(b"b.txt", b"a.txt")

    assert b"first" == trailer(data).read("a.txt")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (changed(ONE, END, 10, "H", 257), "states 257 files"),
        (changed(ONE, END, 10, "H", 65535), "states 65535 files"),
        (changed(ONE, END, 12, "I", 0xFFFFFFFF), "a directory of 4294967295 bytes"),
        (changed(ONE, END, 12, "I", 1 << 16), "a directory of 65536 bytes"),
        (changed(ONE, END, 10, "H", 2), "the directory of its zip archive is damaged"),
        (changed(ONE, CENTRAL, 0, "I", 0), "the directory of its zip archive is damaged"),
        (changed(ONE, CENTRAL, 28, "H", 65535), "the directory of its zip archive is damaged"),
    ],
)
def test_a_directory_larger_than_a_model_needs_or_damaged_is_refused(
    data: bytes, reason: str
) -> None:
    with pytest.raises(Malformed, match=reason):
        trailer(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (changed(ONE, CENTRAL, 8, "H", 1), "is encrypted"),
        (changed(ONE, CENTRAL, 10, "H", 14), "packed by the method 14"),
        (changed(ONE, CENTRAL, 16, "I", 5), "not what the archive states"),
        (changed(ONE, CENTRAL, 20, "I", 1 << 31), f"more than {LARGEST_FILE}"),
        (changed(ONE, CENTRAL, 20, "I", 2000), "does not lie where the archive states"),
        (changed(ONE, CENTRAL, 24, "I", 1 << 31), f"more than {LARGEST_FILE}"),
        (changed(ONE, CENTRAL, 24, "I", 799), "not what the archive states"),
        (changed(ONE, CENTRAL, 24, "I", 801), "not what the archive states"),
        (changed(ONE, CENTRAL, 42, "I", 1 << 31), "does not lie where the archive states"),
        (changed(ONE, CENTRAL, 42, "I", 3), "does not lie where the archive states"),
        (changed(ONE, END, 16, "I", 1 << 31), "does not lie where the archive states"),
        (changed(ONE, LOCAL, 26, "H", 65535), "does not lie where the archive states"),
        (changed(ONE, LOCAL, 40, "I", 0xFFFFFFFF), "can not be unpacked"),
    ],
)
def test_a_file_that_is_not_as_stated_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        trailer(data).read("labels.txt")


def test_a_bomb_is_refused_without_unpacking_it() -> None:
    bomb = archive(("labels.txt", bytes(64 << 20)))

    with pytest.raises(Malformed, match=f"has {64 << 20} bytes, more than"):
        trailer(bomb).read("labels.txt")


def test_a_bomb_that_states_a_small_size_is_refused_at_that_size() -> None:
    bomb = archive(("labels.txt", bytes(64 << 20)))
    small = changed(bomb, CENTRAL, 24, "I", 100)
    small = changed(small, CENTRAL, 16, "I", zlib.crc32(bytes(101)))

    with pytest.raises(Malformed, match="not what the archive states"):
        trailer(small).read("labels.txt")
