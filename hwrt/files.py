"""Files that survive a kill at any moment: written under a temporary name, then renamed.

An artefact (a compiled engine, an optimised model) additionally gets a digest in ``NAME.sha256``,
so that a damaged one is rebuilt: a flipped bit in the weights would be a silently wrong answer.
To read a large one whole at each load would cost as much as the load: once it was found intact, its
size, inode and times are noted beside the digest, and believed while they are the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from hwrt import owners

__all__ = [
    "artefact_digest",
    "digest",
    "digest_path",
    "distrust",
    "intact",
    "publish",
    "temporary_beside",
    "write_atomically",
]

_CHUNK_BYTES = 1 << 20
_COARSEST_CLOCK_NS = 2_000_000_000  # that of FAT


@contextlib.contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A path in the folder of ``path`` (made if need be) for a file that is to become ``path``.

    The file itself is the caller's to write; it is removed at the end unless it was renamed.  Its
    name tells whose it is, so that what a killed process leaves can be swept: see hwrt.owners.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{owners.token()}{path.suffix}")
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
    """True when the artefact can be read and is what ``publish`` was given.

    It is read whole unless it is known to be the file that was read before: see ``distrust``.
    """
    started_ns = time.time_ns()
    try:
        # Bytes: a damaged digest may be no text at all.
        noted = digest_path(path).read_bytes().split()
        state = _state(path)
        if noted[1:] == state and _is_old(state, started_ns):
            return True
        if not noted or noted[0] != digest(path).encode():
            return False
    except OSError:
        return False
    if _is_old(state, started_ns):
        with contextlib.suppress(OSError):  # it is read whole once more then
            write_atomically(digest_path(path), b"%b\n%b\n" % (noted[0], b" ".join(state)))
    return True


def distrust(folder: Path) -> None:
    """Have every artefact below the folder read whole when it is next asked for."""
    for path in folder.rglob("*.sha256"):
        with contextlib.suppress(OSError):  # a folder that can not be written: nothing is noted
            write_atomically(path, b"%b\n" % b"".join(path.read_bytes().split()[:1]))


def artefact_digest(path: Path) -> str:
    """The sha256 in hex that was noted when the artefact was published, else that of the file.

    Raises OSError where there is no such file.
    """
    try:
        noted = digest_path(path).read_bytes().split()
    except FileNotFoundError:
        noted = []
    return noted[0].decode(errors="replace") if noted else digest(path)


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


def _state(path: Path) -> list[bytes]:
    """What tells that a file is as it was; the time of status change can not be set back."""
    found = path.stat()
    numbers = (found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
    return [b"%d" % number for number in numbers]


def _is_old(state: list[bytes], now_ns: int) -> bool:
    """False where the file changed so lately that its clock may not show another change."""
    return max(int(state[2]), int(state[3])) < now_ns - _COARSEST_CLOCK_NS


def _rename(temporary: Path, path: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
