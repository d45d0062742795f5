from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from hwrt.errors import ModelError
from hwrt.model import content_hash, onnx_reader
from hwrt.model.onnx_reader import read

Save = Callable[..., Path]
VALUE = helper.make_tensor_value_info("v", TensorProto.FLOAT, [2])


def external(model: onnx.ModelProto, **entries: str) -> onnx.ModelProto:
    """The model with its weights (48 bytes) kept in another file."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return model


def test_external_weights_are_found_and_never_read_as_tensors(
    model: onnx.ModelProto, save: Save
) -> None:
    weights = save(bytes(100), "weights.bin")
    path = save(external(model, location="./weights.bin", offset="8", length="48"))

    info = read(path)

    assert (weights,) == info.external_files
    assert 12 == info.parameters
    assert path.stat().st_size + 100 == info.size_bytes
    assert content_hash(path, [weights]) == info.sha256


def test_external_weights_saved_by_onnx_are_found(model: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="w.data", size_threshold=0)

    info = read(path)

    assert (tmp_path / "w.data",) == info.external_files


def test_one_file_named_in_two_ways_is_one_external_file(
    model: onnx.ModelProto, save: Save
) -> None:
    weights = save(bytes(48), "weights.bin")
    model.graph.initializer.append(model.graph.initializer[0])
    model.graph.initializer[1].name = "v"
    external(model, location="weights.bin")
    second = model.graph.initializer[1]
    second.CopyFrom(model.graph.initializer[0])
    second.external_data[0].value = "./weights.bin"

    info = read(save(model))

    assert (weights,) == info.external_files


def test_external_data_in_a_subgraph_is_found(model: onnx.ModelProto, save: Save) -> None:
    weights = save(bytes(48), "weights.bin")
    tensor = external(model, location="weights.bin").graph.initializer.pop()
    constant = helper.make_node("Constant", [], ["k"], value=tensor)
    branch = helper.make_graph([constant], "b", [], [VALUE])
    model.graph.node.append(
        helper.make_node("If", ["c"], ["v"], then_branch=branch, else_branch=branch)
    )

    assert (weights,) == read(save(model)).external_files


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({}, "not a relative path"),
        ({"location": "/etc/passwd"}, "'/etc/passwd', which is not a relative path"),
        ({"location": "../weights.bin"}, "leaves the model's folder"),
        ({"location": "sub/../../weights.bin"}, "leaves the model's folder"),
        ({"location": "absent.bin"}, "absent.bin does not exist"),
        ({"location": "bad\0name"}, "can not be read"),
        ({"location": "n" * 300}, "can not be read"),
        ({"location": "."}, "is a folder"),
        ({"location": "weights.bin", "offset": "-8"}, "offset '-8'"),
        ({"location": "weights.bin", "offset": "1_0"}, "offset '1_0'"),
        ({"location": "weights.bin", "length": "many"}, "length 'many'"),
        ({"location": "weights.bin", "offset": "9" * 30}, "offset '9999"),
        ({"location": "weights.bin", "offset": "53"}, "ends at byte 101 of .*, which has 100"),
        ({"location": "weights.bin", "length": "101"}, "ends at byte 101 of .*, which has 100"),
        ({"location": "weights.bin", "length": "47"}, "takes 47 bytes .* needs 48"),
    ],
)
def test_external_data_that_can_not_be_right_is_refused(
    entries: dict[str, str], reason: str, model: onnx.ModelProto, save: Save
) -> None:
    save(bytes(100), "weights.bin")
    path = save(external(model, **entries))

    with pytest.raises(ModelError, match=reason) as caught:
        read(path)

    assert "tensor 'w'" in str(caught.value)
    assert caught.value.hint


def test_thousands_of_names_of_external_files_are_given_up(
    model: onnx.ModelProto, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_reader, "MOST_LOCATIONS", 2)
    save(bytes(48), "weights.bin")
    tensor = external(model, location="weights.bin").graph.initializer[0]
    for i in (1, 2):
        other = model.graph.initializer.add()
        other.CopyFrom(tensor)
        other.name, other.external_data[0].value = f"w{i}", "./" * i + "weights.bin"

    with pytest.raises(ModelError, match="more than 2 external places"):
        read(save(model))
