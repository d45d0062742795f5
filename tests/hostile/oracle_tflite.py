"""What LiteRT's generated schema says of a TFLite file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["parse"]

Shape = tuple[int | None, ...] | None
Tensors = list[tuple[str, str, Shape]]

_SPELLED = {"STRING": "object"}
_SIGNATURE = b"serving_default"


def parse(path: Path) -> tuple[Tensors, Tensors, dict[str, int]]:
    """Inputs, outputs and operator counts.  Raises what the generated classes raise."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    types = {value: name for name, value in vars(schema.TensorType).items() if name.isupper()}
    codes = {value: name for name, value in vars(schema.BuiltinOperator).items() if name[0] != "_"}
    operators = Counter(
        _operator(model.OperatorCodes(graph.Operators(i).OpcodeIndex()), codes)
        for graph in map(model.Subgraphs, range(model.SubgraphsLength()))
        for i in range(graph.OperatorsLength())
    )
    chosen = _signature(model)
    graph = model.Subgraphs(chosen.SubgraphIndex() if chosen else 0)
    inputs = [graph.Inputs(i) for i in range(graph.InputsLength())]
    outputs = [graph.Outputs(i) for i in range(graph.OutputsLength())]
    keys_in = _keys(chosen.Inputs, chosen.InputsLength()) if chosen else []
    keys_out = _keys(chosen.Outputs, chosen.OutputsLength()) if chosen else []
    return (
        _tensors(graph, inputs, keys_in, "input", types),
        _tensors(graph, outputs, keys_out, "output", types),
        dict(operators),
    )


def _signature(model: Any) -> Any:
    """The signature that is run: the default one or the first; None where there is none."""
    found = [model.SignatureDefs(i) for i in range(model.SignatureDefsLength())]
    named = [item for item in found if item.SignatureKey() == _SIGNATURE]
    return next(iter(named + found), None)


def _keys(get: Callable[[int], Any], count: int) -> list[tuple[int, str]]:
    """(tensor, name) of a signature's inputs or outputs, in the file's order."""
    return [(get(i).TensorIndex(), get(i).Name().decode()) for i in range(count)]


def _operator(code: Any, codes: dict[int, str]) -> str:
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = codes.get(number, f"BUILTIN_{number}")
    return code.CustomCode().decode() if name == "CUSTOM" else name


def _tensors(
    graph: Any, indices: list[int], keys: list[tuple[int, str]], role: str, types: dict[int, str]
) -> Tensors:
    """A tensor without a key has its own name, which its place makes unique."""
    found: Tensors = []
    taken = {key for _, key in keys}
    for place, index in enumerate(indices):
        tensor = graph.Tensors(index)
        own = [key for tensor_index, key in keys if tensor_index == index]
        earlier = indices[:place].count(index)
        last = index not in indices[place + 1 :]
        names = own[earlier:] if last else own[earlier : earlier + 1]
        if not names:
            name = (tensor.Name() or b"").decode() or f"{role}_{place}"
            while name in taken:
                name = f"{name}_{place}"
            taken.add(name)
            names = [name]
        found += [(name, _dtype(tensor, types), _shape(tensor, role)) for name in names]
    return found


def _dtype(tensor: Any, types: dict[int, str]) -> str:
    kind = types[tensor.Type()]
    return _SPELLED.get(kind, kind.lower())


def _shape(tensor: Any, role: str) -> Shape:
    shape = [tensor.Shape(i) for i in range(tensor.ShapeLength())]
    signature = [tensor.ShapeSignature(i) for i in range(tensor.ShapeSignatureLength())]
    if role == "output" and not shape and not tensor.HasRank():
        return None
    pairs = zip(shape, signature or shape, strict=True)
    return tuple(None if -1 in pair else pair[0] for pair in pairs)
