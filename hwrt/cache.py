"""Where hwrt keeps what it can make again: compiled models, plans, models read or built.

The folder is ``HWRT_CACHE_DIR``, else ``$CACHE_DIRECTORY`` (systemd), else the XDG cache folder.
Everything in it is written by rename, so any process may be killed, and any file deleted, at any
time.  Its size is bounded: ``trim`` deletes what was not used for longest.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hwrt import owners
from hwrt.errors import HwrtError, InputError
from hwrt.locks import remove_unheld

__all__ = ["Entry", "clear", "entries", "folder", "location", "sweep", "touch", "trim"]

_LOG = logging.getLogger("hwrt")
_UNFINISHED = f"(-{owners.TOKEN})?"  # what a killed write leaves, see hwrt.files
_NAMES = {
    kind: re.compile(name)
    for kind, name in {
        "checked": rf"\.?[0-9a-f]{{32}}{_UNFINISHED}\.json",
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
_LEFT = re.compile(rf"\..+-{owners.TOKEN}(\..*)?")
_MOST_BYTES = 8 << 30
_MOST_OF_DISK = 0.1
_MOST_ENTRIES = 10_000
_LARGE = frozenset({"compiled", "models", "zoo"})
# A model file is read by the children of a tuning, which may take hours; all else is made again by
# whoever finds it gone, unless it is being made.
_KEPT_S = {"models": 24 * 3600.0, "zoo": 24 * 3600.0}
_BEING_MADE_S = 600.0
_warned: set[Path] = set()


@dataclass(frozen=True)
class Entry:
    """One thing in the cache: a compiled model, a plan, a model file.

    ``modified_s`` is when its youngest file was written, ``used_s`` when it was last asked for.
    """

    kind: str
    path: Path
    size_bytes: int
    modified_s: float
    used_s: float


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
            own = _stat(path)
            if stats and own is not None:
                size = sum(stat.st_size for stat in stats)
                modified_s = max(stat.st_mtime for stat in stats)
                yield Entry(kind, path, size, modified_s, max(modified_s, own.st_mtime))


def clear(root: Path) -> int:
    """Delete every entry; how many bytes that freed.  What is not hwrt's stays.

    Raises HwrtError for an entry that can not be deleted.
    """
    try:
        return sum(map(_delete, list(entries(root))))
    except OSError as exc:
        raise HwrtError(
            f"{exc.filename} can not be deleted: {exc.strerror}",
            hint="check this user's rights in the folder",
        ) from exc


def touch(path: Path) -> None:
    """Note that the entry is used: it is then among the last that ``trim`` deletes."""
    # A folder that can not be written, or another process's file: it goes sooner, no more.
    with contextlib.suppress(OSError):
        os.utime(path)


def trim(
    root: Path, *, most_bytes: int | None = None, most_entries: int = _MOST_ENTRIES
) -> list[Entry]:
    """Delete what was not used for longest until the rest is within the bounds; what that was.

    By default ``HWRT_CACHE_MAX_MB`` MiB, else 8 GiB or a tenth of the disk, and 10,000 entries.
    Plans are too small to make room.  What was used within ten minutes stays, and so do model files
    of the last day, since they may be in use.  Raises InputError for a variable that is no number.
    """
    bound = _most_bytes(root) if most_bytes is None else most_bytes
    found = sorted(entries(root), key=lambda entry: entry.used_s)
    size, number = sum(entry.size_bytes for entry in found), len(found)
    deleted: list[Entry] = []
    for entry in found:
        too_much = size > bound and entry.kind in _LARGE
        kept_s = _KEPT_S.get(entry.kind, _BEING_MADE_S)
        if not (too_much or number > most_entries) or time.time() - entry.used_s < kept_s:
            continue
        try:
            _delete(entry)
        except OSError as exc:
            _LOG.warning("%s is over the cache's bound and can not go: %s", entry.path, exc)
            continue
        size, number = size - entry.size_bytes, number - 1
        deleted.append(entry)
    return deleted


def sweep(root: Path) -> None:
    """Remove what killed processes left: files half written, and locks that nobody holds."""
    for kind in _NAMES:
        for path in (root / kind).rglob("*"):
            if path.suffix == ".lock" and path.parent == root / "plans":
                remove_unheld(path)
            elif _LEFT.fullmatch(path.name) and path.is_file() and owners.is_left(path):
                with contextlib.suppress(OSError):  # swept by another process meanwhile
                    path.unlink()


def _most_bytes(root: Path) -> int:
    text = os.environ.get("HWRT_CACHE_MAX_MB", "").strip()
    if not text:
        return min(_MOST_BYTES, int(shutil.disk_usage(root).total * _MOST_OF_DISK))
    if not text.isdecimal():
        raise InputError(
            f"HWRT_CACHE_MAX_MB is {text!r}", hint="give a whole number of MiB, or unset it"
        )
    return int(text) << 20


def _delete(entry: Entry) -> int:
    """Delete the entry; how many bytes that freed."""
    try:
        if entry.path.is_dir():
            shutil.rmtree(entry.path)
        else:
            entry.path.unlink()
    except FileNotFoundError:  # deleted by another process meanwhile
        return 0
    return entry.size_bytes


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # deleted by another process meanwhile
        return None
