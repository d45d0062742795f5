"""Tuning works from wherever Python code runs: each case is a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import hwrt

from .leftovers import files_below, processes_with

pytestmark = pytest.mark.slow  # each tunes anew, in child processes

Install = Callable[..., None]
Model = Callable[..., Path]
ROOT = Path(hwrt.__file__).parents[1]

LOAD = """
import json, sys
from pathlib import Path
sys.path[:0] = {path!r}
import numpy as np
import hwrt

with hwrt.load({model!r}, threads=1, budget_s=0.1) as session:
    outputs = session.run({{"x": np.full((1, 16), 3, np.float32)}})
    told = {{"backend": session.plan.backend, "sum": float(outputs["y"].sum()),
            "unverified": session.plan.unverified}}
Path({told!r}).write_text(json.dumps(told))
"""
RIGHT = {"backend": "good", "sum": 48.0, "unverified": None}


class Place:
    """Where a program that loads a model runs, and what it has told and left."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.temporary = folder, folder / "temporary"
        self.temporary.mkdir()
        self._told = folder / "told.json"
        path = [str(folder / "site-packages"), str(ROOT)]
        self.path = os.pathsep.join(path)
        self.code = LOAD.format(path=path, model=str(model), told=str(self._told))
        self.environment = {**os.environ, "TMPDIR": str(self.temporary)}

    def script(self, code: str) -> str:
        path = self.folder / "program.py"
        path.write_text(code)
        return str(path)

    def run(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [sys.executable, *arguments],
            **{"text": True, "capture_output": True, "timeout": 120, **options},
            env=self.environment,
            cwd=self.folder,
        )

    def result(self) -> tuple[object, list[str], list[str]]:
        """(what the program told, processes that are left, temporary files that are left)."""
        told = json.loads(self._told.read_text()) if self._told.is_file() else None
        left = processes_with("TMPDIR", str(self.temporary))
        return told, left, files_below(self.temporary)


@pytest.fixture
def place(install: Install, relu_model: Model, tmp_path: Path) -> Place:
    install("Good", "Judge")
    return Place(tmp_path, relu_model())


def test_from_standard_input(place: Place) -> None:
    done = place.run("-", input=place.code)

    assert (done.returncode, done.stderr) == (0, "")
    assert place.result() == (RIGHT, [], [])


def test_from_a_script_without_a_guard(place: Place) -> None:
    done = place.run(place.script("print('begun')\n" + place.code))

    assert (done.returncode, done.stdout) == (0, "begun\n")
    assert place.result() == (RIGHT, [], [])


NOTEBOOK = """
import asyncio

CODE = {code!r}

async def cell():
    exec(CODE, {{"__name__": "__main__"}})

asyncio.run(cell())
"""


def test_from_a_cell_of_a_notebook_inside_a_running_event_loop(place: Place) -> None:
    done = place.run("-c", NOTEBOOK.format(code=place.code))

    assert (done.returncode, done.stderr) == (0, "")
    assert place.result() == (RIGHT, [], [])


IN_A_THREAD = """
import asyncio, threading

CODE = {code!r}

async def cell():
    await asyncio.to_thread(exec, CODE, {{}})

asyncio.run(cell())
"""


def test_from_code_in_a_thread_that_has_no_main_file(place: Place) -> None:
    done = place.run("-c", IN_A_THREAD.format(code=place.code))

    assert (done.returncode, done.stderr) == (0, "")
    assert place.result() == (RIGHT, [], [])


DAEMONIC = """
import multiprocessing

CODE = {code!r}

def work():
    exec(CODE, {{}})

if __name__ == "__main__":
    worker = multiprocessing.get_context({how!r}).Process(target=work, daemon=True)
    worker.start()
    worker.join()
    raise SystemExit(worker.exitcode)
"""


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_from_a_daemonic_process_of_multiprocessing(place: Place, how: str) -> None:
    done = place.run(place.script(DAEMONIC.format(code=place.code, how=how)))

    assert (done.returncode, done.stderr) == (0, "")
    assert place.result() == (RIGHT, [], [])


CROWDED = """
import os, resource, threading

most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (2048, most))
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
over = threading.Event()
for _ in range(64):
    threading.Thread(target=over.wait).start()
try:
    exec({code!r}, {{}})
finally:
    over.set()
"""


def test_from_a_process_with_many_threads_and_descriptors_above_1024(place: Place) -> None:
    done = place.run("-c", CROWDED.format(code=place.code))

    assert (done.returncode, done.stderr) == (0, "")
    assert place.result() == (RIGHT, [], [])


@pytest.mark.parametrize("streams", ["0", "1", "2", "012"])
def test_from_a_process_whose_standard_streams_are_closed(place: Place, streams: str) -> None:
    closed = "".join(f"os.close({stream});" for stream in streams)
    restart = f"import os, sys;{closed}os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    done = place.run("-c", restart, place.script(place.code))

    assert done.returncode == 0
    assert place.result() == (RIGHT, [], [])


def test_from_an_isolated_interpreter(place: Place, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "sitecustomize.py").write_text("raise SystemExit('the environment was read')")
    place.environment["PYTHONPATH"] = str(trap)
    done = place.run("-I", place.script(place.code))

    assert (done.returncode, done.stderr) == (0, "")
    assert place.result() == (RIGHT, [], [])


def test_with_children_of_the_interpreter_that_hwrt_python_names(place: Place) -> None:
    other, uses = place.folder / "python", place.folder / "uses"
    other.write_text(
        f'#!/bin/sh\necho >> {uses}\nPYTHONPATH={place.path} exec {sys.executable} "$@"\n'
    )
    other.chmod(0o755)
    place.environment["HWRT_PYTHON"] = str(other)
    done = place.run(place.script(place.code))

    assert (done.returncode, done.stderr) == (0, "")
    assert place.result() == (RIGHT, [], [])
    assert len(uses.read_text()) >= 2
