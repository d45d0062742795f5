"""TFLite files that are unlike most: several functions, strings, states, shapes that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwrt.backend import Device, InputError, ModelInfo, Options, UnsupportedModel
from hwrt.model import read
from hwrt.testing import graphs
from hwrt.testing.checking import check_request, noise
from hwrt.testing.tflite_writer import write_tflite
from hwrt_litert import LiteRt

from .tflite_files import ADD, GATHER, NEG, RELU, Function, Operator, write

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

CPU = Device("cpu")
SINGLE = Options(threads=1)
RELU_FUNCTION = Function([("f4", (4,)), ("f4", (4,))], [0], [1], [Operator(RELU, [0], [1])])


def relu(folder: Path) -> ModelInfo:
    return read(write_tflite(graphs.relu(), folder / "model.tflite"))


def test_function_that_is_not_the_first_graph_is_run(tmp_path: Path) -> None:
    negate = Function([("f4", (None,)), ("f4", (None,))], [0], [1], [Operator(NEG, [0], [1])])
    signatures = {"serving_default": (1, {"in": 0}, {"out": 1}), "other": (0, {"x": 0}, {"y": 1})}
    model = write(tmp_path / "two.tflite", [RELU_FUNCTION, negate], signatures)
    request = LiteRt().compile(model, CPU, options=SINGLE).create_request({"in": (3,)})
    request.inputs["in"][...] = [1, -2, 3]
    request.run()
    outputs = request.outputs

    np.testing.assert_array_equal([-1, 2, -3], outputs["out"])
    np.testing.assert_array_equal([-1], request.infer({"in": np.ones(1, "f4")})["out"])


def second(folder: Path, function: Function) -> ModelInfo:
    """A file whose first signature is this function of a and b, the second of its graphs."""
    signatures = {"serving_default": (1, {"a": 0, "b": 1}, {"c": 2}), "o": (0, {"x": 0}, {"y": 1})}
    return write(folder / "two.tflite", [RELU_FUNCTION, function], signatures)


def test_unfit_shapes_of_a_function_that_is_not_the_first_graph_change_nothing(
    tmp_path: Path,
) -> None:
    tensors = [("f4", (None,))] * 3
    model = second(tmp_path, Function(tensors, [0, 1], [2], [Operator(ADD, [0, 1], [2])]))
    request = LiteRt().compile(model, CPU, options=SINGLE).create_request({"a": (2,), "b": (2,)})
    request.inputs["a"].fill(1)
    with pytest.raises(InputError, match=r"'a': \(3,\), 'b': \(4,\)"):
        request.resize({"a": (3,), "b": (4,)})
    request.run()

    assert request.outputs["c"].tolist() == [1, 1]
    assert request.infer({"a": np.ones(3, "f4"), "b": np.ones(3, "f4")})["c"].tolist() == [2, 2, 2]


@pytest.mark.parametrize("operator", [Operator(ADD, [0, 1], [2]), Operator("Bogus", [0, 1], [2])])
def test_function_that_can_not_run_is_refused_by_the_compile(
    tmp_path: Path, operator: Operator
) -> None:
    tensors = [("f4", (2,)), ("f4", (3,)), ("f4", (3,))]
    model = second(tmp_path, Function(tensors, [0, 1], [2], [operator]))

    with pytest.raises(UnsupportedModel):
        LiteRt().compile(model, CPU, options=SINGLE)


def test_outputs_without_a_name_in_the_signature_are_found_by_their_place(tmp_path: Path) -> None:
    tensors = [("f4", (2,)), ("f4", (2,)), ("f4", (2,)), ("f4", (2,))]
    operators = [Operator(ADD, [0, 1], [2]), Operator(NEG, [0], [3])]
    model = write(
        tmp_path / "model.tflite",
        [Function(tensors, [1, 0], [3, 2, 0], operators)],
        {"serving_default": (0, {"a": 0}, {"sum": 2, "total": 2})},
    )
    made = LiteRt().compile(model, CPU, options=SINGLE)
    outputs = made.create_request().infer(
        {"a": np.array([1, 2], "f4"), "t1": np.array([10, 20], "f4")}
    )

    assert [spec.name for spec in made.inputs] == ["t1", "a"]
    assert {name: array.tolist() for name, array in outputs.items()} == {
        "t3": [-1, -2],
        "sum": [11, 22],
        "total": [11, 22],
        "t0": [1, 2],
    }


@pytest.mark.parametrize("text", ["plain", "", "zw\u00e9\u4e8c", "\udcff not UTF-8"])
def test_strings_pass(tmp_path: Path, text: str) -> None:
    tensors = [(object, (None,)), ("i4", (2,), [1, 0]), (object, (2,))]
    model = write(
        tmp_path / "model.tflite", [Function(tensors, [0], [2], [Operator(GATHER, [0, 1], [2])])]
    )
    request = LiteRt().compile(model, CPU, options=SINGLE).create_request({"t0": (2,)})
    outputs = request.infer({"t0": np.array([text, "other"], object)})
    request.run()

    assert outputs["t2"].tolist() == ["other", text]
    assert request.outputs["t2"].tolist() == ["other", text]


def test_model_with_variables_has_one_request(tmp_path: Path) -> None:
    model = replace(relu(tmp_path), operators={"RELU": 1, "ASSIGN_VARIABLE": 1})

    assert LiteRt().compile(model, CPU, options=SINGLE).max_requests == 1


@pytest.mark.parametrize("operator", ["RNN", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM"])
def test_model_with_a_state_of_its_own_has_one_request(tmp_path: Path, operator: str) -> None:
    model = replace(relu(tmp_path), operators={operator: 1})

    assert LiteRt().compile(model, CPU, options=SINGLE).max_requests == 1


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    model = replace(relu(tmp_path), external_files=(tmp_path / "weights.bin",))

    with pytest.raises(UnsupportedModel, match="one file"):
        LiteRt().compile(model, CPU, options=SINGLE)


def test_operator_of_tensorflow_itself_is_refused(tmp_path: Path) -> None:
    function = RELU_FUNCTION._replace(operators=[Operator("FlexErf", [0], [1])])
    model = write(tmp_path / "model.tflite", [function])

    with pytest.raises(UnsupportedModel, match="Select TensorFlow op"):
        LiteRt().compile(model, CPU, options=SINGLE)


def test_fixed_shapes_that_do_not_fit_each_other_are_an_unsupported_model(tmp_path: Path) -> None:
    tensors = [("f4", (2,)), ("f4", (3,)), ("f4", (3,))]
    function = Function(tensors, [0, 1], [2], [Operator(ADD, [0, 1], [2])])
    model = write(tmp_path / "model.tflite", [function])

    with pytest.raises(UnsupportedModel, match=r"model\.tflite.*\(2,\).*\(3,\)"):
        LiteRt().compile(model, CPU, options=SINGLE)


def test_shapes_that_do_not_fit_each_other_are_an_input_error_and_change_nothing(
    tmp_path: Path,
) -> None:
    graph = graphs.add(("N", 2))
    model = read(write_tflite(graph, tmp_path / "model.tflite"))
    with pytest.raises(InputError, match=r"'a': \(3, 2\), 'b': \(4, 2\)"):
        LiteRt().compile(model, CPU, options=SINGLE, shapes={"a": (3, 2), "b": (4, 2)})
    made = LiteRt().compile(model, CPU, options=SINGLE)
    request = made.create_request({"a": (2, 2), "b": (2, 2)})
    request.inputs["a"][...] = 5
    with pytest.raises(InputError, match=r"'a': \(3, 2\), 'b': \(4, 2\)"):
        request.resize({"a": (3, 2), "b": (4, 2)})
    request.run()

    np.testing.assert_array_equal(np.full((2, 2), 5), request.outputs["c"])
    check_request(request, graph, {"a": noise((3, 2)), "b": noise((3, 2))})
