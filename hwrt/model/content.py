"""The hash that names a model's content, and models given as bytes."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from hwrt.errors import ModelError
from hwrt.files import write_atomically

__all__ = ["content_hash", "write_bytes"]

_CHUNK_BYTES = 1 << 20
_DOMAIN = b"hwrt model with external files/1\n"


def content_hash(path: Path, external_files: Iterable[Path] = ()) -> str:
    """The sha256 of a model and its external files, in hexadecimal digits.

    Without external files it is that of the file alone, as sha256sum prints it.  With them it
    covers the model's digest and, for each file in the order of their names, its name relative to
    the model's folder, its length and its digest: files can be neither changed nor exchanged
    unseen, and the model's own name does not matter.  Memory is constant.

    Raises ModelError where a file can not be read.
    """
    model, _ = _digest(path)
    others = {Path(os.path.relpath(file, path.parent)).as_posix(): file for file in external_files}
    if not others:
        return model.hex()
    whole = hashlib.sha256(_DOMAIN + model)
    for name, file in sorted(others.items()):
        digest, size = _digest(file)
        encoded = os.fsencode(name)
        whole.update(struct.pack("<QQ", len(encoded), size) + encoded + digest)
    return whole.hexdigest()


def write_bytes(data: bytes, folder: Path) -> Path:
    """The file ``<sha256>.onnx`` in ``folder`` with this content; written unless it is there.

    Raises ModelError where there is no data or the folder takes no file.
    """
    if not data:
        raise ModelError("the model given as bytes is empty", hint="give an ONNX file's content")
    digest = hashlib.sha256(data).digest()
    path = folder.absolute() / f"{digest.hex()}.onnx"
    if path.is_file() and _digest(path)[0] == digest:
        return path
    try:
        write_atomically(path, data)
    except OSError as exc:
        raise ModelError(
            f"the model given as bytes can not be written to {folder}: {exc}",
            hint="give a path to the model, or a folder with space that this user may write",
        ) from exc
    return path


def _digest(path: Path) -> tuple[bytes, int]:
    """The file's sha256 and its length in bytes."""
    sha256 = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    size = 0
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                sha256.update(buffer[:count])
                size += count
    except OSError as exc:
        raise ModelError(f"{path} can not be read: {exc}") from exc
    return sha256.digest(), size
