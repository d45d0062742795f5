from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hwrt
from hwrt import cache
from hwrt.errors import HwrtError, InputError
from hwrt.files import temporary_beside
from hwrt.locks import hold


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HWRT_CACHE_DIR", "CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cache, "_warned", set())


# -- location -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "location"),
    [
        ({}, "home/.cache/hwrt"),
        ({"XDG_CACHE_HOME": "{}/xdg"}, "xdg/hwrt"),
        ({"XDG_CACHE_HOME": "{}/xdg", "CACHE_DIRECTORY": "{}/systemd"}, "systemd"),
        ({"CACHE_DIRECTORY": "{}/systemd:{}/other"}, "systemd"),
        ({"HWRT_CACHE_DIR": "{}/own", "CACHE_DIRECTORY": "{}/systemd"}, "own"),
        ({"HWRT_CACHE_DIR": "{}/with:colon"}, "with:colon"),
        ({"XDG_CACHE_HOME": "{}/x:y"}, "x:y/hwrt"),
        ({"HWRT_CACHE_DIR": "~/own"}, "home/own"),
        ({"HWRT_CACHE_DIR": "", "CACHE_DIRECTORY": "", "XDG_CACHE_HOME": ""}, "home/.cache/hwrt"),
    ],
    ids=str,
)
def test_first_variable_that_is_set_names_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str], location: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("{}", str(tmp_path)))

    assert cache.location() == tmp_path / location


# -- folder ---------------------------------------------------------------------------------------


def test_users_folder_is_made(tmp_path: Path) -> None:
    assert cache.folder() == tmp_path / "home/.cache/hwrt"
    assert (tmp_path / "home/.cache/hwrt").is_dir()


def test_false_is_no_cache(tmp_path: Path) -> None:
    assert cache.folder(False) is None
    assert list(tmp_path.iterdir()) == []


def test_given_folder_is_made_and_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert cache.folder("a/b") == tmp_path / "a/b"
    assert list((tmp_path / "a/b").iterdir()) == []


def test_given_folder_that_can_not_be_written_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match=r"file/cache can not be written: Not a directory"):
        cache.folder(tmp_path / "file" / "cache")


def test_users_folder_that_can_not_be_written_is_one_warning_and_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HWRT_CACHE_DIR", str(tmp_path / "file" / "cache"))

    assert [cache.folder(), cache.folder()] == [None, None]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("hwrt", logging.WARNING)
    assert (
        "file/cache can not be written (Not a directory); set HWRT_CACHE_DIR" in record.getMessage()
    )


def test_user_without_a_home_is_one_warning_and_no_cache(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _without_home(monkeypatch)

    assert [cache.folder(), cache.folder()] == [None, None]
    assert [record.getMessage() for record in caplog.records] == [
        "no cache: this user has no home folder; set HWRT_CACHE_DIR"
    ]


def test_location_without_a_home_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _without_home(monkeypatch)

    with pytest.raises(InputError, match=r"no home folder.*HWRT_CACHE_DIR"):
        cache.location()


def _without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)


# -- entries and clear ----------------------------------------------------------------------------


NAME = "0123456789abcdef" * 2


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "cache"
    for name, size in {
        f"plans/{NAME}.json": 3,
        f"compiled/{NAME}/engine": 10,
        f"compiled/{NAME}/sub/x": 5,
        "notes/mine": 7,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * size)
    return root


def test_each_plan_and_each_compiled_model_is_an_entry(root: Path) -> None:
    found = [(entry.kind, entry.path.name, entry.size_bytes) for entry in cache.entries(root)]

    assert found == [("compiled", NAME, 15), ("plans", f"{NAME}.json", 3)]


def test_entry_is_as_young_as_its_youngest_file(root: Path) -> None:
    compiled, _ = cache.entries(root)

    assert compiled.modified_s == (root / "compiled" / NAME / "sub/x").stat().st_mtime


def test_missing_folder_has_no_entries(tmp_path: Path) -> None:
    assert list(cache.entries(tmp_path / "none")) == []


def test_clear_deletes_the_entries_and_tells_the_size(root: Path) -> None:
    assert cache.clear(root) == 18
    assert list(cache.entries(root)) == []


def test_clear_leaves_what_is_not_hwrts(root: Path) -> None:
    cache.clear(root)

    assert (root / "notes/mine").exists()


def test_clear_of_an_empty_cache_frees_nothing(tmp_path: Path) -> None:
    assert cache.clear(tmp_path) == 0


@pytest.mark.parametrize(
    "name",
    [
        *("models/yolov8n.onnx", "models/deep/resnet.onnx", "plans/holiday.json", "zoo/lion.jpg"),
        *("compiled/program/a.out", "memo/model-t.json", f"models/{NAME}/{NAME}.onnx"),
        *("zoo/resnet50.onnx", f"plans/{NAME}.json.bak"),
    ],
)
def test_clear_leaves_foreign_files_in_folders_that_are_called_like_its_kinds(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(b"mine")

    assert list(cache.entries(tmp_path)) == []
    assert cache.clear(tmp_path) == 0
    assert (tmp_path / name).read_bytes() == b"mine"


def test_clear_leaves_links_and_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_bytes(b"mine")
    for kind, target in (("compiled", "mine"), ("memo", "mine/file")):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / (NAME if kind == "compiled" else f"model-{NAME}.json")).symlink_to(
            tmp_path / target
        )

    assert cache.clear(tmp_path) == 0
    assert (tmp_path / "mine/file").read_bytes() == b"mine"


def test_clear_deletes_what_a_killed_write_left(tmp_path: Path) -> None:
    with temporary_beside(tmp_path / "plans" / f"{NAME}.json") as temporary:
        temporary.write_bytes(b"half")

        assert cache.clear(tmp_path) == 4
        assert not temporary.exists()


def test_entry_that_can_not_be_deleted_is_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(HwrtError, match=r"compiled/\w+ can not be deleted: Permission denied"):
        cache.clear(root)


def test_all_that_hwrt_stores_is_an_entry(
    tmp_path: Path,
    install: Callable[..., None],
    relu_model: Callable[..., Path],
) -> None:
    install("Caching", "Judge")
    root = tmp_path / "root"

    hwrt.tune(relu_model().read_bytes(), backend="caching", budget_s=0.01, cache=root)
    hwrt.inspect("zoo:mobilenet_v3_small", cache=root)

    assert {entry.kind for entry in cache.entries(root)} == {path.name for path in root.iterdir()}
    cache.clear(root)
    assert [path for path in root.rglob("*") if path.is_file()] == []


# -- the bound, and what killed processes leave ----------------------------------------------------


def put(root: Path, name: str, size: int, age_s: float) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    used_s = time.time() - age_s
    os.utime(path, (used_s, used_s))
    os.utime(path.parent, (used_s, used_s))
    return path


def compiled(root: Path, digit: int, age_s: float) -> Path:
    return put(root, f"compiled/{digit:032x}/engine", 100, age_s).parent


def test_what_was_not_used_for_longest_goes_until_the_rest_fits(tmp_path: Path) -> None:
    oldest, old, young = (compiled(tmp_path, i, 9000 - 1000 * i) for i in range(3))
    deleted = cache.trim(tmp_path, most_bytes=150)

    assert [entry.path for entry in deleted] == [oldest, old]
    assert [oldest.exists(), old.exists(), young.exists()] == [False, False, True]


def test_what_is_used_is_among_the_last_to_go(tmp_path: Path) -> None:
    used, unused = compiled(tmp_path, 1, 9000), compiled(tmp_path, 2, 8000)
    cache.touch(used)
    cache.trim(tmp_path, most_bytes=100)

    assert [used.exists(), unused.exists()] == [True, False]


def test_a_cache_within_its_bounds_keeps_all(tmp_path: Path) -> None:
    compiled(tmp_path, 1, 9000)

    assert cache.trim(tmp_path, most_bytes=100, most_entries=1) == []


def test_what_may_be_in_use_stays_beyond_the_bound(tmp_path: Path) -> None:
    compiled(tmp_path, 1, 60)
    put(tmp_path, f"models/{NAME}{NAME}.onnx", 100, 3600 * 23)

    assert cache.trim(tmp_path, most_bytes=0) == []


def test_plans_make_no_room_but_too_many_go(tmp_path: Path) -> None:
    plans = [put(tmp_path, f"plans/{i:032x}.json", 10, 9000 - i * 1000) for i in range(3)]
    assert cache.trim(tmp_path, most_bytes=0) == []
    cache.trim(tmp_path, most_entries=2)

    assert [path.exists() for path in plans] == [False, True, True]


def test_the_variable_bounds_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = compiled(tmp_path, 1, 9000)
    monkeypatch.setenv("HWRT_CACHE_MAX_MB", "1")
    assert cache.trim(tmp_path) == []
    monkeypatch.setenv("HWRT_CACHE_MAX_MB", "0")

    assert [gone.path for gone in cache.trim(tmp_path)] == [entry]


def test_a_bound_that_is_no_number_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWRT_CACHE_MAX_MB", "much")

    with pytest.raises(InputError, match="HWRT_CACHE_MAX_MB is 'much'"):
        cache.trim(tmp_path)


def test_an_entry_that_can_not_go_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiled(tmp_path, 1, 9000)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)

    assert cache.trim(tmp_path, most_bytes=0) == []
    assert "is over the cache's bound and can not go" in caplog.text


def killed_while_writing(path: Path) -> None:
    program = (
        "import os, pathlib, sys; from hwrt.files import temporary_beside\n"
        "with temporary_beside(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)


def test_sweeping_removes_what_killed_writes_left(tmp_path: Path) -> None:
    for name in (f"plans/{NAME}.json", f"compiled/{NAME}/engine.bin", f"compiled/{NAME}/sub/x"):
        killed_while_writing(tmp_path / name)
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 3
    cache.sweep(tmp_path)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_sweeping_leaves_what_is_being_written_and_what_is_not_hwrts(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / ".notes-0123456789abcdef.json").touch()
    with (
        temporary_beside(tmp_path / "plans" / f"{NAME}.json") as temporary,
        hold(tmp_path / "plans" / f"{NAME}.lock", print),
    ):
        temporary.touch()
        before = sorted((tmp_path / "plans").iterdir())
        cache.sweep(tmp_path)

        assert sorted((tmp_path / "plans").iterdir()) == before


def test_sweeping_removes_locks_that_nobody_holds(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / f"{NAME}.lock").touch()
    cache.sweep(tmp_path)

    assert list((tmp_path / "plans").iterdir()) == []
