"""Backends of a third party that leave something behind, print without end, or keep one waiting.

They stand beside faulty_backends.py in the folder where it is installed.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from faulty_backends import Good, _Compiled


class Hang(Good):
    name = "hang"
    api_version = 1

    def compile(self, *_, **__):
        while True:
            time.sleep(60)


class Chatty(Good):
    name = "chatty"
    api_version = 1

    def answer(self, array):
        sys.stdout.write("{}\n" * 100_000)
        sys.stderr.write("noise\n" * 100_000)
        return array


class Hungry(Good):
    name = "hungry"
    api_version = 1

    def compile(self, *_, **__):
        self._kept = []
        while True:
            self._kept.append(np.ones(1 << 22))


class Abandons(Good):
    name = "abandons"
    api_version = 1

    def compile(self, *_, **__):
        started = subprocess.Popen(["sleep", "600"])
        Path(os.environ["HWRT_TEST_PID"]).write_text(str(started.pid))
        os._exit(4)


class Daemonises(Good):
    """It leaves a daemon behind: an orphan in a session of its own, which holds the output open."""

    name = "daemonises"
    api_version = 1

    def compile(self, model, device, *, options, cache_dir=None, **_):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                Path(os.environ["HWRT_TEST_PID"]).write_text(str(os.getpid()))
                time.sleep(600)
            os._exit(0)
        os.wait()
        while not Path(os.environ["HWRT_TEST_PID"]).is_file():
            time.sleep(0.01)
        return _Compiled(model, self)


class Deserts(Daemonises):
    """It leaves a daemon and dies."""

    name = "deserts"
    api_version = 1

    def compile(self, *arguments, **named):
        super().compile(*arguments, **named)
        ctypes.string_at(0)


class SlowStart(Good):
    """It takes long to say which devices it has, as one that waits for a driver."""

    name = "slowstart"
    api_version = 1

    def devices(self):
        time.sleep(600)


class HangsLater(Good):
    """It answers a few times and then no more."""

    name = "hangslater"
    api_version = 1
    runs = 0

    def answer(self, array):
        self.runs += 1
        if self.runs > 6:
            time.sleep(600)
        return array


class Endless(Good):
    """Its engine prints without end, also between runs."""

    name = "endless"
    api_version = 1

    def compile(self, model, device, *, options, cache_dir=None, **_):
        threading.Thread(target=self.print_on, daemon=True).start()
        return _Compiled(model, self)

    def print_on(self):
        while True:
            os.write(2, b"warning: something is not quite right\n" * 100)


class Litters(Good):
    """It writes temporary files and a socket, and dies."""

    name = "litters"
    api_version = 1

    def compile(self, *_, **__):
        folder = Path(tempfile.mkdtemp(prefix="vendor-"))
        (folder / "kernels").write_bytes(b"0" * 1000)
        os.chdir(folder)  # the whole path may be too long for a socket
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
        ctypes.string_at(0)
