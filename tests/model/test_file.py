from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hwrt.errors import InputError, ModelError
from hwrt.model.file import external_file, regular_file


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.onnx").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)

    assert tmp_path / "m.onnx" == regular_file("m.onnx")


def test_a_link_to_a_model_keeps_its_own_path(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x")
    link = tmp_path / "link"
    link.symlink_to("real")

    assert link == regular_file(link)


def test_a_missing_file_tells_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.onnx does not exist") as caught:
        regular_file("absent.onnx")

    assert str(Path.cwd()) in str(caught.value.hint)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        regular_file(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ModelError, match="pipe, socket or device"):
        regular_file(tmp_path / "pipe")


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has a short limit
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")

        with pytest.raises(ModelError, match="pipe, socket or device"):
            regular_file("s")


def test_a_device_is_refused() -> None:
    with pytest.raises(ModelError, match="pipe, socket or device"):
        regular_file("/dev/zero")


def test_a_file_that_this_user_may_not_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"x")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything

    with pytest.raises(ModelError, match="not readable for this user"):
        regular_file(path)


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(ModelError, match="can not be read"):
        regular_file(tmp_path / "loop")


@pytest.mark.parametrize("source", [None, 3, b"model.onnx"])
def test_what_is_no_path_is_an_input_error(source: object) -> None:
    with pytest.raises(InputError, match="not a path"):
        regular_file(source)  # type: ignore[arg-type]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model in a folder, with other files around it."""
    for name in ("folder/model.onnx", "folder/w.bin", "folder/sub/w.bin", "outside/w.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"data")
    return tmp_path / "folder" / "model.onnx"


@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "sub/w.bin"])
def test_a_file_beside_or_below_the_model_is_found(location: str, model: Path) -> None:
    found = external_file(model, location, owner="tensor 'w'")

    assert model.parent / location == found


def test_a_link_within_the_folder_is_followed(model: Path) -> None:
    link = model.parent / "link.bin"
    link.symlink_to("sub/w.bin")

    assert link == external_file(model, "link.bin", owner="tensor 'w'")


@pytest.mark.parametrize("target", ["../outside/w.bin", "/etc/passwd"])
def test_a_link_out_of_the_folder_is_refused(target: str, model: Path) -> None:
    (model.parent / "link.bin").symlink_to(target)

    with pytest.raises(ModelError, match="outside the model's folder"):
        external_file(model, "link.bin", owner="tensor 'w'")


def test_a_link_to_a_folder_outside_is_refused(model: Path) -> None:
    (model.parent / "way").symlink_to("../outside", target_is_directory=True)

    with pytest.raises(ModelError, match="outside the model's folder"):
        external_file(model, "way/w.bin", owner="tensor 'w'")


def test_a_model_and_its_data_may_both_be_links_into_one_folder(model: Path) -> None:
    snapshot = model.parent.parent / "snapshot"
    snapshot.mkdir()
    (snapshot / "model.onnx").symlink_to("../folder/model.onnx")
    (snapshot / "w.bin").symlink_to("../folder/w.bin")

    found = external_file(snapshot / "model.onnx", "w.bin", owner="tensor 'w'")

    assert snapshot / "w.bin" == found


def test_a_pipe_as_external_data_is_refused(model: Path) -> None:
    os.mkfifo(model.parent / "pipe")

    with pytest.raises(ModelError, match="pipe, socket or device"):
        external_file(model, "pipe", owner="tensor 'w'")


def test_a_drive_letter_is_no_relative_path(model: Path) -> None:
    with pytest.raises(ModelError, match="not a relative path"):
        external_file(model, "C:/w.bin", owner="tensor 'w'")


def test_a_git_lfs_pointer_in_place_of_the_data_is_recognised(model: Path) -> None:
    (model.parent / "w.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid ...")

    with pytest.raises(ModelError, match=r"w\.bin is a git-lfs pointer") as caught:
        external_file(model, "w.bin", owner="tensor 'w'")

    assert caught.value.hint == "run: git lfs pull"


def test_a_relative_path_in_a_folder_that_is_gone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    with pytest.raises(ModelError, match="the working folder, which is gone"):
        regular_file("m.onnx")
