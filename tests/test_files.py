from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from hwrt import files
from hwrt.files import (
    artefact_digest,
    digest,
    digest_path,
    distrust,
    intact,
    publish,
    temporary_beside,
    write_atomically,
)


def test_digest_is_the_sha256_over_all_chunks(tmp_path: Path) -> None:
    data = os.urandom((1 << 20) + 17)
    (tmp_path / "file").write_bytes(data)

    assert digest(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_temporary_path_lies_beside_and_keeps_the_suffix(tmp_path: Path) -> None:
    with temporary_beside(tmp_path / "below" / "model.onnx") as temporary:
        assert temporary.parent == tmp_path / "below"
        assert temporary.suffix == ".onnx"
        assert temporary.name.startswith(".model-")
        assert not temporary.exists()


def test_two_temporary_paths_differ(tmp_path: Path) -> None:
    with temporary_beside(tmp_path / "a") as first, temporary_beside(tmp_path / "a") as second:
        assert first != second


def test_temporary_file_is_gone_after_a_fault(tmp_path: Path) -> None:
    def half() -> None:
        with temporary_beside(tmp_path / "a") as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError("half")

    with pytest.raises(RuntimeError, match="half"):
        half()

    assert list(tmp_path.iterdir()) == []


def test_atomic_write_replaces_the_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file"
    write_atomically(path, b"a longer content")
    write_atomically(path, b"short")

    assert path.read_bytes() == b"short"
    assert list(path.parent.iterdir()) == [path]


def test_atomic_write_in_place_of_a_folder_fails_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken" / "by").mkdir(parents=True)

    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", b"content")

    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_atomic_write_that_fails_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    path = tmp_path / "engine.bin"
    with temporary_beside(path) as temporary:
        temporary.write_bytes(b"engine")
        publish(temporary, path)
    return path


def test_published_artefact_is_intact(artefact: Path) -> None:
    assert artefact.read_bytes() == b"engine"
    assert intact(artefact)
    assert sorted(path.name for path in artefact.parent.iterdir()) == [
        "engine.bin",
        "engine.bin.sha256",
    ]


def test_publish_returns_the_digest(tmp_path: Path) -> None:
    (tmp_path / "temporary").write_bytes(b"engine")

    assert publish(tmp_path / "temporary", tmp_path / "a") == hashlib.sha256(b"engine").hexdigest()


def test_digest_file_is_what_sha256sum_prints_first(artefact: Path) -> None:
    assert digest_path(artefact).read_text() == f"{hashlib.sha256(b'engine').hexdigest()}\n"


@pytest.mark.parametrize("content", [b"", b"engin", b"engine ", b"dngine"])
def test_changed_artefact_is_not_intact(artefact: Path, content: bytes) -> None:
    artefact.write_bytes(content)

    assert not intact(artefact)


@pytest.mark.parametrize("content", [b"", b"0", b"\xff\xfe\x00", b"\n"])
def test_artefact_with_a_changed_digest_is_not_intact(artefact: Path, content: bytes) -> None:
    digest_path(artefact).write_bytes(content)

    assert not intact(artefact)


def test_missing_artefact_is_not_intact(artefact: Path) -> None:
    artefact.unlink()

    assert not intact(artefact)


def test_artefact_without_digest_is_not_intact(artefact: Path) -> None:
    digest_path(artefact).unlink()

    assert not intact(artefact)


def test_publish_that_is_cut_off_leaves_nothing_intact(
    artefact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = files._rename

    def cut_off(temporary: Path, path: Path) -> None:
        if path == artefact:
            raise KeyboardInterrupt
        rename(temporary, path)

    monkeypatch.setattr(files, "_rename", cut_off)
    other = artefact.with_name("other")
    other.write_bytes(b"another engine")
    with pytest.raises(KeyboardInterrupt):
        publish(other, artefact)

    assert not intact(artefact)
    assert artefact.read_bytes() == b"engine"


# -- artefacts that are believed without being read ------------------------------------------------


@pytest.fixture
def digests(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read whole, in turn."""
    read: list[Path] = []

    def count(path: Path) -> str:
        read.append(path)
        return digest(path)

    monkeypatch.setattr(files, "digest", count)
    return read


@pytest.fixture
def known(artefact: Path, digests: list[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An artefact that was found intact, a while after it was published."""
    monkeypatch.setattr(files, "_COARSEST_CLOCK_NS", -10_000_000_000)
    assert intact(artefact)
    digests.clear()
    return artefact


def test_an_artefact_that_was_found_intact_is_not_read_again(
    known: Path, digests: list[Path]
) -> None:
    assert intact(known)
    assert digests == []


def test_an_artefact_that_is_young_is_read_again(artefact: Path, digests: list[Path]) -> None:
    assert intact(artefact)
    assert intact(artefact)
    assert digests == [artefact, artefact]


def test_a_change_that_keeps_size_and_time_is_seen(known: Path, digests: list[Path]) -> None:
    before = known.stat()
    known.write_bytes(b"ENGINE")
    os.utime(known, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert not intact(known)
    assert digests == [known]


def test_another_file_in_the_place_of_the_artefact_is_seen(known: Path) -> None:
    other = known.with_name("other")
    other.write_bytes(b"ENGINE")
    other.replace(known)

    assert not intact(known)


def test_a_distrusted_artefact_is_read_again(known: Path, digests: list[Path]) -> None:
    distrust(known.parent)

    assert intact(known)
    assert digests == [known]


def test_distrust_lets_a_damaged_digest_be(known: Path) -> None:
    digest_path(known).write_bytes(b"")
    distrust(known.parent)

    assert not intact(known)


def test_the_note_that_can_not_be_written_costs_nothing_but_time(
    artefact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_COARSEST_CLOCK_NS", -10_000_000_000)
    monkeypatch.setattr(files, "write_atomically", full)

    assert intact(artefact)


def test_the_digest_that_was_published_is_told_without_reading_the_artefact(
    known: Path, digests: list[Path]
) -> None:
    assert artefact_digest(known) == hashlib.sha256(b"engine").hexdigest()
    assert digests == []


@pytest.mark.parametrize("content", [b"", None])
def test_an_artefact_that_was_not_published_is_read_for_its_digest(
    artefact: Path, content: bytes | None
) -> None:
    if content is None:
        digest_path(artefact).unlink()
    else:
        digest_path(artefact).write_bytes(content)

    assert artefact_digest(artefact) == hashlib.sha256(b"engine").hexdigest()
