"""Where hwrt keeps what it can make again: compiled models, plans, models read or built.

The folder is ``HWRT_CACHE_DIR``, else ``$CACHE_DIRECTORY`` (systemd), else the XDG cache folder.
Everything in it is written by rename, so any process may be killed, and any file deleted, at any
time.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hwrt.errors import HwrtError, InputError

__all__ = ["Entry", "clear", "entries", "folder", "location"]

_LOG = logging.getLogger("hwrt")
_UNFINISHED = "(-[0-9a-f]{16})?"  # what a killed write leaves, see hwrt.files
_NAMES = {
    kind: re.compile(name)
    for kind, name in {
        "compiled": r"[0-9a-f]{32}",
        "memo": rf"\.?model-[0-9a-f]{{32}}{_UNFINISHED}\.json",
        "models": rf"\.?[0-9a-f]{{64}}{_UNFINISHED}\.onnx",
        "proved": rf"\.?[0-9a-f]{{32}}{_UNFINISHED}\.json",
        "plans": rf"\.?[0-9a-f]{{32}}{_UNFINISHED}\.json",
        "zoo": rf"\.?\w+@(\d+|dynamic)-[0-9a-f]{{12}}{_UNFINISHED}\.onnx(\.sha256)?",
    }.items()
}
"""Kind -> what its entries are named.  The folder may be shared (``$CACHE_DIRECTORY`` is the whole
service's), and a folder ``models`` in it the user's own: only what bears such a name is hwrt's."""
_warned: set[Path] = set()


@dataclass(frozen=True)
class Entry:
    """One thing in the cache: a compiled model, a plan, a model file."""

    kind: str
    path: Path
    size_bytes: int
    modified_s: float


def location() -> Path:
    """The user's cache folder, whether or not it exists.

    Raises InputError where no variable names it and the user has no home folder.
    """
    environment = os.environ
    for value, below in (
        (environment.get("HWRT_CACHE_DIR"), ""),
        # systemd separates several folders by colons; the first one is the service's own.
        (environment.get("CACHE_DIRECTORY", "").split(":")[0], ""),
        (environment.get("XDG_CACHE_HOME"), "hwrt"),
    ):
        if value:
            return Path(value).expanduser() / below
    try:
        return Path("~/.cache/hwrt").expanduser()
    except RuntimeError as exc:  # a container's bare user id
        raise InputError("this user has no home folder", hint="set HWRT_CACHE_DIR") from exc


def folder(choice: bool | str | os.PathLike[str] = True) -> Path | None:
    """The cache folder to use, made and writable; None for no cache.

    True is the user's; where that can not be written there is one warning and no cache.  A folder
    given by path must be writable: InputError otherwise.
    """
    if choice is False:
        return None
    try:
        path = location() if choice is True else Path(choice).expanduser()
    except InputError as exc:
        _warn_once(Path(), exc.message)
        return None
    try:
        path.mkdir(parents=True, exist_ok=True)
        # A read-only mount or another user's folder shows on writing only.
        with tempfile.TemporaryFile(dir=path):
            return path.resolve()
    except OSError as exc:
        if choice is not True:
            raise InputError(
                f"the cache folder {path} can not be written: {exc.strerror}",
                hint="give another one, or cache=False",
            ) from exc
        _warn_once(path, f"{path} can not be written ({exc.strerror})")
        return None


def _warn_once(path: Path, reason: str) -> None:
    if path not in _warned:
        _warned.add(path)
        _LOG.warning("no cache: %s; set HWRT_CACHE_DIR", reason)


def entries(root: Path) -> Iterator[Entry]:
    """What hwrt has put into the cache, one entry for each folder or file below its kinds."""
    for kind, name in _NAMES.items():
        for path in sorted((root / kind).glob("*")):
            if path.is_symlink() or not name.fullmatch(path.name):
                continue
            files = (
                [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]
            )
            stats = [stat for part in files if (stat := _stat(part)) is not None]
            if stats:
                size = sum(stat.st_size for stat in stats)
                yield Entry(kind, path, size, max(stat.st_mtime for stat in stats))


def clear(root: Path) -> int:
    """Delete every entry; how many bytes that freed.  What is not hwrt's stays.

    Raises HwrtError for an entry that can not be deleted.
    """
    freed = 0
    for entry in list(entries(root)):
        try:
            if entry.path.is_dir():
                shutil.rmtree(entry.path)
            else:
                entry.path.unlink()
        except FileNotFoundError:  # deleted by another process meanwhile
            continue
        except OSError as exc:
            raise HwrtError(
                f"{entry.path} can not be deleted: {exc.strerror}",
                hint="check this user's rights in the folder",
            ) from exc
        freed += entry.size_bytes
    return freed


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # deleted by another process meanwhile
        return None
