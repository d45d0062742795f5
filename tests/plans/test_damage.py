"""A cache whose files are damaged, foreign, read-only or full costs time and nothing else."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hwrt
from hwrt import cache, files, locks
from hwrt.errors import HwrtError
from hwrt.tuning import proof

pytestmark = pytest.mark.slow  # each tunes anew, in child processes

Texts = Callable[[], list[str]]


def answers_rightly(session: hwrt.Session) -> bool:
    return bool(session(np.full((1, 16), -1, np.float32))["y"].sum() == 0)


def flip(path: Path, other: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "truncated": lambda path, other: path.write_bytes(path.read_bytes()[:-7]),
    "empty": lambda path, other: path.write_bytes(b""),
    "a bit": flip,
    "noise": lambda path, other: path.write_bytes(bytes(range(256)) * 4),
    "null": lambda path, other: path.write_bytes(b"null"),
    "another's": lambda path, other: shutil.copyfile(other, path),
    "unreadable": lambda path, other: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_every_file_of_the_cache_may_be_damaged(
    model: Path,
    cache_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path, Path], object],
) -> None:
    hwrt.load(model, threads=1)
    hwrt.load(model.read_bytes(), threads=1, backend="counting", options={})
    stored = sorted(
        path.relative_to(cache_root) for path in cache_root.rglob("*") if path.is_file()
    )
    loaded = []
    for i, name in enumerate(stored):
        root = tmp_path / f"damaged-{i}"
        shutil.copytree(cache_root, root)
        damage(root / name, root / stored[i - 1])
        monkeypatch.setattr(proof, "_proved", set())
        sessions = [hwrt.load(model, threads=1, cache=root) for _ in range(2)]
        given = {"backend": "counting", "options": {}}
        sessions.append(hwrt.load(model.read_bytes(), threads=1, cache=root, **given))
        loaded.append([answers_rightly(session) for session in sessions])

    assert len(stored) >= 8
    assert loaded == [[True, True, True]] * len(stored)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\0", None], ids=["empty", "{}", "0", "half"])
def test_a_damaged_plan_is_warned_of_once_and_replaced(
    model: Path, cache_root: Path, messages: Texts, content: bytes | None
) -> None:
    hwrt.load(model, threads=1)
    (stored,) = (cache_root / "plans").glob("*.json")
    stored.write_bytes(stored.read_bytes()[:900] if content is None else content)
    plan = hwrt.load(model, threads=1).plan

    (warning,) = messages()
    assert f"the cached plan {stored} is not used: " in warning
    assert plan.measured_again == ("the cached plan was damaged",)
    assert hwrt.load(model, threads=1, tune="never").plan == plan
    assert messages() == []


def test_a_plan_of_another_key_is_warned_of_once_and_replaced(
    model: Path, cache_root: Path, messages: Texts
) -> None:
    hwrt.load(model, threads=1)
    (stored,) = (cache_root / "plans").glob("*.json")
    hwrt.load(model, threads=2)
    (other,) = set((cache_root / "plans").glob("*.json")) - {stored}
    shutil.copyfile(other, stored)
    plan = hwrt.load(model, threads=1).plan

    (warning,) = messages()
    assert warning == f"the cached plan {stored} is not used: it is for another key"
    assert (plan.key.threads, hwrt.load(model, threads=1, tune="never").plan) == (1, plan)


def test_a_file_system_that_is_read_only_means_no_cache_and_one_warning(
    model: Path, monkeypatch: pytest.MonkeyPatch, messages: Texts
) -> None:
    monkeypatch.setattr(cache, "_warned", set())
    monkeypatch.setenv("HWRT_CACHE_DIR", "/proc/hwrt")
    sessions = [hwrt.load(model, threads=1) for _ in range(2)]

    assert [answers_rightly(session) for session in sessions] == [True, True]
    (warning,) = messages()
    assert warning.startswith("no cache: /proc/hwrt can not be written")


@pytest.fixture
def full(cache_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of the cache on which nothing more has room, for this process."""
    rename, open_lock = files._rename, locks._open

    def refuse(temporary: Path, path: Path) -> None:
        if path.is_relative_to(cache_root):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        rename(temporary, path)

    def refuse_lock(path: Path, *, create: bool) -> int:
        if create:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return open_lock(path, create=create)

    monkeypatch.setattr(files, "_rename", refuse)
    monkeypatch.setattr(locks, "_open", refuse_lock)


@pytest.mark.usefixtures("full")
def test_a_full_disk_costs_the_cache_and_not_the_load(
    model: Path, cache_root: Path, messages: Texts
) -> None:
    sessions = [hwrt.load(model, threads=1) for _ in range(2)]

    assert [answers_rightly(session) for session in sessions] == [True, True]
    assert list((cache_root / "plans").glob("*")) == []
    told = messages()
    assert any("can not be locked, so others may tune at the same time" in one for one in told)
    assert any("the plan could not be cached in" in one for one in told)


def test_no_room_for_temporary_files_is_an_error_that_says_where(
    model: Path, own_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = Path.mkdir

    def refuse(path: Path, *arguments: object, **named: object) -> None:
        if path.name.startswith("hwrt-tune-"):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        mkdir(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refuse)

    with pytest.raises(HwrtError, match=r"No space left on device.*free space in .*/tmp"):
        hwrt.load(model, threads=1)
