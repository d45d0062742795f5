"""Reads OpenVINO's intermediate representation: an .xml with the graph, a .bin with the weights.

Source: https://docs.openvino.ai/2026/documentation/openvino-ir-format.html, and what
``openvino.save_model`` writes.  IR versions 10 and 11 are read: what OpenVINO writes since 2020.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwrt.errors import ModelError, UnsupportedModel
from hwrt.model.content import content_hash
from hwrt.model.dtypes import dtype_named
from hwrt.model.file import Malformed, external_file
from hwrt.model.xml_tree import parse_xml
from hwrt.spec import ModelInfo, TensorSpec

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

__all__ = ["read"]

_OLDEST_VERSION = 10
_MAX_ELEMENTS = (1 << 63) - 1
_MOST_DIMENSIONS = 64  # NumPy's limit
_MOST_METADATA_CHARACTERS = 1 << 24
_BARE_SECTIONS = frozenset({"framework", "model_info"})
_DIMENSION = re.compile(r"[0-9]{1,19}|\?|-1|[0-9]*\.\.[0-9]*")
_OPSET = re.compile(r"opset\d+")
_COUNT = re.compile(r"[0-9]{1,19}")
_NAME = re.compile(r"(?:\\.|[^,\\])+")  # a comma inside a name is written \,
_NOT_OPERATORS = frozenset({"Parameter", "Result", "Const"})
_NOT_PARAMETERS = frozenset({"i64", "u64", "boolean", "string"})
_LOW_BITS = frozenset({"f4e2m1", "f8e4m3", "f8e5m2", "f8e8m0", "nf4", "u1"}) | {
    f"{sign}{bits}" for sign in "iu" for bits in (2, 4, 8)
}
_DTYPES = {
    "boolean": "bool",
    "string": "object",
    "bf16": "bfloat16",
    "f4e2m1": "float4_e2m1fn",
    "f8e4m3": "float8_e4m3fn",
    "f8e5m2": "float8_e5m2",
    "f8e8m0": "float8_e8m0fnu",
    **{f"f{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"i{bits}": f"int{bits}" for bits in (2, 4, 8, 16, 32, 64)},
    **{f"u{bits}": f"uint{bits}" for bits in (2, 4, 8, 16, 32, 64)},
}


def read(path: Path) -> ModelInfo:
    """What an OpenVINO IR says of itself.

    A tensor with several names is called by the first in the order of their letters, as OpenVINO's
    ``any_name`` does.  The shape of an output whose port lists no dimensions is None: the file does
    not tell a scalar from an open rank.  ``operators`` counts the layers, those in the bodies of
    loops and branches included, that are not inputs, outputs or constants; ``parameters`` the
    elements of constants except those of i64, u64, boolean and string.  ``metadata`` is what
    ``rt_info`` holds; what came from the original model and ``model_info`` keeps its own keys.
    ``size_bytes`` includes the .bin file.

    Raises ModelError for a malformed file, UnsupportedModel for an old IR version or a type that
    NumPy lacks.
    """
    try:
        return _info(path, _parse(path))
    except (Malformed, OSError) as exc:
        raise ModelError(
            f"{path} is not a sound OpenVINO model: {exc}",
            hint=getattr(exc, "hint", None) or "save it anew with openvino.save_model",
        ) from exc


def _info(path: Path, root: ET.Element) -> ModelInfo:
    version = _number(root, "version", "the model")
    if version < _OLDEST_VERSION:
        raise UnsupportedModel(
            f"{path} has the IR version {version}",
            hint=f"versions from {_OLDEST_VERSION} on are read: convert the original model anew",
        )
    everywhere = list(root.iter("layer"))
    constants = [layer for layer in everywhere if layer.get("type") == "Const"]
    weights = path.with_suffix(".bin")
    files: tuple[Path, ...] = ()
    if constants or weights.exists():
        files = (external_file(path, weights.name, owner="constants"),)
    size = sum(file.stat().st_size for file in files)
    operators = Counter(filter(None, map(_operator, everywhere)))
    metadata = _metadata(root)
    return ModelInfo(
        path=path,
        format="openvino-ir",
        sha256=content_hash(path, files),
        size_bytes=path.stat().st_size + size,
        inputs=_unique(map(_input, _layers(root, "Parameter")), "input"),
        outputs=_unique(_outputs(root), "output"),
        name=root.get("name", ""),
        producer=f"OpenVINO {metadata.get('Runtime_version', '')}".strip(),
        ir_version=version,
        metadata=metadata,
        operators=dict(operators.most_common()),
        parameters=sum(_elements(constant, size) for constant in constants),
        external_files=files,
        quantized="FakeQuantize" in operators or any(map(_is_low_bit, constants)),
    )


def _parse(path: Path) -> ET.Element:
    root = parse_xml(path)
    if root.tag != "net" or root.find("layers") is None:
        raise Malformed("it has no <net> with <layers>")
    return root


def _layers(root: ET.Element, kind: str) -> list[ET.Element]:
    """The layers of this type in the outermost graph."""
    return [layer for layer in root.findall("layers/layer") if layer.get("type") == kind]


def _operator(layer: ET.Element) -> str | None:
    kind = layer.get("type")
    if not kind:
        raise Malformed(f"its layer {layer.get('name')!r} has no type")
    if kind in _NOT_OPERATORS:
        return None
    domain = layer.get("version", "")
    return kind if not domain or _OPSET.fullmatch(domain) else f"{domain}.{kind}"


def _input(layer: ET.Element) -> TensorSpec:
    port = layer.find("output/port")
    data = layer.find("data")
    if port is None or data is None or "shape" not in data.attrib:
        raise Malformed(f"its input {layer.get('name')!r} has no port or no shape")
    name = _name(port.get("names"), layer)
    owner = f"input {name!r}"
    element_type = data.get("element_type") or port.get("precision")
    return TensorSpec(name, _dtype(element_type, owner), _shape(data.get("shape"), owner))


def _outputs(root: ET.Element) -> Iterator[TensorSpec]:
    sources = {
        edge.get("to-layer"): (edge.get("from-layer"), edge.get("from-port"))
        for edge in root.findall("edges/edge")
    }
    ports = {
        (layer.get("id"), port.get("id")): (layer, port)
        for layer in root.findall("layers/layer")
        for port in layer.findall("output/port")
    }
    for result in _layers(root, "Result"):
        end = result.find("input/port")
        source = sources.get(result.get("id"))
        if end is None or source not in ports:
            raise Malformed(f"its output {result.get('name')!r} is connected to nothing")
        layer, port = ports[source]
        name = _name(result.get("output_names") or port.get("names"), layer)
        owner = f"output {name!r}"
        dims = [dim.text or "" for dim in end.findall("dim")]
        shape = _shape(",".join(dims), owner) if dims else None
        yield TensorSpec(name, _dtype(end.get("precision"), owner), shape)


def _unique(specs: Iterable[TensorSpec], role: str) -> tuple[TensorSpec, ...]:
    named: dict[str, TensorSpec] = {}
    for spec in specs:
        if not spec.name or spec.name in named:
            raise Malformed(f"it has an {role} without a name or two named {spec.name!r}")
        named[spec.name] = spec
    if not named and role == "output":
        raise Malformed("it has no outputs")
    return tuple(named.values())


def _name(names: str | None, layer: ET.Element) -> str:
    """The first of a tensor's names, else the name of the layer that gives it."""
    found = [name.replace("\\,", ",") for name in _NAME.findall(names or "")]
    return min(found) if found else layer.get("name") or ""


def _shape(text: str | None, owner: str) -> tuple[int | None, ...] | None:
    """The shape that ``1,?,2..8,-1`` says: bounds are dynamic, ``...`` is an open rank."""
    text = text or ""
    if text.strip() == "...":
        return None
    tokens = [token.strip() for token in text.split(",")] if text.strip() else []
    if len(tokens) > _MOST_DIMENSIONS:
        raise Malformed(f"{owner} has {len(tokens)} dimensions; an array has at most 64")
    for token in tokens:
        if not _DIMENSION.fullmatch(token):
            raise Malformed(f"{owner} has the dimension {token[:40]!r}")
    shape = tuple(int(token) if token.isdecimal() else None for token in tokens)
    if math.prod(size for size in shape if size is not None) > _MAX_ELEMENTS:
        raise Malformed(f"{owner} has more than 2**63 elements: {text[:80]}")
    return shape


def _dtype(text: str | None, owner: str) -> np.dtype[Any]:
    """The dtype of an element type (f32, boolean) or of a port's precision (FP32, BOOL)."""
    element_type = re.sub(r"^fp(?=\d)", "f", (text or "").lower())
    element_type = "boolean" if element_type == "bool" else element_type
    if element_type not in _DTYPES:
        raise UnsupportedModel(
            f"the model's {owner} has the type {text!r}, which NumPy lacks",
            hint="save the model with another type there (openvino.preprocess changes it)",
        )
    return dtype_named(_DTYPES[element_type], owner=f"the model's {owner}")


def _elements(constant: ET.Element, size: int) -> int:
    """The number of parameters in a constant, which must lie within the .bin file's size."""
    owner = f"constant {constant.get('name')!r}"
    data = constant.find("data")
    if data is None:
        raise Malformed(f"{owner} has no data")
    end = _number(data, "offset", owner) + _number(data, "size", owner)
    if end > size:
        raise Malformed(
            f"{owner} ends at byte {end} of the .bin file, which has {size}",
            hint="the .bin file is truncated or another model's: copy both files anew",
        )
    shape = _shape(data.get("shape"), owner) or ()
    sizes = [size for size in shape if size is not None]
    if len(sizes) < len(shape):
        raise Malformed(f"{owner} has the dynamic shape {data.get('shape')!r}")
    return 0 if data.get("element_type") in _NOT_PARAMETERS else math.prod(sizes)


def _is_low_bit(constant: ET.Element) -> bool:
    """True for stored weights of eight bits or fewer; a single such number may be anything."""
    data = constant.find("data")
    return (
        data is not None
        and data.get("element_type") in _LOW_BITS
        and data.get("shape", "").strip() not in ("", "1")
    )


def _metadata(root: ET.Element) -> dict[str, str]:
    """``rt_info`` as a flat mapping: ``section.key``, two sections' keys without their names."""
    metadata: dict[str, str] = {}
    characters = 0  # one long name before a million others makes a million long keys
    waiting: list[tuple[str, ET.Element]] = [("", info) for info in root.findall("rt_info")]
    while waiting:
        prefix, element = waiting.pop()
        for child in element:
            key = prefix + (child.get("name") or child.tag)
            characters += len(key)
            if characters > _MOST_METADATA_CHARACTERS:
                raise Malformed("its rt_info is unreasonably large")
            value = child.get("value")
            if value is not None:
                metadata[key] = value
            if len(child):
                waiting.append(("" if key in _BARE_SECTIONS else f"{key}.", child))
    return metadata


def _number(element: ET.Element, key: str, owner: str) -> int:
    text = element.get(key, "")
    if not _COUNT.fullmatch(text):
        raise Malformed(f"{owner} has the {key} {text[:40]!r}, which is not a number")
    return int(text)
