from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwrt.errors import ModelError, UnsupportedModel
from hwrt.model import content_hash
from hwrt.model import read as read_model
from hwrt.model.ir_reader import read
from hwrt.spec import TensorSpec

Save = Callable[..., Path]
F32 = np.dtype(np.float32)

SMALL = """<?xml version="1.0"?>
<net name="small" version="11">
  <layers>
    <layer id="0" name="in" type="Parameter" version="opset1">
      <data shape="?,3" element_type="f32"/>
      <output><port id="0" precision="FP32" names="x"><dim>-1</dim><dim>3</dim></port></output>
    </layer>
    <layer id="1" name="w" type="Const" version="opset1">
      <data element_type="f32" shape="3, 4" offset="0" size="48"/>
      <output><port id="0" precision="FP32"><dim>3</dim><dim>4</dim></port></output>
    </layer>
    <layer id="2" name="product" type="MatMul" version="opset1">
      <output><port id="2" precision="FP32" names="y"><dim>-1</dim><dim>4</dim></port></output>
    </layer>
    <layer id="3" name="out" type="Result" version="opset1">
      <input><port id="0" precision="FP32"><dim>-1</dim><dim>4</dim></port></input>
    </layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>
    <edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>
    <edge from-layer="2" from-port="2" to-layer="3" to-port="0"/>
  </edges>
  <rt_info>
    <Runtime_version value="2026.4.1"/>
    <framework><task value="detect"/></framework>
    <model_info><model_type value="YOLOv8"/></model_info>
    <conversion_parameters><is_python_object value="False"/></conversion_parameters>
  </rt_info>
</net>
"""


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Path]:
    """Writes the small IR, texts in it replaced, with 48 bytes of weights."""

    def write(replaced: str = "", by: str = "") -> Path:
        assert replaced in SMALL
        (tmp_path / "m.xml").write_text(SMALL.replace(replaced, by) if replaced else SMALL)
        (tmp_path / "m.bin").write_bytes(bytes(48))
        return tmp_path / "m.xml"

    return write


def test_all_that_a_small_model_says_is_read(small: Callable[..., Path]) -> None:
    path = small()
    weights = path.with_suffix(".bin")

    info = read(path)

    assert ("openvino-ir", 11, "small") == (info.format, info.ir_version, info.name)
    assert (TensorSpec("x", F32, (None, 3)),) == info.inputs
    assert (TensorSpec("y", F32, (None, 4)),) == info.outputs
    assert {"MatMul": 1} == info.operators
    assert (12, False) == (info.parameters, info.quantized)
    assert "OpenVINO 2026.4.1" == info.producer
    assert (weights,) == info.external_files
    assert path.stat().st_size + 48 == info.size_bytes
    assert content_hash(path, [weights]) == info.sha256


def test_metadata_of_the_original_model_keeps_its_keys(small: Callable[..., Path]) -> None:
    expected = {
        "Runtime_version": "2026.4.1",
        "task": "detect",
        "model_type": "YOLOv8",
        "conversion_parameters.is_python_object": "False",
    }

    assert expected == read(small()).metadata


def test_changed_weights_change_the_hash(small: Callable[..., Path]) -> None:
    path = small()
    before = read(path).sha256

    path.with_suffix(".bin").write_bytes(b"\1" * 48)

    assert before != read(path).sha256


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ('names="z,b,a"', "a"),
        (r'names="zz\,comma"', "zz,comma"),
        (r'names="b,a\,a,c"', "a,a"),
        ("", "product"),
    ],
)
def test_a_tensor_is_called_by_its_first_name_else_by_its_layer(
    names: str, expected: str, small: Callable[..., Path]
) -> None:
    info = read(small('names="y"', names))

    assert expected == info.outputs[0].name


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("1,3", (1, 3)),
        ("?,?", (None, None)),
        ("1..4,-1", (None, None)),
        ("..8, 2..", (None, None)),
        ("", ()),
        ("...", None),
    ],
)
def test_every_form_of_a_shape_is_read(
    text: str, shape: tuple[int | None, ...] | None, small: Callable[..., Path]
) -> None:
    info = read(small('shape="?,3"', f'shape="{text}"'))

    assert shape == info.inputs[0].shape


@pytest.mark.parametrize(
    ("element_type", "dtype"),
    [("f16", "float16"), ("u8", "uint8"), ("i64", "int64"), ("boolean", "bool"), ("string", "O")],
)
def test_element_types_become_dtypes(
    element_type: str, dtype: str, small: Callable[..., Path]
) -> None:
    info = read(
        small('shape="?,3" element_type="f32"', f'shape="?,3" element_type="{element_type}"')
    )

    assert np.dtype(dtype) == info.inputs[0].dtype


def test_a_type_that_numpy_lacks_is_unsupported(small: Callable[..., Path]) -> None:
    path = small('shape="?,3" element_type="f32"', 'shape="?,3" element_type="nf4"')

    with pytest.raises(UnsupportedModel, match="input 'x' has the type 'nf4'"):
        read(path)


def test_constants_of_few_bits_make_a_quantized_model(small: Callable[..., Path]) -> None:
    assert read(
        small('element_type="f32" shape="3, 4"', 'element_type="i8" shape="3, 4"')
    ).quantized


def test_fake_quantize_makes_a_quantized_model(small: Callable[..., Path]) -> None:
    assert read(small('type="MatMul"', 'type="FakeQuantize"')).quantized


def test_an_extension_operator_is_named_with_its_domain(small: Callable[..., Path]) -> None:
    path = small('type="MatMul" version="opset1"', 'type="Own" version="extension"')

    assert {"extension.Own": 1} == read(path).operators


def test_an_old_ir_version_is_unsupported(small: Callable[..., Path]) -> None:
    with pytest.raises(UnsupportedModel, match="IR version 7"):
        read(small('version="11"', 'version="7"'))


@pytest.mark.parametrize(
    ("replaced", "by", "reason"),
    [
        ("</net>", "", "its XML is broken"),
        ("<layers>", "<strata>", "its XML is broken"),
        ('<?xml version="1.0"?>', '<?xml version="1.0" encoding="none"?>', "not in UTF-8"),
        ('version="11"', 'version="new"', "version 'new', which is not a number"),
        ('type="Result"', 'type="Sink"', "no outputs"),
        ('to-layer="3"', 'to-layer="2"', "output 'out' is connected to nothing"),
        ('from-port="2"', 'from-port="7"', "output 'out' is connected to nothing"),
        ('shape="?,3"', 'shape="?,x"', "input 'x' has the dimension 'x'"),
        ('shape="?,3"', 'shape="?,-3"', "input 'x' has the dimension '-3'"),
        ('shape="?,3"', 'shape="9999999999,9999999999"', "input 'x' has more than 2"),
        ('shape="?,3"', "", "input 'in' has no port or no shape"),
        ('type="MatMul"', "", "layer 'product' has no type"),
        ('offset="0"', 'offset="-1"', "offset '-1', which is not a number"),
        ('size="48"', 'size="49"', "ends at byte 49 of the .bin file, which has 48"),
        ('shape="3, 4"', 'shape="3,?"', "constant 'w' has the dynamic shape"),
    ],
)
def test_a_malformed_model_is_refused_with_the_reason(
    replaced: str, by: str, reason: str, small: Callable[..., Path]
) -> None:
    path = small(replaced, by)

    with pytest.raises(ModelError, match=reason) as caught:
        read(path)

    assert caught.value.message.startswith(f"{path} is not a sound OpenVINO model")
    assert caught.value.hint


def test_a_document_type_with_entities_is_refused(small: Callable[..., Path]) -> None:
    bomb = '<!DOCTYPE net [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    path = small('<?xml version="1.0"?>', bomb)

    with pytest.raises(ModelError, match="declares the document type 'net'"):
        read_model(path)


def test_missing_weights_are_named(small: Callable[..., Path]) -> None:
    path = small()
    path.with_suffix(".bin").unlink()

    with pytest.raises(ModelError, match=r"m\.bin does not exist"):
        read(path)


@pytest.mark.parametrize(
    ("replaced", "by", "reason"),
    [
        ("<rt_info>", "<rt_info>" + "<a>" * 20_000 + "</a>" * 20_000, "more than 256 deep"),
        ("<rt_info>", "<rt_info>" + "<a/>" * 500_000, "unreasonably many elements"),
        ('shape="?,3"', f'shape="{"9999999999," * 100_000}3"', "100001 dimensions"),
        (
            "<rt_info>",
            f"<rt_info><{'a' * 100_000}>{'<b/>' * 1000}</{'a' * 100_000}>",
            "rt_info is unreasonably large",
        ),
    ],
)
def test_what_would_take_unreasonable_time_or_memory_is_refused(
    replaced: str, by: str, reason: str, small: Callable[..., Path]
) -> None:
    with pytest.raises(ModelError, match=reason):
        read(small(replaced, by))


def test_garbled_files_only_ever_raise_our_errors(small: Callable[..., Path]) -> None:
    path = small()
    sound = path.read_bytes()
    rng = random.Random(20261121)
    refused = 0

    for _ in range(300):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(32, 127)
        path.write_bytes(bytes(data))
        try:
            read_model(path)
        except (ModelError, UnsupportedModel):
            refused += 1

    assert 0 < refused < 300


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """An IR that OpenVINO made of an ONNX model with open, bounded and branching parts."""
    openvino = pytest.importorskip("openvino")
    value = helper.make_tensor_value_info
    add, mul = (
        helper.make_graph([helper.make_node(op, ["x", "x"], [op])], op, [], [value(op, 1, None)])
        for op in ("Add", "Mul")
    )
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node("Relu", ["c"], ["y"]),
            helper.make_node("If", ["b"], ["z"], then_branch=add, else_branch=mul),
            helper.make_node("NonZero", ["y"], ["nz"]),
        ],
        "g",
        [value("x", TensorProto.FLOAT, ["N", 3, 8, "W"]), value("b", TensorProto.BOOL, [])],
        [value("y", 1, None), value("z", 1, None), value("nz", TensorProto.INT64, None)],
        [numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, {"task": "detect"})
    onnx.save(made, tmp_path / "m.onnx")
    model = openvino.convert_model(tmp_path / "m.onnx")
    model.outputs[0].tensor.add_names({"zz,comma", "aa"})
    model.inputs[0].tensor.add_names({"alias", "Xx"})
    model.reshape({"x": [openvino.Dimension(1, 4), 3, 8, -1], "b": []})
    openvino.save_model(model, tmp_path / "m.xml")
    return tmp_path / "m.xml"


def test_openvino_sees_the_same_inputs_and_outputs(converted: Path) -> None:
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(converted)

    info = read(converted)

    assert [seen(port) for port in model.inputs] == list(info.inputs)
    assert [seen(port) for port in model.outputs] == list(info.outputs)


def seen(port: object) -> TensorSpec:
    """The spec of an OpenVINO port by OpenVINO's own account."""
    dims = port.get_partial_shape()  # type: ignore[attr-defined]
    shape = tuple(None if dim.is_dynamic else dim.get_length() for dim in dims)
    element_type = port.get_element_type()  # type: ignore[attr-defined]
    return TensorSpec(port.any_name, np.dtype(element_type.to_dtype()), shape)  # type: ignore[attr-defined]


def test_a_converted_model_keeps_its_metadata_operators_and_weights(converted: Path) -> None:
    info = read(converted)

    assert "detect" == info.metadata["task"]
    assert {"Convolution": 1, "If": 1, "Add": 1, "Multiply": 1} == {
        name: info.operators[name] for name in ("Convolution", "If", "Add", "Multiply")
    }
    assert 4 * 3 * 3 * 3 == info.parameters
    assert (converted.with_suffix(".bin"),) == info.external_files
