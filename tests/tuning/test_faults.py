"""Plugins with every fault at once, in one tuning, beside a right one."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hwrt.model import read
from hwrt.tuning import children
from hwrt.tuning.tuner import measure
from hwrt.tuning.wish import Effort, Wish

from .leftovers import files_below, processes_with

pytestmark = pytest.mark.slow  # each tunes anew, in child processes

Install = Callable[..., None]
Model = Callable[..., Path]

EFFORT = Effort(
    min_seconds=0.02,
    min_samples=4,
    window_s=0.005,
    warm_up_s=0.05,
    start_timeout_s=10.0,
    compile_timeout_s=4.0,
    first_run_timeout_s=4.0,
    run_timeout_s=3.0,
)
# What is wrong with each backend, and the reason it must get.
FAILED = {
    "segfault": "segfault was killed by SIGSEGV in compile; last words: "
    ".*about to read address zero",
    "killed": "killed was killed by SIGKILL in first_run",
    "leaves": "leaves was ended with exit status 3 in compile",
    "litters": "litters was killed by SIGSEGV in compile",
    "hang": "no answer from hang in compile after 4 s",
    "hangslater": r"no answer from hangslater in (answer|warm_up|sample) after \S+ s",
    "raises": "compile raised KeyError: 'no such layer'",
    "hungry": "hungry used .* MiB in compile, nearly all the memory that was free",
}
REJECTED = {
    "nan": "output 'y'.*",
    "wrong": "output 'y'.* 0.02 .*",
    "wrongshape": r"output 'y'.* \(1, 15\) .*",
}
RIGHT = {"good", "endless", "chatty", "daemonises"}
DROPPED = {
    "slowstart": "no answer from slowstart in probe after 10 s",
    "judge cpu:0": "it names no candidate for this model",
}
CLASSES = (
    *("Good", "Judge", "Segfault", "Killed", "Leaves", "Litters", "Hang", "HangsLater", "Raises"),
    *("Hungry", "Nan", "Wrong", "WrongShape", "Endless", "Chatty", "Daemonises", "SlowStart"),
)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, of this process and of all that it starts."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    monkeypatch.undo()
    tempfile.tempdir = None


def test_every_fault_at_once_becomes_a_reason_and_leaves_nothing(
    install: Install,
    relu_model: Model,
    temporary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(*CLASSES)
    monkeypatch.setenv("HWRT_TEST_PID", str(tmp_path / "pid"))
    monkeypatch.setenv("HWRT_TEST_RUN", str(tmp_path))
    # As on a machine with little memory: this one's may belong to others.
    monkeypatch.setattr(children, "free_bytes", lambda: 600 << 20)
    evidence = measure(
        read(relu_model()), Wish(threads=1), machine="here", effort=EFFORT, cache_root=tmp_path
    )
    by_name = {one.candidate.backend: one for one in evidence.measurements}
    statuses = {name: one.status for name, one in by_name.items()}

    assert evidence.winner is not None
    assert evidence.measurements[evidence.winner].candidate.backend in RIGHT
    assert statuses == {
        **dict.fromkeys(FAILED, "failed"),
        **dict.fromkeys(REJECTED, "rejected"),
        **dict.fromkeys(RIGHT, "ok"),
    }
    reasons = {name: by_name[name].reason or "" for name in (*FAILED, *REJECTED)}
    expected = {**FAILED, **REJECTED}
    assert {n for n, why in reasons.items() if not re.match(expected[n], why, re.DOTALL)} == set()
    assert evidence.dropped == DROPPED
    assert processes_with("HWRT_TEST_RUN", str(tmp_path)) == []
    assert files_below(temporary) == []
