"""Damage to what a TFLite model means: a well-formed FlatBuffer that says absurd things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from tests.hostile.bases import Base, packed
from tests.hostile.cases import CANARY, Content, Fifo, Folder, Hole, Link, Mutator

__all__ = ["MUTATORS"]

_FLOATS = (float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1e-45, 3e38)
_NAMES = (
    b"",
    b"x",
    b"in",
    b"\0",
    b"\xff\xfe",
    b"a" * 100_000,
    b"\xed\xa0\x80",
    b"../x",
    b"\n{0}%s",
    b"serving_default",
)
_SIZES = (-1, -2, 0, 1, 3, 1 << 30, (1 << 31) - 1, -(1 << 31))


def shapes(model: Any, random: Random) -> None:
    tensor = _tensor(model, random)
    sizes = [random.choice(_SIZES) for _ in range(random.choice((1, 2, 4, 65, 3000)))]
    setattr(tensor, random.choice(("shape", "shapeSignature")), random.choice((sizes, [], None)))
    tensor.hasRank = random.random() < 0.5


def names(model: Any, random: Random) -> None:
    graph = random.choice(model.subgraphs)
    used = [*graph.inputs, *graph.outputs]
    named = [graph, *(graph.tensors[index % len(graph.tensors)] for index in used)]
    named += [item for part in model.signatureDefs or () for item in [*part.inputs, *part.outputs]]
    for item in random.sample(named, min(len(named), 3)):
        item.name = random.choice((*_NAMES, random.choice(named).name))
    for item in model.signatureDefs or ():
        if random.random() < 0.3:
            item.signatureKey = random.choice(_NAMES)


def indices(model: Any, random: Random) -> None:
    """Tensors, buffers, codes and subgraphs that there are not; cycles of operators."""
    graph = random.choice(model.subgraphs)
    wild = random.choice((-1, -2, len(graph.tensors), (1 << 31) - 1, 0, 1))
    part = random.choice((graph.inputs, graph.outputs))
    operator = random.choice(graph.operators)
    random.choice(
        (
            lambda: part.append(wild),
            lambda: part.append(part[0]),
            lambda: part.clear(),
            lambda: operator.inputs.append(wild),
            lambda: setattr(operator, "inputs", list(operator.outputs)),
            lambda: setattr(operator, "opcodeIndex", abs(wild)),
            lambda: setattr(_tensor(model, random), "buffer", abs(wild)),
            lambda: (
                model.signatureDefs and setattr(model.signatureDefs[0], "subgraphIndex", abs(wild))
            ),
            lambda: (
                model.signatureDefs
                and setattr(model.signatureDefs[0].inputs[0], "tensorIndex", abs(wild))
            ),
            lambda: model.metadata and setattr(model.metadata[0], "buffer", abs(wild)),
            lambda: graph.operators.extend(graph.operators * 9),
        )
    )()


def quantization(model: Any, random: Random) -> None:
    from ai_edge_litert import schema_py_generated as schema

    count = random.choice((0, 1, 2, 3, 70_000))
    _tensor(model, random).quantization = schema.QuantizationParametersT(
        scale=[random.choice((*_FLOATS, 0.5)) for _ in range(count)],
        zeroPoint=[
            random.choice((0, 1, -129, 1 << 62)) for _ in range(random.choice((0, 1, count)))
        ],
        quantizedDimension=random.choice((0, 1, -1, 99)),
        detailsType=random.choice((0, 0, 2)),
    )


def kinds(model: Any, random: Random) -> None:
    """Types of tensors and kinds of operators, known and unknown."""
    _tensor(model, random).type = random.choice((*range(22), -1, 127))
    code = random.choice(model.operatorCodes)
    code.builtinCode = random.choice((code.builtinCode, 32, 126, 127, 128, 208, 9999, -1))
    code.deprecatedBuiltinCode = random.choice((code.deprecatedBuiltinCode, 0, 32, 127, -1))
    code.customCode = random.choice((code.customCode, *_NAMES))


def losses(model: Any, random: Random) -> None:
    part = random.choice(
        ("operatorCodes", "subgraphs", "buffers", "metadata", "signatureDefs", "description")
    )
    graph = random.choice(model.subgraphs)
    field = random.choice(("tensors", "inputs", "outputs", "operators", "name"))
    owner, name = random.choice(((model, part), (graph, field), (_tensor(model, random), "name")))
    setattr(
        owner,
        name,
        random.choice((None, b""))
        if name in ("name", "description")
        else random.choice((None, [])),
    )


def buffers(model: Any, random: Random) -> None:
    """Data said to lie behind the FlatBuffer, or beyond the file."""
    buffer = random.choice(model.buffers)
    buffer.offset = random.choice((0, 1, 2, 8, 1000, 1 << 31, 1 << 62, (1 << 64) - 1))
    buffer.size = random.choice((0, 1, 1000, 1 << 40, (1 << 64) - 1))
    if random.random() < 0.5:
        buffer.data = [0] * random.choice((1, 13, 5000))


def _tensor(model: Any, random: Random) -> Any:
    graph = random.choice(model.subgraphs)
    places = [*graph.inputs, *graph.outputs, random.randrange(len(graph.tensors))]
    return graph.tensors[random.choice(places) % len(graph.tensors)]


def external(base: Base, random: Random) -> Mapping[str, Content]:
    """Data in a file beside the model, or where no data may be."""
    from ai_edge_litert import schema_py_generated as schema

    model = _unpacked(base)
    place, more = random.choice(
        (
            ("weights.bin", {"weights.bin": b"\0" * 64}), ("missing.bin", {}), (f"../{CANARY}",
            {}), ("/etc/passwd", {}),
            ("", {}), ("out.bin", {"out.bin": Link(f"../{CANARY}")}), ("pipe", {"pipe": Fifo()}),
            ("/dev/zero", {}),
            ("zero", {"zero": Link("/dev/zero")}), ("folder", {"folder": Folder()}), ("a\0b", {}),
            ("hole", {"hole": Hole(1 << 24)}),
            ("in.bin", {"in.bin": Link("weights.bin"), "weights.bin": b"\0" * 64}), ("up/x",
            {"up": Link("..")}),
        )
    )  # fmt: skip
    model.externalBufferGroups = [schema.ExternalBufferGroupT(name=place.encode())]
    model.externalBuffers = [
        schema.ExternalBufferT(
            id=random.choice((1, 1, 7)), group=random.choice((0, 0, 0, 1, (1 << 32) - 1)),
            offset=random.choice((0, 0, 32, 64, 65, (1 << 64) - 1)), length=random.choice((0, 12,
            64, 1 << 63)),
        )
    ]  # fmt: skip
    tensor = _tensor(model, random)
    tensor.buffer, tensor.externalBuffer = 0, 1
    return {**base.files, **more, base.main: packed(model)}


def _unpacked(base: Base) -> Any:
    """The model as the schema's objects, with lists for what may grow."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(base.files[base.main])
    for graph in model.subgraphs:
        for owner in (graph, *graph.operators):
            owner.inputs, owner.outputs = list(owner.inputs), list(owner.outputs)
    return model


def _is_whole(model: Any) -> bool:
    """False where a change took what the next one needs."""
    parts = ("tensors", "operators", "inputs", "outputs")
    return bool(model.subgraphs and model.operatorCodes and model.buffers) and all(
        getattr(graph, part) for graph in model.subgraphs for part in parts
    )


def _on_model(change: Callable[[Any, Random], None]) -> Mutator:
    def mutator(base: Base, random: Random) -> dict[str, Content]:
        model = _unpacked(base)
        for _ in range(random.choice((1, 1, 2))):
            if _is_whole(model):
                change(model, random)
        return {**base.files, base.main: packed(model)}

    return mutator


MUTATORS: dict[str, Mutator] = {
    **{
        f"tflite.{change.__name__}": _on_model(change)
        for change in (shapes, names, indices, quantization, kinds, losses, buffers)
    },
    "tflite.external": external,
}
