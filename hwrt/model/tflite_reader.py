"""Reads TFLite models: the tables around the weights, never the weights themselves."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hwrt.errors import ModelError, UnsupportedModel
from hwrt.model import tflite_schema as schema
from hwrt.model.content import content_hash
from hwrt.model.file import Malformed
from hwrt.model.flatbuffer import INT8, UINT32, Source, Table, Tables, root
from hwrt.model.tflite_buffers import Buffers
from hwrt.model.tflite_metadata import read_metadata
from hwrt.model.tflite_operators import CUSTOM, operator_name
from hwrt.model.tflite_tensors import elements, has_scale, spec, type_of
from hwrt.spec import ModelInfo, Signature, TensorSpec

__all__ = ["read"]

_DEFAULT_SIGNATURE = "serving_default"
_ABSENT = -1  # in place of an operator's optional tensor
_MOST_QUANTIZED_BITS = 16  # integers of more bits are sums, such as biases
_NOT_PARAMETERS = frozenset({"", "bool", "object", "int64", "uint64"})


def read(path: Path) -> ModelInfo:
    """What a TFLite file says of itself.

    Where the file has signatures, ``signature`` is ``serving_default`` or else the first; inputs
    and outputs are called by its keys, and their tensors' own names are among ``aliases``.  Without
    signatures they are those of the first subgraph, called by their tensors' names; one whose name
    is empty is called ``input_0`` or ``output_0`` for its place, one whose name was taken gets its
    place appended.  Both stand in the subgraph's order.  An output's shape is None where the file
    tells no rank: before 2022 no file told a scalar from an open rank.

    ``operators`` counts those of all subgraphs by name, custom ones by their custom code.
    ``parameters`` counts the elements of constants, those of sparse ones that are stored, each
    buffer once, but for int64, uint64, bool, strings and int32 without a scale: these hold shapes,
    axes, indices and labels.  ``quantized`` is True where an operator takes or gives integers of at
    most 16 bits that have a scale, be they weights alone or activations too; a conversion from
    integers at an input or to integers at an output does not count.  ``opsets`` has the schema's
    version, ``name`` is the metadata's or else the subgraph's, ``metadata`` is told by
    hwrt.model.tflite_metadata, ``size_bytes`` includes external files.

    Raises ModelError for a malformed file, UnsupportedModel for another version of the schema and
    for inputs and outputs that no array can hold.
    """
    try:
        with path.open("rb") as file:
            return _info(path, Source(file))
    except (Malformed, OSError) as exc:
        raise ModelError(
            f"{path} is not a sound TFLite model: {exc}",
            hint=getattr(exc, "hint", None) or "download or convert the model anew",
        ) from exc


def _info(path: Path, source: Source) -> ModelInfo:
    model = root(source, schema.IDENTIFIER)
    version = model.integer(schema.Model.VERSION, UINT32)
    if version != schema.VERSION:
        raise UnsupportedModel(
            f"{path} has version {version} of TFLite's schema",
            hint=f"version {schema.VERSION} is read: convert the original model anew",
        )
    buffers = Buffers(path, source, model)
    graphs = [_Graph(table, i) for i, table in enumerate(model.tables(schema.Model.SUBGRAPHS))]
    if not graphs:
        raise Malformed("it has no subgraphs")
    functions = _functions(model, graphs)
    chosen = functions.get(_DEFAULT_SIGNATURE) or next(iter(functions.values()), None)
    graph = chosen.graph if chosen else graphs[0]
    content = _content(model, graphs, buffers)
    inputs = _specs(graph, graph.inputs, chosen.inputs if chosen else {}, "input")
    outputs = _specs(graph, graph.outputs, chosen.outputs if chosen else {}, "output")
    if not outputs:
        raise Malformed("it has no outputs")
    metadata = read_metadata(model, buffers, source, graphs.index(graph))
    files = tuple(sorted(buffers.files))
    return ModelInfo(
        path=path,
        format="tflite",
        sha256=content_hash(path, files),
        size_bytes=source.size + sum(buffers.files.values()),
        inputs=inputs,
        outputs=outputs,
        name=metadata.get("name") or graph.name,
        producer=(model.text(schema.Model.DESCRIPTION) or "").strip(),
        opsets={"tflite": version},
        metadata=metadata,
        operators=dict(content.operators.most_common()),
        parameters=content.parameters,
        external_files=files,
        quantized=content.quantized,
        signatures={
            key: Signature(tuple(item.inputs), tuple(item.outputs))
            for key, item in functions.items()
        },
        signature=chosen.key if chosen else None,
    )


class _Graph:
    """One subgraph; its tensors and operators are read when they are asked for."""

    def __init__(self, table: Table, index: int) -> None:
        self.name = table.text(schema.SubGraph.NAME) or ""
        self.title = f"subgraph {index}"
        self.tensors = table.tables(schema.SubGraph.TENSORS)
        self.operators = table.tables(schema.SubGraph.OPERATORS)
        self.inputs = self.checked(table.integers(schema.SubGraph.INPUTS), "its list of inputs")
        self.outputs = self.checked(table.integers(schema.SubGraph.OUTPUTS), "its list of outputs")
        self.input_places = _first_places(self.inputs)
        self.output_places = _first_places(self.outputs)
        if len(self.input_places) < len(self.inputs):
            raise Malformed(f"{self.title} has one tensor as two of its inputs")

    def checked(self, indices: tuple[int, ...], what: str, least: int = 0) -> tuple[int, ...]:
        """The indices, each of which must be that of a tensor, or not below ``least``."""
        if indices and not least <= min(indices) <= max(indices) < len(self.tensors):
            raise Malformed(
                f"{self.title} has {len(self.tensors)} tensors, and {what} asks for the numbers"
                f" {', '.join(map(str, indices[:8]))}"
            )
        return indices


def _first_places(indices: Sequence[int]) -> dict[int, int]:
    """Tensor -> where it first stands among the inputs or outputs."""
    places: dict[int, int] = {}
    for place, index in enumerate(indices):
        places.setdefault(index, place)
    return places


@dataclass(frozen=True)
class _Function:
    """A signature: its key, its subgraph, and the tensor of each input and output by name."""

    key: str
    graph: _Graph
    inputs: dict[str, int]
    outputs: dict[str, int]


def _functions(model: Table, graphs: Sequence[_Graph]) -> dict[str, _Function]:
    """The signatures by key, each checked against its subgraph."""
    functions: dict[str, _Function] = {}
    for table in model.tables(schema.Model.SIGNATURES):
        key = table.text(schema.Signature.KEY)
        index = table.integer(schema.Signature.SUBGRAPH, UINT32)
        if key is None or key in functions:
            raise Malformed(f"it has a signature without a key or two of the key {key!r:.80}")
        if index >= len(graphs):
            raise Malformed(f"its signature {key!r:.80} is of subgraph {index} of {len(graphs)}")
        graph = graphs[index]
        title = f"its signature {key!r:.80}"
        inputs = _members(
            table.tables(schema.Signature.INPUTS), graph.input_places, f"{title}, input"
        )
        outputs = _members(
            table.tables(schema.Signature.OUTPUTS), graph.output_places, f"{title}, output"
        )
        if len(set(inputs.values())) < len(inputs):
            raise Malformed(f"{title} has two names for one input")
        functions[key] = _Function(key, graph, inputs, outputs)
    return functions


def _members(tables: Tables, places: Mapping[int, int], owner: str) -> dict[str, int]:
    """The tensors of a signature's inputs or outputs by name, ordered by their ``places``."""
    members: dict[str, int] = {}
    for table in tables:
        name = table.text(schema.TensorMap.NAME)
        tensor = table.integer(schema.TensorMap.TENSOR, UINT32)
        if not name or name in members:
            raise Malformed(f"{owner}: one has no name, or two are named {name!r:.80}")
        if tensor not in places:
            raise Malformed(f"{owner} {name!r:.80}: tensor {tensor} is none of its subgraph's")
        members[name] = tensor
    return dict(sorted(members.items(), key=lambda item: places[item[1]]))


def _specs(
    graph: _Graph, indices: Sequence[int], members: dict[str, int], role: str
) -> tuple[TensorSpec, ...]:
    """The specs of a subgraph's inputs or outputs.

    What the signature's ``members`` name bears that name, once for each name; the rest are called
    by their tensors' names, made unique.  A name that another tensor bears too is no alias: by it
    a vendor would give the other one.
    """
    specs: list[TensorSpec] = []
    taken = set(members)
    owners: dict[str, int] = {}
    for place, index, key in _places(indices, members):
        tensor = graph.tensors[index]
        own = tensor.text(schema.Tensor.NAME) or ""
        name = key
        if name is None:
            name = own or f"{role}_{place}"
            while name in taken:
                name += f"_{place}"
            taken.add(name)
        is_own = owners.setdefault(own, index) == index
        aliases = (own,) if own and own != name and is_own else ()
        specs.append(spec(tensor, name, role=role, aliases=aliases))
    return tuple(specs)


def _places(
    indices: Sequence[int], members: Mapping[str, int]
) -> Iterator[tuple[int, int, str | None]]:
    """Each place with its tensor and name, None where the tensor has no name left.

    A tensor that stands at n places gives its first n - 1 names to the first n - 1 of them, and all
    others to the last.
    """
    names: dict[int, deque[str]] = {}
    for name, index in members.items():
        names.setdefault(index, deque()).append(name)
    left = Counter(indices)
    for place, index in enumerate(indices):
        left[index] -= 1
        waiting = names.get(index)
        if not waiting:
            yield place, index, None
            continue
        yield place, index, waiting.popleft()
        while waiting and not left[index]:
            yield place, index, waiting.popleft()


@dataclass
class _Content:
    """What all subgraphs hold."""

    operators: Counter[str] = field(default_factory=Counter)
    quantized: bool = False
    parameters: int = 0
    counted: set[tuple[str, int]] = field(default_factory=set)


def _content(model: Table, graphs: Sequence[_Graph], buffers: Buffers) -> _Content:
    content = _Content()
    names = _OperatorNames(model.tables(schema.Model.OPERATOR_CODES))
    for graph in graphs:
        scaled = set()
        for index, tensor in enumerate(graph.tensors):
            if _add_tensor(tensor, f"tensor {index} of {graph.title}", buffers, content):
                scaled.add(index)
        for operator in graph.operators:
            _add_operator(operator, graph, names, scaled, content)
    return content


def _add_tensor(tensor: Table, owner: str, buffers: Buffers, content: _Content) -> bool:
    """Count a tensor's parameters; True where its elements are quantised."""
    kind = type_of(tensor)
    scaled = kind.is_integer and has_scale(tensor)
    buffer, size = buffers.of(tensor, owner)
    if size and kind.bits:
        stored = size * 8 // kind.bits
        if not tensor.has(schema.Tensor.SPARSITY):
            needed = elements(tensor, owner)
            if stored < needed:
                raise Malformed(f"{owner} has {size} bytes, too few for its {needed} elements")
            stored = needed
        counts = kind.dtype not in _NOT_PARAMETERS and (scaled or kind.name != "INT32")
        if counts and buffer not in content.counted:
            content.counted.add(buffer)
            content.parameters += stored
    return scaled and kind.bits <= _MOST_QUANTIZED_BITS


def _add_operator(
    operator: Table, graph: _Graph, names: _OperatorNames, scaled: set[int], content: _Content
) -> None:
    name = names[operator.integer(schema.Operator.OPCODE_INDEX, UINT32)]
    content.operators[name] += 1
    takes = graph.checked(operator.integers(schema.Operator.INPUTS), name, _ABSENT)
    gives = graph.checked(operator.integers(schema.Operator.OUTPUTS), name, _ABSENT)
    if name == "FAKE_QUANT":
        content.quantized = True
    elif name == "DEQUANTIZE":
        content.quantized |= not scaled.intersection(takes) <= graph.input_places.keys()
    elif name == "QUANTIZE":
        content.quantized |= not scaled.intersection(takes + gives) <= graph.output_places.keys()
    else:
        content.quantized |= not scaled.isdisjoint(takes + gives)


class _OperatorNames:
    """The names of the model's kinds of operators, each read when it is asked for."""

    def __init__(self, codes: Tables) -> None:
        self._codes = codes
        self._names: dict[int, str] = {}

    def __getitem__(self, index: int) -> str:
        if index not in self._names:
            if index >= len(self._codes):
                raise Malformed(f"it has {len(self._codes)} kinds of operators, and uses {index}")
            self._names[index] = self._read(self._codes[index])
        return self._names[index]

    def _read(self, code: Table) -> str:
        """The name; files of before 2020 have its number in a field of eight bits."""
        number = max(
            code.integer(schema.OperatorCode.BUILTIN_CODE),
            code.integer(schema.OperatorCode.DEPRECATED_BUILTIN_CODE, INT8),
        )
        if number < 0:
            raise Malformed(f"it has an operator of the impossible number {number}")
        name = code.text(schema.OperatorCode.CUSTOM_CODE) if number == CUSTOM else None
        if number == CUSTOM and not name:
            raise Malformed("it has a custom operator without a custom code")
        return name or operator_name(number)
