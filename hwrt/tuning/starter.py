"""Starts the processes of candidates, each by way of its keeper.

From one long-lived thread, because Linux tells a child of the end of the *thread* that made it.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

from hwrt.errors import BackendFailure

__all__ = ["start"]

_PROGRAM = (
    # Nothing is imported before the path is set: with -c it begins with the current folder.
    "import sys; sys.path[:] = sys.argv[4:] or filter(None, sys.path); "
    "from hwrt.tuning.keeper import main; main(*map(int, sys.argv[1:4]))"
)


def start(channel: int, report: int, temporary: Path) -> subprocess.Popen[bytes]:
    """A keeper, whose candidate serves the socket ``channel``; it tells ``report`` of it.

    Standard output and error of both are one pipe; temporary files go into the folder.  Raises
    BackendFailure where there is no interpreter.  Any thread may call it.
    """
    global _jobs
    with _jobs_lock:
        if _jobs is None:
            _jobs = queue.SimpleQueue()
            threading.Thread(
                target=_serve, args=(_jobs,), name="hwrt-child-starter", daemon=True
            ).start()
        jobs = _jobs
    future: Future[subprocess.Popen[bytes]] = Future()
    jobs.put((channel, report, temporary, future))
    return future.result()


def _serve(jobs: _Jobs) -> None:
    while True:
        channel, report, temporary, future = jobs.get()
        try:
            future.set_result(_start(channel, report, temporary))
        except BaseException as exc:  # noqa: BLE001 - it is raised where the future is read
            future.set_exception(exc)


def _start(channel: int, report: int, temporary: Path) -> subprocess.Popen[bytes]:
    named = os.environ.get("HWRT_PYTHON")
    interpreter = named or sys.executable
    if not interpreter or (getattr(sys, "frozen", False) and not named):
        raise BackendFailure(
            "there is no Python interpreter to try candidates in",
            hint="set HWRT_PYTHON to one in which hwrt and the vendors' packages are installed",
        )
    # Another interpreter has packages of its own; "" is the current folder.
    path = [] if named else [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100
    numbers = (str(channel), str(report), str(os.getpid()))
    try:
        return subprocess.Popen(
            [interpreter, *_flags(), "-c", _PROGRAM, *numbers, *path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(channel, report),
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
    except OSError as exc:
        raise BackendFailure(
            f"the interpreter {interpreter} can not be started: {exc}",
            hint="HWRT_PYTHON names the one to use",
        ) from exc


def _flags() -> list[str]:
    """What keeps the environment out of this interpreter keeps it out of the other one too."""
    if sys.flags.isolated:
        return ["-I"]
    flags = {"-E": sys.flags.ignore_environment, "-s": sys.flags.no_user_site}
    return [flag for flag, is_set in flags.items() if is_set]


_Jobs = queue.SimpleQueue[tuple[int, int, Path, "Future[subprocess.Popen[bytes]]"]]
_jobs: _Jobs | None = None
_jobs_lock = threading.Lock()


def _after_fork() -> None:
    # The starter thread belongs to the parent.
    global _jobs, _jobs_lock
    _jobs, _jobs_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
