"""Remembers what model files said, so that a warm load neither parses nor hashes them.

Each model has one JSON file in the folder, named for the model's absolute path.  It is believed
only while the model and each of its external files have the size, the inode, and the times of
modification and of status change that they had; the last can not be set back, as rsync and tar do
with the first.  A file system's clock may be as coarse as two seconds (FAT), so an entry is not
believed where a file changed less than that before it was read, or while it was read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from hwrt.errors import UnsupportedModel
from hwrt.files import write_atomically
from hwrt.model.dtypes import dtype_named
from hwrt.spec import ModelInfo, Quantization, Signature, TensorSpec

__all__ = ["from_json", "recall", "remember", "to_json"]

_SCHEMA = "hwrt.model/2"
_COARSEST_CLOCK_NS = 2_000_000_000
_log = logging.getLogger("hwrt")


def recall(path: Path, folder: Path) -> ModelInfo | None:
    """What the model at this absolute path said, or None where that is not known for sure.

    An entry that is damaged or not hwrt's own is logged and ignored.
    """
    entry_path = _entry_path(path, folder)
    try:
        text = entry_path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        _log.warning("ignoring what is remembered of %s: %s", path, exc)
        return None
    try:
        entry = _unseal(text)
        info = from_json(entry["info"])
        if info.path != path:
            raise ValueError(f"it is about {info.path}")
        read_at_ns, files = int(entry["read_at_ns"]), entry["files"]
        states = _states((path, *info.external_files))
    except (
        ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError,
        UnsupportedModel,
    ) as exc:  # fmt: skip
        _log.warning("ignoring the damaged entry %s: %r", entry_path, exc)
        return None
    except OSError:
        return None  # an external file went: reading the model says which
    changed_ns = max(max(state["mtime_ns"], state["ctime_ns"]) for state in states)
    if states != files or changed_ns > read_at_ns - _COARSEST_CLOCK_NS:
        return None
    return info


def remember(info: ModelInfo, folder: Path, *, read_at_ns: int) -> None:
    """Store what a model said.  ``read_at_ns`` is the time (of day) before it was read.

    Where the folder takes no file, that is logged and nothing is remembered.
    """
    try:
        entry = {
            "read_at_ns": read_at_ns,
            "files": _states((info.path, *info.external_files)),
            "info": to_json(info),
        }
        write_atomically(_entry_path(info.path, folder), _seal(entry))
    except OSError as exc:
        _log.warning("can not remember %s in %s: %s", info.path, folder, exc)


def to_json(info: ModelInfo) -> dict[str, Any]:
    """The model info as JSON values; ``from_json`` gives an equal one back."""
    values = {field.name: getattr(info, field.name) for field in fields(info)}
    return values | {
        "path": str(info.path),
        "inputs": [_spec_to_json(spec) for spec in info.inputs],
        "outputs": [_spec_to_json(spec) for spec in info.outputs],
        "opsets": dict(info.opsets),
        "metadata": dict(info.metadata),
        "operators": dict(info.operators),
        "external_files": [str(file) for file in info.external_files],
        "signatures": dict(info.signatures),
    }


def from_json(values: Mapping[str, Any]) -> ModelInfo:
    """The model info that ``to_json`` took apart.

    Raises AttributeError, KeyError, TypeError or ValueError for other values, UnsupportedModel for
    a dtype that is not installed.
    """
    return ModelInfo(
        **{
            **values,
            "path": Path(values["path"]),
            "inputs": tuple(map(_spec_from_json, values["inputs"])),
            "outputs": tuple(map(_spec_from_json, values["outputs"])),
            "external_files": tuple(map(Path, values["external_files"])),
            "signatures": {
                name: Signature(*map(tuple, names)) for name, names in values["signatures"].items()
            },
        }
    )


def _spec_to_json(spec: TensorSpec) -> dict[str, Any]:
    dtype = "object" if spec.dtype.hasobject else spec.dtype.name
    return {**vars(spec), "dtype": dtype}


def _spec_from_json(values: Mapping[str, Any]) -> TensorSpec:
    shape, names, quantization = (values[key] for key in ("shape", "dim_names", "quantization"))
    return TensorSpec(
        values["name"],
        dtype_named(values["dtype"], owner=f"the remembered tensor {values['name']!r}"),
        None if shape is None else tuple(shape),
        None if names is None else tuple(names),
        None if quantization is None else _quantization_from_json(*quantization),
        tuple(values["aliases"]),
    )


def _quantization_from_json(
    scale: Iterable[float], zero_point: Iterable[int], axis: int | None
) -> Quantization:
    return Quantization(tuple(scale), tuple(zero_point), axis)


def _entry_path(path: Path, folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    return folder / f"model-{name}.json"


def _states(paths: Iterable[Path]) -> list[dict[str, int]]:
    """What tells that a file is as it was."""
    found = [path.stat() for path in paths]
    return [
        {
            "size": stat.st_size,
            "inode": stat.st_ino,
            "mtime_ns": stat.st_mtime_ns,
            "ctime_ns": stat.st_ctime_ns,
        }
        for stat in found
    ]


def _seal(entry: Mapping[str, Any]) -> bytes:
    """The entry as JSON, with the schema and a digest by which damage is seen."""
    text = json.dumps(entry)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({"schema": _SCHEMA, "sha256": digest, "entry": entry}, indent=1).encode()


def _unseal(data: bytes) -> dict[str, Any]:
    sealed = json.loads(data)
    if sealed["schema"] != _SCHEMA:
        raise ValueError(f"its schema is {sealed['schema']!r}, not {_SCHEMA!r}")
    entry: dict[str, Any] = sealed["entry"]
    if hashlib.sha256(json.dumps(entry).encode()).hexdigest() != sealed["sha256"]:
        raise ValueError("its content does not fit its digest")
    return entry
