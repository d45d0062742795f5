from __future__ import annotations

from pathlib import Path

import pytest

from hwrt import zoo
from hwrt.cli import main
from hwrt.model import read

Captured = pytest.CaptureFixture[str]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["zoo", *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_list_prints_every_name(capsys: Captured) -> None:
    code = run("list")

    assert (code, tuple(capsys.readouterr().out.split())) == (0, zoo.names())


def test_export_writes_name_onnx_into_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)

    code = run("export", "mobilenet_v3_small")

    assert (code, capsys.readouterr().out) == (0, "mobilenet_v3_small.onnx\n")
    assert read("mobilenet_v3_small.onnx").inputs[0].shape == (1, 3, 224, 224)


@pytest.mark.parametrize(("batch", "expected"), [("8", 8), ("dynamic", None)])
def test_export_takes_a_batch(tmp_path: Path, batch: str, expected: int | None) -> None:
    path = tmp_path / "m.onnx"

    run("export", "mobilenet_v3_small", "--batch", batch, "--output", str(path))

    assert read(path).inputs[0].shape == (expected, 3, 224, 224)


@pytest.mark.parametrize("options", [[], ["--output", "mobilenet_v3_small.onnx"]], ids=str)
def test_export_does_not_overwrite_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, options: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = tmp_path / "mobilenet_v3_small.onnx"
    trained.write_bytes(b"trained for a week")

    code = run("export", "mobilenet_v3_small", *options)

    assert (code, trained.read_bytes()) == (2, b"trained for a week")
    assert "mobilenet_v3_small.onnx exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "fly"],
        ["export", "resnet50", "--batch", "0"],
        ["export", "resnet50", "--batch", "x"],
        ["export", "resnet50", "--batch", ""],
        ["export", "resnet50", "--batch", "9" * 20],
        ["export", "mobilenet_v3_small", "--output", "no-such-folder/m.onnx"],
        ["fly"],
    ],
    ids=" ".join,
)
def test_bad_usage_is_code_2_and_one_line(capsys: Captured, arguments: list[str]) -> None:
    code = run(*arguments)

    out, err = capsys.readouterr()
    assert (code, out, len(err.splitlines())) == (2, "", 1)
