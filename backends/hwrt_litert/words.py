"""Keeps what the vendor says of itself off the process's stderr."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator

_LOG = logging.getLogger("hwrt")
_lock = threading.Lock()
_said = False


@contextlib.contextmanager
def first_words_logged() -> Iterator[None]:
    """Log what the vendor prints when it first makes a delegate, which it says once a process.

    The lines are written by C++ code, which has no setting for them.  What other threads print in
    the meantime is printed afterwards; from the second time on nothing is redirected.
    """
    global _said
    with _lock:
        if _said:
            yield
            return
        try:
            stderr = os.dup(2)
        except OSError:  # a daemon without one
            yield
            return
        words = os.memfd_create("litert-stderr")
        os.dup2(words, 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            _said = _sort(words)


def _free_lock() -> None:
    # A fork copies the lock as another thread held it, and that thread is not in the child.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_free_lock)


def _sort(words: int) -> bool:
    """Log the vendor's lines and print all others; True where the vendor said something."""
    said = False
    with os.fdopen(words, "rb") as file:
        file.seek(0)
        for line in file:
            if line.startswith((b"INFO: ", b"WARNING: ", b"VERBOSE: ")):
                said = True
                _LOG.debug("litert: %s", line.decode(errors="replace").strip())
            else:
                os.write(2, line)
    return said
