"""An XML file of a model as a tree, within bounds.

XML can be asked to do what no model needs: entities that grow without bound or name other files,
encodings by the name of any Python codec, elements nested by the million.  That is refused here.
"""

from __future__ import annotations

import codecs
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from hwrt.model.file import Malformed

__all__ = ["parse_xml"]

_HEAD_BYTES = 4096
_VERSION = re.compile(r"version\s*=\s*[\"']1\.")
_ENCODING = re.compile(r"encoding\s*=\s*[\"']([^\"']*)")
_NAMES = {"UTF-8": {"utf-8", "utf8", "us-ascii", "ascii"}, "UTF-16": {"utf-16"}}
_STARTS = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}
_MOST_DEPTH = 256
"""The body of a loop lies three elements deeper than the loop."""
_FREE_PARTS = 100_000
_BYTES_PER_PART = 10
"""How many elements and attributes a file of any size may have, and one more for how many bytes of
it.  ``openvino.save_model`` writes one for 16 bytes."""
_MOST_PARTS = 2_000_000
"""As a tree, so many take some 300 MB."""
_MOST_BYTES = 64 << 20
_FED_BYTES = 4 << 20
"""How much the parser is given at once.  expat before 2.6 looks at a comment or an attribute anew
with each piece of it: in pieces of 64 KB, as ElementTree reads, 32 MB are looked at 512 times."""
_LONGEST_TEXT = 4096
"""How many characters between two tags are kept: an IR has sizes and blanks there."""


def parse_xml(path: Path) -> ET.Element:
    """The root of the file's tree.

    Raises Malformed where the XML is broken or asks for what is refused.
    """
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise Malformed(f"its XML has {size} bytes; at most {_MOST_BYTES} are read")
    most = min(_MOST_PARTS, _FREE_PARTS + size // _BYTES_PER_PART)
    with path.open("rb") as file:
        encoding = _encoding(file.read(_HEAD_BYTES))
        file.seek(0)
        # The encoding is given: Python would look up its codecs for one that the file names.
        parser = ET.XMLParser(target=_Bounded(most), encoding=encoding)  # noqa: S314 - see _Bounded
        try:
            while piece := file.read(_FED_BYTES):
                parser.feed(piece)
            root: ET.Element = parser.close()
        except (ET.ParseError, ValueError) as exc:
            raise Malformed(f"its XML is broken: {exc}") from exc
    return root


class _Bounded(ET.TreeBuilder):
    """Refuses a document type, whose entities are the danger, and more parts than are needed."""

    def __init__(self, most_parts: int) -> None:
        super().__init__()
        self._depth = 0
        self._parts_left = most_parts
        self._text_left = _LONGEST_TEXT

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise Malformed(f"it declares the document type {name!r}, which no IR needs")

    def start(self, tag: str, attrs: dict[str, str], /) -> ET.Element:
        self._depth += 1
        self._parts_left -= 1 + len(attrs)
        if self._depth > _MOST_DEPTH:
            raise Malformed(f"its elements are nested more than {_MOST_DEPTH} deep")
        if self._parts_left < 0:
            raise Malformed("it has unreasonably many elements and attributes for its size")
        self._text_left = _LONGEST_TEXT
        return super().start(tag, attrs)

    def data(self, text: str, /) -> None:
        self._text_left -= len(text)
        if self._text_left < 0:
            raise Malformed(f"it has a text of more than {_LONGEST_TEXT} characters")
        super().data(text)

    def end(self, tag: str, /) -> ET.Element:
        self._depth -= 1
        self._text_left = _LONGEST_TEXT
        return super().end(tag)


def _encoding(head: bytes) -> str:
    """What to tell the parser: UTF-16 where the file begins with a byte order mark, else UTF-8.

    UTF-16 without a mark is known by its first character, <, as OpenVINO knows it.  Raises
    Malformed where the file says another encoding, or is in no version of XML that there is.

    XML calls a declaration that names another encoding than the file's a fatal error (1.0, 4.3.3).
    Parsers differ there and where UTF-16 without a mark begins with something else: expat, told an
    encoding, reads both; libxml2 refuses both; pugixml, OpenVINO's, takes the one as it is and
    refuses the other.  A file that means something else to each is no sound model.
    """
    codec = next((name for start, name in _STARTS.items() if head.startswith(start)), "utf-8-sig")
    if codec == "utf-8-sig" and b"\0" in head[:2]:
        raise Malformed("it is in UTF-16 and begins with neither a byte order mark nor <")
    text = head.decode(codec, "replace")
    actual = "UTF-8" if codec == "utf-8-sig" else "UTF-16"
    if text.startswith("<?xml"):
        declaration, end, _ = text.partition("?>")
        said = _ENCODING.search(declaration)
        if not end or not _VERSION.search(declaration):
            raise Malformed("its XML declaration is broken or of a version other than 1")
        if said and said[1].lower() not in _NAMES[actual]:
            raise Malformed(f"it is in the encoding {said[1][:40]!r}, not in {actual}")
    return "utf-16" if codec == "utf-16" else "utf-8"
