from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from hwrt.model.file import Malformed
from hwrt.model.onnx_reader import _bodies, _info, _tensors
from hwrt.model.protobuf import is_onnx, skeleton

PAYLOADS = ("float_data", "int32_data", "int64_data", "raw_data", "double_data", "uint64_data")
RNG = np.random.default_rng(7)


def filled(dtype: int, name: str, count: int = 2000) -> TensorProto:
    """A tensor whose elements are stored in the field of their type."""
    return helper.make_tensor(name, dtype, [count], RNG.integers(0, 100, count).tolist())


def raw(name: str, count: int = 2000) -> TensorProto:
    return numpy_helper.from_array(RNG.random(count).astype(np.float32), name)


def sparse(name: str) -> onnx.SparseTensorProto:
    indices = helper.make_tensor("", TensorProto.INT64, [600], range(600))
    return helper.make_sparse_tensor(raw(name, 600), indices, [9000])


def unpacked(count: int) -> bytes:
    """A serialised float tensor each of whose elements is a field of its own."""
    head = TensorProto(name="unpacked", data_type=TensorProto.FLOAT, dims=[count])
    return head.SerializeToString() + b"\x25\x00\x00\x80\x3f" * count


def graph(nodes: list[onnx.NodeProto], name: str = "g", **parts: object) -> onnx.GraphProto:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [output], **parts)


def whole(main: onnx.GraphProto, functions: tuple[onnx.FunctionProto, ...] = ()) -> bytes:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    built = helper.make_model(main, opset_imports=opsets, ir_version=8, functions=functions)
    return built.SerializeToString()


def constant(tensor: TensorProto) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["y"], value=tensor)


def nested() -> bytes:
    inner = graph([constant(raw("deep"))], initializer=[filled(TensorProto.FLOAT, "inner")])
    loop = helper.make_node("Loop", ["n", "c"], ["y"], body=inner)
    branch = graph([loop], initializer=[raw("branch")])
    return whole(
        graph([helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=inner)])
    )


def in_function() -> bytes:
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "F", [], ["y"], [constant(raw("held"))], opsets)
    return whole(graph([helper.make_node("F", [], ["y"], domain="own")]), (function,))


def external() -> bytes:
    tensor = raw("away")
    onnx.external_data_helper.set_external_data(tensor, "weights.bin", 0, 8000)
    tensor.ClearField("raw_data")
    tensor.doc_string = "long " * 400
    return whole(graph([constant(raw("near"))], initializer=[tensor]))


def stored_unpacked(count: int) -> bytes:
    start = whole(graph([constant(raw("c"))]))
    tensor = b"\x2a" + varint(len(unpacked(count))) + unpacked(count)  # graph.initializer
    return start + b"\x3a" + varint(len(tensor)) + tensor


def varint(value: int) -> bytes:
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


NUMBERS = (
    TensorProto.FLOAT,
    TensorProto.INT32,
    TensorProto.INT8,
    TensorProto.INT64,
    TensorProto.DOUBLE,
    TensorProto.UINT64,
    TensorProto.FLOAT16,
)
STORED = {
    "raw": whole(graph([constant(raw("c"))], initializer=[raw("w"), raw("small", 3)])),
    "typed": whole(graph([], initializer=[filled(t, f"w{t}") for t in NUMBERS])),
    "strings": whole(
        graph([], initializer=[helper.make_tensor("s", TensorProto.STRING, [500], [b"word"] * 500)])
    ),
    "sparse initializer": whole(graph([], sparse_initializer=[sparse("s")])),
    "sparse attribute": whole(
        graph([helper.make_node("Constant", [], ["y"], sparse_value=sparse("s"))])
    ),
    "tensor list": whole(
        graph([helper.make_node("Own", [], ["y"], domain="own", many=[raw("a"), raw("b")])])
    ),
    "many numbers in an attribute": whole(
        graph([helper.make_node("Constant", [], ["y"], value_floats=[0.5] * 5000)])
    ),
    "subgraphs": nested(),
    "function": in_function(),
    "external": external(),
    "few unpacked": stored_unpacked(300),
    "many unpacked": stored_unpacked(5000),
}


def emptied(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without any payload."""
    for tensor in every_tensor(model):
        for name in PAYLOADS:
            tensor.ClearField(name)
    return model


def every_tensor(model: onnx.ModelProto) -> Iterator[TensorProto]:
    for body in _bodies(model):
        yield from _tensors(body)


@pytest.fixture(params=STORED)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(STORED[request.param])
    (tmp_path / "weights.bin").write_bytes(bytes(8000))
    return path


def test_a_skeleton_is_the_model_but_for_its_payloads(stored: Path) -> None:
    full = onnx.load(stored, load_external_data=False)

    parsed = onnx.ModelProto.FromString(skeleton(stored))

    assert emptied(full) == emptied(parsed)


def test_a_skeleton_says_all_that_the_whole_file_says(stored: Path) -> None:
    full = onnx.load(stored, load_external_data=False)

    parsed = onnx.ModelProto.FromString(skeleton(stored))

    assert _info(stored, full) == _info(stored, parsed)


@pytest.mark.parametrize(
    "name", ["raw", "typed", "sparse initializer", "tensor list", "subgraphs", "function"]
)
def test_a_skeleton_is_small(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(STORED[name])

    copy = skeleton(path)

    assert len(copy) < 1000 < len(STORED[name])


@pytest.mark.parametrize("name", ["mobilenet_v2", "yolov8n", "yolov8n_int8"])
def test_a_skeleton_of_a_real_model_says_all_that_the_whole_file_says(
    name: str, shared: Path
) -> None:
    path = shared / "models" / f"{name}.onnx"
    full = onnx.load(path)

    parsed = onnx.ModelProto.FromString(skeleton(path))

    assert _info(path, full) == _info(path, parsed)
    assert emptied(full) == emptied(parsed)


def test_making_a_skeleton_holds_no_weights_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(whole(graph([constant(raw("c", 4_000_000))])))

    tracemalloc.start()
    try:
        skeleton(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000


def test_a_graph_that_is_stored_in_two_parts_is_merged(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    first, second = STORED["raw"], STORED["typed"]
    path.write_bytes(first + second)

    parsed = onnx.ModelProto.FromString(skeleton(path))

    assert emptied(onnx.ModelProto.FromString(first + second)) == emptied(parsed)


def test_nesting_beyond_what_protobuf_parses_is_left_to_protobuf(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    body = b"\x12" + varint(2000) + b"x" * 2000
    for _ in range(300):
        body = b"\x32" + varint(len(body)) + body  # attribute.g
        body = b"\x2a" + varint(len(body)) + body  # node.attribute
        body = b"\x0a" + varint(len(body)) + body  # graph.node
    path.write_bytes(b"\x08\x08\x3a" + varint(len(body)) + body)

    copy = skeleton(path)

    assert path.read_bytes() == copy


def with_elements(number: int, payload: bytes) -> bytes:
    """A model with one tensor whose elements, in the field of this number, are these bytes."""
    tensor = varint(number << 3 | 2) + varint(len(payload)) + payload
    held = b"\x2a" + varint(len(tensor)) + tensor  # graph.initializer
    return b"\x08\x08\x3a" + varint(len(held)) + held


@pytest.mark.parametrize(
    ("number", "payload"),
    [
        (4, b"\0" * 2001),
        (10, b"\0" * 2004),
        (5, b"\x01" * 1999 + b"\x80"),
        (7, b"\x01" * 1000 + b"\x80" * 10 + b"\x01" * 1000),
        (11, b"\x01" * ((1 << 20) - 5) + b"\xff" * 10 + b"\x01" * 20),
    ],
)
def test_elements_that_protobuf_can_not_unpack_are_refused(
    number: int, payload: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(with_elements(number, payload))

    with pytest.raises(DecodeError):
        onnx.ModelProto.FromString(path.read_bytes())
    with pytest.raises(Malformed, match="elements of the tensor"):
        skeleton(path)


def test_a_damaged_training_graph_is_left_to_protobuf_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(STORED["raw"] + b"\xa2\x01\x03\x12\x01\x0d")

    copy = skeleton(path)

    with pytest.raises(DecodeError):
        onnx.ModelProto.FromString(path.read_bytes())
    with pytest.raises(DecodeError):
        onnx.ModelProto.FromString(copy)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xba\x80\x80\x80\x80\x00\x00", "number without end"),  # tag and length have five bytes
        (b"\x3a\x80\x80\x80\x80\x80\x00", "number without end"),
        (b"\x3a\x7f\x01", "truncated"),
        (b"\x00\x01", "impossible field number"),
        (b"\x0b", "wire type 3"),
        (b"\x08" + b"\xff" * 12, "number without end"),
        (b"\x3a", "number without end"),
        (b"\x0d\x01\x02", "truncated"),
    ],
)
def test_broken_bytes_are_told_apart(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)

    with pytest.raises(Malformed, match=reason):
        skeleton(path)


def test_a_file_larger_than_protobuf_takes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 31)

    with pytest.raises(Malformed, match="at most 2147483647") as caught:
        skeleton(path)

    assert "external data" in str(caught.value.hint)


def with_sparse_texts(path: Path, count: int, size: int) -> Path:
    """A model with so many texts of this size, which take no room on the disk."""
    with path.open("wb") as file:
        file.write(STORED["raw"])
        for _ in range(count):
            file.write(b"\x32" + varint(size))  # doc_string
            file.seek(size, os.SEEK_CUR)
        file.truncate(file.tell())
    return path


def test_a_long_text_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = with_sparse_texts(tmp_path / "model.onnx", 1, 1 << 30)

    tracemalloc.start()
    try:
        with pytest.raises(Malformed, match="no weights take more than 64 MB"):
            skeleton(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000


def test_many_texts_are_refused_when_together_they_are_long(tmp_path: Path) -> None:
    path = with_sparse_texts(tmp_path / "model.onnx", 17, 4 << 20)

    with pytest.raises(Malformed, match="no weights take more than 64 MB"):
        skeleton(path)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (STORED["raw"], True),
        (b"\x08\x08\x3a\x00", True),
        (b"\x08\x08", False),
        (b"\x0a\x01x\x3a\x00", False),
        (b"just text", False),
        (STORED["raw"][:-1], False),
    ],
)
def test_an_onnx_file_is_known_by_its_outermost_fields(
    data: bytes, expected: bool, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    path.write_bytes(data)

    assert expected == is_onnx(path)
