from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

import hwrt.model
from hwrt.errors import InputError, ModelError, UnsupportedModel
from hwrt.model import FORMATS, READERS, read

Save = Callable[..., Path]
ONNX = READERS["onnx"]


def test_every_reader_is_of_a_known_format() -> None:
    assert set(FORMATS) >= set(READERS)


def test_a_model_is_read_by_the_reader_of_its_format(model: onnx.ModelProto, save: Save) -> None:
    info = read(str(save(model, "model.bin")))

    assert ("onnx", "tiny") == (info.format, info.name)


@pytest.mark.parametrize(
    ("data", "name"),
    [(b"ptrt\0\0", "tensorrt-engine"), (b"IMOD\0\0", "om")],
)
def test_a_known_format_without_reader_is_unsupported(data: bytes, name: str, save: Save) -> None:
    with pytest.raises(UnsupportedModel, match=f"the format {name}") as caught:
        read(save(data))

    assert all(format_name in str(caught.value.hint) for format_name in READERS)


@pytest.mark.parametrize("source", ["absent.onnx", ".", "", "bad\0name.onnx"])
def test_what_is_no_file_is_a_model_error(source: str) -> None:
    with pytest.raises(ModelError) as caught:
        read(source)

    assert caught.value.hint


def test_what_is_no_path_is_an_input_error() -> None:
    with pytest.raises(InputError):
        read(b"\x08\x08")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["m.onnx", "m.xml"])
def test_garbage_under_a_model_suffix_is_a_model_error(name: str, save: Save) -> None:
    with pytest.raises(ModelError, match="is not a sound"):
        read(save(b"\x7fgarbage\n", name))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the tests' files appear ten seconds old when they are read."""
    now_ns = hwrt.model.time.time_ns
    monkeypatch.setattr(hwrt.model.time, "time_ns", lambda: now_ns() + 10_000_000_000)


@pytest.mark.usefixtures("clock")
def test_a_remembered_model_is_not_read_again(
    model: onnx.ModelProto, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(model)
    first = read(path, memo_dir=tmp_path / "memo")
    monkeypatch.setitem(READERS, "onnx", pytest.fail)

    assert first == read(path, memo_dir=tmp_path / "memo")


@pytest.mark.usefixtures("clock")
def test_a_changed_model_is_read_again(model: onnx.ModelProto, save: Save, tmp_path: Path) -> None:
    first = read(save(model), memo_dir=tmp_path / "memo")
    model.graph.name = "other"

    second = read(save(model), memo_dir=tmp_path / "memo")

    assert ("tiny", "other") == (first.name, second.name)


def test_a_model_written_this_moment_is_read_again_each_time(
    model: onnx.ModelProto, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(model)
    read(path, memo_dir=tmp_path / "memo")
    monkeypatch.setitem(READERS, "onnx", lambda path: replace(ONNX(path), name="read again"))

    assert "read again" == read(path, memo_dir=tmp_path / "memo").name


WARM = """
import sys
from pathlib import Path
from hwrt.model import read
info = read(sys.argv[1], memo_dir=Path(sys.argv[2]))
print(info.name, *sorted({"onnx", "google.protobuf", "ml_dtypes", "rich"} & set(sys.modules)))
"""


@pytest.mark.usefixtures("clock")
def test_a_warm_read_does_not_import_onnx(
    model: onnx.ModelProto, save: Save, tmp_path: Path
) -> None:
    path, memo = save(model), tmp_path / "memo"
    read(path, memo_dir=memo)

    done = subprocess.run(
        [sys.executable, "-c", WARM, str(path), str(memo)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "tiny" == done.stdout.strip()
