"""Damage to OpenVINO's IR: XML that is broken, huge or absurd, and a .bin that is elsewhere."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import NamedTuple

from tests.hostile.bases import Base
from tests.hostile.cases import CANARY, Content, Fifo, Folder, Hole, Link, Mutator

__all__ = ["MUTATORS"]

_TAG = re.compile(rb"<(/?)([A-Za-z_][\w.-]*)((?:\s+[\w:.-]+\s*=\s*\"[^\"]*\")*)\s*(/?)>")
_ATTRIBUTE = re.compile(rb"([\w:.-]+)\s*=\s*\"([^\"]*)\"")
_VALUES = (
    b"", b"0", b"-1", b"1", b"?", b"...", b"1,?,2..8", b"..", b"1..", b"-2", b"1.5", b"1e9",
    b"0x10", b"99999999999",
    b"9223372036854775807", b"9223372036854775808", b"99999999999999999999999", b"9" * 5000,
    b"1," * 3000 + b"1",
    b"\xd9\xa3", b"\xc2\xb2", b"&#0;", b"&#x41;", b"&amp;", b"&undefined;", b"<", b"a" * 200_000,
    b"\\,\\,", b",", b"\\",
    b"Parameter", b"Result", b"Const", b"If", b"TensorIterator", b"opset99", b"opset\xd9\xa3",
    b"own", b"f32", b"FP32",
    b"i4", b"nf4", b"dynamic", b"undefined", b"string", b"10", b"11", b"9", b"x", b"y", b"x,y,x",
    b" 3 ", b"+3", b"1_0",
    b"\xff\xfe", b"\xed\xa0\x80", b"../" + CANARY.encode(),
)  # fmt: skip


class Element(NamedTuple):
    """Where an element, its start tag and its attributes lie in the text."""

    name: bytes
    start: int
    tag_end: int
    end: int


@lru_cache(maxsize=8)
def elements(data: bytes) -> tuple[Element, ...]:
    """Every element of a sound IR."""
    found, open_tags = [], []
    for match in _TAG.finditer(data):
        if match[1]:
            start, tag_end, name = open_tags.pop()
            found.append(Element(name, start, tag_end, match.end()))
        elif match[4]:
            found.append(Element(match[2], match.start(), match.end(), match.end()))
        else:
            open_tags.append((match.start(), match.end(), match[2]))
    return tuple(found)


def _pick(data: bytes, random: Random) -> Element:
    """An element of a kind drawn first: there are a thousand times more dims than nets."""
    found = elements(data)
    name = random.choice(sorted({element.name for element in found}))
    return random.choice([element for element in found if element.name == name])


def attributes(data: bytes, random: Random) -> bytes:
    """Replaces, removes or repeats one attribute."""
    element = _pick(data, random)
    found = list(_ATTRIBUTE.finditer(data, element.start, element.tag_end))
    if not found:
        return data[: element.tag_end] + random.choice(_VALUES) + data[element.tag_end :]
    match = random.choice(found)
    start, end, new = match.start(), match.end(), b""
    draw = random.random()
    if draw < 0.7:
        start, end, new = match.start(2), match.end(2), random.choice(_VALUES)
    elif draw < 0.8:
        new = match[0] + b" " + match[0]
    elif draw < 0.9:
        new = b'%s="%s"' % (random.choice((b"id", b"type", b"names", b"shape", b"size")), match[2])
    return data[:start] + new + data[end:]


def removes(data: bytes, random: Random) -> bytes:
    element = _pick(data, random)
    return data[: element.start] + data[element.end :]


def repeats(data: bytes, random: Random) -> bytes:
    element = _pick(data, random)
    content = data[element.start : element.end]
    count = min(random.choice((1, 1, 2, 1000, 50_000)), max(1, 1_000_000 // len(content)))
    return data[: element.end] + content * count + data[element.end :]


def moves(data: bytes, random: Random) -> bytes:
    """Puts an element inside another."""
    element, target = _pick(data, random), _pick(data, random)
    content = data[element.start : element.end]
    return data[: target.tag_end] + content + data[target.tag_end :]


def renames(data: bytes, random: Random) -> bytes:
    element = _pick(data, random)
    name = random.choice(
        (b"net", b"layers", b"layer", b"port", b"dim", b"x:y", b"rt_info", b"body")
    )
    return data[: element.start + 1] + name + data[element.start + 1 + len(element.name) :]


def swaps(data: bytes, random: Random) -> bytes:
    """Gives one element the place of another."""
    element, other = _pick(data, random), _pick(data, random)
    return data[: element.start] + data[other.start : other.end] + data[element.end :]


def texts(data: bytes, random: Random) -> bytes:
    """Text, comments, instructions and CDATA where they are not expected."""
    element = _pick(data, random)
    text = random.choice(
        (
            *_VALUES, b"<!-- c -->", b"<!-- -- -->", b"<!--" + b"x" * 300_000 + b"-->",
            b"<![CDATA[1]]>", b"<?x y?>", b"]]>",
            b"\0", b"\x01", b"\xff", b"<a xmlns:p='u'><p:b/></a>", b"<?xml version='1.0'?>",
            b"<!DOCTYPE a>", b"&lt;",
        )
    )  # fmt: skip
    return data[: element.tag_end] + text + data[element.tag_end :]


def nests(data: bytes, random: Random) -> bytes:
    depth = random.choice((50, 900, 1100, 20_000, 250_000))
    name = random.choice((b"a", b"layer", b"body", b"rt_info"))
    inner = (
        data[element.start : element.end]
        if (element := _pick(data, random)).end - element.start < 999
        else b""
    )
    closing = b"" if random.random() < 0.1 else b"</%s>" % name * depth
    target = _pick(data, random)
    return (
        data[: target.tag_end] + b"<%s>" % name * depth + inner + closing + data[target.tag_end :]
    )


def many(data: bytes, random: Random) -> bytes:
    """A great many attributes or elements in little text."""
    element = _pick(data, random)
    count = random.choice((1000, 30_000, 250_000))
    if random.random() < 0.4:
        at = element.tag_end - (2 if data[element.tag_end - 2 : element.tag_end] == b"/>" else 1)
        added = b"".join(b' a%d=""' % index for index in range(min(count, 60_000)))
        return data[:at] + added + data[at:]
    tiny = random.choice(
        (b"<a/>", b"<layer/>", b"<layer type='R'/>", b"<port/>", b"<dim>1</dim>", b"<edge/>")
    )
    return data[: element.tag_end] + tiny * count + data[element.tag_end :]


def doctypes(data: bytes, random: Random) -> bytes:
    """Entities that grow without bound, or name other files."""
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (i + 1, b"&l%d;" % i * 10) for i in range(12))
    declared, used = random.choice(
        (
            (b'<!ENTITY l0 "lol">' + laughs, b"&l12;"),
            (b'<!ENTITY big "' + b"x" * 100_000 + b'">', b"&big;" * 10_000),
            (b'<!ENTITY e SYSTEM "file:///etc/passwd">', b"&e;"),
            (b'<!ENTITY e SYSTEM "../' + CANARY.encode() + b'">', b"&e;"),
            (b'<!ENTITY %% p SYSTEM "../%s"> %%p;' % CANARY.encode(), b""),
            (b'<!ENTITY a "&b;"><!ENTITY b "&a;">', b"&a;"),
            (b"<!ELEMENT net ANY><!ATTLIST net version CDATA '99'>", b""),
            (b"", b"&amp;"),
        )
    )
    kind = random.choice(
        (b"net", b"net SYSTEM '../" + CANARY.encode() + b"'", b"net PUBLIC 'a' 'http://x.invalid/'")
    )
    element = _pick(data, random)
    start = data.find(b"<net")
    text = data[: element.tag_end] + used + data[element.tag_end :]
    return text[:start] + b"<!DOCTYPE %s [%s]>" % (kind, declared) + text[start:]


def encodings(data: bytes, random: Random) -> bytes:
    """Another encoding, said or unsaid, true or false."""
    name = random.choice(
        (
            "utf-16",
            "utf-16-le",
            "utf-16-be",
            "utf-32",
            "utf-7",
            "latin-1",
            "cp037",
            "utf-8-sig",
            "ascii",
            "shift_jis",
        )
    )
    said = random.choice(
        (
            name,
            name,
            "utf-8",
            "UTF-16",
            "nonsense",
            "idna",
            "hex",
            "rot13",
            "a" * 9000,
            "\0",
            "unicode_escape",
        )
    )
    body = re.sub(rb"^<\?xml.*?\?>", b"", data).decode("utf-8", "replace")
    head = f'<?xml version="1.0" encoding="{said}"?>' if random.random() < 0.8 else ""
    return (head + body).encode(name if random.random() < 0.8 else "utf-8", "replace")


def heads(data: bytes, random: Random) -> bytes:
    """What stands before the root."""
    head = random.choice(
        (
            b"", b"\xef\xbb\xbf", b" ", b"\n" * 5000, b"<!-- x -->" * 900,
            b"<?xml version='1.1'?>", b"<?xml version='9'?>",
            b"<?xml version='1.0' standalone='yes'?>", b"<?x?>" * 3000, b"<!" * 4000,
            b"<!--" * 4000, b"\0\0", b"<html>",
            b"<?xml version='1.0'?><?xml version='1.0'?>", b"TFL3TFL3",
        )
    )  # fmt: skip
    return head + data.removeprefix(b'<?xml version="1.0"?>')


def ends(data: bytes, random: Random) -> bytes:
    return data + random.choice((b"<net/>", b"\0", b"x", b"<!--", data, b"&a;", b"\n" * 100_000))


def weights(base: Base, random: Random) -> dict[str, Content]:
    """A .bin that is lost, short, a link, a pipe, a device or a folder."""
    name = base.main.removesuffix(".xml") + ".bin"
    files: dict[str, Content] = dict(base.files)
    own = files.pop(name)
    choice: dict[str, Content] = random.choice(
        (
            {},
            {name: b""},
            {name: Hole(random.choice((1, 100, 1 << 24)))},
            {name: Link(f"../{CANARY}")},
            {name: Link("inside.weights"), "inside.weights": own},
            {name: Link("/dev/zero")},
            {name: Link("/etc/passwd")},
            {name: Link(name)},
            {name: Link("nowhere")},
            {name: Fifo()},
            {name: Folder()},
            {name: b"version https://git-lfs.github.com/spec/v1\n"},
        )
    )
    return {**files, **choice}


def _on_main(change: Callable[[bytes, Random], bytes]) -> Mutator:
    def mutator(base: Base, random: Random) -> dict[str, Content]:
        data = change(base.files[base.main], random)
        if random.random() < 0.2:
            second = random.choice((attributes, removes, swaps))
            # What is damaged already may have no such place.
            with contextlib.suppress(IndexError, ValueError):
                data = second(data, random)
        return {**base.files, base.main: data}

    return mutator


MUTATORS: dict[str, Mutator] = {
    f"ir.{change.__name__}": _on_main(change)
    for change in (
        attributes, removes, repeats, moves, renames, swaps, texts, nests, many, doctypes,
        encodings, heads, ends,
    )
}  # fmt: skip
MUTATORS["ir.weights"] = weights
