"""The small graphs that the suite runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from hwrt.backend import Quantization
from hwrt.testing.graph import Graph, node, tensor

__all__ = [
    "add",
    "arg_where",
    "convolution",
    "depthwise",
    "doubled",
    "gather",
    "many",
    "matmul",
    "mixed",
    "quantized_matmul",
    "relu",
    "reshaped",
    "two_negations",
    "unary",
]

Shape = Sequence[int | str | None]


def unary(operator: str, dtype: DTypeLike, shape: Shape, **attributes: Any) -> Graph:
    """``y`` is what the operator makes of ``x``, of its dtype and shape."""
    return Graph(
        (tensor("x", dtype, shape),),
        (tensor("y", dtype, shape),),
        (node(operator, "x", "y", **attributes),),
    )


def relu(shape: Shape = (4,)) -> Graph:
    """Y = max(x, 0), float32."""
    return unary("Relu", "f4", shape)


def reshaped(dtype: DTypeLike) -> Graph:
    """Y of shape (2, 3) holds the elements of x, of shape (6,)."""
    nodes = (node("Reshape", "x", "y", shape=[2, 3]),)
    return Graph((tensor("x", dtype, (6,)),), (tensor("y", dtype, (2, 3)),), nodes)


def doubled(dtype: DTypeLike) -> Graph:
    """Y is x twice, one after the other: (N, 2) gives (2N, 2)."""
    nodes = (node("Concat", "x x", "y", axis=0),)
    return Graph((tensor("x", dtype, ("N", 2)),), (tensor("y", dtype, ("M", 2)),), nodes)


def add(shape: Shape) -> Graph:
    """C = a + b, float32."""
    a, b, c = (tensor(name, "f4", shape) for name in "abc")
    return Graph((a, b), (c,), (node("Add", "a b", "c"),))


def two_negations(first: Shape, second: Shape) -> Graph:
    """C = -a and d = -b, float32: two halves that have nothing to do with each other."""
    return Graph(
        (tensor("a", "f4", first), tensor("b", "f4", second)),
        (tensor("c", "f4", first), tensor("d", "f4", second)),
        (node("Neg", "a", "c"), node("Neg", "b", "d")),
    )


def mixed() -> Graph:
    """Total = a + b, twice = 2a, flag = not c, same = a; b before a, c of another dtype."""
    shape = (2, 3)
    return Graph(
        (tensor("b", "f4", (2, 1)), tensor("a", "f4", shape), tensor("c", "?", (5,))),
        (
            tensor("twice", "f4", shape),
            tensor("flag", "?", (5,)),
            tensor("total", "f4", shape),
            tensor("same", "f4", shape),
        ),
        (
            node("Add", "a b", "total"),
            node("Add", "a a", "twice"),
            node("Not", "c", "flag"),
            node("Identity", "a", "same"),
        ),
    )


def many(count: int) -> Graph:
    """YK = -xK for K below ``count``, each of a size of its own; the outputs in reverse."""
    sizes = [(1 + k % 7,) for k in range(count)]
    return Graph(
        tuple(tensor(f"x{k}", "f4", size) for k, size in enumerate(sizes)),
        tuple(reversed([tensor(f"y{k}", "f4", size) for k, size in enumerate(sizes)])),
        tuple(node("Neg", f"x{k}", f"y{k}") for k in range(count)),
    )


def arg_where() -> Graph:
    """Y = the indices of x that are not 0: a shape that depends on the data."""
    nodes = (node("ArgWhere", "x", "y"),)
    return Graph((tensor("x", "f4", ("N",)),), (tensor("y", "i8", ("K", 1)),), nodes)


def gather() -> Graph:
    """Y = x[i]; an index outside of x is an error of the run."""
    return Graph(
        (tensor("x", "f4", (3,)), tensor("i", "i4", ("N",))),
        (tensor("y", "f4", ("N",)),),
        (node("Gather", "x i", "y", axis=0),),
    )


def convolution(layout: str, batch: int | str = "N") -> Graph:
    """3 -> 8 channels, 3x3, stride 2, bias, ReLU, mean over the pixels: float32 (batch, 8)."""
    random = np.random.default_rng(7)
    weights = random.normal(size=(8, 3, 3, 3)).astype("f4")
    shapes: dict[str, Shape] = {"NCHW": (batch, 3, 16, 16), "NHWC": (batch, 16, 16, 3)}
    return Graph(
        (tensor("x", "f4", shapes[layout]),),
        (tensor("y", "f4", (batch, 8)),),
        (
            node("Conv2D", "x w b", "c", layout=layout, stride=2),
            node("Relu", "c", "r"),
            node("ReduceMean", "r", "y", axes=_pixels(layout), keepdims=False),
        ),
        {
            "w": weights
            if layout == "NCHW"
            else np.ascontiguousarray(weights.transpose(0, 2, 3, 1)),
            "b": random.normal(size=8).astype("f4"),
        },
    )


def depthwise(layout: str) -> Graph:
    """4 channels, each with a 3x3 filter and a bias of its own: float32."""
    random = np.random.default_rng(8)
    shape = (1, 4, 6, 6) if layout == "NCHW" else (1, 6, 6, 4)
    size = (4, 1, 3, 3) if layout == "NCHW" else (1, 3, 3, 4)
    return Graph(
        (tensor("x", "f4", shape),),
        (tensor("y", "f4", shape),),
        (node("DepthwiseConv2D", "x w b", "y", layout=layout, stride=1),),
        {"w": random.normal(size=size).astype("f4"), "b": random.normal(size=4).astype("f4")},
    )


def matmul() -> Graph:
    """Y = x @ w with 512 seeded terms: bf16 misses its float32 value by far more than float32."""
    weights = np.random.default_rng(3).normal(size=(512, 16)).astype("f4")
    nodes = (node("MatMul", "x w", "y"),)
    return Graph(
        (tensor("x", "f4", (4, 512)),), (tensor("y", "f4", (4, 16)),), nodes, {"w": weights}
    )


def quantized_matmul(*, float_ends: bool) -> Graph:
    """X @ w in int8, from float32 to float32 or from int8 to int8."""
    # x86 without VNNI adds pairs of u8 * s8 in 16 bits that saturate: above 64 is wrong there.
    weights = np.random.default_rng(5).integers(-63, 64, size=(16, 8)).astype("i1")
    x, w, y = (
        Quantization((scale,), (zero,)) for scale, zero in ((0.02, 3), (0.01, 0), (0.04, -5))
    )
    product = node("MatMul", "xq w", "yq")
    if not float_ends:
        return Graph(
            (tensor("xq", "i1", (2, 16), x),),
            (tensor("yq", "i1", (2, 8), y),),
            (product,),
            {"w": weights},
            {"xq": x, "w": w, "yq": y},
        )
    return Graph(
        (tensor("x", "f4", (2, 16)),),
        (tensor("y", "f4", (2, 8)),),
        (node("Quantize", "x", "xq", dtype="int8"), product, node("Dequantize", "yq", "y")),
        {"w": weights},
        {"xq": x, "w": w, "yq": y},
    )


def _pixels(layout: str) -> list[int]:
    return [2, 3] if layout == "NCHW" else [1, 2]
