"""The vocabulary of a graph in TFLite's terms: codes, options and extra inputs of each operator.

Numbers are those of TensorFlow Lite's schema.fbs: BuiltinOperator, BuiltinOptions, slots.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hwrt.backend import Array
from hwrt.testing.flatbuffer import Scalar, Table
from hwrt.testing.graph import Graph, Lacks, Node

__all__ = ["CUSTOM", "DTYPES", "Operator", "operator"]

CUSTOM = 32
DTYPES = {
    "float32": 0,
    "float16": 1,
    "int32": 2,
    "uint8": 3,
    "int64": 4,
    "object": 5,
    "bool": 6,
    "int16": 7,
    "int8": 9,
    "float64": 10,
    "uint64": 12,
    "uint32": 15,
    "uint16": 16,
    "int4": 17,
    "bfloat16": 18,
    "uint4": 20,
    "float8_e4m3fn": 21,
    "float8_e5m2": 22,
}
"""NumPy's name of a dtype -> the number of TFLite's TensorType."""


class Operator(NamedTuple):
    """How TFLite writes a node: ``inputs`` are names of tensors, or arrays for new constants."""

    code: int
    inputs: tuple[str | Array, ...]
    options_type: int = 0
    options: Table | None = None


def operator(graph: Graph, node: Node, shape: tuple[int | None, ...]) -> Operator:
    """The node in TFLite; its output has this shape, None being an open dimension.

    Raises Lacks where TFLite has no such operator.
    """
    if node.operator in _PLAIN:
        code, options_type = _PLAIN[node.operator]
        return Operator(code, node.inputs, options_type, {} if options_type else None)
    if node.operator == "Identity":
        return _identity(node, shape)
    if node.operator not in _OTHERS:
        raise Lacks(f"TFLite has no {node.operator}")
    return _OTHERS[node.operator](graph, node)


def _identity(node: Node, shape: tuple[int | None, ...]) -> Operator:
    if shape.count(None) > 1:
        raise Lacks("TFLite has no Identity, and Reshape leaves one dimension open at most")
    sizes = np.array([-1 if size is None else size for size in shape], "i4")
    return Operator(22, (*node.inputs, sizes), 17, {})


def _reshape(_: Graph, node: Node) -> Operator:
    return Operator(22, (*node.inputs, np.array(node.attributes["shape"], "i4")), 17, {})


def _concat(_: Graph, node: Node) -> Operator:
    return Operator(2, node.inputs, 10, {0: Scalar("Int32", node.attributes["axis"])})


def _transpose(_: Graph, node: Node) -> Operator:
    return Operator(39, (*node.inputs, np.array(node.attributes["perm"], "i4")))


def _mean(_: Graph, node: Node) -> Operator:
    axes = np.array(node.attributes["axes"], "i4")
    keep = Scalar("Bool", int(node.attributes["keepdims"]))
    return Operator(40, (*node.inputs, axes), 27, {0: keep})


def _cast(_: Graph, node: Node) -> Operator:
    return Operator(53, node.inputs)


def _gather(_: Graph, node: Node) -> Operator:
    return Operator(36, node.inputs, 23, {0: Scalar("Int32", node.attributes["axis"])})


def _shape(_: Graph, node: Node) -> Operator:
    return Operator(77, node.inputs, 55, {0: Scalar("Int8", DTYPES["int64"])})


def _fully_connected(graph: Graph, node: Node) -> Operator:
    weights = graph.constants.get(node.inputs[1])
    if weights is None:
        raise Lacks("this writer multiplies by constants alone")
    return Operator(9, node.inputs, 8, {2: Scalar("Bool", 1)})


def _conv(_: Graph, node: Node) -> Operator:
    if node.attributes["layout"] != "NHWC":
        raise Lacks("TFLite convolves in the layout NHWC alone")
    stride = Scalar("Int32", node.attributes["stride"])
    options: Table = {0: Scalar("Int8", 0), 1: stride, 2: stride}
    if node.operator == "Conv2D":
        return Operator(3, node.inputs, 1, options)
    return Operator(4, node.inputs, 2, {**options, 3: Scalar("Int32", 1)})


_PLAIN = {
    "Relu": (19, 0),
    "Neg": (59, 0),
    "Not": (87, 0),
    "Add": (0, 11),
    "Mul": (18, 21),
    "ArgWhere": (109, 0),
    "Quantize": (114, 0),
    "Dequantize": (6, 0),
    "Custom": (CUSTOM, 0),
}
_OTHERS: dict[str, Callable[[Graph, Node], Operator]] = {
    "Reshape": _reshape,
    "Concat": _concat,
    "Transpose": _transpose,
    "ReduceMean": _mean,
    "Cast": _cast,
    "Gather": _gather,
    "Shape": _shape,
    "MatMul": _fully_connected,
    "Conv2D": _conv,
    "DepthwiseConv2D": _conv,
}
