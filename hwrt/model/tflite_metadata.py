"""What a TFLite file says beside its network."""

from __future__ import annotations

from hwrt.model import tflite_schema as schema
from hwrt.model.flatbuffer import UINT32, Source, Table
from hwrt.model.tflite_buffers import Buffers

__all__ = ["read_metadata"]

_LONGEST_VALUE = 1 << 16


def read_metadata(model: Table, buffers: Buffers, source: Source) -> dict[str, str]:
    """The entries that are text, by name; the first where several have one name."""
    metadata: dict[str, str] = {}
    for entry in model.tables(schema.Model.METADATA):
        name = entry.text(schema.Metadata.NAME) or ""
        index = entry.integer(schema.Metadata.BUFFER, UINT32)
        at, size = buffers.span(index, f"metadata {name!r}")
        if name in metadata or size > _LONGEST_VALUE:
            continue
        text = _text(source.take(at, size))
        if text:
            metadata[name] = text
    return metadata


def _text(data: bytes) -> str:
    """The text in a buffer that zeros fill up; empty where it is none."""
    try:
        text = data.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return ""
    return text if all(char.isprintable() or char.isspace() for char in text) else ""
