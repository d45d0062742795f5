"""Reads ONNX models: the ``onnx`` library parses a copy of the file without its weights."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwrt.errors import ModelError, UnsupportedModel
from hwrt.model.content import content_hash
from hwrt.model.dtypes import dtype_named
from hwrt.model.file import MOST_LOCATIONS, Malformed, external_file
from hwrt.model.onnx_expansion import check_expansion
from hwrt.model.protobuf import skeleton
from hwrt.spec import ModelInfo, TensorSpec

if TYPE_CHECKING:
    import onnx

__all__ = ["read"]

_BYTE_COUNT = re.compile(r"[0-9]{1,19}")
_EXTERNAL = 1  # TensorProto.DataLocation
_OPSETS_SINCE_IR = 3
_MAX_ELEMENTS = (1 << 63) - 1
_MOST_DIMENSIONS = 64  # NumPy's limit

# TensorProto.DataType -> (dtype, bits of an element).  onnx.helper has a table too, but before 1.17
# it says float32 for bfloat16.
_TYPES: dict[int, tuple[str, int]] = {
    1: ("float32", 32),
    2: ("uint8", 8),
    3: ("int8", 8),
    4: ("uint16", 16),
    5: ("int16", 16),
    6: ("int32", 32),
    7: ("int64", 64),
    8: ("object", 0),
    9: ("bool", 8),
    10: ("float16", 16),
    11: ("float64", 64),
    12: ("uint32", 32),
    13: ("uint64", 64),
    14: ("complex64", 64),
    15: ("complex128", 128),
    16: ("bfloat16", 16),
    17: ("float8_e4m3fn", 8),
    18: ("float8_e4m3fnuz", 8),
    19: ("float8_e5m2", 8),
    20: ("float8_e5m2fnuz", 8),
    21: ("uint4", 4),
    22: ("int4", 4),
    23: ("float4_e2m1fn", 4),
    24: ("float8_e8m0fnu", 8),
    25: ("uint2", 2),
    26: ("int2", 2),
    27: ("float6_e2m3fn", 6),
    28: ("float6_e3m2fn", 6),
}
_NOT_PARAMETERS = frozenset({"int64", "uint64", "bool", "object"})
_QUANTIZED = frozenset(
    {
        "ConvInteger",
        "DequantizeLinear",
        "DynamicQuantizeLSTM",
        "DynamicQuantizeLinear",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "QuantizeLinear",
    }
)


@dataclass
class _Content:
    """What the graph, its subgraphs and the model's functions hold, each counted once."""

    operators: Counter[str] = field(default_factory=Counter)
    quantized: bool = False
    parameters: int = 0
    located: dict[str, Path] = field(default_factory=dict)
    file_sizes: dict[Path, int] = field(default_factory=dict)


def read(path: Path) -> ModelInfo:
    """What an ONNX file says of itself.

    ``operators`` counts nodes by operator (``domain.Operator`` outside the default domain) in the
    graph, its subgraphs and the bodies of the model's functions, each body once.  ``parameters``
    counts the elements of all tensors stored there, inline, sparse (stored values only) or in
    external files, except those of int64, uint64, bool and string: these hold shapes, axes, indices
    and labels.  ``opsets`` calls the default domain "ai.onnx".  ``size_bytes`` includes external
    files.

    Raises ModelError for a malformed file, UnsupportedModel where an input or output is no dense
    tensor or of a type that is not installed.
    """
    try:
        return _info(path, _parse(path))
    except (Malformed, OSError, UnicodeDecodeError) as exc:
        raise ModelError(
            f"{path} is not a sound ONNX model: {exc}",
            hint=getattr(exc, "hint", None) or "download or export the model anew",
        ) from exc


def _info(path: Path, model: onnx.ModelProto) -> ModelInfo:
    graph = model.graph
    initialized = {_text(tensor.name) for tensor in graph.initializer}
    initialized.update(_text(sparse.values.name) for sparse in graph.sparse_initializer)
    inputs = [value for value in graph.input if _text(value.name) not in initialized]
    content = _content(path, model)
    files = tuple(sorted(content.file_sizes))
    producer = (_text(model.producer_name), _text(model.producer_version))
    return ModelInfo(
        path=path,
        format="onnx",
        sha256=content_hash(path, files),
        size_bytes=path.stat().st_size + sum(content.file_sizes.values()),
        inputs=_specs(inputs, "input"),
        outputs=_specs(graph.output, "output"),
        name=_text(graph.name),
        producer=" ".join(filter(None, producer)),
        ir_version=model.ir_version,
        opsets=_opsets(model),
        metadata={_text(entry.key): _text(entry.value) for entry in model.metadata_props},
        operators=dict(content.operators.most_common()),
        parameters=content.parameters,
        external_files=files,
        quantized=content.quantized,
    )


def _parse(path: Path) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        data = skeleton(path)
        check_expansion(data)
        model = onnx.ModelProto.FromString(data)
    except (DecodeError, RecursionError) as exc:  # protobuf in pure Python has no depth limit
        raise Malformed(str(exc)) from exc
    for name in ("ir_version", "graph"):
        if not model.HasField(name):
            raise Malformed(f"it has no {name}")
    if not model.graph.output:
        raise Malformed("its graph has no outputs")
    return model


def _opsets(model: onnx.ModelProto) -> dict[str, int]:
    opsets: dict[str, int] = {}
    for item in model.opset_import:
        domain = _text(item.domain) or "ai.onnx"
        opsets[domain] = max(item.version, opsets.get(domain, item.version))
    if not opsets and model.ir_version >= _OPSETS_SINCE_IR:
        raise Malformed(f"it names no operator set, which IR version {model.ir_version} demands")
    return opsets


def _specs(values: Iterable[onnx.ValueInfoProto], role: str) -> tuple[TensorSpec, ...]:
    specs: dict[str, TensorSpec] = {}
    for value in values:
        spec = _spec(value, role)
        if spec.name in specs:
            raise Malformed(f"it has two {role}s named {spec.name!r}")
        specs[spec.name] = spec
    return tuple(specs.values())


def _spec(value: onnx.ValueInfoProto, role: str) -> TensorSpec:
    name = _text(value.name)
    owner = f"{role} {name!r}"
    if not name:
        raise Malformed(f"it has an {role} without a name")
    kind = value.type.WhichOneof("value")
    if kind is None:
        raise Malformed(
            f"{owner} has no type",
            hint="complete it with onnx.shape_inference.infer_shapes, or export it anew",
        )
    if kind != "tensor_type":
        raise UnsupportedModel(
            f"the model's {owner} is of the kind {kind.removesuffix('_type')}",
            hint="export the model with dense tensors as inputs and outputs",
        )
    tensor = value.type.tensor_type
    if tensor.elem_type not in _TYPES:
        raise Malformed(f"{owner} has the unknown element type {tensor.elem_type}")
    dtype = dtype_named(_TYPES[tensor.elem_type][0], owner=f"the model's {owner}")
    if not tensor.HasField("shape"):
        return TensorSpec(name, dtype, None)
    _check_rank(len(tensor.shape.dim), owner)
    sizes = tuple(map(_size, tensor.shape.dim))
    _elements((size for size in sizes if size is not None), owner)
    names = tuple(_text(dim.dim_param) or None for dim in tensor.shape.dim)
    return TensorSpec(name, dtype, sizes, names if any(names) else None)


def _size(dim: Any) -> int | None:
    """The dimension's size, None where it is dynamic, for which some exporters write -1."""
    return dim.dim_value if dim.HasField("dim_value") and dim.dim_value != -1 else None


def _content(path: Path, model: onnx.ModelProto) -> _Content:
    content = _Content()
    for body in _bodies(model):
        for node in body.node:
            operator, domain = _text(node.op_type), _text(node.domain)
            if not operator:
                raise Malformed(f"its node {_text(node.name)!r} names no operator")
            content.quantized |= operator in _QUANTIZED or operator.startswith("QLinear")
            content.operators[_qualified(domain, operator)] += 1
        for tensor in _tensors(body):
            _add_tensor(path, tensor, content)
    return content


def _qualified(domain: str, operator: str) -> str:
    return operator if domain in ("", "ai.onnx") else f"{domain}.{operator}"


def _bodies(model: onnx.ModelProto) -> Iterator[Any]:
    """The graph, its subgraphs, and the functions with theirs."""
    waiting: list[Any] = [model.graph, *model.functions]
    while waiting:
        body = waiting.pop()
        yield body
        for attribute in _attributes(body):
            if attribute.HasField("g"):
                waiting.append(attribute.g)
            waiting.extend(attribute.graphs)


def _attributes(body: Any) -> Iterator[onnx.AttributeProto]:
    """The attributes of a body's nodes, and of a function the defaults of its own."""
    for node in body.node:
        yield from node.attribute
    yield from getattr(body, "attribute_proto", ())


def _tensors(body: Any) -> Iterator[onnx.TensorProto]:
    """The tensors stored in one graph or function, those of its subgraphs left out."""
    yield from getattr(body, "initializer", ())
    sparse = list(getattr(body, "sparse_initializer", ()))
    for attribute in _attributes(body):
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor"):
            sparse.append(attribute.sparse_tensor)
        sparse.extend(attribute.sparse_tensors)
    for item in sparse:
        yield item.values
        yield item.indices


def _add_tensor(path: Path, tensor: onnx.TensorProto, content: _Content) -> None:
    owner = f"tensor {_text(tensor.name)!r}"
    elements = _elements(tensor.dims, owner)
    dtype, bits = _TYPES.get(tensor.data_type, ("", 0))
    if dtype not in _NOT_PARAMETERS:
        content.parameters += elements
    if tensor.data_location != _EXTERNAL:
        return
    entries = {_text(entry.key): _text(entry.value) for entry in tensor.external_data}
    location = entries.get("location", "")
    if location not in content.located:
        if len(content.located) == MOST_LOCATIONS:
            raise Malformed(f"its tensors lie in more than {MOST_LOCATIONS} external places")
        file = content.located[location] = external_file(path, location, owner=owner)
        content.file_sizes[file] = file.stat().st_size
    file = content.located[location]
    size = content.file_sizes[file]
    needed = (elements * bits + 7) // 8
    offset = _count(entries, "offset", 0, owner)
    length = _count(entries, "length", needed, owner)
    if length < needed:
        raise Malformed(f"{owner} takes {length} bytes of {file}, but its shape needs {needed}")
    if offset + length > size:
        raise Malformed(
            f"{owner} ends at byte {offset + length} of {file}, which has {size}",
            hint="the data file is truncated or another model's: download or export both anew",
        )


def _count(entries: Mapping[str, str], key: str, default: int, owner: str) -> int:
    """The number of bytes that external data's ``offset`` or ``length`` states."""
    text = entries.get(key)
    if text is None:
        return default
    if not _BYTE_COUNT.fullmatch(text):
        raise Malformed(f"{owner} has the {key} {text[:40]!r}, which is not a number of bytes")
    return int(text)


def _elements(dims: Iterable[int], owner: str) -> int:
    sizes = list(dims)
    _check_rank(len(sizes), owner)
    if any(size < 0 for size in sizes):
        raise Malformed(f"{owner} has a negative dimension: {sizes}")
    elements = math.prod(sizes)
    if elements > _MAX_ELEMENTS:
        raise Malformed(f"{owner} has more than 2**63 elements: {sizes}")
    return elements


def _check_rank(rank: int, owner: str) -> None:
    if rank > _MOST_DIMENSIONS:
        raise Malformed(f"{owner} has {rank} dimensions; an array has at most {_MOST_DIMENSIONS}")


def _text(value: str | bytes) -> str:
    """The string, which protobuf hands out as bytes when it is not UTF-8."""
    if isinstance(value, str):
        return value
    raise Malformed(f"a name or text in it is not UTF-8: {value[:40]!r}")
