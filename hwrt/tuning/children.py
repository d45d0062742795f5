"""The parent's side of child processes: started, asked, stopped between questions, and ended.

Started from one long-lived thread, because Linux kills a child with the *thread* that made it;
each leads a process group of its own, so that what it starts ends with it.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from hwrt import errors
from hwrt.errors import BackendFailure, HwrtError
from hwrt.log import LOGGER

__all__ = ["Child"]

_LAST_WORDS_BYTES = 16 * 1024
_MOST_FRAMES, _MOST_LINES, _MOST_CHARACTERS = 2, 8, 800
_POLL_S = 0.1
_END_S = 5.0
_PROGRAM = (
    # Nothing is imported before the path is set: with -c it begins with the current folder.
    "import sys; sys.path[:] = sys.argv[3:] or filter(None, sys.path); "
    "from hwrt.tuning.child import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)


class Child:
    """A process that holds one candidate.  One thread at a time may use it.

    It runs only while a question is open: an idle engine's threads would otherwise spin beside the
    next candidate's measurement.
    """

    def __init__(self, name: str, *, memory_bytes: int | None = None) -> None:
        self._name = name
        self._memory_bytes = memory_bytes
        self._channel, theirs = socket.socketpair()
        # Not select(): it takes no descriptor from 1024 on, and servers have such.
        self._answered = select.poll()
        self._answered.register(self._channel, select.POLLIN)
        self._received = b""
        with theirs:
            try:
                self._process = _spawn(lambda: _start(theirs.fileno()))
            except BaseException:
                self._channel.close()
                raise
        self._words = collections.deque[bytes]()
        self._reader = threading.Thread(target=self._listen, name="hwrt-child-output", daemon=True)
        self._reader.start()

    def ask(self, op: str, *, timeout_s: float, **message: Any) -> Mapping[str, Any]:
        """The child's answer.

        Raises the error that the child reports, or BackendFailure when it died, took longer than
        ``timeout_s`` or more memory than allowed.  It is ended in that case, and where a signal
        interrupts the wait.
        """
        line = json.dumps({"op": op, **message}) + "\n"
        try:
            self._signal(signal.SIGCONT)
            self._channel.settimeout(timeout_s)
            self._channel.sendall(line.encode())
            reply = self._receive(op, time.monotonic() + timeout_s, timeout_s)
        except OSError:
            raise self._died(op) from None
        except BaseException:
            # Interrupted: the answer yet to come would be taken for that of the next question.
            self.close()
            raise
        self._signal(signal.SIGSTOP)
        if "ok" in reply:
            answer: Mapping[str, Any] = reply["ok"]
            return answer
        kind = getattr(errors, reply["error"], BackendFailure)
        error: HwrtError = kind(reply["message"], hint=reply["hint"])
        raise error

    def close(self) -> None:
        """End the process and all it started.  Calling it twice is harmless."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._channel.close()
        # A grandchild that left the group may hold the pipe open; its words are not waited for.
        self._reader.join(timeout=1.0)
        if self._words:
            LOGGER.debug("%s printed: %s", self._name, self.last_words())
            self._words.clear()

    def last_words(self) -> str:
        """The end of what the process printed."""
        return b"".join(self._words).decode(errors="replace").strip()

    def _receive(self, op: str, deadline: float, timeout_s: float) -> dict[str, Any]:
        while b"\n" not in self._received:
            if time.monotonic() > deadline:
                self.close()
                raise BackendFailure(f"no answer from {self._name} in {op} after {timeout_s:g} s")
            self._watch_memory(op)
            if self._answered.poll(_POLL_S * 1000):
                data = self._channel.recv(1 << 16)
                if not data:
                    raise self._died(op)
                self._received += data
        line, _, self._received = self._received.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _watch_memory(self, op: str) -> None:
        if self._memory_bytes is None:
            return
        used = _resident_bytes(self._process.pid)
        if used > self._memory_bytes:
            self.close()
            raise BackendFailure(
                f"{self._name} used {used >> 20} MiB in {op}",
                hint=f"{self._memory_bytes >> 20} MiB are allowed: raise max_memory_mb",
            )

    def _died(self, op: str) -> BackendFailure:
        # The socket closes first; how the process ends is worth waiting for.  It is not reaped yet:
        # its number must stay its group's until close() has ended the group.
        deadline = time.monotonic() + _END_S
        flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
        while os.waitid(os.P_PID, self._process.pid, flags) is None and time.monotonic() < deadline:
            time.sleep(_POLL_S / 10)
        self._reader.join(timeout=_END_S)
        words = _telling(self.last_words())
        self.close()
        code = self._process.returncode
        how = f"killed by {_signal_name(-code)}" if code < 0 else f"ended with exit status {code}"
        said = f"; last words: {words}" if words else ""
        return BackendFailure(f"{self._name} was {how} in {op}{said}")

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _listen(self) -> None:
        """Keep the end of the output; without a reader a chatty vendor would block."""
        kept = 0
        assert self._process.stdout is not None
        with self._process.stdout as pipe:
            while data := os.read(pipe.fileno(), 1 << 16):
                self._words.append(data)
                kept += len(data)
                while kept > _LAST_WORDS_BYTES and len(self._words) > 1:
                    kept -= len(self._words.popleft())


def _start(descriptor: int) -> subprocess.Popen[bytes]:
    interpreter = os.environ.get("HWRT_PYTHON") or sys.executable
    if not interpreter or (getattr(sys, "frozen", False) and "HWRT_PYTHON" not in os.environ):
        raise BackendFailure(
            "there is no Python interpreter to try candidates in",
            hint="set HWRT_PYTHON to one in which hwrt and the vendors' packages are installed",
        )
    # Another interpreter has packages of its own; "" is the current folder.
    ours = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100
    path = [] if os.environ.get("HWRT_PYTHON") else ours
    arguments = [interpreter, "-c", _PROGRAM, str(descriptor), str(os.getpid()), *path]
    try:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(descriptor,),
            start_new_session=True,
        )
    except OSError as exc:
        raise BackendFailure(
            f"the interpreter {interpreter} can not be started: {exc}",
            hint="HWRT_PYTHON names the one to use",
        ) from exc


Job = tuple[Callable[[], "subprocess.Popen[bytes]"], "Future[subprocess.Popen[bytes]]"]
_jobs: queue.SimpleQueue[Job] | None = None
_jobs_lock = threading.Lock()


def _spawn(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    global _jobs
    with _jobs_lock:
        if _jobs is None:
            _jobs = queue.SimpleQueue()
            threading.Thread(
                target=_serve, args=(_jobs,), name="hwrt-child-starter", daemon=True
            ).start()
    future: Future[subprocess.Popen[bytes]] = Future()
    _jobs.put((start, future))
    return future.result()


def _serve(jobs: queue.SimpleQueue[Job]) -> None:
    while True:
        start, future = jobs.get()
        try:
            future.set_result(start())
        except BaseException as exc:  # noqa: BLE001 - it is raised where the future is read
            future.set_exception(exc)


def _after_fork() -> None:
    # The starter thread belongs to the parent.
    global _jobs, _jobs_lock
    _jobs, _jobs_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _telling(words: str) -> str:
    """The last lines that tell something: of a stack that faulthandler prints, only its top."""
    lines, frames = [], 0
    for line in filter(str.strip, words.splitlines()):
        frames += line.startswith("  File")
        if not (line.startswith(("Extension modules", "Current thread")) or frames > _MOST_FRAMES):
            lines.append(line.strip())
    return " | ".join(lines[-_MOST_LINES:])[-_MOST_CHARACTERS:]


def _resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:  # noqa: PTH123 - hot loop
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
