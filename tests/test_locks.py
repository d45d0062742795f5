from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hwrt.locks import hold, remove_unheld

HOLDS = """
import os, pathlib, sys
from hwrt.locks import hold
with hold(pathlib.Path(sys.argv[1]), print):
    if sys.argv[2] == "forks" and os.fork() == 0:
        os.close(1)
        sys.stdin.read()
        os._exit(0)
    print("held", flush=True)
    sys.stdin.read()
"""


class Enough(Exception):
    pass


def enough(text: str) -> None:
    raise Enough(text)


def holder(path: Path, how: str = "alone") -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_a_lock_that_nobody_holds_is_had_at_once_and_leaves_no_file(tmp_path: Path) -> None:
    with hold(tmp_path / "below" / "lock", enough):
        assert (tmp_path / "below" / "lock").read_text() == f"{os.getpid()}\n"

    assert list((tmp_path / "below").iterdir()) == []


def test_the_wait_is_told_with_who_holds_the_lock_and_may_be_ended(tmp_path: Path) -> None:
    with (
        holder(tmp_path / "lock") as child,
        pytest.raises(Enough, match=f"waiting for process {child.pid}"),
        hold(tmp_path / "lock", enough),
    ):
        pass


def test_a_holder_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path / "lock") as child:
        child.kill()
        child.wait()

        with hold(tmp_path / "lock", enough):
            assert (tmp_path / "lock").exists()


def test_a_process_that_the_holder_forked_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path / "lock", "forks") as child:
        child.kill()
        child.wait()

        with hold(tmp_path / "lock", enough):
            assert (tmp_path / "lock").exists()


def test_a_fork_does_not_release_the_lock(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", enough):
        pid = os.fork()
        if pid == 0:  # pragma: no cover - the child
            os._exit(0)
        os.waitpid(pid, 0)

        with pytest.raises(Enough), hold(tmp_path / "lock", enough):
            pass


def test_the_waiter_has_the_lock_when_the_holder_is_done(tmp_path: Path) -> None:
    told: list[str] = []
    with holder(tmp_path / "lock") as child:

        def end(text: str) -> None:
            told.append(text)
            assert child.stdin is not None
            child.stdin.close()
            child.wait()

        with hold(tmp_path / "lock", end):
            assert len(told) == 1
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_threads_hold_a_lock_one_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, []

    def work() -> None:
        nonlocal inside
        for _ in range(5):
            with hold(tmp_path / "lock", lambda text: None):
                inside += 1
                most.append(inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1] * 20


def test_a_folder_that_can_not_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="file"), hold(tmp_path / "file" / "lock", enough):
        pass


def test_a_file_system_without_locks_is_an_error_and_not_a_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks"), hold(tmp_path / "lock", enough):
        pass


def test_a_killed_holders_file_is_removed_and_a_held_one_stays(tmp_path: Path) -> None:
    with holder(tmp_path / "left") as child:
        child.kill()
        child.wait()
    with hold(tmp_path / "held", enough):
        remove_unheld(tmp_path / "left")
        remove_unheld(tmp_path / "held")
        remove_unheld(tmp_path / "none")

        assert [path.name for path in tmp_path.iterdir()] == ["held"]


def test_an_error_inside_releases_the_lock(tmp_path: Path) -> None:
    with pytest.raises(KeyError), hold(tmp_path / "lock", enough):
        raise KeyError

    with hold(tmp_path / "lock", enough):
        pass
