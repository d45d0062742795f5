from __future__ import annotations

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
