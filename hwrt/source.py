"""A model as the user names it, made a file that other processes can read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hwrt import cache as cache_folder
from hwrt import model, zoo
from hwrt.files import digest, intact, publish, temporary_beside
from hwrt.spec import ModelInfo

__all__ = ["Cache", "ModelSource", "Source", "open_model"]

ModelSource = str | os.PathLike[str] | bytes
"""A path, ``zoo:NAME``, or the bytes of an ONNX file."""

Cache = bool | str | os.PathLike[str]
"""True for the user's cache folder, False for none, or a folder."""


@dataclass(frozen=True)
class Source:
    """A model as a file, the cache to use, and the folder that vanishes with the session."""

    info: ModelInfo
    cache_root: Path | None
    temporary: tempfile.TemporaryDirectory[str] | None = None


def open_model(source: ModelSource, cache: Cache = True) -> Source:
    """The model as a file that other processes can read."""
    root = cache_folder.folder(cache)
    memo_dir = root / "memo" if root else None
    named = isinstance(source, str) and source.startswith("zoo:")
    if not named and not isinstance(source, bytes | bytearray | memoryview):
        return Source(model.read(source, memo_dir=memo_dir), root)
    temporary = None if root else tempfile.TemporaryDirectory(prefix="hwrt-model-")
    folder = root or Path(temporary.name if temporary else "")
    if isinstance(source, str):
        path = _zoo_file(source, folder / "zoo")
    else:
        assert isinstance(source, bytes | bytearray | memoryview)
        path = model.write_bytes(bytes(source), folder / "models")
    return Source(model.read(path, memo_dir=memo_dir), root, temporary)


def _zoo_file(source: str, folder: Path) -> Path:
    """The reference model's file, built where it is not there yet or damaged."""
    name, batch = zoo.parse(source)
    parts = sorted(Path(zoo.__file__).parent.glob("*.py"))
    revision = hashlib.sha256("".join(map(digest, parts)).encode()).hexdigest()[:12]
    path = folder / f"{name}@{batch or 'dynamic'}-{revision}.onnx"
    if not intact(path):
        with temporary_beside(path) as temporary:
            publish(zoo.export(name, temporary, batch=batch), path)
    return path
