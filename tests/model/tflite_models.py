"""Small TFLite models, as tables for flatbuffer_bytes.pack: no package is needed to write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.model.flatbuffer_bytes import Number, Table, Vector, pack

ABS, ADD, CUSTOM, DEQUANTIZE, QUANTIZE = 101, 0, 32, 6, 114
FLOAT32, INT32, UINT8, STRING, INT8 = 0, 2, 3, 5, 9


def tensor(name: str, shape: Sequence[int] = (1, 4), kind: int = FLOAT32, **more: Any) -> Table:
    """A tensor with a rank; ``more`` are ``buffer`` and values by slot, such as ``slot_4``."""
    table: Table = {
        0: Vector("i", list(shape)),
        1: Number("b", kind),
        2: more.pop("buffer", 0),
        3: name,
        8: Number("?", True),
    }
    return table | {int(key.removeprefix("slot_")): value for key, value in more.items()}


def scale(
    scales: Sequence[float] = (0.5,), zero_points: Sequence[int] = (0,), axis: int = 0
) -> Table:
    """Quantisation parameters."""
    return {2: Vector("f", list(scales)), 3: Vector("q", list(zero_points)), 6: axis}


def operator(code: int, inputs: Sequence[int], outputs: Sequence[int]) -> Table:
    """An operator of the kind that stands at ``code`` in the model's list."""
    return {0: code, 1: Vector("i", list(inputs)), 2: Vector("i", list(outputs))}


def code(number: int, custom: str | None = None) -> Table:
    """A kind of operator."""
    table: Table = {0: Number("b", min(number, 127)), 2: 1, 3: number}
    return table if custom is None else {**table, 1: custom}


def signature(key: str, inputs: dict[str, int], outputs: dict[str, int], graph: int = 0) -> Table:
    """A signature: names of tensors by their indices."""
    sides = ([{0: name, 1: index} for name, index in side.items()] for side in (inputs, outputs))
    return {**dict(enumerate(sides)), 2: key, 4: graph}


def graph(
    tensors: list[Table],
    inputs: Sequence[int] = (0,),
    outputs: Sequence[int] = (1,),
    operators: list[Table] | None = None,
) -> Table:
    """A subgraph; by default one operator gives the second tensor from the first."""
    return {
        0: tensors,
        1: Vector("i", list(inputs)),
        2: Vector("i", list(outputs)),
        3: [operator(0, [0], [1])] if operators is None else operators,
        4: "main",
    }


def model(*graphs: Table, codes: Sequence[int | Table] = (ABS,), **more: Any) -> Table:
    """A model of these subgraphs; by default y = abs(x).  ``more`` as in ``tensor``."""
    kinds = [code(item) if isinstance(item, int) else item for item in codes]
    table: Table = {
        0: Number("I", 3),
        1: kinds,
        2: list(graphs) or [graph([tensor("x"), tensor("y")])],
        3: "tests",
        4: more.pop("buffers", [{}]),
    }
    return table | {int(key.removeprefix("slot_")): value for key, value in more.items()}


def packed(*graphs: Table, **more: Any) -> bytes:
    """The model as a file."""
    return pack(model(*graphs, **more))
