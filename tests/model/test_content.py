from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import pytest

from hwrt.errors import ModelError
from hwrt.model.content import content_hash, write_bytes


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A model and two data files."""
    paths = [tmp_path / name for name in ("model.onnx", "a.bin", "b.bin")]
    for path, content in zip(paths, (b"model", b"one", b"three"), strict=True):
        path.write_bytes(content)
    return paths


def test_a_lone_file_has_the_hash_that_sha256sum_prints(files: list[Path]) -> None:
    assert hashlib.sha256(b"model").hexdigest() == content_hash(files[0])


def test_external_files_change_the_hash(files: list[Path]) -> None:
    hashes = {content_hash(files[0], files[1:count]) for count in (1, 2, 3)}

    assert 3 == len(hashes)


def test_the_order_in_which_files_are_named_does_not_matter(files: list[Path]) -> None:
    model, first, second = files

    assert content_hash(model, [first, second]) == content_hash(model, [second, first])


def test_the_content_of_an_external_file_matters(files: list[Path]) -> None:
    before = content_hash(files[0], files[1:])

    files[1].write_bytes(b"two")

    assert before != content_hash(files[0], files[1:])


def test_exchanged_files_change_the_hash(files: list[Path]) -> None:
    before = content_hash(files[0], files[1:])

    files[1].write_bytes(b"three")
    files[2].write_bytes(b"one")

    assert before != content_hash(files[0], files[1:])


def test_bytes_moved_from_one_file_to_the_next_change_the_hash(files: list[Path]) -> None:
    before = content_hash(files[0], files[1:])

    files[1].write_bytes(b"onet")
    files[2].write_bytes(b"hree")

    assert before != content_hash(files[0], files[1:])


def test_the_same_files_in_another_folder_have_the_same_hash(
    files: list[Path], tmp_path: Path
) -> None:
    before = content_hash(files[0], files[1:])
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    moved = [path.rename(folder / path.name) for path in files]
    renamed = moved[0].rename(folder / "other.onnx")

    assert before == content_hash(renamed, moved[1:])


def test_hashing_takes_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(50_000_000)

    tracemalloc.start()
    try:
        content_hash(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 2_000_000


def test_a_file_that_went_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gone can not be read"):
        content_hash(tmp_path / "gone")


def test_bytes_are_written_under_their_hash(tmp_path: Path) -> None:
    path = write_bytes(b"model", tmp_path / "models")

    assert tmp_path / "models" / f"{content_hash(path)}.onnx" == path
    assert b"model" == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


def test_bytes_that_are_there_are_not_written_again(tmp_path: Path) -> None:
    first = write_bytes(b"model", tmp_path)
    inode = first.stat().st_ino

    assert first == write_bytes(b"model", tmp_path)
    assert inode == first.stat().st_ino


def test_a_damaged_copy_is_written_anew(tmp_path: Path) -> None:
    path = write_bytes(b"model", tmp_path)
    path.write_bytes(b"mod")

    write_bytes(b"model", tmp_path)

    assert b"model" == path.read_bytes()


def test_no_bytes_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="empty"):
        write_bytes(b"", tmp_path)


def test_a_folder_that_takes_no_file_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(ModelError, match="can not be written to") as caught:
        write_bytes(b"model", tmp_path / "file")

    assert caught.value.hint
