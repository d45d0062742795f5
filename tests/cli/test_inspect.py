from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwrt.cli import main
from hwrt.cli.inspect import _lines
from hwrt.model import read
from hwrt.spec import ModelInfo, Quantization, Signature, TensorSpec

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
        {
            "name": "x",
            "dtype": "float32",
            "shape": [1, None],
            "dim_names": [None, "n"],
            "quantization": None,
            "aliases": [],
        }
    ]
    assert document["operators"] == {"Relu": 1}


def test_a_quantised_model_shows_what_its_integers_stand_for(
    shared: Path, capsys: Captured
) -> None:
    run(shared / "models" / "yolov8n_int8.tflite")

    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    facts = {line[0]: line[1] for line in lines}
    assert facts["inputs"] == (
        "images: int8[1, 640, 640, 3] = 0.003921569 * (q + 128)  (serving_default_images:0)"
    )
    assert facts["signatures"] == "serving_default: images -> output_0"


def test_the_json_names_the_parts_of_signatures_and_scales(shared: Path, capsys: Captured) -> None:
    run(shared / "models" / "yolov8n_int8.tflite", "--json")

    document = json.loads(capsys.readouterr().out)
    signature = {"inputs": ["images"], "outputs": ["output_0"]}
    assert document["signature"] == "serving_default"
    assert document["signatures"] == {"serving_default": signature}
    assert document["inputs"][0]["quantization"] == {
        "scale": [pytest.approx(1 / 255)],
        "zero_point": [-128],
        "axis": None,
    }


def tensor(quantization: Quantization | None, aliases: tuple[str, ...] = ()) -> TensorSpec:
    return TensorSpec("x", np.dtype(np.int8), (2,), quantization=quantization, aliases=aliases)


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        (tensor(None), "x: int8[2]"),
        (tensor(None, ("t:0", "u")), "x: int8[2]  (t:0, u)"),
        (tensor(Quantization((0.5,), (0,))), "x: int8[2] = 0.5 * q"),
        (tensor(Quantization((0.5,), (-1,))), "x: int8[2] = 0.5 * (q + 1)"),
        (
            tensor(Quantization((0.5, 1.0), (0, 1), 0)),
            "x: int8[2] = scale * (q - zero point), 2 of each along axis 0",
        ),
    ],
)
def test_a_tensor_is_shown_on_one_line(spec: TensorSpec, line: str) -> None:
    info = ModelInfo(Path("m.tflite"), "tflite", "", 0, (spec,), ())

    assert f"inputs      {line}" in list(_lines("m.tflite", info))


def test_the_signature_that_is_run_is_marked_among_several() -> None:
    signatures = {"a": Signature(("x",), ("y", "z")), "b": Signature((), ("y",))}
    info = ModelInfo(
        Path("m.tflite"), "tflite", "", 0, (), (), signatures=signatures, signature="b"
    )

    lines = list(_lines("m.tflite", info))
    assert "signatures  a: x -> y, z" in lines
    assert "            b:  -> y  (the one that is run)" in lines


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
