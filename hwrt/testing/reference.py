"""What a graph computes, by NumPy alone: the answers that every backend is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hwrt.backend import Array, Quantization
from hwrt.testing.graph import Graph, Node

__all__ = ["dequantize", "evaluate", "every_tensor", "quantize"]


def evaluate(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs for these feeds, in the graph's order; new arrays."""
    values = every_tensor(graph, feeds)
    return {spec.name: np.array(values[spec.name]) for spec in graph.outputs}


def every_tensor(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The values of all tensors by name: feeds, constants and what each node gives."""
    values: dict[str, Array] = {**graph.constants, **feeds}
    for node in graph.nodes:
        values[node.output] = _value(graph, node, values)
    return values


def quantize(x: Array, to: Quantization, dtype: Any) -> Array:
    """The integers that stand for ``x``: to the nearest, ties to even, clipped to the dtype."""
    scale, zero_point = _spread(to, x.ndim)
    limits = np.iinfo(dtype)
    levels = np.rint(x / scale) + zero_point
    return np.asarray(np.clip(levels, limits.min, limits.max).astype(dtype))


def dequantize(x: Array, what: Quantization) -> Array:
    """What these integers stand for, float32."""
    scale, zero_point = _spread(what, x.ndim)
    return np.asarray((x.astype("f4") - zero_point) * scale, "f4")


def _spread(what: Quantization, rank: int) -> tuple[Array, Array]:
    shape = [1] * rank
    if what.axis is not None:
        shape[what.axis] = -1
    elif len(what.scale) == 1:
        shape = []
    return (
        np.array(what.scale, "f4").reshape(shape),
        np.array(what.zero_point, "i4").reshape(shape),
    )


def _value(graph: Graph, node: Node, values: Mapping[str, Array]) -> Array:
    inputs = [values[name] for name in node.inputs]
    meanings = [graph.quantization.get(name) for name in node.inputs]
    wanted = graph.quantization.get(node.output)
    if node.operator == "Quantize":
        assert wanted is not None
        return quantize(inputs[0], wanted, node.attributes["dtype"])
    if node.operator == "Dequantize":
        assert meanings[0] is not None
        return dequantize(inputs[0], meanings[0])
    if wanted is None:
        return np.asarray(_OPERATORS[node.operator](node, *inputs))
    real = [x if m is None else dequantize(x, m) for x, m in zip(inputs, meanings, strict=True)]
    return quantize(np.asarray(_OPERATORS[node.operator](node, *real)), wanted, inputs[0].dtype)


def _reduce_mean(node: Node, x: Array) -> Array:
    axes, keepdims = tuple(node.attributes["axes"]), bool(node.attributes["keepdims"])
    return np.asarray(x.mean(axis=axes, keepdims=keepdims, dtype="f8").astype(x.dtype))


def _conv(node: Node, x: Array, weights: Array, bias: Array) -> Array:
    """Convolution in float64 over NHWC, whatever the layout; groups where weights are depthwise."""
    first, depthwise = node.attributes["layout"] == "NCHW", node.operator == "DepthwiseConv2D"
    if first:
        x = x.transpose(0, 2, 3, 1)
        weights = weights.transpose(1, 2, 3, 0) if depthwise else weights.transpose(0, 2, 3, 1)
    stride, size = node.attributes["stride"], weights.shape[1]
    patches = np.lib.stride_tricks.sliding_window_view(
        _padded(x, size, stride), (size, size), (1, 2)
    )
    patches = patches[:, ::stride, ::stride].astype("f8")
    terms = "nhwcij,zijc->nhwc" if depthwise else "nhwcij,oijc->nhwo"
    y = (np.einsum(terms, patches, weights.astype("f8")) + bias).astype(x.dtype)
    return np.asarray(y.transpose(0, 3, 1, 2) if first else y)


def _padded(x: Array, size: int, stride: int) -> Array:
    widths = [(0, 0)]
    for length in x.shape[1:3]:
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        widths.append((total // 2, total - total // 2))
    return np.pad(x, [*widths, (0, 0)])


_OPERATORS: dict[str, Callable[..., Array]] = {
    "Relu": lambda _, x: np.maximum(x, x.dtype.type(0)),
    "Neg": lambda _, x: -x,
    "Not": lambda _, x: ~x,
    "Identity": lambda _, x: x,
    "Custom": lambda _, x: x,
    "Shape": lambda _, x: np.array(x.shape, "i8"),
    "Add": lambda _, a, b: a + b,
    "Mul": lambda _, a, b: a * b,
    "Concat": lambda node, *xs: np.concatenate(xs, axis=node.attributes["axis"]),
    "Reshape": lambda node, x: x.reshape(node.attributes["shape"]),
    "Transpose": lambda node, x: x.transpose(node.attributes["perm"]),
    "ReduceMean": _reduce_mean,
    "Cast": lambda node, x: x.astype(node.attributes["to"]),
    "Gather": lambda node, x, indices: x.take(indices, axis=node.attributes["axis"]),
    "ArgWhere": lambda _, x: np.argwhere(x),
    "MatMul": lambda _, x, w: (x.astype("f8") @ w.astype("f8")).astype(x.dtype),
    "Conv2D": _conv,
    "DepthwiseConv2D": _conv,
}
