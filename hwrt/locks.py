"""Locks that the kernel releases when their holder dies, however it dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["hold", "remove_unheld"]

_POLL_S = 0.1
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


@contextlib.contextmanager
def hold(path: Path, waiting: Callable[[str], object]) -> Iterator[None]:
    """Hold the lock that the file is; it is made, and removed in the end.

    While another process or thread holds it, ``waiting`` is called again and again with a text that
    says who; what it raises ends the wait, nothing else does but the holder's end.

    Raises OSError where there can be no lock: a folder that can not be written, a file system
    without locks, a full disk.
    """
    descriptor = _take(path, waiting)
    owner = os.getpid()
    try:
        yield
    finally:
        # A process that was forked off meanwhile holds nothing: see _after_fork.
        if os.getpid() == owner:
            path.unlink(missing_ok=True)
            _release(descriptor)


def remove_unheld(path: Path) -> None:
    """Remove the file of a lock whose holder was killed; one that is held stays."""
    with contextlib.suppress(OSError):
        descriptor = _open(path, create=False)
        try:
            if _try(descriptor) and _is(path, descriptor):
                path.unlink(missing_ok=True)
        finally:
            _release(descriptor)


def _take(path: Path, waiting: Callable[[str], object]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = _open(path, create=True)
        try:
            while not _try(descriptor):
                waiting(f"waiting for {_holder(descriptor)}")
                time.sleep(_POLL_S)
            # The holder removes the file before it lets go: then this is the lock of nothing.
            if _is(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
                return descriptor
        except BaseException:
            _release(descriptor)
            raise
        _release(descriptor)


def _open(path: Path, *, create: bool) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    descriptor = os.open(path, flags, 0o666)
    _held.add(descriptor)
    return descriptor


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno in _NO_LOCKS:
            raise
        return False
    return True


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    written = os.pread(descriptor, 20, 0).strip()
    return f"process {written.decode()}" if written.isdigit() else "another process"


def _release(descriptor: int) -> None:
    _held.discard(descriptor)
    os.close(descriptor)


def _after_fork() -> None:
    # A lock belongs to all who inherited its descriptor: one forked off would hold it on.
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


_held: set[int] = set()
os.register_at_fork(after_in_child=_after_fork)
