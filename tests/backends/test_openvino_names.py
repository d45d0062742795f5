"""Tensors that OpenVINO knows by other names than hwrt, or by names that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.backend import Device, InputError, Options, UnsupportedModel
from hwrt.model import read

pytest.importorskip("openvino", reason="openvino is not installed")

TWO = np.array([[1, -2, 3, -4]], "f4")


def tflite_with(tmp_path: Path, inputs: Any, outputs: Any, signature: Any = None) -> Any:
    """One operator, ABS of the tensor x or ADD of two inputs, over the schema's own classes."""
    schema = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="ai-edge-litert is not installed"
    )
    import flatbuffers

    def tensor(name: str) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, [1, 4], 0, 0
        return made

    def entries(names: dict[str, int]) -> list[Any]:
        maps = []
        for name, index in names.items():
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name, index
            maps.append(entry)
        return maps

    model, graph = schema.ModelT(), schema.SubGraphT()
    operator, code = schema.OperatorT(), schema.OperatorCodeT()
    names = [*inputs, "y"]
    graph.tensors = [tensor(name) for name in names]
    graph.inputs, graph.outputs = list(range(len(inputs))), outputs
    operator.inputs, operator.outputs = graph.inputs, [len(inputs)]
    if len(inputs) == 2:
        operator.builtinOptionsType, operator.builtinOptions = 28, schema.SubOptionsT()
    code.builtinCode = code.deprecatedBuiltinCode = 101 if len(inputs) == 1 else 41
    graph.operators, model.operatorCodes = [operator], [code]
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    if signature is not None:
        made = schema.SignatureDefT()
        made.signatureKey, made.subgraphIndex = "serving_default", 0
        made.inputs, made.outputs = map(entries, signature)
        model.signatureDefs = [made]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(builder.Output()))
    return read(path)


def run_openvino(model: Any, feeds: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs of ``infer``, and of ``run`` on a request's own arrays."""
    from hwrt_openvino import OpenVino

    made = OpenVino().compile(model, Device("cpu"), options=Options(threads=1))
    request = made.create_request()
    inferred = request.infer(feeds)
    for name, array in feeds.items():
        request.inputs[name][...] = array
    request.run()
    return [inferred, {name: array.copy() for name, array in request.outputs.items()}]


def test_an_input_that_is_an_output_of_another_name_is_read_anew(tmp_path: Path) -> None:
    model = tflite_with(tmp_path, ["x"], [0, 1], ({"a": 0}, {"b": 0, "c": 1}))

    for outputs in run_openvino(model, {"a": TWO}):
        np.testing.assert_array_equal(TWO, outputs["b"])
        np.testing.assert_array_equal(np.abs(TWO), outputs["c"])


@pytest.mark.parametrize(
    ("outputs", "signature", "names"),
    [([1, 1], None, ["y", "y_1"]), ([1], ({"x": 0}, {"c": 1, "d": 1}), ["c", "d"])],
    ids=["twice in the graph", "two keys"],
)
def test_one_tensor_as_two_outputs_is_given_under_both_names(
    tmp_path: Path, outputs: Any, signature: Any, names: list[str]
) -> None:
    model = tflite_with(tmp_path, ["x"], outputs, signature)

    for found in run_openvino(model, {"x": TWO}):
        assert names == list(found)
        for array in found.values():
            np.testing.assert_array_equal(np.abs(TWO), array)


def test_a_key_that_is_another_tensors_name_is_its_own_tensor(tmp_path: Path) -> None:
    model = tflite_with(tmp_path, ["a", "b"], [2], ({"b": 0, "a": 1}, {"c": 2}))

    for found in run_openvino(model, {"b": TWO, "a": TWO * 3}):
        np.testing.assert_array_equal(TWO - TWO * 3, found["c"])


def test_two_inputs_of_one_name_are_refused_not_merged(tmp_path: Path) -> None:
    model = tflite_with(tmp_path, ["x", "x"], [2])

    with pytest.raises(UnsupportedModel, match="'x_1'"):
        run_openvino(model, dict.fromkeys(("x", "x_1"), TWO))


def test_an_output_that_shares_its_tensor_can_not_be_bound(tmp_path: Path) -> None:
    from hwrt_openvino import OpenVino

    model = tflite_with(tmp_path, ["x"], [1, 1])
    request = OpenVino().compile(model, Device("cpu"), options=Options()).create_request()

    with pytest.raises(InputError, match="'y_1'"):
        request.bind("y_1", np.empty((1, 4), "f4"))
