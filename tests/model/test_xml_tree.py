from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from hwrt.model.file import Malformed
from hwrt.model.xml_tree import parse_xml


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "model.xml"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        "<net name='ä'/>".encode(),
        "\ufeff<?xml version='1.0' encoding='UTF-8'?><net name='ä'/>".encode(),
        "<?xml version='1.0' encoding='UTF-16'?><net name='ä'/>".encode("utf-16"),
        "<net name='ä'/>".encode("utf-16-le"),
        b"<?xml version='1.0'?>" + b" " * 9000 + "<net name='ä'/>".encode(),
    ],
)
def test_utf_8_and_utf_16_are_read(data: bytes, tmp_path: Path) -> None:
    assert {"name": "ä"} == parse_xml(saved(tmp_path, data)).attrib


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<?xml version='1.0' encoding='latin-1'?><net/>", "encoding 'latin-1'"),
        (b"<?xml version='1.0' encoding='rot13'?><net/>", "encoding 'rot13'"),
        (b"<?xml version='1.0' encoding='UTF-16'?><net/>", "encoding 'UTF-16', not in UTF-8"),
        ("<?xml version='1.0' encoding='UTF-8'?><net/>".encode("utf-16"), "not in UTF-16"),
        ("<?xml version='1.0' encoding='idna'?><net/>".encode("utf-16-be"), "not in UTF-16"),
        ("\n<net/>".encode("utf-16-le"), "neither a byte order mark"),
        ("\n<net/>".encode("utf-16-be"), "neither a byte order mark"),
        (b"<?xml version='0.0'?><net/>", "version other than 1"),
        (
            b"<?xml version='1.0'" + b" " * 9000 + b"encoding='rot13'?><net/>",
            "declaration is broken",
        ),
        (b"<net>\xff</net>", "XML is broken"),
        (b"<net>\0</net>", "XML is broken"),
        (b"<!DOCTYPE net><net/>", "document type 'net'"),
    ],
)
def test_what_no_ir_needs_is_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    path = saved(tmp_path, data)

    with pytest.raises(Malformed, match=reason):
        parse_xml(path)


def test_an_encoding_named_by_the_file_imports_no_codec(tmp_path: Path) -> None:
    path = saved(tmp_path, b"<?xml version='1.0' encoding='mac_farsi'?><net/>")

    with pytest.raises(Malformed):
        parse_xml(path)

    assert "encodings.mac_farsi" not in sys.modules


def test_a_file_that_no_tree_could_hold_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = saved(tmp_path, b"<net/>")
    with path.open("r+b") as file:
        file.truncate(1 << 40)

    with pytest.raises(Malformed, match="has 1099511627776 bytes"):
        parse_xml(path)


@pytest.mark.parametrize("text", [b"\n" * 5000, b"<![CDATA[" + b"\n" * 5000 + b"]]>"])
def test_a_text_longer_than_any_size_or_blanks_is_refused(text: bytes, tmp_path: Path) -> None:
    path = saved(tmp_path, b"<net><a/>" + text + b"</net>")

    with pytest.raises(Malformed, match="a text of more than 4096 characters"):
        parse_xml(path)


def test_blanks_between_many_tags_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path, b"<net>" + (b"\n" * 100 + b"<a>1</a>") * 100 + b"</net>")

    assert 100 == len(parse_xml(path))


def test_a_long_comment_is_given_to_expat_in_few_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, b"<net><!--" + b"x" * (9 << 20) + b"--></net>")
    data, sizes = path.read_bytes(), []

    class Told(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            sizes.append(size)
            return super().read(size)

    monkeypatch.setattr(Path, "open", lambda *_: Told(data))
    parse_xml(path)

    assert len(sizes) < 8
