"""A candidate that takes memory without end, in a control group that has little."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hwrt
from hwrt.machine.cgroup import groups

Install = Callable[..., None]
Model = Callable[..., Path]
ROOT = Path(hwrt.__file__).parents[1]
LIMIT = 500 << 20
TUNE = """
import json, os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
sys.path[:0] = json.loads(sys.argv[2])
import hwrt
from hwrt.tuning import children
if sys.argv[4] == "unwatched":
    children.free_bytes = lambda: None
plan = hwrt.tune(sys.argv[3], threads=1, budget_s=0.1)
print(json.dumps({one.candidate.backend: one.reason for one in plan.measurements}))
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group below this process's own that may hold LIMIT bytes."""
    first, second = groups("memory", root=Path("/"))
    for own, name in ((first[:1], "memory.limit_in_bytes"), (second[:1], "memory.max")):
        for folder in own:
            made = folder / f"hwrt-test-{os.getpid()}"
            try:
                made.mkdir()
                (made / name).write_text(str(LIMIT))
            except OSError:  # not ours to make, or this version has no memory here
                made.rmdir() if made.is_dir() else None
                continue
            yield made
            made.rmdir()
            return
    pytest.skip("this user can make no control group of memory")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("watched", "reason"),
    [
        ("watched", "in compile, nearly all the memory that was free"),
        ("unwatched", "hungry was killed by SIGKILL in compile: memory ran out"),
    ],
)
def test_a_candidate_without_measure_is_ended_and_the_tuner_lives(
    install: Install, relu_model: Model, tmp_path: Path, group: Path, watched: str, reason: str
) -> None:
    install("Good", "Judge", "Hungry")
    path = json.dumps([str(tmp_path / "site-packages"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", TUNE, str(group), path, str(relu_model()), watched],
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    reasons = json.loads(done.stdout)
    assert reasons["good"] is None
    assert reason in reasons["hungry"]
