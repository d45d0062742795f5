"""The parent's side of child processes: asked, stopped between questions, and ended.

Each has a keeper (keeper.py), which ends it and all that it started, also when this process dies.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from hwrt import errors
from hwrt.errors import BackendFailure, HwrtError
from hwrt.log import LOGGER
from hwrt.machine.memory import free_bytes
from hwrt.machine.oom import oom_kills
from hwrt.owners import OwnedFolder
from hwrt.tuning.starter import start

__all__ = ["Child"]

_LAST_WORDS_BYTES = 16 * 1024
_MOST_FRAMES, _MOST_LINES, _MOST_CHARACTERS = 2, 8, 800
_POLL_S = 0.05
_END_S = 5.0
# Of the memory that is free when a question is asked, what its answer may take.
_MOST_OF_FREE = 0.9


class Child:
    """A process that holds one candidate.  One thread at a time may use it.

    It runs only while a question is open: an idle engine's threads would otherwise spin beside the
    next candidate's measurement.  It may hold ``memory_bytes``, and nearly all that is free where
    that is None.
    """

    def __init__(self, name: str, *, memory_bytes: int | None = None) -> None:
        self._name = name
        self._memory_bytes = memory_bytes
        self._oom_kills = oom_kills()
        self._pid: int | None = None
        self._code: int | None = None
        self._is_stopped = False
        self._received, self._told = b"", b""
        # What a vendor leaves there when it crashes is gone with it.
        self._temporary = OwnedFolder("hwrt-tune-")
        self._channel, theirs = _pair()
        self._report, keepers = _pair()
        # Not select(): it takes no descriptor from 1024 on, and servers have such.
        self._answered = select.poll()
        self._answered.register(self._channel, select.POLLIN)
        self._reported = select.poll()
        self._reported.register(self._report, select.POLLIN)
        self._is_mute = False
        with theirs, keepers:
            try:
                self._keeper = start(theirs.fileno(), keepers.fileno(), self._temporary.path)
            except BaseException:
                self._channel.close()
                self._report.close()
                self._temporary.cleanup()
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
            if self._is_stopped:
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
        self._is_stopped = True
        if "ok" in reply:
            answer: Mapping[str, Any] = reply["ok"]
            return answer
        kind = getattr(errors, reply["error"], BackendFailure)
        error: HwrtError = kind(reply["message"], hint=reply["hint"])
        raise error

    def close(self) -> None:
        """End the process and all it started.  Calling it twice is harmless."""
        if self._keeper.poll() is None:
            self._keeper.send_signal(signal.SIGTERM)
            if not self._await_end(_END_S):
                # It waits for what can not be killed, such as a process inside a driver.
                self._signal(signal.SIGKILL)
                self._keeper.kill()
        self._keeper.wait()
        self._channel.close()
        self._report.close()
        self._is_mute = True
        self._temporary.cleanup()
        # Its words are not waited for where something holds the pipe open all the same.
        self._reader.join(timeout=1.0)
        if self._words:
            LOGGER.debug("%s printed: %s", self._name, self.last_words())
            self._words.clear()

    def last_words(self) -> str:
        """The end of what the process printed."""
        return b"".join(self._words).decode(errors="replace").strip()

    def _receive(self, op: str, deadline: float, timeout_s: float) -> dict[str, Any]:
        bound: int | None = None
        while b"\n" not in self._received:
            if time.monotonic() > deadline:
                self.close()
                raise BackendFailure(f"no answer from {self._name} in {op} after {timeout_s:g} s")
            if self._answered.poll(_POLL_S * 1000):
                data = self._channel.recv(1 << 16)
                if not data:
                    raise self._died(op)
                self._received += data
            else:
                bound = self._watch_memory(op, bound)
        self._watch_memory(op, bound)
        line, _, self._received = self._received.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _watch_memory(self, op: str, bound: int | None) -> int | None:
        """End the process where it holds too much; what it may hold at most during this question.

        Watched, and not a limit of the system: CUDA reserves huge ranges that it never uses.
        """
        used = self._resident_bytes()
        if self._memory_bytes is not None and used > self._memory_bytes:
            self.close()
            raise BackendFailure(
                f"{self._name} used {used >> 20} MiB in {op}",
                hint=f"{self._memory_bytes >> 20} MiB are allowed: raise max_memory_mb",
            )
        if bound is None:
            free = free_bytes()
            return None if free is None else used + int(free * _MOST_OF_FREE)
        if used > bound:
            self.close()
            raise BackendFailure(
                f"{self._name} used {used >> 20} MiB in {op}, nearly all the memory that was free",
                hint="the model may need a smaller batch, or a machine with more memory",
            )
        return bound

    def _died(self, op: str) -> BackendFailure:
        # The socket closes first; how the process ends is worth waiting for.
        self._await_report(lambda: self._code is not None, _END_S)
        self._reader.join(timeout=_END_S)
        words = _telling(self.last_words())
        self.close()
        said = f"; last words: {words}" if words else ""
        return BackendFailure(f"{self._name} {self._how_it_ended(op)}{said}")

    def _how_it_ended(self, op: str) -> str:
        code = self._code
        if code is None and self._pid is not None:
            return f"closed its socket in {op}"
        if code is None:  # the keeper could not even begin: how that ended is what there is to tell
            code = self._keeper.returncode
        if code >= 0:
            return f"was ended with exit status {code} in {op}"
        why = ": memory ran out" if code == -signal.SIGKILL and self._ran_out() else ""
        return f"was killed by {_signal_name(-code)} in {op}{why}"

    def _ran_out(self) -> bool:
        """True where the kernel has killed a process of this control group for memory since."""
        now = oom_kills()
        return now is not None and self._oom_kills is not None and now > self._oom_kills

    def _signal(self, number: int) -> None:
        self._await_report(lambda: self._pid is not None, _END_S)
        # The number is the process's as long as there is a keeper.
        if self._pid is not None and self._keeper.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, number)

    def _resident_bytes(self) -> int:
        self._await_report(lambda: self._pid is not None, 0.0)
        return 0 if self._pid is None else _resident_bytes(self._pid)

    def _await_end(self, timeout_s: float) -> bool:
        """True once the keeper has ended, False after the time-out."""
        self._await_report(lambda: self._is_mute, timeout_s)
        return self._is_mute

    def _await_report(self, enough: Callable[[], bool], timeout_s: float) -> None:
        """Read what the keeper tells, until that is enough, its end, or the time-out."""
        deadline = time.monotonic() + timeout_s
        while not enough() and not self._is_mute:
            left = max(0.0, deadline - time.monotonic())
            if not self._reported.poll(left * 1000):
                return
            data = self._report.recv(1 << 10)
            self._is_mute = not data
            *lines, self._told = (self._told + data).split(b"\n")
            for word, number in map(bytes.split, lines):
                if word == b"started":
                    self._pid = int(number)
                else:
                    self._code = int(number)

    def _listen(self) -> None:
        """Keep the end of the output; without a reader a chatty vendor would block."""
        kept = 0
        assert self._keeper.stdout is not None
        with self._keeper.stdout as pipe:
            while data := os.read(pipe.fileno(), 1 << 16):
                self._words.append(data)
                kept += len(data)
                while kept > _LAST_WORDS_BYTES and len(self._words) > 1:
                    kept -= len(self._words.popleft())


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets, neither of which has the number of a standard stream.

    A process whose streams are closed would be given these, and its child's take their place.
    """
    found = [of.detach() for of in socket.socketpair()]
    made = [socket.socket(fileno=fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 3)) for one in found]
    for one in found:
        os.close(one)
    return made[0], made[1]


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
