"""Graphs as TFLite files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwrt.backend import Array, Quantization, TensorSpec
from hwrt.testing.flatbuffer import Payload, Scalar, Table, finish
from hwrt.testing.graph import Graph, Lacks, Node
from hwrt.testing.reference import every_tensor
from hwrt.testing.tflite_operators import CUSTOM, DTYPES, operator

__all__ = ["write_tflite"]

_SCHEMA_VERSION = 3
_Shape = tuple[int | None, ...]


def write_tflite(graph: Graph, path: Path, *, signature: str | None = "serving_default") -> Path:
    """Write the graph as a TFLite file.

    With a signature, that gives the tensors the graph's names, and in the file they have others,
    as those that TensorFlow writes.  Without one they have the graph's names in the file.

    Raises Lacks for what TFLite can not say, ModuleNotFoundError without the package flatbuffers.
    """
    writer = _Writer(graph, own_names=signature is None)
    for node in graph.nodes:
        writer.add(node)
    path.write_bytes(finish(writer.model(signature), b"TFL3"))
    return path


class _Writer:
    """Collects the tables of a model: tensors, buffers, operators and their codes."""

    def __init__(self, graph: Graph, *, own_names: bool) -> None:
        self.graph = graph
        self.indices: dict[str, int] = {}
        self.tensors: list[Table] = []
        self.buffers: list[Table] = [{}]
        self.operators: list[Table] = []
        self.codes: list[int] = []
        self.inner = _inner_tensors(graph)
        for spec in graph.inputs:
            name = spec.name if own_names else f"serving_default_{spec.name}:0"
            self.tensor(spec.name, name, spec.dtype, _shape(spec))
        for i, spec in enumerate(graph.outputs):
            if spec.name not in self.indices:
                name = spec.name if own_names else f"StatefulPartitionedCall:{i}"
                self.tensor(spec.name, name, spec.dtype, _shape(spec))

    def tensor(
        self, key: str, name: str, dtype: np.dtype[Any], shape: _Shape, array: Array | None = None
    ) -> int:
        """Add a tensor, a constant where an array is given; its index."""
        if dtype.name not in DTYPES:
            raise Lacks(f"TFLite has no {dtype.name}")
        table: Table = {
            0: np.array([1 if size is None else size for size in shape], "i4"),
            1: Scalar("Int8", DTYPES[dtype.name]),
            2: Scalar("Uint32", 0 if array is None else self.buffer(array)),
            3: name,
            8: Scalar("Bool", 1),
        }
        if None in shape:
            table[7] = np.array([-1 if size is None else size for size in shape], "i4")
        if key in self.graph.quantization:
            table[4] = _quantization(self.graph.quantization[key])
        self.indices[key] = len(self.tensors)
        self.tensors.append(table)
        return self.indices[key]

    def buffer(self, array: Array) -> int:
        if array.dtype.hasobject or array.dtype.name in ("int4", "uint4"):
            raise Lacks(f"this writer packs no constants of {array.dtype.name}")
        self.buffers.append({0: Payload(np.ascontiguousarray(array).tobytes())})
        return len(self.buffers) - 1

    def index(self, name: str) -> int:
        """The index of the tensor, which is added where it is new."""
        if name not in self.indices:
            array = self.graph.constants.get(name)
            dtype, shape = self.inner[name]
            self.tensor(name, name, dtype, shape, array)
        return self.indices[name]

    def add(self, node: Node) -> None:
        _, shape = self.inner[node.output]
        made = operator(self.graph, node, shape)
        inputs = []
        for i, item in enumerate(made.inputs):
            if isinstance(item, str):
                inputs.append(self.weights(item) if node.operator == "MatMul" and i else item)
            else:
                inputs.append(name := f"{node.output}/{i}")
                self.tensor(name, name, item.dtype, item.shape, item)
        if made.code not in self.codes:
            self.codes.append(made.code)
        table: Table = {
            0: Scalar("Uint32", self.codes.index(made.code)),
            1: np.array([self.index(name) for name in inputs], "i4"),
            2: np.array([self.index(node.output)], "i4"),
        }
        if made.options is not None:
            table |= {3: Scalar("Uint8", made.options_type), 4: made.options}
        self.operators.append(table)

    def weights(self, name: str) -> str:
        """The matrix transposed, as FULLY_CONNECTED reads it."""
        key = f"{name}/transposed"
        if key not in self.indices:
            array = self.graph.constants[name].T
            self.tensor(key, key, array.dtype, array.shape, array)
            if (meaning := self.graph.quantization.get(name)) is not None:
                axis = None if meaning.axis is None else 1 - meaning.axis
                self.tensors[-1][4] = _quantization(meaning._replace(axis=axis))
        return key

    def model(self, signature: str | None) -> Table:
        inputs = [self.index(spec.name) for spec in self.graph.inputs]
        outputs = [self.index(spec.name) for spec in self.graph.outputs]
        subgraph = {
            0: self.tensors,
            1: np.array(inputs, "i4"),
            2: np.array(outputs, "i4"),
            3: self.operators,
            4: "main",
        }
        model: Table = {
            0: Scalar("Uint32", _SCHEMA_VERSION),
            1: [_code(code) for code in self.codes],
            2: [subgraph],
            3: "written by hwrt.testing",
            4: self.buffers,
        }
        if signature is not None:
            maps = [
                [{0: spec.name, 1: Scalar("Uint32", self.index(spec.name))} for spec in specs]
                for specs in (self.graph.inputs, self.graph.outputs)
            ]
            model[7] = [{0: maps[0], 1: maps[1], 2: signature, 4: Scalar("Uint32", 0)}]
        return model


def _code(code: int) -> Table:
    table: Table = {
        # What readers from before there were more than 127 operators look at.
        0: Scalar("Int8", min(code, 127)),
        2: Scalar("Int32", 1),
        3: Scalar("Int32", code),
    }
    return {**table, 1: "Bogus"} if code == CUSTOM else table


def _quantization(meaning: Quantization) -> Table:
    return {
        2: np.array(meaning.scale, "f4"),
        3: np.array(meaning.zero_point, "i8"),
        6: Scalar("Int32", meaning.axis or 0),
    }


def _shape(spec: TensorSpec) -> _Shape:
    if spec.shape is None:
        raise Lacks("this writer gives every tensor a rank")
    return spec.shape


def _inner_tensors(graph: Graph) -> dict[str, tuple[np.dtype[Any], _Shape]]:
    """Dtype and shape of every tensor: computed for two sizes, what differs being open."""
    runs = [
        every_tensor(
            graph,
            {
                spec.name: np.ones(
                    [size if unknown is None else unknown for unknown in _shape(spec)], spec.dtype
                )
                for spec in graph.inputs
            },
        )
        for size in (2, 3)
    ]
    found = {
        name: (
            np.asarray(array).dtype,
            tuple(
                a if a == b else None for a, b in zip(array.shape, runs[1][name].shape, strict=True)
            ),
        )
        for name, array in runs[0].items()
    }
    declared = {spec.name: (spec.dtype, _shape(spec)) for spec in graph.outputs}
    return {**found, **declared}
