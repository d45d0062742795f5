from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from hwrt.errors import ModelError
from hwrt.model import read
from hwrt.model.file import Malformed
from hwrt.model.onnx_expansion import check_expansion
from hwrt.model.protobuf import skeleton

ATTRIBUTE, NODE, GRAPH = b"\x2a", b"\x0a", b"\x3a"


def held(tag: bytes, content: bytes) -> bytes:
    """A field of this tag."""
    size, encoded = len(content), bytearray()
    while size > 0x7F:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    return tag + bytes([*encoded, size]) + content


BOMBS = {
    "nodes": held(GRAPH, b"\x0a\0" * 1_000_000),
    "attributes in small nodes": held(GRAPH, held(NODE, b"\x2a\0" * 500) * 2000),
    "many graphs": b"\x3a\0" * 1_000_000,
    "functions": b"\xca\x01\0" * 1_000_000,
    "graphs in an attribute": held(GRAPH, held(NODE, held(ATTRIBUTE, b"\x5a\0" * 300_000))),
    "packed numbers": held(GRAPH, held(NODE, held(ATTRIBUTE, held(b"\x42", b"\1" * 60_000_000)))),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_file_that_would_fill_the_memory_is_refused(bomb: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08" + bomb)

    with pytest.raises(ModelError, match="unreasonably many"):
        read(path)


def test_weights_do_not_pay_for_the_walk_over_many_tiny_parts(tmp_path: Path) -> None:
    weights = held(b"\x4a", b"\0" * 14_000_000)  # raw_data, as much as yolov8n has
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08" + held(GRAPH, held(b"\x2a", weights) + b"\x0a\0" * 200_000))

    with pytest.raises(Malformed, match="unreasonably many parts for its size"):
        skeleton(path)


def test_a_dense_but_honest_graph_is_read(tmp_path: Path) -> None:
    values = [
        helper.make_tensor_value_info(str(i), TensorProto.FLOAT, [1, 2, 3, 4])
        for i in range(20_000)
    ]
    nodes = [helper.make_node("Add", [str(i), str(i)], [str(i + 1)]) for i in range(20_000)]
    graph = helper.make_graph(nodes, "g", values[:1], values[-1:], value_info=values)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())

    assert {"Add": 20_000} == dict(read(path).operators)


@pytest.mark.parametrize("name", ["mobilenet_v2", "yolov8n", "yolov8n_int8"])
def test_a_real_model_expands_as_expected(name: str, shared: Path) -> None:
    data = skeleton(shared / "models" / f"{name}.onnx")
    doubled = data * (1 + 2_000_000 // len(data))

    check_expansion(doubled)


@pytest.mark.parametrize(
    ("tail", "reason"),
    [(b"\x3a", "truncated"), (b"\x0b", "wire type 3"), (b"\x08" + b"\xff" * 12, "without end")],
)
def test_damage_is_told_before_anything_is_parsed(tail: bytes, reason: str) -> None:
    data = b"\x08\x08" + held(b"\x32", b"x" * 200_000) + tail

    with pytest.raises(Malformed, match=reason):
        check_expansion(data)


@pytest.mark.parametrize("place", ["input", "initializer"])
def test_more_dimensions_than_an_array_has_are_refused(place: str, tmp_path: Path) -> None:
    sizes = [1 << 62] * 65
    value = helper.make_tensor_value_info
    x = value("x", TensorProto.FLOAT, sizes if place == "input" else [1])
    stored = [TensorProto(name="w", data_type=1, dims=sizes)] if place == "initializer" else []
    graph = helper.make_graph([], "g", [x], [value("y", TensorProto.FLOAT, [1])], stored)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())

    with pytest.raises(ModelError, match="65 dimensions"):
        read(path)
