"""Files that survive a kill at any moment: written under a temporary name, then renamed.

An artefact (a compiled engine, an optimised model) additionally gets a digest in ``NAME.sha256``,
so that a damaged one is rebuilt: a flipped bit in the weights would be a silently wrong answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

__all__ = ["digest", "intact", "publish", "temporary_beside", "write_atomically"]

_CHUNK_BYTES = 1 << 20


@contextlib.contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A path in the folder of ``path`` (made if need be) for a file that is to become ``path``.

    The file itself is the caller's to write; it is removed at the end unless it was renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write the file so that a reader sees the old content or all of the new."""
    with temporary_beside(path) as temporary:
        temporary.write_bytes(data)
        _rename(temporary, path)


def publish(temporary: Path, path: Path) -> str:
    """Make the finished file ``temporary`` the artefact ``path``; return its sha256 in hex.

    The digest is renamed into place first: a kill in between leaves a file that is not intact.
    """
    text = digest(temporary)
    write_atomically(digest_path(path), f"{text}\n".encode())
    _rename(temporary, path)
    return text


def intact(path: Path) -> bool:
    """True when the artefact can be read and is what ``publish`` was given."""
    try:
        # Bytes: a damaged digest may be no text at all.
        return digest_path(path).read_bytes().strip() == digest(path).encode()
    except OSError:
        return False


def digest(path: Path) -> str:
    """The sha256 of the file in hex, read in chunks."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()


def digest_path(path: Path) -> Path:
    """Where the artefact's digest lies."""
    return path.with_name(path.name + ".sha256")


def _rename(temporary: Path, path: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
