from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwrt import registry
from hwrt.errors import InputError, ModelError, UnsupportedModel
from hwrt.onnx_backend import OnnxBackend, backend_named

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
X = np.array([1.0, -2.0, 3.0], "f4")
Y = np.array([10.0, 20.0, 30.0], "f4")


@pytest.fixture
def backend() -> type[OnnxBackend]:
    return backend_named("onnxruntime")


def tensor(name: str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, (3,))


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    initializer: list[onnx.TensorProto] | None = None,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializer or [])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def difference_and_sum() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Sub", ["b", "a"], ["z"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
    ]
    return model(nodes, [tensor("b"), tensor("a")], [tensor("z"), tensor("c")])


def test_inputs_and_outputs_are_in_the_order_of_the_file(backend: type[OnnxBackend]) -> None:
    outputs = backend.prepare(difference_and_sum()).run([Y, X])

    np.testing.assert_array_equal(Y - X, outputs[0])
    np.testing.assert_array_equal(Y + X, outputs[1])
    assert outputs["z"] is outputs[0]


def test_input_with_a_stored_value_is_not_asked_for(backend: type[OnnxBackend]) -> None:
    stored = helper.make_tensor("b", TensorProto.FLOAT, (3,), Y)
    node = helper.make_node("Sub", ["b", "a"], ["z"])
    made = model([node], [tensor("b"), tensor("a")], [tensor("z")], [stored])

    np.testing.assert_array_equal(Y - X, backend.run_model(made, [X])[0])


def test_single_input_may_be_the_array_itself(backend: type[OnnxBackend]) -> None:
    made = model([helper.make_node("Neg", ["x"], ["y"])], [tensor("x")], [tensor("y")])

    np.testing.assert_array_equal(-X, backend.prepare(made).run(X)[0])


def test_other_number_of_inputs_is_an_input_error(backend: type[OnnxBackend]) -> None:
    with pytest.raises(InputError, match=r"2 inputs, 1 .*b: float32"):
        backend.run_model(difference_and_sum(), [X])


def test_bfloat16_goes_in_and_out(backend: type[OnnxBackend]) -> None:
    made = model(
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16)],
        [tensor("x")],
        [tensor("y", TensorProto.BFLOAT16)],
    )
    (there,) = backend.run_model(made, [X])
    back = model(
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)],
        [tensor("x", TensorProto.BFLOAT16)],
        [tensor("y")],
    )

    assert there.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(X, backend.run_model(back, [there])[0])


def test_sequence_is_an_unsupported_model(backend: type[OnnxBackend]) -> None:
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    made = model([helper.make_node("SequenceConstruct", ["x"], ["s"])], [tensor("x")], [sequence])

    with pytest.raises(UnsupportedModel, match="sequence"):
        backend.prepare(made)


def test_model_without_graph_is_a_model_error(backend: type[OnnxBackend]) -> None:
    with pytest.raises(ModelError, match="no graph"):
        backend.prepare(onnx.ModelProto(ir_version=8))


def test_options_are_passed_to_the_backend(backend: type[OnnxBackend]) -> None:
    prepared = backend.prepare(difference_and_sum(), options={"threads": 1, "spinning": False})

    assert prepared.session.plan.options["spinning"] is False
    with pytest.raises(InputError, match="bogus"):
        backend.prepare(difference_and_sum(), options={"bogus": 1})


def test_devices_are_called_as_onnx_does(backend: type[OnnxBackend]) -> None:
    assert backend.supports_device("CPU")
    assert backend.is_compatible(difference_and_sum(), "CPU")
    assert not backend.supports_device("CUDA:7")


def test_node_alone_is_refused(backend: type[OnnxBackend]) -> None:
    with pytest.raises(UnsupportedModel, match="'Neg'"):
        backend.run_node(helper.make_node("Neg", ["x"], ["y"]), [X])


def test_unknown_backend_is_an_input_error() -> None:
    with pytest.raises(InputError, match="'bogus'"):
        backend_named("bogus")


@pytest.mark.parametrize("name", registry.names())
def test_every_installed_backend_can_be_named(name: str) -> None:
    assert backend_named(name).backend == name
