"""Graphs are written as ONNX and TFLite files that others read and compute the same from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from hwrt.backend import TensorSpec
from hwrt.model import read
from hwrt.testing import Graph, Lacks, evaluate, graphs, node, tensor, write_onnx, write_tflite
from hwrt.testing.flatbuffer import Payload, finish
from hwrt.testing.graph import dtype_named

GRAPHS: dict[str, Any] = {
    "relu": lambda _: graphs.relu(("N", 3)),
    "scalar": lambda _: graphs.relu(()),
    "rank 6": lambda _: graphs.relu((1, 2, 1, 2, 1, 2)),
    "no elements": lambda _: graphs.relu((0, 3)),
    "add": lambda _: graphs.add(("N", 2)),
    "two negations": lambda _: graphs.two_negations(("A",), ("B",)),
    "mixed": lambda _: graphs.mixed(),
    "many": lambda _: graphs.many(40),
    "indices": lambda _: graphs.arg_where(),
    "gather": lambda _: graphs.gather(),
    "convolution": graphs.convolution,
    "depthwise": graphs.depthwise,
    "matmul": lambda _: graphs.matmul(),
    "int8 ends": lambda _: graphs.quantized_matmul(float_ends=False),
    "float ends": lambda _: graphs.quantized_matmul(float_ends=True),
    "not": lambda _: graphs.unary("Not", "?", ("N",)),
    "transpose": lambda _: graphs.unary("Transpose", "f4", (3, 3), perm=[1, 0]),
    "multiply": lambda _: Graph(
        (tensor("x", "f4", (2, 3)),),
        (tensor("y", "f4", (2, 3)),),
        (node("Mul", "x k", "y"),),
        {"k": np.array([1, 2, 3], "f4")},
    ),
    "cast": lambda _: Graph(
        (tensor("x", "f4", (4,)),),
        (tensor("y", "i4", (4,)),),
        (node("Cast", "x", "y", to="int32"),),
    ),
    "shape": lambda _: Graph(
        (tensor("x", "f4", ("N", 3)),), (tensor("y", "i8", (2,)),), (node("Shape", "x", "y"),)
    ),
    "int32 twice": lambda _: graphs.doubled("i4"),
    "int64 reshaped": lambda _: graphs.reshaped("i8"),
}


def some(spec: TensorSpec) -> Any:
    shape = [2 if size is None else size for size in spec.shape or ()]
    values = np.random.default_rng(len(spec.name)).normal(scale=3, size=shape)
    if spec.dtype == np.dtype(bool):
        return np.asarray(values > 0)
    return np.asarray(np.abs(values) % 3 if spec.name == "i" else values).astype(spec.dtype)


def assert_near(graph: Graph, outputs: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert set(outputs) == set(wanted)
    for name, array in wanted.items():
        step = graph.quantization["yq"].scale[0] if "yq" in graph.quantization else 1e-4
        step = 1 if array.dtype == np.dtype("i1") else step
        assert outputs[name].dtype == array.dtype
        assert outputs[name].shape == array.shape
        np.testing.assert_allclose(
            outputs[name].astype("f8"), array.astype("f8"), rtol=1e-5, atol=step * 1.01
        )


@pytest.mark.parametrize("name", GRAPHS)
def test_onnx_file_is_sound_and_onnxs_own_reference_computes_the_same(
    tmp_path: Path, name: str
) -> None:
    graph = GRAPHS[name]("NCHW")
    path = write_onnx(graph, tmp_path / "model.onnx")
    feeds = {spec.name: some(spec) for spec in graph.inputs}
    names = [spec.name for spec in graph.outputs]
    model = onnx.load(path)
    if graph.quantization:
        # The evaluator has DequantizeLinear from opset 19 on, where it means the same.
        model.opset_import[0].version = 19
    outputs = ReferenceEvaluator(model).run(names, feeds)

    onnx.checker.check_model(path, full_check=True)
    arrays = {name: np.asarray(y) for name, y in zip(names, outputs, strict=True)}
    assert_near(graph, arrays, evaluate(graph, feeds))


@pytest.mark.parametrize("signature", ["serving_default", None])
@pytest.mark.parametrize("name", GRAPHS)
def test_tflite_file_is_computed_the_same_by_its_own_interpreter(
    tmp_path: Path, name: str, signature: str | None
) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    graph = GRAPHS[name]("NHWC")
    path = write_tflite(graph, tmp_path / "model.tflite", signature=signature)
    feeds = {spec.name: some(spec) for spec in graph.inputs}
    runner = interpreter.Interpreter(str(path))
    if signature is None:
        outputs = run(runner, feeds)
    else:
        outputs = runner.get_signature_runner(signature)(**feeds)

    assert_near(graph, outputs, evaluate(graph, feeds))


def run(runner: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    for detail in runner.get_input_details():
        runner.resize_tensor_input(detail["index"], feeds[detail["name"]].shape)
    runner.allocate_tensors()
    for detail in runner.get_input_details():
        runner.set_tensor(detail["index"], feeds[detail["name"]])
    runner.invoke()
    return {d["name"]: runner.get_tensor(d["index"]) for d in runner.get_output_details()}


@pytest.mark.parametrize(("write", "layout"), [(write_onnx, "NCHW"), (write_tflite, "NHWC")])
@pytest.mark.parametrize("name", GRAPHS)
def test_file_says_what_the_graph_says(tmp_path: Path, name: str, write: Any, layout: str) -> None:
    graph = GRAPHS[name](layout)
    info = read(write(graph, tmp_path / f"model.{write.__name__.removeprefix('write_')}"))

    assert info.inputs == graph.inputs
    assert info.outputs == graph.outputs
    assert info.quantized == bool(graph.quantization)


def test_scale_and_zero_point_are_in_the_tflite_file(tmp_path: Path) -> None:
    graph = graphs.quantized_matmul(float_ends=False)
    info = read(write_tflite(graph, tmp_path / "model.tflite"))

    assert info.inputs[0].quantization is not None
    assert info.inputs[0].quantization.zero_point == graph.quantization["xq"].zero_point
    np.testing.assert_allclose(
        graph.quantization["xq"].scale, info.inputs[0].quantization.scale, rtol=1e-6
    )


def test_names_are_the_signatures_where_there_is_one(tmp_path: Path) -> None:
    signed = read(write_tflite(graphs.relu(), tmp_path / "signed.tflite"))
    plain = read(write_tflite(graphs.relu(), tmp_path / "plain.tflite", signature=None))

    assert (signed.signature, plain.signature) == ("serving_default", None)
    assert signed.inputs == plain.inputs
    assert signed.inputs[0].aliases == ("serving_default_x:0",)


@pytest.mark.parametrize(
    ("dtype", "opset", "ir_version"),
    [("float32", 17, 8), ("bfloat16", 17, 8), ("float8_e5m2", 19, 9), ("int4", 21, 10)],
)
def test_opset_is_17_where_the_dtype_needs_no_other(
    tmp_path: Path, dtype: str, opset: int, ir_version: int
) -> None:
    path = write_onnx(graphs.reshaped(dtype_named(dtype)), tmp_path / "model.onnx")
    model = onnx.load(path)

    assert model.opset_import[0].version == opset
    assert model.ir_version == ir_version


@pytest.mark.parametrize(
    ("write", "graph", "what"),
    [
        (write_onnx, graphs.convolution("NHWC"), "NCHW"),
        (write_tflite, graphs.convolution("NCHW"), "NHWC"),
        (write_tflite, graphs.unary("Identity", "f4", ("A", "B")), "Identity"),
        (write_tflite, graphs.unary("Relu", "c8", (2,)), "complex64"),
        (write_onnx, graphs.unary("Swish", "f4", (2,)), "Swish"),
        (write_tflite, graphs.unary("Swish", "f4", (2,)), "Swish"),
    ],
    ids=str,
)
def test_what_a_format_lacks_is_said(tmp_path: Path, write: Any, graph: Graph, what: str) -> None:
    with pytest.raises((Lacks, KeyError), match=what):
        write(graph, tmp_path / "model")


@pytest.mark.parametrize("size", [1, 15, 16, 17, 1000])
def test_payload_lies_at_a_multiple_of_16(size: int) -> None:
    marked = b"\xa5" * size
    data = finish({0: "x" * (size % 7), 1: Payload(marked)}, b"TEST")

    assert data.index(marked) % 16 == 0
    assert data[4:8] == b"TEST"
