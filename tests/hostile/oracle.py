"""An independent parse of a model file, to confirm what hwrt read from it.

ONNX: ``onnx.load`` of the whole file.  TFLite: LiteRT's generated schema.  OpenVINO IR: lxml, or
ElementTree where it is not installed.  Nothing of hwrt is used, so that a mistake is not repeated.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.hostile import oracle_tflite

__all__ = ["differences", "facts"]

Tensors = list[tuple[str, str, tuple[int | None, ...] | None]]


def facts(path: Path, model_format: str) -> dict[str, Any]:
    """What the independent parse says of the file.  Raises what that parse raises."""
    inputs, outputs, operators = _PARSERS[model_format](path)
    return {"inputs": _listed(inputs), "outputs": _listed(outputs), "operators": operators}


def differences(ours: Mapping[str, Any], path: Path) -> list[str]:
    """Where a ModelInfo's facts and the independent parse of its file differ, a line for each."""
    try:
        theirs = facts(path, ours["format"])
    except Exception as exc:  # noqa: BLE001 - the parsers raise anything
        return [f"the independent parse refuses: {type(exc).__name__}: {str(exc)[:200]}"]
    found = [
        f"{name}: hwrt {ours[name]!r:.300}, parse {theirs[name]!r:.300}"
        for name in theirs
        if ours[name] != theirs[name]
    ]
    folder = os.path.realpath(path.parent)
    found += [
        f"external file outside the folder: {file}"
        for file in ours["external_files"]
        if os.path.commonpath([folder, os.path.realpath(file)]) != folder
    ]
    return found


def _listed(tensors: Tensors) -> list[list[Any]]:
    return [[name, dtype, None if shape is None else list(shape)] for name, dtype, shape in tensors]


def _dtype_name(dtype: Any) -> str:
    dtype = np.dtype(dtype)
    return "object" if dtype.hasobject else dtype.name


# -- ONNX ----------------------------------------------------------------------------------------


def _onnx(path: Path) -> tuple[Tensors, Tensors, dict[str, int]]:
    import onnx

    model = onnx.ModelProto.FromString(path.read_bytes())
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    stored |= {sparse.values.name for sparse in graph.sparse_initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    operators: Counter[str] = Counter()
    for body in _onnx_bodies(model):
        for node in body.node:
            plain = node.domain in ("", "ai.onnx")
            operators[node.op_type if plain else f"{node.domain}.{node.op_type}"] += 1
    return _onnx_tensors(inputs), _onnx_tensors(graph.output), dict(operators)


def _onnx_bodies(model: Any) -> Iterator[Any]:
    waiting = [model.graph, *model.functions]
    while waiting:
        body = waiting.pop()
        yield body
        attributes = [attribute for node in body.node for attribute in node.attribute]
        if body.DESCRIPTOR.name == "FunctionProto":
            attributes += body.attribute_proto
        for attribute in attributes:
            waiting += attribute.graphs
            if attribute.HasField("g"):
                waiting.append(attribute.g)


def _onnx_tensors(values: Any) -> Tensors:
    from onnx import TensorProto, helper

    found: Tensors = []
    for value in values:
        tensor = value.type.tensor_type
        if tensor.elem_type == TensorProto.STRING:
            dtype = "object"
        else:
            dtype = _dtype_name(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        shape = None
        if tensor.HasField("shape"):
            shape = tuple(
                dim.dim_value if dim.WhichOneof("value") == "dim_value" else None
                for dim in tensor.shape.dim
            )
            shape = tuple(None if size == -1 else size for size in shape)
        found.append((value.name, dtype, shape))
    return found


# -- OpenVINO IR ---------------------------------------------------------------------------------

_PRECISIONS = {
    "BOOL": "bool",
    "BOOLEAN": "bool",
    "STRING": "object",
    "BF16": "bfloat16",
    "F4E2M1": "float4_e2m1fn",
    "F8E4M3": "float8_e4m3fn",
    "F8E5M2": "float8_e5m2",
    "F8E8M0": "float8_e8m0fnu",
}
for _bits in (2, 4, 8, 16, 32, 64):
    _PRECISIONS |= {f"I{_bits}": f"int{_bits}", f"U{_bits}": f"uint{_bits}"}
    _PRECISIONS |= {f"F{_bits}": f"float{_bits}", f"FP{_bits}": f"float{_bits}"}


def _ir(path: Path) -> tuple[Tensors, Tensors, dict[str, int]]:
    root = _xml(path)
    layers = [layer for part in root.findall("layers") for layer in part.findall("layer")]
    by_id = {layer.get("id"): layer for layer in layers}
    edges = {
        edge.get("to-layer"): edge
        for part in root.findall("edges")
        for edge in part.findall("edge")
    }
    operators = Counter(
        _ir_operator(layer)
        for layer in root.iter("layer")
        if layer.get("type") not in ("Parameter", "Result", "Const")
    )
    inputs = [_ir_input(layer) for layer in layers if layer.get("type") == "Parameter"]
    results = [layer for layer in layers if layer.get("type") == "Result"]
    outputs = [_ir_output(layer, edges[layer.get("id")], by_id) for layer in results]
    return inputs, outputs, dict(operators)


def _xml(path: Path) -> Any:
    try:
        from lxml import etree
    except ImportError:
        import xml.etree.ElementTree as ET

        return ET.parse(path).getroot()
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    return etree.parse(os.fspath(path), parser).getroot()


def _ir_operator(layer: Any) -> str:
    domain = layer.get("version") or ""
    plain = not domain or (domain.startswith("opset") and domain[5:].isdecimal())
    return layer.get("type") if plain else f"{domain}.{layer.get('type')}"


def _ir_input(layer: Any) -> tuple[str, str, tuple[int | None, ...] | None]:
    data, port = layer.find("data"), layer.find("output").find("port")
    text = data.get("shape").strip()
    dims = [part.strip() for part in text.split(",")] if text else []
    shape = None if text == "..." else tuple(_ir_size(dim) for dim in dims)
    precision = data.get("element_type") or port.get("precision")
    return _ir_name(port.get("names"), layer), _PRECISIONS[precision.upper()], shape


def _ir_output(
    result: Any, edge: Any, by_id: dict[str, Any]
) -> tuple[str, str, tuple[int | None, ...] | None]:
    source = by_id[edge.get("from-layer")]
    ports = {port.get("id"): port for part in source.findall("output") for port in part}
    own = result.find("input").find("port")
    dims = [dim.text or "" for dim in own.findall("dim")]
    names = result.get("output_names") or ports[edge.get("from-port")].get("names")
    shape = tuple(_ir_size(dim.strip()) for dim in dims) or None
    return _ir_name(names, source), _PRECISIONS[own.get("precision").upper()], shape


def _ir_size(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _ir_name(names: str | None, layer: Any) -> str:
    found, current, escaped = [], "", False
    for letter in names or "":
        if escaped:
            current += letter if letter == "," else "\\" + letter
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == ",":
            found.append(current)
            current = ""
        else:
            current += letter
    found = [name for name in [*found, current] if name]
    return min(found) if found else layer.get("name") or ""


_PARSERS: dict[str, Callable[[Path], tuple[Tensors, Tensors, dict[str, int]]]] = {
    "onnx": _onnx,
    "openvino-ir": _ir,
    "tflite": oracle_tflite.parse,
}
