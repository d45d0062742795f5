"""Names by which a file or folder tells which process it belongs to, so that leftovers are known.

A process that is killed leaves its temporary files and folders.  The name of each carries the
number of the process, when that began, and the space of process numbers that both are of: whoever
finds one can tell whether its owner still lives.  In another space (a container that shares the
folder, another machine, the time before a reboot) only age can tell.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
import time
import weakref
from pathlib import Path

__all__ = ["TOKEN", "OwnedFolder", "is_left", "sweep_folders", "token"]

TOKEN = r"[0-9a-f]{24}"  # noqa: S105 - no password
"""A regular expression for what ``token`` makes."""
_STARTED = 19  # the fields of /proc/PID/stat after the name, counted from 0
_FOREIGN_S = 24 * 3600.0
_PREFIXES = ("hwrt-tune-", "hwrt-prove-", "hwrt-model-")


def token() -> str:
    """24 hexadecimal digits that name this process and differ from call to call."""
    pid = os.getpid()
    return f"{pid & 0xFFFFFF:06x}{_space()}{_start(pid) or 0:06x}{secrets.token_hex(3)}"


def is_left(path: Path) -> bool:
    """True where the owner named by the path is gone; False for a path that names none.

    An owner in another space of process numbers counts as gone a day after the path was last
    changed.
    """
    text = path.name.rpartition("-")[2].partition(".")[0]
    try:
        pid, space, started = int(text[:6], 16), text[6:12], int(text[12:18], 16)
    except ValueError:
        return False
    if len(text) != 24:
        return False
    if space == _space():
        return _is_gone(pid, started)
    try:
        return time.time() - path.lstat().st_mtime > _FOREIGN_S
    except FileNotFoundError:
        return False


class OwnedFolder:
    """A new temporary folder that vanishes with the last who holds this, or with the process.

    Use it as a context, or hold it.  What a killed process leaves ``sweep_folders`` removes.
    """

    def __init__(self, prefix: str) -> None:
        assert prefix in _PREFIXES
        self.path = Path(tempfile.gettempdir()) / f"{prefix}{token()}"
        self.path.mkdir(mode=0o700)
        self._remove = weakref.finalize(self, _remove, self.path, os.getpid())

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.cleanup()

    def cleanup(self) -> None:
        """Remove the folder.  Calling it twice is harmless."""
        self._remove()


def sweep_folders() -> None:
    """Remove the temporary folders whose owners are gone; those of other users stay."""
    for path in Path(tempfile.gettempdir()).glob("hwrt-*-*"):
        if path.name.startswith(_PREFIXES) and not path.is_symlink() and is_left(path):
            # Another process may sweep at the same time.
            shutil.rmtree(path, ignore_errors=True)


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # a process forked off inherits this, and the folder stays the owner's
        shutil.rmtree(path, ignore_errors=True)


def _is_gone(pid: int, started: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's; and its folder is none of ours either
        return False
    now = _start(pid)
    return now is not None and now != started


def _start(pid: int) -> int | None:
    """When the process began, in 24 bits; None where that is not told.  A dead one began never."""
    try:
        # The name of the program may hold blanks and brackets.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return -1 if fields[0] in (b"Z", b"X") else int(fields[_STARTED]) & 0xFFFFFF
    except (OSError, IndexError, ValueError):
        return None


def _space() -> str:
    """Names this boot of this machine and the namespace of its process numbers."""
    text = _boot() + _namespace()
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return "unknown"


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it leads to no path
    except OSError:
        return "unknown"
