"""Keeps what the vendor says of itself off the process's stderr."""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from hwrt_litert.lock import Lock

_LOG = logging.getLogger("hwrt")
_lock = Lock()
_heard = False
# y = -x, a file of 332 bytes.  No user's model is tried while stderr leads elsewhere: what it lets
# the vendor say before a crash must not be lost.
_SMALL_MODEL = (
    "c-oU;U|<Mw^D!1-kYEsD5MbZ|@;MklfCb2BfMW$9{sY9!3=qHwRmTE`5WWBq^FU4E0E+TJ#T<ax1&BS6)G;t{!PRkr"
    "^})m;YG4=}p9yLf$lh!J|NjR`!Spgf%>t<@F+|oU2KJ#a*iIN=2Z}<hz^dN>)ozIY1Q__ieuwza8sRQ$03)Fby8"
)


def log_first_words(make: Callable[..., Any]) -> None:
    """Log what the vendor prints when it first makes a delegate, which it says once a process.

    ``make`` is its Interpreter.  The lines are written by C++ code, which has no setting for them.
    What other threads print in the meantime is printed afterwards.
    """
    global _heard
    with _lock:
        if _heard:
            return
        _heard = True
        # A version that can not run this will say so of the user's model.
        with _stderr_logged(), contextlib.suppress(RuntimeError, ValueError):
            content = zlib.decompress(base64.b85decode(_SMALL_MODEL))
            make(model_content=content, num_threads=1).allocate_tensors()


@contextlib.contextmanager
def _stderr_logged() -> Iterator[None]:
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
        _sort(words)


def _sort(words: int) -> None:
    """Log the vendor's lines and print all others."""
    with os.fdopen(words, "rb") as file:
        file.seek(0)
        for line in file:
            if line.startswith((b"INFO: ", b"WARNING: ", b"VERBOSE: ")):
                _LOG.debug("litert: %s", line.decode(errors="replace").strip())
            else:
                # A stderr that nobody reads any more is no fault of the compile.
                with contextlib.suppress(OSError):
                    os.write(2, line)
