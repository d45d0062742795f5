from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwrt.errors import ModelError, UnsupportedModel
from hwrt.model import content_hash
from hwrt.model import read as read_model
from hwrt.model.onnx_reader import _TYPES, read
from hwrt.spec import ModelInfo, TensorSpec

Save = Callable[..., Path]
F32 = np.dtype(np.float32)
VALUE = helper.make_tensor_value_info("v", TensorProto.FLOAT, [2])


def add_input(model: onnx.ModelProto, name: str, type_proto: onnx.TypeProto) -> None:
    model.graph.input.append(helper.make_value_info(name, type_proto))


def test_all_that_a_small_model_says_is_read(model: onnx.ModelProto, save: Save) -> None:
    helper.set_model_props(model, {"task": "detect", "stride": "32"})
    model.producer_version = "3"
    path = save(model)

    info = read(path)

    expected = ModelInfo(
        path=path,
        format="onnx",
        sha256=content_hash(path),
        size_bytes=path.stat().st_size,
        inputs=(TensorSpec("x", F32, (None, 3)),),
        outputs=(TensorSpec("y", F32, (None, 4)),),
        name="tiny",
        producer="tests 3",
        ir_version=8,
        opsets={"ai.onnx": 17},
        metadata={"task": "detect", "stride": "32"},
        operators={"MatMul": 1},
        parameters=12,
    )
    assert expected == info


def test_names_of_dynamic_dimensions_are_kept(model: onnx.ModelProto, save: Save) -> None:
    info = read(save(model))

    assert ("N", None) == info.inputs[0].dim_names


def test_a_shape_without_names_has_no_names(model: onnx.ModelProto, save: Save) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1

    info = read(save(model))

    assert (1, 3) == info.inputs[0].shape
    assert info.inputs[0].dim_names is None


def test_a_dimension_of_minus_one_or_nothing_is_dynamic(model: onnx.ModelProto, save: Save) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    model.graph.input[0].type.tensor_type.shape.dim[1].Clear()

    info = read(save(model))

    assert (None, None) == info.inputs[0].shape


def test_an_unknown_rank_is_told_from_a_scalar(model: onnx.ModelProto, save: Save) -> None:
    add_input(model, "open", helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    add_input(model, "scalar", helper.make_tensor_type_proto(TensorProto.FLOAT, []))

    info = read(save(model))

    assert [(None, 3), None, ()] == [spec.shape for spec in info.inputs]


def test_an_input_with_an_initializer_is_not_asked_for(model: onnx.ModelProto, save: Save) -> None:
    add_input(model, "w", helper.make_tensor_type_proto(TensorProto.FLOAT, [3, 4]))

    info = read(save(model))

    assert ["x"] == [spec.name for spec in info.inputs]


@pytest.mark.parametrize(
    "code", [code for name, code in TensorProto.DataType.items() if name != "UNDEFINED"]
)
def test_every_element_type_of_onnx_has_its_dtype(
    code: int, model: onnx.ModelProto, save: Save
) -> None:
    model.graph.input[0].type.tensor_type.elem_type = code

    info = read(save(model))

    assert helper.tensor_dtype_to_np_dtype(code) == info.inputs[0].dtype


@pytest.mark.parametrize("code", [code for code, (_, bits) in _TYPES.items() if bits])
def test_the_size_of_every_element_type_is_onnx_own(code: int) -> None:
    elements = np.zeros(24, helper.tensor_dtype_to_np_dtype(code))
    tensor = numpy_helper.from_array(elements, "t")

    needed = 24 * _TYPES[code][1] // 8

    assert len(tensor.raw_data) == needed


def test_a_type_that_needs_ml_dtypes_says_so_where_it_is_absent(
    model: onnx.ModelProto, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.BFLOAT16
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)

    with pytest.raises(UnsupportedModel, match=r"'x' has the type bfloat16.*install ml_dtypes"):
        read(save(model))


def test_weights_of_a_type_that_is_not_installed_do_no_harm(
    model: onnx.ModelProto, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.graph.initializer[0].data_type = TensorProto.BFLOAT16
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)

    assert 12 == read(save(model)).parameters


FLOATS = helper.make_tensor_type_proto(TensorProto.FLOAT, [2])


@pytest.mark.parametrize(
    ("type_proto", "kind"),
    [
        (helper.make_sequence_type_proto(FLOATS), "sequence"),
        (helper.make_optional_type_proto(FLOATS), "optional"),
        (helper.make_map_type_proto(TensorProto.INT64, FLOATS), "map"),
        (helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, [2]), "sparse_tensor"),
    ],
)
def test_an_input_that_is_no_tensor_is_unsupported(
    type_proto: onnx.TypeProto, kind: str, model: onnx.ModelProto, save: Save
) -> None:
    add_input(model, "odd", type_proto)

    with pytest.raises(UnsupportedModel, match=f"input 'odd' is of the kind {kind}"):
        read(save(model))


def test_an_output_that_is_no_tensor_is_unsupported(model: onnx.ModelProto, save: Save) -> None:
    sequence = helper.make_value_info("odd", helper.make_sequence_type_proto(FLOATS))
    model.graph.output.append(sequence)

    with pytest.raises(UnsupportedModel, match="output 'odd' is of the kind sequence"):
        read(save(model))


def test_operators_are_counted_in_subgraphs_and_functions(
    model: onnx.ModelProto, save: Save
) -> None:
    innermost = helper.make_graph([helper.make_node("Abs", ["v"], ["v"])], "i", [], [VALUE])
    branch = helper.make_graph(
        [helper.make_node("Loop", ["n", "c"], ["v"], body=innermost)], "b", [], [VALUE]
    )
    opsets = [helper.make_opsetid("", 17)]
    nodes = [helper.make_node("Abs", ["a"], ["b"]), helper.make_node("Relu", ["b"], ["c"])]
    model.functions.append(helper.make_function("own", "F", ["a"], ["c"], nodes, opsets))
    model.graph.node.extend(
        [
            helper.make_node("If", ["c"], ["v"], then_branch=branch, else_branch=innermost),
            helper.make_node("F", ["y"], ["z"], domain="own"),
            helper.make_node("F", ["z"], ["q"], domain="own"),
            helper.make_node("Relu", ["q"], ["r"], domain="ai.onnx"),
        ]
    )

    info = read(save(model))

    expected = {"Abs": 3, "own.F": 2, "Relu": 2, "MatMul": 1, "If": 1, "Loop": 1}
    assert expected == info.operators


def test_parameters_are_counted_wherever_they_are_stored(
    model: onnx.ModelProto, save: Save
) -> None:
    tensor = numpy_helper.from_array(np.ones(5, np.float16), "c")
    constant = helper.make_node("Constant", [], ["k"], value=tensor)
    branch = helper.make_graph([constant], "b", [], [VALUE])
    branch.initializer.append(numpy_helper.from_array(np.ones(100, np.int8), "i8"))
    model.graph.node.append(
        helper.make_node("If", ["c"], ["v"], then_branch=branch, else_branch=branch)
    )
    indices = numpy_helper.from_array(np.arange(7), "")
    values = numpy_helper.from_array(np.ones(7, np.float32), "sparse")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [1000]))

    info = read(save(model))

    assert 12 + 2 * (5 + 100) + 7 == info.parameters


def test_shapes_and_labels_are_no_parameters(model: onnx.ModelProto, save: Save) -> None:
    for array in (np.ones(3, np.int64), np.ones(4, bool)):
        model.graph.initializer.append(numpy_helper.from_array(array, str(array.dtype)))
    model.graph.initializer.append(helper.make_tensor("s", TensorProto.STRING, [2], [b"a", b"b"]))

    assert 12 == read(save(model)).parameters


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("QuantizeLinear", True),
        ("DequantizeLinear", True),
        ("DynamicQuantizeLinear", True),
        ("ConvInteger", True),
        ("MatMulInteger", True),
        ("QLinearConv", True),
        ("Conv", False),
    ],
)
def test_a_quantized_model_is_known_by_its_operators(
    operator: str, expected: bool, model: onnx.ModelProto, save: Save
) -> None:
    model.graph.node.append(helper.make_node(operator, ["y"], ["q"]))

    assert expected == read(save(model)).quantized


def without_opsets(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def without_outputs(model: onnx.ModelProto) -> None:
    del model.graph.output[:]


def with_a_doubled_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(model.graph.input[0])


def with_a_doubled_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(model.graph.output[0])


def with_a_nameless_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = ""


def with_a_nameless_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = ""


def with_a_negative_dimension(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -2


def with_a_negative_weight_dimension(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = -1


def with_an_immense_input(model: onnx.ModelProto) -> None:
    for dim in model.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_value = 1 << 62


def with_an_immense_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [1 << 62, 4]


def with_an_unknown_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = 99


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda model: model.ClearField("graph"), "it has no graph"),
        (lambda model: model.ClearField("ir_version"), "it has no ir_version"),
        (lambda model: model.graph.output[0].ClearField("type"), "output 'y' has no type"),
        (without_opsets, "names no operator set"),
        (without_outputs, "no outputs"),
        (with_a_doubled_input, "two inputs named 'x'"),
        (with_a_doubled_output, "two outputs named 'y'"),
        (with_a_nameless_input, "input without a name"),
        (with_a_nameless_operator, "names no operator"),
        (with_a_negative_dimension, r"input 'x' has a negative dimension: \[-2, 3\]"),
        (with_a_negative_weight_dimension, "tensor 'w' has a negative dimension"),
        (with_an_immense_input, "input 'x' has more than 2"),
        (with_an_immense_weight, "tensor 'w' has more than 2"),
        (with_an_unknown_type, "unknown element type 99"),
    ],
)
def test_a_malformed_model_is_refused_with_the_reason(
    spoil: Callable[[onnx.ModelProto], None], reason: str, model: onnx.ModelProto, save: Save
) -> None:
    spoil(model)
    path = save(model)

    with pytest.raises(ModelError, match=reason) as caught:
        read(path)

    assert caught.value.message.startswith(f"{path} is not a sound ONNX model")
    assert caught.value.hint


def test_a_name_that_is_not_utf_8_is_refused(model: onnx.ModelProto, save: Save) -> None:
    data = model.SerializeToString().replace(b"tiny", b"t\xff\xfey")

    with pytest.raises(ModelError, match=r"(?i)utf-8"):
        read(save(data))


def test_absurdly_deep_nesting_is_refused(save: Save) -> None:
    body = b""
    for _ in range(3000):
        body = b"\x32" + varint(len(body)) + body  # attribute.g
        body = b"\x2a" + varint(len(body)) + body  # node.attribute
        body = b"\x0a" + varint(len(body)) + body  # graph.node
    path = save(b"\x08\x08\x3a" + varint(len(body)) + body)

    with pytest.raises(ModelError, match="not a sound ONNX model"):
        read(path)


def varint(value: int) -> bytes:
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def test_truncated_garbled_and_shuffled_files_only_ever_raise_our_errors(
    model: onnx.ModelProto, save: Save
) -> None:
    sound = model.SerializeToString()
    rng = random.Random(20261121)
    seen = set()

    for _ in range(600):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        try:
            seen.add(type(read_model(save(bytes(data)))))
        except (ModelError, UnsupportedModel) as error:
            seen.add(type(error))

    assert {ModelInfo, ModelError, UnsupportedModel} >= seen >= {ModelInfo, ModelError}


def test_every_truncation_is_refused(model: onnx.ModelProto, save: Save) -> None:
    sound = model.SerializeToString()

    for length in range(len(sound)):
        with pytest.raises(ModelError):
            read_model(save(sound[:length]))


@pytest.mark.parametrize(
    ("name", "parameters", "quantized"),
    [
        ("mobilenet_v2", 3_489_099, False),
        ("yolov8n", 3_193_909, False),
        ("yolov8n_int8", 3_194_037, True),
    ],
)
def test_real_models_are_read(name: str, parameters: int, quantized: bool, shared: Path) -> None:
    info = read_model(shared / "models" / f"{name}.onnx")

    assert (parameters, quantized) == (info.parameters, info.quantized)
    assert info.operators.get("Conv", 0) + info.operators.get("ConvInteger", 0) >= 53


def test_a_real_model_tells_its_inputs_outputs_and_metadata(shared: Path) -> None:
    info = read_model(shared / "models" / "yolov8n.onnx")

    assert (TensorSpec("images", F32, (1, 3, 640, 640)),) == info.inputs
    assert (TensorSpec("output0", F32, (1, 84, 8400)),) == info.outputs
    assert ("detect", "32") == (info.metadata["task"], info.metadata["stride"])
