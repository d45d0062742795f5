from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from hwrt.errors import BackendFailure, InputError
from hwrt.model import memo, read
from hwrt.tuning.children import Child
from hwrt.tuning.feeds import write_feeds

Install = Callable[..., None]
Model = Callable[..., Path]
PROBE = {"timeout_s": 60.0, "backend": "good", "model": None, "limits": {"threads": 1}}


@pytest.fixture
def many_open_files() -> Iterator[None]:
    """Descriptors up to 1100 are taken, as in a server."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 2048:
        pytest.skip(f"this user may open no more than {before[1]} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 2048), before[1]))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for descriptor in held:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_child_whose_question_is_interrupted_is_ended(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    install("Good")
    child = Child("good")
    monkeypatch.setattr(child, "_receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        child.ask("probe", **PROBE)

    assert not Path(f"/proc/{child._keeper.pid}").exists()


def test_a_file_in_the_current_folder_hides_no_module_from_a_child(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Good")
    (tmp_path / "json.py").write_text("raise RuntimeError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    child = Child("good")
    answer = child.ask("probe", **PROBE)
    child.close()

    assert answer["formats"] == ["onnx"]


def test_the_interpreter_that_hwrt_python_names_uses_its_own_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hwrt.py").write_text("raise RuntimeError('of the frozen application')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HWRT_PYTHON", sys.executable)
    child = Child("nosuch")
    with pytest.raises(InputError, match="there is no backend 'good'"):
        child.ask("probe", **PROBE)
    child.close()


@pytest.mark.usefixtures("many_open_files")
def test_a_process_with_many_open_files_has_children_too(install: Install) -> None:
    install("Good")
    child = Child("good")
    answer = child.ask("probe", **PROBE)
    child.close()

    assert answer["formats"] == ["onnx"]


def compiling(model: Path, feeds: Path) -> dict[str, object]:
    """What asks a child to compile the model, after the probe."""
    write_feeds(feeds, [{"x": np.ones((1, 16), np.float32)}])
    return {
        "timeout_s": 60.0,
        "model": memo.to_json(read(model)),
        "device": "cpu:0",
        "options": {},
        "shapes": {},
        "feeds": str(feeds),
        "cache_dir": None,
    }


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_for_end(pid: int) -> bool:
    """True when the process ends within half a minute."""
    deadline = time.monotonic() + 30
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)  # it is no child of this process, so that there is nothing to wait for
    return not is_alive(pid)


@pytest.fixture
def daemonising(
    install: Install, relu_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Child, int]:
    """A child whose candidate has left a daemon behind, and the daemon's number."""
    install("Daemonises")
    monkeypatch.setenv("HWRT_TEST_PID", str(tmp_path / "pid"))
    child = Child("daemonises")
    child.ask("probe", **{**PROBE, "backend": "daemonises"})
    child.ask("compile", **compiling(relu_model(), tmp_path / "feeds"))  # type: ignore[arg-type]
    return child, int((tmp_path / "pid").read_text())


def test_a_daemon_that_a_candidate_started_ends_with_it(daemonising: tuple[Child, int]) -> None:
    child, daemon = daemonising
    before = is_alive(daemon)
    child.close()

    assert (before, is_alive(daemon)) == (True, False)


def test_a_daemon_of_a_candidate_that_was_killed_ends_too(daemonising: tuple[Child, int]) -> None:
    child, daemon = daemonising
    assert child._pid is not None
    os.kill(child._pid, signal.SIGKILL)
    with pytest.raises(BackendFailure, match="daemonises was killed by SIGKILL in probe"):
        child.ask("probe", **PROBE)

    assert not is_alive(daemon)


PARENT = """
import sys
from pathlib import Path
from hwrt.tuning.children import Child
import json
child = Child("daemonises")
message = json.loads(sys.argv[1])
child.ask("probe", timeout_s=60.0, backend="daemonises", model=None, limits={"threads": 1})
child.ask("compile", **message)
print(child._keeper.pid, child._pid, flush=True)
sys.stdin.read()
"""


def test_a_killed_parent_leaves_neither_candidate_nor_keeper_nor_daemon(
    install: Install, relu_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Daemonises")
    monkeypatch.setenv("HWRT_TEST_PID", str(tmp_path / "pid"))
    message = json.dumps(compiling(relu_model(), tmp_path / "feeds"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, message],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with parent:
        assert parent.stdout is not None
        keeper, candidate = map(int, parent.stdout.readline().split())
        daemon = int((tmp_path / "pid").read_text())
        before = [is_alive(pid) for pid in (keeper, candidate, daemon)]
        parent.kill()

    assert before == [True, True, True]
    assert [wait_for_end(pid) for pid in (keeper, candidate, daemon)] == [True, True, True]


def test_a_candidate_is_what_the_kernel_takes_first_where_memory_runs_out(install: Install) -> None:
    install("Good")
    child = Child("good")
    child.ask("probe", **PROBE)
    adjustments = [
        Path(f"/proc/{pid}/oom_score_adj").read_text().strip()
        for pid in (child._pid, child._keeper.pid, "self")
    ]
    child.close()

    assert adjustments[0] == "1000"
    assert adjustments[1] == adjustments[2]


def test_a_keeper_that_is_killed_takes_the_candidate_along(install: Install) -> None:
    install("Good")
    child = Child("good")
    child.ask("probe", **PROBE)
    assert child._pid is not None
    child._keeper.kill()

    assert wait_for_end(child._pid)
    with pytest.raises(BackendFailure, match="good closed its socket in probe"):
        child.ask("probe", **PROBE)


def test_an_interpreter_without_hwrt_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -I -S -c "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setenv("HWRT_PYTHON", str(bare))
    child = Child("good")

    with pytest.raises(BackendFailure, match=r"exit status 1 in probe; last words: .*'hwrt'"):
        child.ask("probe", **PROBE)
