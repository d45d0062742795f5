"""Files that OpenVINO reads in another way than the first, or not at all."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from hwrt.backend import Device, ModelInfo, Options, UnsupportedModel
from hwrt.model import read
from hwrt.testing import graphs
from hwrt.testing.tflite_writer import write_tflite
from hwrt_openvino import OpenVino
from hwrt_openvino.reading import read_network

openvino = pytest.importorskip("openvino", reason="openvino is not installed")

CPU = Device("cpu")
WEIGHT = np.array([1, 2, 3, 4, 5], "f4")


def loss_model(folder: Path, *, external: bool = False) -> ModelInfo:
    """The mean loss of log probabilities ``x``, the targets 1 being left out."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 5])
    t = helper.make_tensor_value_info("t", TensorProto.INT64, [3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    node = helper.make_node(
        "NegativeLogLikelihoodLoss", ["x", "t", "weight"], ["y"], ignore_index=1
    )
    graph = helper.make_graph(
        [node], "loss", [x, t], [y], [numpy_helper.from_array(WEIGHT, "weight")]
    )
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    where: dict[str, Any] = {"location": "weights.bin", "size_threshold": 0} if external else {}
    save(made, folder / "model.onnx", save_as_external_data=external, **where)
    return read(folder / "model.onnx")


class Reader(SimpleNamespace):
    """A Core that fails to read paths with these words, and keeps what it was asked for."""

    def read_model(self, model: Any) -> str:
        self.asked = [*getattr(self, "asked", ()), type(model)]
        if isinstance(model, str):
            raise RuntimeError(self.said)  # noqa: TRY004 - openvino's own for everything
        return "of bytes"


def test_operator_that_fails_to_be_read_from_a_file_is_right(tmp_path: Path) -> None:
    made = OpenVino().compile(loss_model(tmp_path), CPU, options=Options(threads=1))
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("f4")
    outputs = made.create_request().infer({"x": x, "t": np.array([4, 1, 2], "i8")})

    np.testing.assert_allclose(-(5 * x[0, 4] + 3 * x[2, 2]) / 8, outputs["y"], rtol=1e-5)


def test_file_is_read_from_bytes_where_its_path_fails_alone(tmp_path: Path) -> None:
    core = Reader(said="get_attribute is not implemented for this FrontEnd class")

    assert read_network(core, loss_model(tmp_path)) == "of bytes"


def test_external_data_is_never_looked_for_without_a_folder(tmp_path: Path) -> None:
    core = Reader(said="get_attribute is not implemented for this FrontEnd class")
    with pytest.raises(RuntimeError, match="get_attribute"):
        read_network(core, loss_model(tmp_path, external=True))

    assert core.asked == [str]


def test_file_that_fails_otherwise_is_read_once(tmp_path: Path) -> None:
    core = Reader(said="Unable to read the model")
    with pytest.raises(RuntimeError, match="Unable to read"):
        read_network(core, loss_model(tmp_path))

    assert core.asked == [str]


@pytest.mark.parametrize("version", ["2024.1.0-15008-f4afc98", "2025.0.0-17942-1f68be9"])
def test_quantised_tflite_is_refused_by_versions_that_misread_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(openvino, "get_version", lambda: version)
    graph = graphs.quantized_matmul(float_ends=True)
    model = read(write_tflite(graph, tmp_path / "model.tflite"))

    with pytest.raises(UnsupportedModel, match=rf"{version} misreads .*model\.tflite.*2025\.1"):
        OpenVino().compile(model, CPU, options=Options(threads=1))


def test_tflite_of_floats_is_read_by_every_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "get_version", lambda: "2024.1.0-15008-f4afc98")
    model = read(write_tflite(graphs.matmul(), tmp_path / "model.tflite"))

    assert OpenVino().compile(model, CPU, options=Options(threads=1)).precision == "f32"
