"""A lock for what only one thread of the process may do at a time."""

from __future__ import annotations

import os
import threading


class Lock:
    """A lock that one thread may take again while it has it, and that is free after a fork.

    A fork copies it as another thread held it, and that thread is not in the child.
    """

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _renew(self) -> None:
        self._lock = threading.RLock()
