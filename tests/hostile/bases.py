"""The sound models that are damaged: real ones without their trained weights, and small made ones.

Real structure (names, graphs, shapes, quantisation, metadata) is what a reader walks; the weights
are dropped, so that a case is some kilobytes and nothing of ``../shared`` is ever copied on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Base", "made_bases", "packed", "real_bases", "whole_files"]

_KEPT_BYTES = 16
"""Constants up to this size stay: scalars and small shapes, by which others are understood."""


class Base(NamedTuple):
    """A sound model: the files of its folder by name, and which of them is the model."""

    name: str
    format: str
    main: str
    files: dict[str, bytes]


def made_bases() -> list[Base]:
    """Small models of our own making, with what the real ones lack."""
    return [
        Base("made-onnx", "onnx", "model.onnx", {"model.onnx": _made_onnx()}),
        Base(
            "made-ir", "openvino-ir", "model.xml", {"model.xml": _MADE_IR, "model.bin": b"\0" * 64}
        ),
        Base("made-tflite", "tflite", "model.tflite", {"model.tflite": _made_tflite()}),
        _external(),
    ]


def real_bases(shared: Path) -> list[Base]:
    """The models of ``shared/models``, stripped; an IR that OpenVINO wrote from one of them."""
    models = shared / "models"
    onnx_files = sorted(models.glob("*.onnx"))
    tflite_files = sorted(models.glob("*.tflite"))
    return [
        *(_stripped_onnx(path) for path in onnx_files),
        *(_stripped_tflite(path) for path in tflite_files),
        _ir_of(models / "mobilenet_v2.onnx"),
        *_cut(onnx_files, tflite_files),
    ]


def whole_files(shared: Path) -> list[Base]:
    """The models as they are, weights and all: for some runs, never to be kept."""
    models = shared / "models"
    found = []
    for path in sorted([*models.glob("*.onnx"), *models.glob("*.tflite")]):
        kind = path.suffix[1:]
        name = f"model{path.suffix}"
        found.append(Base(f"whole-{path.stem}-{kind}", kind, name, {name: path.read_bytes()}))
    return found


# -- ONNX ----------------------------------------------------------------------------------------


def _stripped_onnx(path: Path) -> Base:
    model = _without_weights(path)
    return Base(
        f"{path.stem}-onnx", "onnx", "model.onnx", {"model.onnx": model.SerializeToString()}
    )


def _without_weights(path: Path) -> Any:
    import onnx

    model = onnx.load(path)
    for tensor in _onnx_tensors(model.graph):
        for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
            tensor.ClearField(field)
    return model


def _onnx_tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _onnx_tensors(attribute.g)


def _made_onnx() -> bytes:
    """A branch, a function, a sparse and a plain tensor, metadata and a training graph."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    def value(name: str, kind: int = TensorProto.FLOAT, shape: Any = ("N", 3)) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    weights = numpy_helper.from_array(np.zeros((3, 3), np.float32), "w")
    indices = helper.make_tensor("", TensorProto.INT64, [2], [0, 5])
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("s", TensorProto.FLOAT, [2], [0.0, 0.0]), indices, [9]
    )
    branch = helper.make_graph(
        [helper.make_node("Relu", ["h"], ["b"])], "branch", [], [value("b")], [weights]
    )
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "first"),
        helper.make_node("If", ["c"], ["i"], then_branch=branch, else_branch=branch),
        helper.make_node("Twice", ["i"], ["y"], domain="own"),
        helper.make_node("Constant", [], ["k"], value=weights),
    ]
    function = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "made",
        [value("x"), value("c", TensorProto.BOOL, ()), value("w", shape=(3, 3))],
        [value("y"), value("k", shape=None)],
        [weights],
        sparse_initializer=[sparse],
    )
    model = helper.make_model(
        graph,
        functions=[function],
        ir_version=9,
        producer_name="tests",
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
    )
    helper.set_model_props(model, {"task": "none", "names": "{0: 'a'}"})
    model.training_info.add().algorithm.CopyFrom(branch)
    return model.SerializeToString()


def _external() -> Base:
    """An ONNX model whose weights lie in a file beside it."""
    import onnx
    from onnx import TensorProto, helper

    tensors = []
    for index in range(3):
        tensor = TensorProto(name=f"w{index}", data_type=TensorProto.FLOAT, dims=[4, 4])
        tensor.data_location = TensorProto.EXTERNAL
        places = {"location": "weights.bin", "offset": str(64 * index), "length": "64"}
        tensor.external_data.extend(
            onnx.StringStringEntryProto(key=key, value=text) for key, text in places.items()
        )
        tensors.append(tensor)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    names = ["x", "a", "b", "y"]
    nodes = [helper.make_node("MatMul", [names[i], f"w{i}"], [names[i + 1]]) for i in range(3)]
    graph = helper.make_graph(nodes, "external", values[:1], values[1:], tensors)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    files = {"model.onnx": model.SerializeToString(), "weights.bin": b"\0" * 192}
    return Base("made-external-onnx", "onnx", "model.onnx", files)


# -- TFLite --------------------------------------------------------------------------------------


def _stripped_tflite(path: Path) -> Base:
    model = _tflite_without_weights(path)
    name = "model.tflite"
    return Base(f"{path.stem}-tflite", "tflite", name, {name: packed(model)})


def _tflite_without_weights(path: Path) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    described = {entry.buffer for entry in model.metadata or ()}
    for index, buffer in enumerate(model.buffers):
        if buffer.data is None or index in described:
            continue
        buffer.data = None if len(buffer.data) > _KEPT_BYTES else [0] * len(buffer.data)
    return model


def packed(model: Any) -> bytes:
    """The TFLite file of a model that the schema's object API holds."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _made_tflite() -> bytes:
    """Two graphs, two signatures, a custom operator, quantisation along an axis."""
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, kind: int, shape: list[int], buffer: int = 0) -> Any:
        return schema.TensorT(
            name=name.encode(), type=kind, shape=shape, buffer=buffer, hasRank=True,
            shapeSignature=[-1, *shape[1:]] if len(shape) > 1 and not buffer else None,
        )  # fmt: skip

    def graph(name: str) -> Any:
        tensors = [
            tensor("x", schema.TensorType.INT8, [1, 4]),
            tensor("w", schema.TensorType.INT8, [3, 4], 1),
            tensor("y", schema.TensorType.FLOAT32, [1, 3]),
            tensor("s", schema.TensorType.STRING, []),
        ]
        tensors[0].quantization = schema.QuantizationParametersT(scale=[0.5], zeroPoint=[3])
        tensors[1].quantization = schema.QuantizationParametersT(
            scale=[0.5, 0.25, 0.125], zeroPoint=[0, 0, 0], quantizedDimension=0
        )
        operators = [
            schema.OperatorT(opcodeIndex=0, inputs=[0, 1, -1], outputs=[2]),
            schema.OperatorT(opcodeIndex=1, inputs=[2], outputs=[3], customOptions=[1, 2, 3]),
        ]
        return schema.SubGraphT(
            tensors=tensors, inputs=[0], outputs=[2, 3], operators=operators, name=name.encode()
        )

    def signature(key: str, index: int) -> Any:
        def named(name: str, place: int) -> Any:
            return schema.TensorMapT(name=name.encode(), tensorIndex=place)

        return schema.SignatureDefT(
            inputs=[named("in", 0)], outputs=[named("out", 2), named("text", 3)],
            signatureKey=key.encode(), subgraphIndex=index,
        )  # fmt: skip

    codes = schema.BuiltinOperator
    model = schema.ModelT(
        version=3,
        operatorCodes=[
            schema.OperatorCodeT(
                builtinCode=codes.FULLY_CONNECTED,
                deprecatedBuiltinCode=codes.FULLY_CONNECTED,
                version=4,
            ),
            schema.OperatorCodeT(
                builtinCode=codes.CUSTOM,
                deprecatedBuiltinCode=codes.CUSTOM,
                customCode=b"Own",
                version=1,
            ),
        ],
        subgraphs=[graph("main"), graph("other")],
        description=b"made by tests",
        buffers=[
            schema.BufferT(),
            schema.BufferT(data=[0] * 12),
            schema.BufferT(data=list(b"1.5.0")),
        ],
        metadata=[schema.MetadataT(name=b"min_runtime_version", buffer=2)],
        signatureDefs=[signature("serving_default", 0), signature("other", 1)],
    )
    return packed(model)


# -- OpenVINO IR ---------------------------------------------------------------------------------


def _ir_of(path: Path) -> Base:
    """What ``openvino.save_model`` writes from the model, its .bin as long but of zeros."""
    import tempfile

    import openvino

    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "model.xml"
        openvino.save_model(openvino.Core().read_model(_saved(path, Path(folder))), xml)
        weights = b"\0" * xml.with_suffix(".bin").stat().st_size
        files = {"model.xml": xml.read_bytes(), "model.bin": weights}
    return Base(f"{path.stem}-ir", "openvino-ir", "model.xml", files)


def _saved(path: Path, folder: Path) -> Path:
    """The model with constants of zeros."""
    import onnx

    model = onnx.load(path)
    for tensor in _onnx_tensors(model.graph):
        if tensor.HasField("raw_data") and len(tensor.raw_data) > _KEPT_BYTES:
            tensor.raw_data = b"\0" * len(tensor.raw_data)
    target = folder / path.name
    onnx.save(model, target)
    return target


def _cut(onnx_files: list[Path], tflite_files: list[Path]) -> list[Base]:
    """The beginnings of real graphs: as many mutations a second as small files allow."""
    found = []
    for path in onnx_files:
        model = _without_weights(path)
        del model.graph.node[8:]
        wanted = {name for node in model.graph.node for name in node.input}
        for part in (model.graph.initializer, model.graph.value_info):
            kept = [item for item in part if item.name in wanted]
            del part[:]
            part.extend(kept)
        data = {"model.onnx": model.SerializeToString()}
        found.append(Base(f"cut-{path.stem}-onnx", "onnx", "model.onnx", data))
    for path in tflite_files:
        model = _tflite_without_weights(path)
        graph = model.subgraphs[0]
        graph.operators = graph.operators[:6]
        graph.tensors = graph.tensors[:40]
        graph.inputs = [index for index in graph.inputs if index < 40] or [0]
        graph.outputs = [graph.operators[-1].outputs[0] % 40]
        for operator in graph.operators:
            operator.inputs = [index % 40 for index in operator.inputs]
            operator.outputs = [index % 40 for index in operator.outputs]
        model.buffers = model.buffers[: 1 + max(t.buffer for t in graph.tensors)]
        model.metadata = None
        model.signatureDefs = None
        data = {"model.tflite": packed(model)}
        found.append(Base(f"cut-{path.stem}-tflite", "tflite", "model.tflite", data))
    return found


_MADE_IR = b"""<?xml version="1.0"?>
<net name="made" version="11">
  <layers>
    <layer id="0" name="x" type="Parameter" version="opset1">
      <data shape="?,3,2..8" element_type="f32"/>
      <output><port id="0" precision="FP32" names="x,also\\,x">
        <dim>-1</dim><dim>3</dim><dim>-1</dim>
      </port></output>
    </layer>
    <layer id="1" name="w" type="Const" version="opset1">
      <data element_type="f32" shape="1, 3, 1" offset="0" size="12"/>
      <output><port id="0" precision="FP32"><dim>1</dim><dim>3</dim><dim>1</dim></port></output>
    </layer>
    <layer id="2" name="add" type="Add" version="opset1">
      <data auto_broadcast="numpy"/>
      <input>
        <port id="0" precision="FP32"><dim>-1</dim><dim>3</dim><dim>-1</dim></port>
        <port id="1" precision="FP32"><dim>1</dim><dim>3</dim><dim>1</dim></port>
      </input>
      <output><port id="2" precision="FP32" names="sum">
        <dim>-1</dim><dim>3</dim><dim>-1</dim>
      </port></output>
    </layer>
    <layer id="3" name="loop" type="TensorIterator" version="opset1">
      <input><port id="0" precision="FP32"><dim>-1</dim><dim>3</dim><dim>-1</dim></port></input>
      <output><port id="1" precision="FP32" names="y">
        <dim>-1</dim><dim>3</dim><dim>-1</dim>
      </port></output>
      <port_map><input external_port_id="0" internal_layer_id="0"/></port_map>
      <body>
        <layers>
          <layer id="0" name="in" type="Parameter" version="opset1">
            <data shape="?,3,?" element_type="f32"/>
            <output><port id="0" precision="FP32"><dim>-1</dim></port></output>
          </layer>
          <layer id="1" name="relu" type="ReLU" version="opset1"/>
          <layer id="2" name="c" type="Const" version="opset1">
            <data element_type="i8" shape="4" offset="16" size="4"/>
          </layer>
        </layers>
        <edges/>
      </body>
    </layer>
    <layer id="4" name="y/sink" type="Result" version="opset1" output_names="y">
      <input><port id="0" precision="FP32"><dim>-1</dim><dim>3</dim><dim>-1</dim></port></input>
    </layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>
    <edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>
    <edge from-layer="2" from-port="2" to-layer="3" to-port="0"/>
    <edge from-layer="3" from-port="1" to-layer="4" to-port="0"/>
  </edges>
  <rt_info>
    <Runtime_version value="2026.4"/>
    <conversion_parameters><input_model value="DIR/m.onnx"/></conversion_parameters>
    <model_info><labels value="a b"/></model_info>
  </rt_info>
</net>
"""
