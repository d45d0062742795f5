"""Small ONNX models for the contract tests, and their right answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray
from onnx import helper, numpy_helper

from hwrt.model import read
from hwrt.spec import ModelInfo

Tensor = tuple[str, DTypeLike, Sequence[Any]]


def save(
    folder: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    *,
    weights: dict[str, NDArray[Any]] | None = None,
    domains: dict[str, int] | None = None,
) -> ModelInfo:
    """Write a model of these nodes as ``folder/model.onnx``; what the file says of itself."""
    graph = helper.make_graph(
        nodes,
        "contract",
        [_value(*tensor) for tensor in inputs],
        [_value(*tensor) for tensor in outputs],
        [
            numpy_helper.from_array(np.asarray(array), name)
            for name, array in (weights or {}).items()
        ],
    )
    versions = {"": 17, **(domains or {})}
    opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opsets), path)
    return read(path)


def _value(name: str, dtype: DTypeLike, shape: Sequence[int | str | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
    )


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node whose tensors are named in two space-separated lists."""
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def relu(folder: Path, shape: Sequence[int | str | None] = (4,)) -> ModelInfo:
    """Y = max(x, 0), float32."""
    return save(folder, [node("Relu", "x", "y")], [("x", "f4", shape)], [("y", "f4", shape)])


def add(folder: Path, shape: Sequence[int | str | None]) -> ModelInfo:
    """C = a + b, float32."""
    tensors = [(name, "f4", shape) for name in "abc"]
    return save(folder, [node("Add", "a b", "c")], tensors[:2], tensors[2:])


def mixed(folder: Path) -> ModelInfo:
    """Total = a + b, twice = 2a, flag = not c, same = a; b before a, c of another dtype."""
    return save(
        folder,
        [
            node("Add", "a b", "total"),
            node("Add", "a a", "twice"),
            node("Not", "c", "flag"),
            node("Identity", "a", "same"),
        ],
        [("b", "f4", (2, 1)), ("a", "f4", (2, 3)), ("c", "?", (5,))],
        [
            ("twice", "f4", (2, 3)),
            ("flag", "?", (5,)),
            ("total", "f4", (2, 3)),
            ("same", "f4", (2, 3)),
        ],
    )


def nonzero(folder: Path) -> ModelInfo:
    """Y = the indices of x that are not 0: a shape that depends on the data."""
    nodes = [node("NonZero", "x", "y")]
    return save(folder, nodes, [("x", "f4", ["N"])], [("y", "i8", [1, "K"])])


def conv(folder: Path, batch: int | str = "N") -> ModelInfo:
    """3 -> 8 channels, 3x3, stride 2, bias, ReLU, mean over the pixels: float32 (batch, 8)."""
    random = np.random.default_rng(7)
    return save(
        folder,
        [
            node("Conv", "x w b", "c", strides=[2, 2], pads=[1, 1, 1, 1]),
            node("Relu", "c", "r"),
            node("ReduceMean", "r", "y", axes=[2, 3], keepdims=0),
        ],
        [("x", "f4", (batch, 3, 16, 16))],
        [("y", "f4", (batch, 8))],
        weights={
            "w": random.normal(size=(8, 3, 3, 3)).astype("f4"),
            "b": random.normal(size=8).astype("f4"),
        },
    )


def matmul(folder: Path) -> ModelInfo:
    """Y = x @ w with 512 seeded terms: bf16 misses its float32 value by far more than float32."""
    weights = np.random.default_rng(3).normal(size=(512, 16)).astype("f4")
    tensors = [("x", "f4", (4, 512))], [("y", "f4", (4, 16))]
    return save(folder, [node("MatMul", "x w", "y")], *tensors, weights={"w": weights})


def quantized_matmul(folder: Path) -> ModelInfo:
    """X @ w with x and w quantised to int8 by QuantizeLinear and DequantizeLinear (QDQ)."""
    # x86 without VNNI adds pairs of u8 * s8 in 16 bits that saturate: weights above 64 are wrong there.
    weights = np.random.default_rng(5).integers(-63, 64, size=(16, 8)).astype("i1")
    return save(
        folder,
        [
            node("QuantizeLinear", "x x_scale zero", "x_q"),
            node("DequantizeLinear", "x_q x_scale zero", "x_d"),
            node("DequantizeLinear", "w w_scale zero", "w_d"),
            node("MatMul", "x_d w_d", "y"),
        ],
        [("x", "f4", (2, 16))],
        [("y", "f4", (2, 8))],
        weights={
            "w": weights,
            "w_scale": np.float32(0.01),
            "x_scale": np.float32(0.02),
            "zero": np.int8(0),
        },
        domains={"": 19},
    )


def expected(model: ModelInfo, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The outputs by onnx.reference, which is NumPy."""
    from onnx.reference import ReferenceEvaluator

    names = [spec.name for spec in model.outputs]
    values = ReferenceEvaluator(onnx.load(model.path)).run(names, feeds)
    return dict(zip(names, values, strict=True))
