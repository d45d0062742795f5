"""TFLite files that no Graph of hwrt.testing can say: several functions, constants as outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwrt.backend import Array, ModelInfo
from hwrt.model import read
from hwrt.testing.flatbuffer import Payload, Scalar, Table, finish
from hwrt.testing.tflite_operators import CUSTOM, DTYPES

ADD, GATHER, NEG, NOT_EQUAL, RELU, RESHAPE, WHERE = 0, 36, 59, 72, 19, 22, 109
# The options without which an operator is refused: their type, and the table.
_OPTIONS: dict[int | str, tuple[int, Table]] = {ADD: (11, {}), GATHER: (23, {}), RESHAPE: (17, {})}


class Operator(NamedTuple):
    """A builtin code, or the name of a custom operator, and the tensors it reads and gives."""

    code: int | str
    inputs: Sequence[int]
    outputs: Sequence[int]


class Function(NamedTuple):
    """A subgraph; a tensor is (dtype, shape) or (dtype, shape, constant), None an open size."""

    tensors: Sequence[tuple[Any, ...]]
    inputs: Sequence[int]
    outputs: Sequence[int]
    operators: Sequence[Operator]


Named = Mapping[str, tuple[int, Mapping[str, int], Mapping[str, int]]]


def write(path: Path, functions: Sequence[Function], signatures: Named | None = None) -> ModelInfo:
    """What the file says; ``signatures``: key -> (subgraph, inputs, outputs), each name -> tensor.

    A tensor's own name is ``t`` and its number.
    """
    buffers: list[Table] = [{}]
    codes: list[int | str] = []
    model: Table = {
        0: Scalar("Uint32", 3),
        2: [_subgraph(function, buffers, codes) for function in functions],
        1: [_code(code) for code in codes],
        4: buffers,
        7: [
            {0: _map(inputs), 1: _map(outputs), 2: key, 4: Scalar("Uint32", place)}
            for key, (place, inputs, outputs) in (signatures or {}).items()
        ],
    }
    path.write_bytes(finish(dict(sorted(model.items())), b"TFL3"))
    return read(path)


def _subgraph(function: Function, buffers: list[Table], codes: list[int | str]) -> Table:
    return {
        0: [_tensor(f"t{i}", buffers, *spec) for i, spec in enumerate(function.tensors)],
        1: np.array(function.inputs, "i4"),
        2: np.array(function.outputs, "i4"),
        3: [_operator(operator, codes) for operator in function.operators],
    }


def _tensor(
    name: str,
    buffers: list[Table],
    dtype: Any,
    shape: Sequence[int | None],
    constant: Array | None = None,
) -> Table:
    if constant is not None:
        buffers.append({0: Payload(np.asarray(constant, dtype).tobytes())})
    return {
        0: np.array([1 if size is None else size for size in shape], "i4"),
        1: Scalar("Int8", DTYPES[np.dtype(dtype).name]),
        2: Scalar("Uint32", 0 if constant is None else len(buffers) - 1),
        3: name,
        **({7: np.array([size or -1 for size in shape], "i4")} if None in shape else {}),
        8: Scalar("Bool", 1),
    }


def _operator(operator: Operator, codes: list[int | str]) -> Table:
    if operator.code not in codes:
        codes.append(operator.code)
    table: Table = {
        0: Scalar("Uint32", codes.index(operator.code)),
        1: np.array(operator.inputs, "i4"),
        2: np.array(operator.outputs, "i4"),
    }
    kind, options = _OPTIONS.get(operator.code, (0, {}))
    return {**table, 3: Scalar("Uint8", kind), 4: options} if kind else table


def _code(code: int | str) -> Table:
    number = CUSTOM if isinstance(code, str) else code
    table: Table = {0: Scalar("Int8", min(number, 127)), 2: Scalar("Int32", 1)}
    return {**table, **({1: code} if isinstance(code, str) else {}), 3: Scalar("Int32", number)}


def _map(tensors: Mapping[str, int]) -> list[Table]:
    return [{0: name, 1: Scalar("Uint32", number)} for name, number in tensors.items()]
