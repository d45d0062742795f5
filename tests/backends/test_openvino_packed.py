"""Tensors of which OpenVINO holds several elements in a byte."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.backend import Device, InputError, Options, Request
from hwrt.model import read

openvino = pytest.importorskip("openvino", reason="openvino is not installed")
ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
VERSION = tuple(map(int, re.findall(r"\d+", openvino.get_version())[:2]))
pytestmark = pytest.mark.skipif(
    VERSION < (2024, 6), reason="this openvino reads no 4-bit integers of ONNX; 2024.6 does"
)


def values(*numbers: int) -> Any:
    return np.array(numbers, ml_dtypes.int4)


@pytest.fixture
def request_of_two(tmp_path: Path) -> Request:
    """c = a as float32, d = b as float32, both of any length."""
    from onnx import TensorProto, helper, save

    from hwrt_openvino import OpenVino

    nodes = [
        helper.make_node("Cast", [one], [other], to=TensorProto.FLOAT)
        for one, other in (("a", "c"), ("b", "d"))
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT4, ["N"]) for name in "ab"]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in "cd"]
    graph = helper.make_graph(nodes, "two", inputs, outputs)
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    path = tmp_path / "two.onnx"
    save(model, path)
    made = OpenVino().compile(read(path), Device("cpu"), options=Options(threads=1))
    return made.create_request({"a": (3,), "b": (3,)})


def test_packed_feeds_are_read(request_of_two: Request) -> None:
    outputs = request_of_two.infer({"a": values(1, -2, 3), "b": values(-8, 7, 0)})

    np.testing.assert_array_equal([1, -2, 3], outputs["c"])
    np.testing.assert_array_equal([-8, 7, 0], outputs["d"])


@pytest.mark.parametrize(
    "feeds",
    [
        {"a": values(1, 2, 3)},
        {"a": values(1, 2, 3), "b": values(1, 2, 3), "q": values(1, 2, 3)},
        {"a": values(1, 2, 3), "b": np.array([1, 2, 3], np.int8)},
        {"a": values(1, 2, 3), "b": values(1, 2, 3).reshape(1, 3)},
    ],
    ids=["missing", "unknown", "dtype", "rank"],
)
def test_wrong_feeds_are_refused_after_right_ones(
    request_of_two: Request, feeds: dict[str, Any]
) -> None:
    right = {"a": values(1, -2, 3), "b": values(-8, 7, 0)}
    request_of_two.infer(right)
    with pytest.raises(InputError, match=r"'?b|'?q"):
        request_of_two.infer(feeds)

    np.testing.assert_array_equal([-8, 7, 0], request_of_two.infer(right)["d"])
