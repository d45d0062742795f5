from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from hwrt.errors import UnsupportedModel
from hwrt.model import content_hash
from hwrt.model import read as read_model
from hwrt.model.tflite_operators import NAMES
from hwrt.model.tflite_reader import read
from hwrt.model.tflite_schema import TYPES
from hwrt.spec import ModelInfo, Quantization, Signature, TensorSpec
from tests.model.flatbuffer_bytes import Number, Vector, pack
from tests.model.tflite_models import (
    ADD,
    CUSTOM,
    DEQUANTIZE,
    INT8,
    INT32,
    QUANTIZE,
    UINT8,
    code,
    graph,
    model,
    operator,
    packed,
    scale,
    signature,
    tensor,
)

Save = Callable[..., Path]
F32 = np.dtype(np.float32)
BYTES = {0: Vector("B", [0] * 64)}
ABS_2D = [tensor("x"), tensor("y")]


def names(info: ModelInfo) -> tuple[list[str], list[str]]:
    return [spec.name for spec in info.inputs], [spec.name for spec in info.outputs]


def test_all_that_a_small_model_says_is_read(save: Save) -> None:
    weights = [tensor("x"), tensor("y"), tensor("w", (4,), buffer=1)]
    path = save(
        packed(
            graph(weights, operators=[operator(0, [0, 2], [1])]), codes=[ADD], buffers=[{}, BYTES]
        ),
        "m.tflite",
    )

    info = read_model(path)

    expected = ModelInfo(
        path=path,
        format="tflite",
        sha256=content_hash(path),
        size_bytes=path.stat().st_size,
        inputs=(TensorSpec("x", F32, (1, 4)),),
        outputs=(TensorSpec("y", F32, (1, 4)),),
        name="main",
        producer="tests",
        opsets={"tflite": 3},
        operators={"ADD": 1},
        parameters=4,
    )
    assert expected == info


def test_a_signatures_keys_are_the_names_and_the_tensors_own_names_aliases(save: Save) -> None:
    sides = signature("serving_default", {"images": 0}, {"scores": 1})

    info = read(save(packed(slot_7=[sides])))

    assert (["images"], ["scores"]) == names(info)
    assert (("x",), ("y",)) == (info.inputs[0].aliases, info.outputs[0].aliases)
    assert "serving_default" == info.signature
    assert {"serving_default": Signature(("images",), ("scores",))} == info.signatures


def test_a_key_that_is_the_tensors_own_name_is_no_alias(save: Save) -> None:
    info = read(save(packed(slot_7=[signature("s", {"x": 0}, {"y": 1})])))

    assert ((), ()) == (info.inputs[0].aliases, info.outputs[0].aliases)


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [(["b", "a"], "b"), (["a", "serving_default"], "serving_default"), (["", "b"], "")],
)
def test_the_default_signature_is_run_or_else_the_first(
    save: Save, keys: list[str], chosen: str
) -> None:
    info = read(save(packed(slot_7=[signature(key, {"i": 0}, {"o": 1}) for key in keys])))

    assert (chosen, keys) == (info.signature, list(info.signatures))


def test_only_the_subgraph_of_the_signature_gives_inputs_and_outputs(save: Save) -> None:
    second = graph([tensor("p", (7,)), tensor("q", (7,))], [1], [0], [operator(0, [1], [0])])
    signatures = [signature("a", {"i": 0}, {"o": 1}), signature("serving_default", {"k": 1}, {}, 1)]

    info = read(save(packed(graph(ABS_2D), second, slot_7=signatures)))

    assert (["k"], ["p"]) == names(info)
    assert (7,) == info.inputs[0].shape
    assert {"ABS": 2} == info.operators
    assert Signature(("i",), ("o",)) == info.signatures["a"]


def test_names_stand_in_the_order_of_the_subgraph(save: Save) -> None:
    tensors = [tensor(name) for name in "abcd"]
    whole = graph(tensors, [1, 0], [3, 2], [operator(0, [0], [2]), operator(0, [1], [3])])
    sides = signature("s", {"first": 0, "second": 1}, {"third": 2, "fourth": 3})

    info = read(save(packed(whole, slot_7=[sides])))

    assert (["second", "first"], ["fourth", "third"]) == names(info)
    assert Signature(("second", "first"), ("fourth", "third")) == info.signatures["s"]


def test_a_tensor_that_is_input_and_output_is_both(save: Save) -> None:
    sides = signature("s", {"given": 0}, {"same": 0, "result": 1})
    whole = graph(ABS_2D, [0], [0, 1])

    plain, signed = read(save(packed(whole))), read(save(packed(whole, slot_7=[sides]), "s"))

    assert (["x"], ["x", "y"]) == names(plain)
    assert (["given"], ["same", "result"]) == names(signed)
    assert (("x",), ("x",)) == (signed.inputs[0].aliases, signed.outputs[0].aliases)


def test_one_tensor_may_be_two_outputs(save: Save) -> None:
    listed_twice = graph(ABS_2D, [0], [1, 1])
    sides = signature("s", {"i": 0}, {"o": 1, "p": 1})

    assert (["i"], ["o", "p"]) == names(read(save(packed(listed_twice, slot_7=[sides]))))
    assert (["i"], ["o", "p"]) == names(read(save(packed(graph(ABS_2D), slot_7=[sides]))))
    assert (["x"], ["y", "y_1"]) == names(read(save(packed(listed_twice))))


def test_what_the_signature_leaves_out_keeps_its_own_name(save: Save) -> None:
    tensors = [tensor("a"), tensor("o"), tensor("y"), tensor("z")]
    whole = graph(tensors, [0, 1], [2, 3], [operator(0, [0], [2]), operator(0, [1], [3])])

    info = read(save(packed(whole, slot_7=[signature("s", {"i": 0}, {"o": 3})])))

    assert (["i", "o"], ["y", "o"]) == names(info)


def test_names_are_made_unique_and_a_shared_one_is_no_alias(save: Save) -> None:
    tensors = [tensor("x"), tensor("x"), tensor("x_1"), tensor(""), tensor("y")]

    info = read(save(packed(graph(tensors, [0, 2, 1, 3], [4], [operator(0, [0], [4])]))))

    assert ["x", "x_1", "x_2", "input_3"] == names(info)[0]
    assert [(), (), (), ()] == [spec.aliases for spec in info.inputs]


def test_a_shape_signature_tells_what_is_dynamic(save: Save) -> None:
    tensors = [tensor("x", (1, 4), slot_7=Vector("i", [-1, 4])), tensor("y", (1, -1))]

    info = read(save(packed(graph(tensors))))

    assert ((None, 4), (1, None)) == (info.inputs[0].shape, info.outputs[0].shape)


def test_a_scalar_is_told_from_an_output_without_rank(save: Save) -> None:
    without = Number("?", False)
    tensors = [tensor("x", ()), tensor("y", ()), tensor("z", (), slot_8=without)]
    open_input = [tensor("x", (), slot_8=without), tensor("y")]

    info = read(save(packed(graph(tensors, [0], [1, 2]))))

    assert ((), (), None) == tuple(spec.shape for spec in info.inputs + info.outputs)
    assert () == read(save(packed(graph(open_input)))).inputs[0].shape


def test_a_scale_for_the_whole_tensor_is_read(save: Save) -> None:
    tensors = [
        tensor("x", kind=INT8, slot_4=scale([0.25], [-128])),
        tensor("y", kind=UINT8, slot_4={2: Vector("f", [0.5])}),
    ]

    info = read(save(packed(graph(tensors))))

    assert Quantization((0.25,), (-128,)) == info.inputs[0].quantization
    assert Quantization((0.5,), (0,)) == info.outputs[0].quantization


@pytest.mark.parametrize(("zero_points", "kept"), [([1, 2, 3, 4], (1, 2, 3, 4)), ([7], (7,) * 4)])
def test_scales_along_an_axis_are_read(
    save: Save, zero_points: list[int], kept: tuple[int, ...]
) -> None:
    scales = (0.5, 0.25, 0.125, 2.0)
    tensors = [tensor("x", kind=INT8, slot_4=scale(scales, zero_points, 1)), tensor("y")]

    info = read(save(packed(graph(tensors))))

    assert Quantization(scales, kept, 1) == info.inputs[0].quantization


@pytest.mark.parametrize("parameters", [scale([], []), scale([0.0], [5]), {}])
def test_no_scale_or_one_of_zero_means_plain_numbers(save: Save, parameters: dict) -> None:
    info = read(save(packed(graph([tensor("x", kind=INT8, slot_4=parameters), tensor("y")]))))

    assert info.inputs[0].quantization is None


def test_floats_have_no_quantization(save: Save) -> None:
    info = read(
        save(packed(graph([tensor("x", slot_4=scale([math.nan], [1 << 40])), tensor("y")])))
    )

    assert info.inputs[0].quantization is None


@pytest.mark.parametrize(
    ("number", "dtype"),
    [
        *enumerate("f4 f2 i4 u1 i8 O ? i2 c8 i1 f8 c16 u8".split()),  # noqa: SIM905
        (15, "u4"),
        (16, "u2"),
        (17, ml_dtypes.int4),
        (18, ml_dtypes.bfloat16),
        (19, ml_dtypes.int2),
        (20, ml_dtypes.uint4),
        (21, ml_dtypes.float8_e4m3fn),
        (22, ml_dtypes.float8_e5m2),
    ],
)
def test_every_type_that_an_array_can_hold_is_read(save: Save, number: int, dtype: type) -> None:
    info = read(save(packed(graph([tensor("x", kind=number), tensor("y")]))))

    assert np.dtype(dtype) == info.inputs[0].dtype


@pytest.mark.parametrize(("number", "name"), [(13, "RESOURCE"), (14, "VARIANT"), (99, "99")])
def test_a_type_that_no_array_can_hold_is_unsupported(save: Save, number: int, name: str) -> None:
    path = save(packed(graph([tensor("x"), tensor("y", kind=number)])))

    with pytest.raises(UnsupportedModel, match=f"output 'y' is of the type {name}") as caught:
        read(path)

    assert caught.value.hint


@pytest.mark.parametrize("version", [0, 2, 4])
def test_another_version_of_the_schema_is_unsupported(save: Save, version: int) -> None:
    with pytest.raises(UnsupportedModel, match=f"version {version} of TFLite's schema"):
        read(save(packed(slot_0=Number("I", version))))


def test_operators_of_all_subgraphs_are_counted_custom_ones_by_their_code(save: Save) -> None:
    codes = [ADD, code(CUSTOM, "edgetpu-custom-op"), code(999), {0: Number("b", 0), 3: 114}]
    operators = [operator(i, [0], [1]) for i in (0, 1, 0, 2, 3)]

    info = read(save(packed(graph(ABS_2D, operators=operators), graph(ABS_2D), codes=codes)))

    expected = {"ADD": 3, "edgetpu-custom-op": 1, "BUILTIN_999": 1, "QUANTIZE": 1}
    assert expected == info.operators


def test_a_file_of_before_2020_has_its_operators_in_the_old_field(save: Save) -> None:
    info = read(save(packed(codes=[{0: Number("b", 3)}])))

    assert {"CONV_2D": 1} == info.operators


def test_an_optional_tensor_may_be_absent(save: Save) -> None:
    whole = graph(ABS_2D, operators=[operator(0, [0, -1], [1])])

    assert {"ABS": 1} == read(save(packed(whole))).operators


def test_parameters_are_constants_that_are_no_shapes_each_buffer_once(save: Save) -> None:
    tensors = [
        *ABS_2D,
        tensor("weights", (2, 3), buffer=1),
        tensor("the same", (2, 3), buffer=1),
        tensor("bias", (3,), INT32, buffer=2, slot_4=scale()),
        tensor("shape", (4,), INT32, buffer=3),
        tensor("indices", (4,), 4, buffer=4),
        tensor("labels", (2,), 5, buffer=5),
        tensor("four bits", (101,), 17, buffer=6),
        tensor("computed", (100,)),
    ]

    info = read(save(packed(graph(tensors), graph(tensors), buffers=[{}, *[BYTES] * 6])))

    assert 6 + 3 + 101 == info.parameters


def test_a_sparse_constant_has_the_parameters_that_are_stored(save: Save) -> None:
    tensors = [*ABS_2D, tensor("w", (1000, 1000), buffer=1, slot_6={})]

    assert 16 == read(save(packed(graph(tensors), buffers=[{}, BYTES]))).parameters


INT = {"kind": INT8, "slot_4": scale()}


@pytest.mark.parametrize(
    ("tensors", "codes", "is_quantized"),
    [
        ([tensor("x"), tensor("y")], [ADD], False),
        ([tensor("x", **INT), tensor("y", **INT)], [ADD], True),
        ([tensor("x", kind=INT8), tensor("y", kind=INT8)], [ADD], False),
        ([tensor("x", kind=INT32, slot_4=scale()), tensor("y")], [ADD], False),
        ([tensor("x"), tensor("y"), tensor("w", buffer=1, **INT)], [ADD], True),
        ([tensor("x"), tensor("y"), tensor("w", buffer=1, **INT)], [DEQUANTIZE], True),
        ([tensor("x", **INT), tensor("y")], [DEQUANTIZE], False),
        ([tensor("x"), tensor("y", **INT)], [QUANTIZE], False),
        ([tensor("x", **INT), tensor("y", **INT)], [QUANTIZE], True),
        ([tensor("x"), tensor("y")], [80], True),
    ],
    ids="float int8 plain-int8 sums weights stored input output requantized fake".split(),  # noqa: SIM905
)
def test_quantized_is_what_computes_on_integers_that_stand_for_others(
    save: Save, tensors: list, codes: list[int], is_quantized: bool
) -> None:
    takes = [0, *range(2, len(tensors))]
    whole = graph(tensors, operators=[operator(0, takes, [1])])

    info = read(save(packed(whole, codes=codes, buffers=[{}, BYTES])))

    assert is_quantized is info.quantized


def test_quantising_and_back_inside_the_network_is_quantized(save: Save) -> None:
    tensors = [tensor("x"), tensor("y"), tensor("q", **INT)]
    operators = [operator(0, [0], [2]), operator(1, [2], [1])]

    info = read(save(packed(graph(tensors, operators=operators), codes=[QUANTIZE, DEQUANTIZE])))

    assert info.quantized


def test_weights_behind_the_flatbuffer_are_counted(save: Save) -> None:
    tensors = [*ABS_2D, tensor("w", (16,), buffer=1)]
    stored = {1: Number("Q", 2000), 2: Number("Q", 64)}
    data = packed(graph(tensors), buffers=[{}, stored])

    info = read(save(data.ljust(2064, b"\0")))

    assert 16 == info.parameters


def test_weights_in_files_beside_the_model_are_part_of_it(save: Save) -> None:
    whole = graph([*ABS_2D, tensor("w", (4,), slot_10=77)])
    stored = {0: 77, 1: 0, 2: Number("Q", 8), 3: Number("Q", 16)}
    weights = save(bytes(24), "weights.bin")
    path = save(packed(whole, slot_8=[{0: "weights.bin"}], slot_9=[stored]), "m.tflite")

    info = read(path)

    assert ((weights,), 4) == (info.external_files, info.parameters)
    assert content_hash(path, [weights]) == info.sha256
    assert path.stat().st_size + 24 == info.size_bytes


def test_weights_are_not_read_into_memory(save: Save) -> None:
    whole = graph([*ABS_2D, tensor("w", (1 << 23,), buffer=1)])
    path = save(pack(model(whole, buffers=[{}, {0: bytes(1 << 25)}])))

    tracemalloc.start()
    info = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 1 << 23 == info.parameters
    assert peak < 4 << 20


def test_what_was_read_is_remembered_whole(save: Save, tmp_path: Path) -> None:
    from hwrt.model.memo import from_json, to_json

    tensors = [tensor("x", kind=INT8, slot_4=scale([0.5] * 4, [0] * 4, 1)), tensor("y")]
    info = read(save(packed(graph(tensors), slot_7=[signature("s", {"i": 0}, {"o": 1})])))

    again = from_json(to_json(info))

    assert info == again
    assert info.inputs[0].quantization == again.inputs[0].quantization
    assert info.inputs[0].aliases == again.inputs[0].aliases


def test_names_and_types_are_those_of_the_generated_schema() -> None:
    reason = "pip install ai-edge-litert, which holds TFLite's schema"
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason=reason)
    operators = {name: n for name, n in vars(schema.BuiltinOperator).items() if name[0] != "_"}
    types = {name: n for name, n in vars(schema.TensorType).items() if name[0] != "_"}

    assert operators.items() <= {name: n for n, name in enumerate(NAMES)}.items()
    assert types.items() <= {kind.name: n for n, kind in enumerate(TYPES)}.items()
