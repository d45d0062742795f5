"""A tuner that is killed at a random moment leaves no process, and nothing that stays."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hwrt

from .leftovers import files_below, processes_with

Install = Callable[..., None]
Model = Callable[..., Path]
ROOT = Path(hwrt.__file__).parents[1]
SEED = 5
LOAD = """
import sys
sys.path[:0] = {path!r}
import numpy as np
import hwrt

print("begun", flush=True)
with hwrt.load({model!r}, threads=1, budget_s=0.3) as session:
    outputs = session.run({{"x": np.ones((1, 16), np.float32)}})
    print(session.plan.backend, float(outputs["y"].sum()))
"""


class Tuner:
    """A process that loads a model, its temporary folder and its cache."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.temporary, self.cache = folder / "temporary", folder / "own-cache"
        self.temporary.mkdir()
        path = [str(folder / "site-packages"), str(ROOT)]
        self._code = LOAD.format(path=path, model=str(model))
        self._environment = {
            **os.environ,
            "TMPDIR": str(self.temporary),
            "HWRT_CACHE_DIR": str(self.cache),
            "HWRT_TEST_PID": str(folder / "pid"),
        }

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", self._code],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def seconds(self) -> float:
        """How long a load with a tuning takes after it has begun."""
        with self.start() as process:
            assert process.stdout is not None
            process.stdout.readline()
            begun = time.monotonic()
            process.communicate(timeout=120)
        return time.monotonic() - begun

    def kill_after(self, delay_s: float) -> None:
        with self.start() as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                process.wait(delay_s)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)

    def left(self) -> list[str]:
        """Processes that are there yet half a minute later."""
        deadline = time.monotonic() + 30
        while found := processes_with("HWRT_CACHE_DIR", str(self.cache)):
            if time.monotonic() > deadline:
                return found
            time.sleep(0.02)  # they are no children of this process: there is nothing to wait for
        return []

    def forget(self) -> None:
        """Have the next load tune."""
        for plan in (self.cache / "plans").glob("*"):
            plan.unlink()


@pytest.mark.slow
def test_a_tuner_that_is_killed_at_any_moment_leaves_nothing(
    install: Install, relu_model: Model, tmp_path: Path
) -> None:
    install("Good", "Judge", "Deserts", "Segfault")
    tuner = Tuner(tmp_path, relu_model())
    whole = tuner.seconds()
    moments = random.Random(SEED)
    for _ in range(int(os.environ.get("HWRT_TEST_KILLS", "8"))):
        tuner.forget()
        tuner.kill_after(moments.uniform(0, whole))

        assert tuner.left() == []

    tuner.forget()
    with tuner.start() as process:
        told, errors = process.communicate(timeout=120)

    assert told.splitlines()[1].split()[1] == "16.0", errors
    assert tuner.left() == []
    assert files_below(tuner.temporary) == []
