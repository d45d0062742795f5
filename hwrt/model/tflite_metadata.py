"""What a TFLite file says beside its network, as one flat mapping of texts.

From three places, where the later ones take precedence:

1. ``Model.metadata``: each entry that is text, under its own name; of several with one name the
   first.  ``min_runtime_version`` is of these.  Binary entries and those above 64 KiB are left out.
2. the entry TFLITE_METADATA, a FlatBuffer of its own: ``name``, ``description``, ``version``,
   ``author``, ``license``.  For a subgraph with one input, ``mean`` and ``std`` are what its
   normalisation takes from a level of 0..255, as lists of numbers.  ``label_file`` is the name of
   the first file of labels that an output has; where the archive holds it, ``names`` are its lines.
3. the zip archive at the end of the file: ``metadata.json``, or ``temp_meta.txt`` of older
   versions, in which Ultralytics' exporter stores what it writes into an ONNX file's metadata.  Its
   values become the texts that stand there: ``names`` is ``{0: 'person', ...}``.

None of this is needed to run the network.  So where 2 or 3 is damaged, encrypted or larger than
hwrt.model.zip_trailer allows, a warning says so and that part is left out.
"""

from __future__ import annotations

import ast
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from hwrt.model import tflite_schema as schema
from hwrt.model.file import Malformed
from hwrt.model.flatbuffer import INT8, UINT8, UINT32, Source, Table, root
from hwrt.model.tflite_buffers import Buffers
from hwrt.model.zip_trailer import ZipTrailer

__all__ = ["read_metadata"]

_log = logging.getLogger("hwrt")
_Part = TypeVar("_Part")

_TFLITE_METADATA = "TFLITE_METADATA"
_LONGEST_VALUE = 1 << 16
_LONGEST_LITERAL = 1 << 16
_LONGEST_KEY = 9  # digits of a class's number

_FIELDS = {
    "name": schema.ModelMetadata.NAME,
    "description": schema.ModelMetadata.DESCRIPTION,
    "version": schema.ModelMetadata.VERSION,
    "author": schema.ModelMetadata.AUTHOR,
    "license": schema.ModelMetadata.LICENSE,
}


def read_metadata(model: Table, buffers: Buffers, source: Source, graph: int) -> dict[str, str]:
    """The model's metadata; ``graph`` is the number of the subgraph that is run.

    Raises Malformed where the entries themselves are damaged.
    """
    metadata: dict[str, str] = {}
    described: tuple[int, int] | None = None
    for entry in model.tables(schema.Model.METADATA):
        name = entry.text(schema.Metadata.NAME) or ""
        index = entry.integer(schema.Metadata.BUFFER, UINT32)
        span = buffers.span(index, f"the metadata {name!r:.80}")
        if name == _TFLITE_METADATA:
            described = span
        elif name not in metadata:
            metadata |= _text(name, source, span)
    archive = _or_nothing(lambda: ZipTrailer(source))
    if described is not None:
        at, size = described
        metadata |= _or_nothing(lambda: _described(source, at, size, graph, archive)) or {}
    metadata |= _exported(archive)
    return metadata


def _or_nothing(read: Callable[[], _Part]) -> _Part | None:
    """What ``read`` returns; None, with a warning, where the file is damaged there."""
    try:
        return read()
    except Malformed as exc:
        _log.warning("a part of the model's metadata is left out: %s", exc)
        return None


def _text(name: str, source: Source, span: tuple[int, int]) -> dict[str, str]:
    """An entry whose buffer holds text, which zeros may fill up."""
    at, size = span
    if not 0 < size <= _LONGEST_VALUE:
        return {}
    source.spend(size)
    try:
        text = source.take(at, size).rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return {}
    return {name: text} if text and text.replace("\n", " ").isprintable() else {}


def _described(
    source: Source, at: int, size: int, graph: int, archive: ZipTrailer | None
) -> dict[str, str]:
    """What TFLITE_METADATA says, and the labels to which it leads."""
    described = root(source, schema.METADATA_IDENTIFIER, at, size)
    found = {key: described.text(field) for key, field in _FIELDS.items()}
    metadata = {key: text for key, text in found.items() if text}
    graphs = described.tables(schema.ModelMetadata.SUBGRAPHS)
    if graph < len(graphs):
        tensors = graphs[graph]
        inputs = list(tensors.tables(schema.SubGraphMetadata.INPUTS))
        if len(inputs) == 1:
            metadata |= _normalization(inputs[0])
        outputs = tensors.tables(schema.SubGraphMetadata.OUTPUTS)
        file = next((name for output in outputs for name in _label_files(output)), None)
        if file is not None:
            metadata |= {"label_file": file, **_labels(file, archive)}
    return metadata


def _normalization(tensor: Table) -> dict[str, str]:
    for unit in tensor.tables(schema.TensorMetadata.PROCESS_UNITS):
        kind = unit.integer(schema.ProcessUnit.OPTIONS_TYPE, UINT8)
        options = unit.table(schema.ProcessUnit.OPTIONS)
        if kind == schema.ProcessUnit.NORMALIZATION and options is not None:
            mean = options.floats(schema.Normalization.MEAN)
            std = options.floats(schema.Normalization.STD)
            if mean and std and all(map(math.isfinite, mean + std)):
                return {"mean": _decimals(mean), "std": _decimals(std)}
    return {}


def _decimals(numbers: tuple[float, ...]) -> str:
    """The float32 numbers as a list with no more digits than they have."""
    return str([float(str(np.float32(number))) for number in numbers])


def _label_files(tensor: Table) -> Iterator[str]:
    for file in tensor.tables(schema.TensorMetadata.ASSOCIATED_FILES):
        name = file.text(schema.AssociatedFile.NAME)
        if name and file.integer(schema.AssociatedFile.TYPE, INT8) in schema.AssociatedFile.LABELS:
            yield name


def _labels(name: str, archive: ZipTrailer | None) -> dict[str, str]:
    """``names`` from a file of labels, one a line, that the archive holds."""
    data = _content(name, archive)
    if data is None:
        return {}
    try:
        lines = data.decode("utf-8-sig").rstrip("\r\n").splitlines()
    except UnicodeDecodeError as exc:
        raise Malformed(f"the labels {name!r:.80} in its zip archive are not UTF-8: {exc}") from exc
    return {"names": str(dict(enumerate(lines)))}


def _content(name: str, archive: ZipTrailer | None) -> bytes | None:
    """The file of this name in the archive; None where there is none that can be read."""
    if archive is None or name not in archive.names:
        return None
    return _or_nothing(lambda: archive.read(name))


def _exported(archive: ZipTrailer | None) -> dict[str, str]:
    """What Ultralytics' exporter says, each value in the words of its ONNX files."""
    for name, parse in (("metadata.json", json.loads), ("temp_meta.txt", _literal)):
        data = _content(name, archive)
        if data is None:
            continue
        try:
            document = parse(data.decode())
            if isinstance(document, Mapping):
                return {str(key): _in_words(value) for key, value in document.items()}
            raise ValueError("it holds no mapping")
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as exc:
            _log.warning("the model's %s is left out: %.200r", name, exc)
    return {}


def _literal(text: str) -> Any:
    if len(text) > _LONGEST_LITERAL:
        raise ValueError(f"it has {len(text)} characters")
    return ast.literal_eval(text)


def _in_words(value: Any) -> str:
    """The value as Python writes it; JSON has made texts of a mapping's numbers."""
    if isinstance(value, Mapping) and all(map(_is_number, value)):
        value = {int(key): item for key, item in value.items()}
    return str(value)


def _is_number(key: Any) -> bool:
    if isinstance(key, str):
        return key.isdecimal() and len(key) <= _LONGEST_KEY
    return isinstance(key, int)
