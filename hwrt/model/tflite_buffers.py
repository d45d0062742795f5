"""Where a TFLite model keeps its tensors' data: inline, behind the FlatBuffer, in files beside it.

Source: https://ai.google.dev/edge/litert and the comments at Buffer and ExternalBuffer in
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/schema/schema.fbs
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hwrt.model import tflite_schema as schema
from hwrt.model.file import MOST_LOCATIONS, Malformed, external_file
from hwrt.model.flatbuffer import UINT32, UINT64, Source, Table

__all__ = ["Buffers", "Stored"]

_LEAST_OFFSET = 2  # 0 and 1 say that the data is inline


class Stored(NamedTuple):
    """What a tensor's data is: which buffer, and how many bytes.  None has 0 bytes."""

    buffer: tuple[str, int]
    size_bytes: int


class Buffers:
    """The buffers of one model; each is read once, when it is asked for.

    ``files`` are the external files that were asked for, with their sizes in bytes.
    """

    def __init__(self, path: Path, source: Source, model: Table) -> None:
        self.files: dict[Path, int] = {}
        self._located: dict[str, Path] = {}
        self._path = path
        self._file_bytes = source.size
        self._tables = model.tables(schema.Model.BUFFERS)
        self._spans: dict[int, tuple[int, int]] = {}
        self._groups = model.tables(schema.Model.EXTERNAL_GROUPS)
        self._external = model.tables(schema.Model.EXTERNAL_BUFFERS)
        self._external_sizes: dict[int, int] | None = None

    def of(self, tensor: Table, owner: str) -> Stored:
        """The data of a tensor.  Raises Malformed where it does not lie within its file."""
        external = tensor.integer(schema.Tensor.EXTERNAL_BUFFER, UINT32)
        if external:
            return Stored(("external", external), self._external_size(external, owner))
        index = tensor.integer(schema.Tensor.BUFFER, UINT32)
        return Stored(("buffer", index), self.span(index, owner)[1] if index else 0)

    def span(self, index: int, owner: str) -> tuple[int, int]:
        """Where the data of a buffer begins in the model's file, and its length in bytes."""
        if index not in self._spans:
            if index >= len(self._tables):
                raise Malformed(f"{owner} is in buffer {index} of {len(self._tables)}")
            self._spans[index] = self._read(self._tables[index], index)
        return self._spans[index]

    def _read(self, buffer: Table, index: int) -> tuple[int, int]:
        at = buffer.integer(schema.Buffer.OFFSET, UINT64)
        if at < _LEAST_OFFSET:
            return buffer.span(schema.Buffer.DATA) or (0, 0)
        size = buffer.integer(schema.Buffer.SIZE, UINT64)
        if at + size > self._file_bytes:
            raise Malformed(
                f"buffer {index} ends at byte {at + size} of the file, which has"
                f" {self._file_bytes}: it is truncated or damaged"
            )
        return at, size

    def _external_size(self, number: int, owner: str) -> int:
        if self._external_sizes is None:
            self._external_sizes = {}
            for table in self._external:
                known = table.integer(schema.ExternalBuffer.ID, UINT32)
                self._external_sizes[known] = self._external_length(table, f"buffer {known}")
        if number not in self._external_sizes:
            raise Malformed(f"{owner} is in the external buffer {number}, which there is not")
        return self._external_sizes[number]

    def _external_length(self, buffer: Table, owner: str) -> int:
        group = buffer.integer(schema.ExternalBuffer.GROUP, UINT32)
        if group >= len(self._groups):
            raise Malformed(f"external {owner} is in group {group} of {len(self._groups)}")
        name = self._groups[group].text(schema.ExternalGroup.NAME) or ""
        if name not in self._located:
            if len(self._located) == MOST_LOCATIONS:
                raise Malformed(f"its buffers lie in more than {MOST_LOCATIONS} external places")
            file = self._located[name] = external_file(self._path, name, owner=f"external {owner}")
            self.files[file] = file.stat().st_size
        file = self._located[name]
        size = self.files[file]
        length = buffer.integer(schema.ExternalBuffer.LENGTH, UINT64)
        end = buffer.integer(schema.ExternalBuffer.OFFSET, UINT64) + length
        if end > size:
            raise Malformed(
                f"external {owner} ends at byte {end} of {file}, which has {size}",
                hint="the data file is truncated or another model's: copy both anew",
            )
        return length
