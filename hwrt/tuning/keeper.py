"""The process between a tuner and a candidate's process, which leaves nothing of it behind.

Vendor code starts processes, and some of them leave their group or are made daemons.  The keeper
starts the candidate's process, adopts whatever that abandons, and ends all of it: when the parent
asks for it (SIGTERM), when the parent dies, however it dies, and when the candidate's process ends.
It imports no vendor, allocates nothing and is in no group that is stopped, so that it is there.

Over a pipe it tells the parent two lines: ``started PID``, and ``ended CODE`` with a code as
``subprocess`` has it.  The number of the candidate's process is not reused before the keeper ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["main"]

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LOOK_S = 1.0
_END_S, _POLL_S = 3.0, 0.002
_SIGNALS = {signal.SIGTERM, signal.SIGCHLD}


def main(channel: int, report: int, parent: int) -> None:
    """Start the candidate's process, which serves ``channel``, and keep it until its end.

    It returns in the candidate's process alone.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    keeper = os.getpid()
    candidate = os.fork()
    if candidate == 0:
        os.close(report)
        os.setsid()
        os.set_inheritable(channel, False)
        _offer_to_oom_killer()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        from hwrt.tuning import child

        child.main(channel, keeper)
        return
    try:
        os.close(channel)
        _let_go_of_output()
        _tell(report, f"started {candidate}")
        _keep(candidate, report, parent)
    finally:
        _end_all(candidate)
        os._exit(0)


def _offer_to_oom_killer() -> None:
    """Where memory runs out the kernel takes this process, and not the user's, be that larger."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _keep(candidate: int, report: int, parent: int) -> None:
    """Return when all is to be ended."""
    told = False
    # The parent is asked for too: a signal of its death does not come where it died before.
    while os.getppid() == parent:
        if not told and _has_ended(candidate):
            told = True
            code = _code(candidate)
            _end_all(candidate, reap=False)
            _tell(report, f"ended {code}")
        found = signal.sigtimedwait(_SIGNALS, _LOOK_S)
        if found is not None and found.si_signo == signal.SIGTERM:
            return


def _has_ended(candidate: int) -> bool:
    """True once the candidate's process is dead; what it abandoned and is dead is reaped."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    while True:
        found = os.waitid(os.P_ALL, 0, flags)
        if found is None:
            return os.waitid(os.P_PID, candidate, flags) is not None
        if found.si_pid == candidate:
            return True
        os.waitpid(found.si_pid, os.WNOHANG)


def _code(candidate: int) -> int:
    found = os.waitid(os.P_PID, candidate, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    assert found is not None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def _end_all(candidate: int, *, reap: bool = True) -> None:
    """Kill all that descends from here; the candidate's number stays taken unless it is reaped."""
    deadline = time.monotonic() + _END_S
    with contextlib.suppress(OSError):
        os.killpg(candidate, signal.SIGKILL)
    while time.monotonic() < deadline:
        # Orphans become children of this process, so that its children are all there is to find.
        found = [pid for pid in _children() if reap or pid != candidate]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_POLL_S)


def _children() -> Iterator[int]:
    own = str(os.getpid()).encode()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            # The second field is the program's name in brackets, which may hold blanks.
            if path.read_bytes().rpartition(b")")[2].split()[1] == own:
                yield int(path.parent.name)


def _let_go_of_output() -> None:
    """Whoever reads the candidate's output finds its end when the candidate has ended."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _tell(report: int, line: str) -> None:
    with contextlib.suppress(OSError):  # the parent is gone
        os.write(report, f"{line}\n".encode())
