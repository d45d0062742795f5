from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

Save = Callable[..., Path]


@pytest.fixture
def model() -> onnx.ModelProto:
    """y = x @ w, with a float32 w of 3 x 4, for the test to alter."""
    weights = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
        [weights],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="tests")


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a model, or bytes, into the test's folder."""

    def write(content: onnx.ModelProto | bytes, name: str = "model.onnx") -> Path:
        path = tmp_path / name
        data = content if isinstance(content, bytes) else content.SerializeToString()
        path.write_bytes(data)
        return path

    return write
