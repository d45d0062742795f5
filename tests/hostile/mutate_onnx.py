"""Damage to what an ONNX model means: well-formed protobuf that says absurd things."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.hostile.bases import Base
from tests.hostile.cases import CANARY, Content, Fifo, Folder, Hole, Link, Mutator

__all__ = ["EXTERNAL_MUTATORS", "MUTATORS"]

_SIZES = (-1, -2, -(1 << 63), 0, 1, 2, 1 << 31, 1 << 32, 1 << 62, (1 << 63) - 1)
_NAMES = (
    "",
    "x",
    "y",
    "w",
    "\0",
    "a" * 300_000,
    "../x",
    "/",
    "ü\u202e\U0001f600",
    "{0}%s",
    "\n",
    "'\"",
)
_WHOLE_NUMBERS = (-1, 0, 1, 3, 4, 255, 1 << 31, (1 << 63) - 1, -(1 << 63))


def _graphs(model: Any) -> list[Any]:
    found, waiting = [], [model.graph]
    while waiting:
        graph = waiting.pop()
        found.append(graph)
        waiting += [item.g for node in graph.node for item in node.attribute if item.HasField("g")]
    return found


def _any_graph(model: Any, random: Random) -> Any:
    return random.choice(_graphs(model)) if random.random() < 0.3 else model.graph


def _value(graph: Any, random: Random) -> Any:
    values = [*graph.input, *graph.output] * 3 + list(graph.value_info[:20])
    return random.choice(values) if values else graph.output.add()


def _tensor(graph: Any, random: Random) -> Any:
    return random.choice(graph.initializer) if graph.initializer else graph.initializer.add()


def _int32(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def dims(model: Any, random: Random) -> None:
    graph = _any_graph(model, random)
    sizes = [random.choice(_SIZES) for _ in range(random.choice((1, 2, 4, 40, 3000)))]
    if random.random() < 0.5:
        _tensor(graph, random).dims[:] = sizes
        return
    shape = _value(graph, random).type.tensor_type.shape
    del shape.dim[:]
    for size in sizes:
        dim = shape.dim.add()
        if random.random() < 0.8:
            dim.dim_value = size
        elif random.random() < 0.8:
            dim.dim_param = random.choice(_NAMES)


def names(model: Any, random: Random) -> None:
    """Empty, huge, strange and repeated names."""
    graph = _any_graph(model, random)
    named = [*graph.input, *graph.output, *graph.initializer[:9], *graph.node[:9], graph]
    for item in random.sample(named, min(len(named), random.choice((1, 2, 5)))):
        item.name = random.choice((*_NAMES, random.choice(named).name))


def repeats(model: Any, random: Random) -> None:
    """The same input, output, initialiser, node, operator set, metadata or function twice."""
    graph = _any_graph(model, random)
    parts = [graph.input, graph.output, graph.initializer, graph.node, model.opset_import]
    part = random.choice([*parts, model.metadata_props, model.functions])
    for item in list(part)[: random.choice((1, 3))]:
        part.add().CopyFrom(item)


def losses(model: Any, random: Random) -> None:
    """Without inputs, outputs, nodes, operator sets, version, graph, a type or a shape."""
    graph = _any_graph(model, random)
    value = _value(graph, random)
    random.choice(
        (
            lambda: graph.ClearField("input"),
            lambda: graph.ClearField("output"),
            lambda: graph.ClearField("node"),
            lambda: graph.ClearField("initializer"),
            lambda: model.ClearField("opset_import"),
            lambda: model.ClearField("ir_version"),
            lambda: model.ClearField("graph"),
            lambda: model.ClearField("functions"),
            lambda: value.ClearField("type"),
            lambda: value.type.tensor_type.ClearField("shape"),
            lambda: value.type.tensor_type.ClearField("elem_type"),
            lambda: _tensor(graph, random).ClearField("data_type"),
            lambda: _tensor(graph, random).ClearField("dims"),
            lambda: _tensor(graph, random).ClearField("name"),
        )
    )()


def types(model: Any, random: Random) -> None:
    """Element types that there are not, sequences, maps, optionals and sparse tensors."""
    graph = _any_graph(model, random)
    value = _value(graph, random)
    kind = _int32(random.choice((*_WHOLE_NUMBERS, *range(30))))
    place = random.randrange(7)
    if place == 0:
        _tensor(graph, random).data_type = kind
    elif place == 1:
        value.type.sequence_type.elem_type.tensor_type.elem_type = kind
    elif place == 2:
        value.type.map_type.key_type = kind
    elif place == 3:
        value.type.optional_type.elem_type.tensor_type.elem_type = kind
    elif place == 4:
        value.type.sparse_tensor_type.elem_type = kind
    elif value.type.WhichOneof("value") in (None, "tensor_type"):
        value.type.tensor_type.elem_type = kind


def versions(model: Any, random: Random) -> None:
    if random.random() < 0.5:
        model.ir_version = random.choice(_WHOLE_NUMBERS)
    for _ in range(random.choice((0, 1, 1, 3))):
        opset = model.opset_import.add()
        opset.version = random.choice(_WHOLE_NUMBERS)
        opset.domain = random.choice((*_NAMES, "ai.onnx", "ai.onnx.ml"))


def cycles(model: Any, random: Random) -> None:
    """Nodes that feed themselves, each other, inputs and initialisers."""
    graph = _any_graph(model, random)
    if not graph.node:
        return
    outputs = [name for node in graph.node for name in node.output] or ["y"]
    for _ in range(random.choice((1, 3, 20))):
        node = random.choice(graph.node)
        if random.random() < 0.6:
            node.input.append(random.choice(outputs))
        else:
            sources = [*graph.input, *graph.initializer, *graph.output]
            node.output.append(random.choice([item.name for item in sources] or ["x"]))


def operators(model: Any, random: Random) -> None:
    graph = _any_graph(model, random)
    node = random.choice(graph.node) if graph.node else graph.node.add()
    node.op_type = random.choice((*_NAMES, "If", "Loop", "QLinearConv", "own.Twice"))
    node.domain = random.choice(("", "", "ai.onnx", "own", *_NAMES))
    if random.random() < 0.3:
        copy = type(graph)()
        copy.CopyFrom(graph)  # protobuf crashes where a message is copied into a part of itself
        attribute = node.attribute.add(name="g", type=random.randrange(15))
        attribute.g.CopyFrom(copy)
        attribute.ints.extend(random.choice(_SIZES) for _ in range(300))


def functions(model: Any, random: Random) -> None:
    """Functions that call themselves, have no name, or are the same."""
    function = model.functions.add(name=random.choice(_NAMES), domain=random.choice(("own", "")))
    node = function.node.add(op_type=random.choice((function.name, "Relu", "")), domain="own")
    node.attribute.add(name="a", ref_attr_name="a", type=5)
    function.attribute_proto.add(name="b").g.CopyFrom(model.graph)


def sparse(model: Any, random: Random) -> None:
    item = _any_graph(model, random).sparse_initializer.add()
    item.dims.extend([random.choice(_SIZES), 9])
    item.values.dims.append(random.choice(_SIZES))
    item.values.name = random.choice(_NAMES)
    item.indices.data_type = random.randrange(20)
    if random.random() < 0.4:
        item.values.data_location = 1


def metadata(model: Any, random: Random) -> None:
    for _ in range(random.choice((1, 3, 3000))):
        model.metadata_props.add(
            key=random.choice(_NAMES[:5]),
            value=random.choice(_NAMES) if random.random() < 0.1 else "x",
        )
    model.producer_name = random.choice(_NAMES)


def _on_model(change: Callable[[Any, Random], None]) -> Mutator:
    def mutator(base: Base, random: Random) -> dict[str, Content]:
        import onnx

        model = onnx.ModelProto.FromString(base.files[base.main])
        for _ in range(random.choice((1, 1, 2, 3))):
            change(model, random)
        return {**base.files, base.main: model.SerializeToString()}

    return mutator


MUTATORS: dict[str, Mutator] = {
    f"onnx.{change.__name__}": _on_model(change)
    for change in (
        dims, names, repeats, losses, types, versions, cycles, operators, functions, sparse,
        metadata,
    )
}  # fmt: skip

_PLACES: tuple[tuple[str, dict[str, Content]], ...] = (
    ("/etc/passwd", {}),
    ("//etc/passwd", {}),
    ("/dev/zero", {}),
    ("/proc/self/mem", {}),
    (f"../{CANARY}", {}),
    (f"a/../../{CANARY}", {"a": Folder()}),
    ("a/../weights.bin", {"a": Folder()}),
    ("..", {}),
    (".", {}),
    ("", {}),
    ("./weights.bin", {}),
    (".//weights.bin", {}),
    ("weights.bin/", {}),
    ("weights.bin\0", {}),
    ("missing.bin", {}),
    ("a" * 70_000, {}),
    ("a/" * 3000 + "b", {}),
    (f"..\\{CANARY}", {}),
    ("C:\\weights.bin", {}),
    ("\\\\server\\share", {}),
    ("file:///etc/passwd", {}),
    ("~/.profile", {}),
    ("$HOME/x", {}),
    ("out.bin", {"out.bin": Link(f"../{CANARY}")}),
    ("in.bin", {"in.bin": Link("weights.bin")}),
    ("loop.bin", {"loop.bin": Link("loop.bin")}),
    ("dangling.bin", {"dangling.bin": Link("nowhere")}),
    ("chain.bin", {"chain.bin": Link("next.bin"), "next.bin": Link(f"../{CANARY}")}),
    ("zero.bin", {"zero.bin": Link("/dev/zero")}),
    ("up/canary.bin", {"up": Link("..")}),
    ("root/etc/passwd", {"root": Link("/")}),
    ("here/weights.bin", {"here": Link(".")}),
    ("pipe", {"pipe": Fifo()}),
    ("pipe.bin", {"pipe": Fifo(), "pipe.bin": Link("pipe")}),
    ("folder", {"folder": Folder()}),
    ("model.onnx", {}),
    ("hole.bin", {"hole.bin": Hole(1 << 24)}),
    ("pointer.bin", {"pointer.bin": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"}),
)
_NUMBERS = (
    "0", "1", "64", "128", "129", "192", "193", "-1", "-64", "1e3", "0x10", "1.5", "", " ", " 8",
    "8 ", "+8", "1_0",
    "9" * 19, "9" * 20, "9" * 5000, str(1 << 63), "\u0663", "\u00b2", "NaN", "\0", "None",
)  # fmt: skip


def places(base: Base, random: Random) -> dict[str, Content]:
    """Weights said to lie in places where no weights may lie."""
    import onnx

    model = onnx.ModelProto.FromString(base.files[base.main])
    files: dict[str, Content] = dict(base.files)
    location, more = random.choice(_PLACES)
    files.update(more)
    _put_away(model, random, {"location": location})
    return {**files, base.main: model.SerializeToString()}


def ranges(base: Base, random: Random) -> dict[str, Content]:
    """Offsets and lengths beyond the file, negative, huge, and no numbers."""
    import onnx

    model = onnx.ModelProto.FromString(base.files[base.main])
    entries = {
        key: random.choice(_NUMBERS) for key in ("offset", "length") if random.random() < 0.7
    }
    _put_away(model, random, {"location": "weights.bin", **entries})
    files: dict[str, Content] = {"weights.bin": b"\0" * 192, **base.files}
    if random.random() < 0.2:
        files["weights.bin"] = random.choice((b"", b"\0" * 63, Hole(1 << 22)))
    return {**files, base.main: model.SerializeToString()}


def _put_away(model: Any, random: Random, entries: dict[str, str]) -> None:
    tensor = _tensor(_any_graph(model, random), random)
    tensor.data_location = 1
    if random.random() < 0.8:
        del tensor.external_data[:]
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    if random.random() < 0.2:
        tensor.external_data.add(key=random.choice(("location", "offset", "", "own")), value="x")
    if random.random() < 0.2:
        tensor.dims[:] = [random.choice(_SIZES)]


EXTERNAL_MUTATORS: dict[str, Mutator] = {"external.places": places, "external.ranges": ranges}
