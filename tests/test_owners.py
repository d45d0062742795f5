from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hwrt import owners
from hwrt.owners import TOKEN, OwnedFolder, is_left, sweep_folders, token

MAKES_AND_DIES = """
import os, sys
from hwrt.owners import OwnedFolder
made = OwnedFolder("hwrt-tune-")
print(made.path, flush=True)
sys.stdin.read() if len(sys.argv) > 1 else os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def _own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def of_a_killed_process() -> Path:
    done = subprocess.run(
        [sys.executable, "-c", MAKES_AND_DIES], capture_output=True, text=True, check=False
    )
    assert done.returncode == -9
    return Path(done.stdout.strip())


def test_a_token_is_24_digits_and_differs_each_time() -> None:
    first, second = token(), token()

    assert re.fullmatch(TOKEN, first)
    assert first[:18] == second[:18]
    assert first != second


def test_what_this_process_owns_is_not_left(tmp_path: Path) -> None:
    assert not is_left(tmp_path / f".plan-{token()}.json")


def test_what_a_killed_process_owned_is_left() -> None:
    assert is_left(of_a_killed_process())


def test_what_a_dead_process_owned_that_nobody_has_waited_for_is_left() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", MAKES_AND_DIES], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        path = Path(child.stdout.readline().strip())
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

        assert is_left(path)


def test_a_number_that_another_process_has_by_now_is_left(tmp_path: Path) -> None:
    began_at_another_time = f"{token()[:12]}abcdef000000"

    assert is_left(tmp_path / f"hwrt-tune-{began_at_another_time}")


@pytest.mark.parametrize(("age_s", "left"), [(0, False), (23 * 3600, False), (25 * 3600, True)])
def test_what_belongs_to_another_machine_is_left_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_s: float, left: bool
) -> None:
    monkeypatch.setattr(owners, "_space", lambda: "000000")
    path = tmp_path / f".plan-{token()}.json"
    monkeypatch.undo()
    path.touch()
    changed_s = path.stat().st_mtime - age_s
    os.utime(path, (changed_s, changed_s))

    assert is_left(path) == left


@pytest.mark.parametrize("name", ["plan.json", ".plan-0123456789abcdef.json", "hwrt-tune-x", "a-b"])
def test_a_name_without_an_owner_is_not_left(tmp_path: Path, name: str) -> None:
    assert not is_left(tmp_path / name)


def test_an_owned_folder_is_the_users_alone_and_goes_with_the_context() -> None:
    with OwnedFolder("hwrt-tune-") as folder:
        mode = folder.stat().st_mode & 0o777
        (folder / "feeds").touch()

    assert mode == 0o700
    assert not folder.exists()


def test_an_owned_folder_goes_with_who_holds_it() -> None:
    made = OwnedFolder("hwrt-model-")
    path = made.path
    del made

    assert not path.exists()


def test_a_forked_process_leaves_the_folder_to_its_owner() -> None:
    made = OwnedFolder("hwrt-model-")
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child
        made.cleanup()
        os._exit(0)
    os.waitpid(pid, 0)

    assert made.path.is_dir()
    made.cleanup()
    made.cleanup()
    assert not made.path.exists()


def test_sweeping_removes_what_killed_processes_left_and_nothing_else(tmp_path: Path) -> None:
    left = of_a_killed_process()
    (left / "feeds").mkdir()
    (tmp_path / "hwrt-tune-mine").mkdir()
    (tmp_path / f"other-{left.name}").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / left.name.replace("tune", "model")).symlink_to(tmp_path / "mine")
    with OwnedFolder("hwrt-tune-") as own:
        sweep_folders()

        assert own.is_dir()
    assert not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["hwrt-tune-mine", f"other-{left.name}", "mine", left.name.replace("tune", "model")]
    )


def test_sweeping_leaves_the_folder_of_another_process_that_lives() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", MAKES_AND_DIES, "lives"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        path = Path(child.stdout.readline().strip())
        sweep_folders()

        assert path.is_dir()
