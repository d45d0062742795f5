"""Which format a model file has: told by its content, by its suffix only where that says nothing.

Sources of the signatures: FlatBuffers' file identifier (TFL3) for TFLite; ``MODEL_FILE_MAGIC_NUM``
in CANN's graph engine for om; for tensorrt-engine, whose format NVIDIA does not document, the first
four bytes by which Netron knows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from hwrt.errors import ModelError
from hwrt.model.file import refuse_pointer
from hwrt.model.protobuf import is_onnx

__all__ = ["FORMATS", "detect"]

_HEAD_BYTES = 4096
_NAME = re.compile(rb"<([\w:.-]+)")
_BEFORE_ROOT = ((b"<?", b"?>"), (b"<!--", b"-->"), (b"<!", b">"))
"""How what may stand before the root of an XML file begins and ends."""

_SIGNATURES: dict[str, Callable[[bytes], bool]] = {
    "tflite": lambda head: head[4:8] == b"TFL3",
    "openvino-ir": lambda head: _root(head) == b"net",
    "tensorrt-engine": lambda head: head[:4] in (b"ptrt", b"ftrt"),
    "om": lambda head: head[:4] == b"IMOD",
}

FORMATS = ("onnx", *_SIGNATURES)
"""Every model format that is recognised."""

_SUFFIXES = {
    ".onnx": "onnx",
    ".xml": "openvino-ir",
    ".engine": "tensorrt-engine",
    ".plan": "tensorrt-engine",
    ".trt": "tensorrt-engine",
}
"""What a suffix says where the content does not: ONNX has no signature, TensorRT's may change, and
an XML file may be in UTF-16 or have its root far from its beginning."""

_FOREIGN: tuple[tuple[Callable[[bytes], bool], str, str], ...] = (
    (
        lambda head: _root(head).lower() in (b"html", b"head", b"body"),
        "a web page",
        "the download gave an error or login page: fetch the file itself",
    ),
    (
        lambda head: head.startswith(b"PK\x03\x04"),
        "a zip archive",
        "unpack it; PyTorch's and Keras's own files must be exported to ONNX",
    ),
    (lambda head: head.startswith(b"\x1f\x8b"), "a gzip archive", "unpack it with gunzip"),
    (lambda head: head.startswith(b"\x89HDF"), "an HDF5 file", "export the model to ONNX"),
)
"""(recognises, what the file is, remedy) of files that are taken for models by mistake."""


def detect(path: Path) -> str:
    """The model format of a regular file.

    Raises ModelError, saying what the file is where that is known, when it is no model.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as exc:
        raise ModelError(f"{path} can not be read: {exc}") from exc
    if not head:
        raise ModelError(f"{path} is empty", hint="download or export the model anew")
    refuse_pointer(path, head)
    for recognises, what, remedy in _FOREIGN:
        if recognises(head):
            raise ModelError(f"{path} is {what}, not a model", hint=remedy)
    for name, recognises in _SIGNATURES.items():
        if recognises(head):
            return name
    if is_onnx(path):
        return "onnx"
    if path.suffix.lower() in _SUFFIXES:
        return _SUFFIXES[path.suffix.lower()]
    raise ModelError(
        f"{path} is of no model format that hwrt knows; it begins with {head[:8]!r}",
        hint=f"give one of {', '.join(FORMATS)}; download or export the model anew if it is one",
    )


def _root(head: bytes) -> bytes:
    """The name of the root element, empty where the file is no XML or its root is further on."""
    rest = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    while True:
        closing = next((end for start, end in _BEFORE_ROOT if rest.startswith(start)), None)
        if closing is None:
            match = _NAME.match(rest)
            return match[1] if match else b""
        rest = rest.partition(closing)[2].lstrip()
