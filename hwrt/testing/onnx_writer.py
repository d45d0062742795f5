"""Graphs as ONNX files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hwrt.backend import Array, Quantization, TensorSpec
from hwrt.testing.graph import Graph, Lacks, Node

__all__ = ["write_onnx"]

# NumPy's name -> ONNX's, and the opset that has it as a type of what carries data about.
_TYPES = {
    "float16": ("FLOAT16", 17),
    "float32": ("FLOAT", 17),
    "float64": ("DOUBLE", 17),
    "bool": ("BOOL", 17),
    "object": ("STRING", 17),
    "bfloat16": ("BFLOAT16", 17),
    "float8_e4m3fn": ("FLOAT8E4M3FN", 19),
    "float8_e5m2": ("FLOAT8E5M2", 19),
    "int4": ("INT4", 21),
    "uint4": ("UINT4", 21),
    **{f"{u}int{n}": (f"{u}int{n}".upper(), 17) for u in ("", "u") for n in (8, 16, 32, 64)},
}
_IR_VERSIONS = {17: 8, 19: 9, 21: 10}
_UNKNOWN_DOMAIN = "nobody.knows"


def write_onnx(graph: Graph, path: Path) -> Path:
    """Write the graph as an ONNX file: opset 17 and IR 8, higher only where a dtype needs it.

    Raises Lacks for what ONNX can not say.
    """
    import onnx
    from onnx import helper

    tensors = (*graph.inputs, *graph.outputs)
    dtypes = {spec.dtype for spec in tensors} | {array.dtype for array in graph.constants.values()}
    opset = max(_type(dtype)[1] for dtype in dtypes)
    writer = _Writer(graph, opset)
    for node in graph.nodes:
        writer.add(node)
    proto = helper.make_graph(
        writer.nodes,
        path.stem,
        [_value_info(spec) for spec in graph.inputs],
        [_value_info(spec) for spec in graph.outputs],
        writer.constants,
    )
    domains = {"": opset}
    if any(node.operator == "Custom" for node in graph.nodes):
        domains[_UNKNOWN_DOMAIN] = 1
    model = helper.make_model(
        proto,
        ir_version=_IR_VERSIONS[opset],
        opset_imports=[helper.make_opsetid(*pair) for pair in domains.items()],
    )
    onnx.save(model, path)
    return path


def _type(dtype: np.dtype[Any]) -> tuple[int, int]:
    from onnx import TensorProto

    name, opset = _TYPES.get(dtype.name, (None, 0))
    if name is None or name not in TensorProto.DataType.keys():  # noqa: SIM118 - no mapping
        raise Lacks(f"ONNX has no {dtype.name} here")
    return TensorProto.DataType.Value(name), opset


def _value_info(spec: TensorSpec) -> Any:
    from onnx import helper

    shape: list[int | str | None] | None = None
    if spec.shape is not None:
        names = spec.dim_names or (None,) * len(spec.shape)
        shape = [name if n is None else n for n, name in zip(spec.shape, names, strict=True)]
    return helper.make_tensor_value_info(spec.name, _type(spec.dtype)[0], shape)


class _Writer:
    """Collects the ONNX nodes and initializers of a graph."""

    def __init__(self, graph: Graph, opset: int) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.graph = graph
        self.opset = opset
        for name, array in graph.constants.items():
            self.constant(name, array)

    def constant(self, name: str, array: Array) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def emit(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))

    def add(self, node: Node) -> None:
        quantization = self.graph.quantization
        if node.operator == "Quantize":
            meaning = quantization[node.output]
            return self.quantize(node.inputs[0], node.output, meaning, node.attributes["dtype"])
        if node.operator == "Dequantize":
            return self.dequantize(node.inputs[0], node.output, quantization[node.inputs[0]])
        wanted = quantization.get(node.output)
        if wanted is None:
            return self.plain(node, list(node.inputs), node.output)
        inputs = []
        for name in node.inputs:
            if (known := quantization.get(name)) is not None:
                self.dequantize(name, real := f"{node.output}/{name}", known)
                name = real  # noqa: PLW2901 - what the operator reads instead
            inputs.append(name)
        self.plain(node, inputs, real := f"{node.output}/real")
        dtype = self.dtype_of(node.output)
        return self.quantize(real, node.output, wanted, dtype)

    def dtype_of(self, name: str) -> str:
        for spec in (*self.graph.inputs, *self.graph.outputs):
            if spec.name == name:
                return str(spec.dtype.name)
        return "int8"

    def levels(self, name: str, meaning: Quantization, dtype: str) -> list[str]:
        scale, zero = np.array(meaning.scale, "f4"), np.array(meaning.zero_point, dtype)
        if meaning.axis is None:
            scale, zero = scale.reshape(()), zero.reshape(())
        return [self.constant(f"{name}/scale", scale), self.constant(f"{name}/zero", zero)]

    def quantize(self, x: str, y: str, meaning: Quantization, dtype: str) -> None:
        attributes = {} if meaning.axis is None else {"axis": meaning.axis}
        self.emit("QuantizeLinear", [x, *self.levels(y, meaning, dtype)], y, **attributes)

    def dequantize(self, x: str, y: str, meaning: Quantization) -> None:
        array = self.graph.constants.get(x)
        dtype = self.dtype_of(x) if array is None else array.dtype.name
        attributes = {} if meaning.axis is None else {"axis": meaning.axis}
        self.emit("DequantizeLinear", [x, *self.levels(y, meaning, dtype)], y, **attributes)

    def plain(self, node: Node, inputs: list[str], output: str) -> None:
        if node.operator in _SAME:
            return self.emit(node.operator, inputs, output, **node.attributes)
        if node.operator not in _OTHERS:
            raise Lacks(f"ONNX has no {node.operator}")
        return _OTHERS[node.operator](self, node, inputs, output)


def _cast(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    writer.emit("Cast", inputs, output, to=_type(np.dtype(node.attributes["to"]))[0])


def _reshape(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    shape = writer.constant(f"{output}/shape", np.array(node.attributes["shape"], "i8"))
    writer.emit("Reshape", [*inputs, shape], output)


def _reduce_mean(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    axes, keepdims = node.attributes["axes"], int(node.attributes["keepdims"])
    if writer.opset < 18:
        return writer.emit("ReduceMean", inputs, output, axes=axes, keepdims=keepdims)
    name = writer.constant(f"{output}/axes", np.array(axes, "i8"))
    return writer.emit("ReduceMean", [*inputs, name], output, keepdims=keepdims)


def _arg_where(writer: _Writer, _: Node, inputs: list[str], output: str) -> None:
    writer.emit("NonZero", inputs, f"{output}/columns")
    writer.emit("Transpose", [f"{output}/columns"], output, perm=[1, 0])


def _conv(writer: _Writer, node: Node, inputs: list[str], output: str) -> None:
    if node.attributes["layout"] != "NCHW":
        raise Lacks("ONNX convolves in the layout NCHW alone")
    weights = writer.graph.constants[node.inputs[1]]
    groups = weights.shape[0] if node.operator == "DepthwiseConv2D" else 1
    strides = [node.attributes["stride"]] * 2
    writer.emit("Conv", inputs, output, strides=strides, auto_pad="SAME_UPPER", group=groups)


def _custom(writer: _Writer, _: Node, inputs: list[str], output: str) -> None:
    writer.emit("Bogus", inputs, output, domain=_UNKNOWN_DOMAIN)


_SAME = frozenset(
    "Relu Neg Not Identity Shape Add Mul Concat Transpose Gather MatMul".split()  # noqa: SIM905
)
_OTHERS: dict[str, Callable[[_Writer, Node, list[str], str], None]] = {
    "Cast": _cast,
    "Reshape": _reshape,
    "ReduceMean": _reduce_mean,
    "ArgWhere": _arg_where,
    "Conv2D": _conv,
    "DepthwiseConv2D": _conv,
    "Custom": _custom,
}
