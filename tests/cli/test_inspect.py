from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hwrt.cli import main
from hwrt.model import read

Model = Callable[..., Path]
Captured = pytest.CaptureFixture[str]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["inspect", *map(str, arguments)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_the_listing_tells_what_the_file_says(relu_model: Model, capsys: Captured) -> None:
    path = relu_model((1, "n"))

    code = run(path)

    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    facts = {line[0]: line[1] for line in lines}
    assert code == 0
    assert facts["format"] == "onnx, IR 8"
    assert facts["inputs"] == "x: float32[1, n]"
    assert facts["outputs"] == "y: float32[1, n]"
    assert facts["operators"] == "Relu 1"
    assert facts["sha256"] == read(path).sha256


def test_the_json_is_one_document_with_its_schema(relu_model: Model, capsys: Captured) -> None:
    path = relu_model((1, "n"))

    run(path, "--json")

    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["model"]) == ("hwrt.inspect/1", str(path))
    assert document["inputs"] == [
        {"name": "x", "dtype": "float32", "shape": [1, None], "dim_names": [None, "n"]}
    ]
    assert document["operators"] == {"Relu": 1}


def test_init_writes_the_sidecar_beside_the_model(relu_model: Model, capsys: Captured) -> None:
    path = relu_model((1, 3, 8, 8))

    code = run(path, "--init")

    sidecar = path.with_name("relu.onnx.hwrt.json")
    assert code == 0
    assert f"wrote {sidecar}" in capsys.readouterr().out
    assert json.loads(sidecar.read_text())["task"] is None


def test_a_second_init_overwrites_nothing(relu_model: Model, capsys: Captured) -> None:
    path = relu_model((1, 3, 8, 8))
    sidecar = path.with_name("relu.onnx.hwrt.json")
    sidecar.write_text("{}")

    code = run(path, "--init")

    assert (code, sidecar.read_text()) == (2, "{}")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_zoo_model_needs_no_sidecar(capsys: Captured) -> None:
    assert run("zoo:resnet50", "--init") == 2
    assert "zoo models say all that is needed" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_what_is_no_model_is_code_2_and_one_line(
    tmp_path: Path, capsys: Captured, content: bytes | None
) -> None:
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(content)

    code = run(path)

    out, err = capsys.readouterr()
    assert (code, out, len(err.splitlines())) == (2, "", 1)
