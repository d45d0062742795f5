"""Loads in processes of their own, as those of several services that start at once."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

__all__ = ["LOADED", "await_end", "running", "start"]

# It waits for a line, so that several begin together.
LOADED = """
import json, sys
from hwrt.loading import choosing
effort = choosing.Effort(
    min_seconds=0.01, min_samples=2, window_s=0.005, min_windows=4, max_windows=4, warm_up_s=0.05
)
choosing.Effort = lambda budget_s: effort
import hwrt, hwrt.loading
print("ready", flush=True)
sys.stdin.readline()
told = []
session = hwrt.load(sys.argv[1], threads=1, progress=lambda fraction, text: not told.append(text))
waits = [text for text in told if text.startswith("waiting for process ")]
print(json.dumps([session.plan.to_json(), waits[:1]]), flush=True)
"""


def start(model: Path, program: str = LOADED) -> subprocess.Popen[str]:
    """The program, ready to load the model when it is sent a line."""
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def running(word: str) -> list[int]:
    """The processes, other than this one, in whose command line the word stands."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            try:
                words = (folder / "cmdline").read_bytes()
            except OSError:  # it has just ended
                continue
            if word.encode() in words:
                found.append(int(folder.name))
    return found


def await_end(pid: int, *, timeout_s: float) -> bool:
    """True when the process, which is no child of this one, has ended within the time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        ready, _, _ = select.select([descriptor], [], [], timeout_s)
    finally:
        os.close(descriptor)
    return bool(ready)
