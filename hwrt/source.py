"""A model as the user names it, made a file that other processes can read."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from hwrt import cache as cache_folder
from hwrt import model, zoo
from hwrt.errors import ModelError
from hwrt.files import digest, intact, publish, temporary_beside
from hwrt.log import LOGGER
from hwrt.owners import OwnedFolder
from hwrt.spec import ModelInfo

__all__ = ["Cache", "ModelSource", "Source", "open_model"]

ModelSource = str | os.PathLike[str] | bytes
"""A path, ``zoo:NAME``, or the bytes of an ONNX file."""

Cache = bool | str | os.PathLike[str]
"""True for the user's cache folder, False for none, or a folder."""


@dataclass(frozen=True)
class Source:
    """A model as a file, the cache to use, and the folder that vanishes when nobody holds it.

    ``name`` is what opens the same model again as long as that folder is there.
    """

    info: ModelInfo
    cache_root: Path | None
    name: str
    temporary: OwnedFolder | None = None

    @property
    def title(self) -> str:
        """What messages call the model: its file's name, or ``zoo:NAME``."""
        return self.name if self.name.startswith("zoo:") else self.info.path.name


def open_model(source: ModelSource, cache: Cache = True, *, verify: bool = False) -> Source:
    """The model as a file that other processes can read.

    With ``verify`` what is remembered of the file is not believed: it is read and hashed.
    """
    root = cache_folder.folder(cache)
    memo_dir = root / "memo" if root else None
    named = isinstance(source, str) and source.startswith("zoo:")
    if not named and not isinstance(source, bytes | bytearray | memoryview):
        info = model.read(source, memo_dir=memo_dir, verify=verify)
        # The current folder may be another one later.
        return Source(info, root, os.path.abspath(source))  # noqa: PTH100
    temporary = None if root else OwnedFolder("hwrt-model-")
    folder = root or (temporary.path if temporary else Path())
    try:
        path, name = _stored(source, folder)
    except (OSError, ModelError) as exc:
        fault = exc if isinstance(exc, OSError) else exc.__cause__
        if root is None or not isinstance(fault, OSError):
            raise
        LOGGER.warning("the model is kept in a temporary folder: %s", exc)
        temporary = OwnedFolder("hwrt-model-")
        path, name = _stored(source, temporary.path)
    info = model.read(path, memo_dir=memo_dir, verify=verify)
    return Source(info, root, name, temporary)


def _stored(source: ModelSource, folder: Path) -> tuple[Path, str]:
    """(the file below the folder, what opens it again) of a zoo model, or of one given as bytes."""
    if isinstance(source, str):
        return _zoo_file(source, folder / "zoo"), source
    assert isinstance(source, bytes | bytearray | memoryview)
    path = model.write_bytes(bytes(source), folder / "models")
    return path, str(path)


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
