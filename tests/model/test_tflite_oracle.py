"""The TFLite reader beside an independent one: the classes that flatc makes from the schema."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.model.tflite_reader import read
from hwrt.spec import Quantization, Signature

schema = pytest.importorskip(
    "ai_edge_litert.schema_py_generated",
    reason="pip install ai-edge-litert, which holds TFLite's schema",
)
flatbuffers = pytest.importorskip("flatbuffers", reason="pip install flatbuffers")

Save = Callable[..., Path]
DTYPES = {"BOOL": "?", "STRING": "O"}
TYPES = {number: name for name, number in vars(schema.TensorType).items() if name[0] != "_"}
CODES = {number: name for name, number in vars(schema.BuiltinOperator).items() if name[0] != "_"}
REAL = ["deeplabv3_int8", "mobilenet_v2_int8", "yolov8n_int8"]


def made(kind: str, **values: Any) -> Any:
    """An object of the generated classes with these attributes."""
    found = getattr(schema, f"{kind}T")()
    for name, value in values.items():
        setattr(found, name, value)
    return found


def tensor(name: str, *shape: int, **values: Any) -> Any:
    return made("Tensor", name=name, shape=list(shape), hasRank=True, **values)


def mapped(**tensors: int) -> list[Any]:
    return [made("TensorMap", name=name, tensorIndex=i) for name, i in tensors.items()]


def graph(tensors: list[Any], inputs: list[int], outputs: list[int], operators: list[Any]) -> Any:
    sides = {"inputs": inputs, "outputs": outputs}
    return made("SubGraph", name="main", tensors=tensors, operators=operators, **sides)


def operator(code: int, inputs: list[int], outputs: list[int]) -> Any:
    return made("Operator", opcodeIndex=code, inputs=inputs, outputs=outputs)


def codes(*numbers: int) -> list[Any]:
    return [
        made(
            "OperatorCode",
            builtinCode=number,
            deprecatedBuiltinCode=min(number, 127),
            customCode="edgetpu-custom-op" if number == 32 else None,
        )
        for number in numbers
    ]


def packed(*graphs: Any, **values: Any) -> bytes:
    buffers = [made("Buffer"), *values.pop("buffers", [])]
    model = made("Model", version=3, subgraphs=list(graphs), buffers=buffers, **values)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def rich_model() -> bytes:
    """Two signatures, three subgraphs, dynamic shapes, an axis of scales, a custom operator."""
    weights = np.zeros(24, np.uint8)
    axis = made("QuantizationParameters", scale=[0.5, 0.25], zeroPoint=[0, 0], quantizedDimension=1)
    whole = made("QuantizationParameters", scale=[0.1], zeroPoint=[-3])
    first = graph(
        [
            tensor("serving_default_a:0", 1, 2, shapeSignature=[-1, 2], type=9, quantization=whole),
            tensor("StatefulPartitionedCall:0", 1, 2, type=9, quantization=axis),
            tensor("weights", 2, 3, buffer=1),
            tensor("shape", 2, buffer=2, type=2),
        ],
        [0],
        [1],
        [operator(0, [0, 2], [1]), operator(1, [1], [1])],
    )
    second = graph([tensor("t", type=5), tensor("u", 3, type=5)], [0], [1], [operator(1, [0], [1])])
    third = graph([tensor("p", 4)], [0], [0], [])
    signatures = [
        made("SignatureDef", signatureKey="texts", subgraphIndex=1, inputs=mapped(text=0),
             outputs=mapped(tokens=1)),
        made("SignatureDef", signatureKey="serving_default", subgraphIndex=0, inputs=mapped(a=0),
             outputs=mapped(b=1)),
    ]  # fmt: skip
    buffers = [made("Buffer", data=weights), made("Buffer", data=weights[:8])]
    return packed(
        first, second, third,
        operatorCodes=codes(9, 32), signatureDefs=signatures, buffers=buffers,
    )  # fmt: skip


def parsed(path: Path) -> Any:
    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def dtype_of(tensor: Any) -> str:
    name = TYPES[tensor.type]
    return np.dtype(DTYPES.get(name, name.lower())).name


def shape_of(tensor: Any) -> tuple[int | None, ...]:
    sizes = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
    return tuple(None if size == -1 else int(size) for size in sizes)


def quantization_of(tensor: Any) -> Quantization | None:
    found = tensor.quantization
    if found is None or found.scale is None:
        return None
    axis = found.quantizedDimension if len(found.scale) > 1 else None
    return Quantization(tuple(map(float, found.scale)), tuple(map(int, found.zeroPoint)), axis)


def chosen(model: Any) -> Any:
    """The signature that is run, by its index; None without signatures."""
    keys = [item.signatureKey for item in model.signatureDefs or []]
    if not keys:
        return None
    return model.signatureDefs[keys.index(b"serving_default") if b"serving_default" in keys else 0]


def parameters_of(model: Any) -> int:
    counted = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            name = TYPES[tensor.type]
            scaled = tensor.quantization is not None and tensor.quantization.scale is not None
            is_shape = name in ("INT64", "UINT64", "BOOL", "STRING") or (
                name == "INT32" and not scaled
            )
            if model.buffers[tensor.buffer].data is not None and not is_shape:
                counted.setdefault(tensor.buffer, int(np.prod(tensor.shape)))
    return sum(counted.values())


@pytest.fixture(params=[*REAL, "rich"])
def path(request: pytest.FixtureRequest, save: Save) -> Path:
    """A real model, or one with all that these lack."""
    if request.param == "rich":
        return save(rich_model(), "rich.tflite")
    shared: Path = request.getfixturevalue("shared")
    return shared / "models" / f"{request.param}.tflite"


def test_tensors_are_those_of_the_generated_reader(path: Path) -> None:
    model, info = parsed(path), read(path)

    signature = chosen(model)
    graph = model.subgraphs[signature.subgraphIndex if signature else 0]
    for specs, indices in ((info.inputs, graph.inputs), (info.outputs, graph.outputs)):
        tensors = [graph.tensors[index] for index in indices]
        own = [(spec.aliases or (spec.name,))[0] for spec in specs]
        assert [tensor.name.decode() for tensor in tensors] == own
        assert list(map(dtype_of, tensors)) == [spec.dtype.name for spec in specs]
        assert list(map(shape_of, tensors)) == [spec.shape for spec in specs]
        assert list(map(quantization_of, tensors)) == [spec.quantization for spec in specs]


def test_signatures_are_those_of_the_generated_reader(path: Path) -> None:
    model, info = parsed(path), read(path)

    expected = {
        item.signatureKey.decode(): Signature(
            tuple(side.name.decode() for side in item.inputs),
            tuple(side.name.decode() for side in item.outputs),
        )
        for item in model.signatureDefs or []
    }
    signature = chosen(model)
    assert expected == info.signatures
    assert (signature and signature.signatureKey.decode()) == info.signature


def test_operators_are_those_of_the_generated_reader(path: Path) -> None:
    model, info = parsed(path), read(path)

    expected = Counter()
    for graph in model.subgraphs:
        for item in graph.operators:
            code = model.operatorCodes[item.opcodeIndex]
            name = CODES[max(code.builtinCode, code.deprecatedBuiltinCode)]
            expected[code.customCode.decode() if name == "CUSTOM" else name] += 1
    assert expected == info.operators


def test_parameters_are_those_of_the_generated_reader(path: Path) -> None:
    assert parameters_of(parsed(path)) == read(path).parameters


@pytest.mark.parametrize("name", REAL)
def test_litert_knows_the_tensors_by_the_names_in_the_file(name: str, shared: Path) -> None:
    interpreter = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="pip install ai-edge-litert"
    )
    path = shared / "models" / f"{name}.tflite"
    litert = interpreter.Interpreter(str(path))

    info = read(path)

    details = [*litert.get_input_details(), *litert.get_output_details()]
    specs = [*info.inputs, *info.outputs]
    assert [item["name"] for item in details] == [(s.aliases or (s.name,))[0] for s in specs]
    assert [np.dtype(item["dtype"]) for item in details] == [spec.dtype for spec in specs]
    assert [tuple(item["shape"]) for item in details] == [spec.shape for spec in specs]
    signatures = {key: {"inputs": list(i), "outputs": list(o)}
                  for key, (i, o) in info.signatures.items()}  # fmt: skip
    assert litert.get_signature_list() == signatures


def test_real_quantised_models_are_quantized(shared: Path) -> None:
    infos = [read(shared / "models" / f"{name}.tflite") for name in REAL]

    assert [True] * 3 == [info.quantized for info in infos]


def test_a_zip_archive_behind_the_model_changes_nothing_of_it(save: Save) -> None:
    alone = read(save(rich_model(), "alone.tflite"))
    archive = io.BytesIO(rich_model())
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("labels.txt", "a\nb\n")

    info = read(save(archive.getvalue(), "zipped.tflite"))

    assert (alone.inputs, alone.outputs) == (info.inputs, info.outputs)
    assert (alone.operators, alone.parameters) == (info.operators, info.parameters)


def test_a_metadata_entry_of_the_generated_writer_is_read(save: Save) -> None:
    version = np.frombuffer(b"2.3.0" + bytes(11), np.uint8)
    entry = made("Metadata", name="min_runtime_version", buffer=1)
    whole = graph([tensor("p", 4)], [0], [0], [])

    path = save(packed(whole, metadata=[entry], buffers=[made("Buffer", data=version)]))

    assert {"min_runtime_version": "2.3.0"} == read(path).metadata


def test_data_behind_the_flatbuffer_of_the_generated_writer_is_counted(save: Save) -> None:
    whole = graph([tensor("p", 4), tensor("w", 5, buffer=1)], [0], [0], [])
    behind = made("Buffer", offset=4096, size=20)

    path = save(packed(whole, buffers=[behind]).ljust(4116, b"\0"))

    assert 5 == read(path).parameters
