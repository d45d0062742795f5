"""hwrt.zoo: names, counts, files and errors."""

import ast
import hashlib
import stat
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from hwrt import zoo
from hwrt.errors import InputError

SMALLEST = "mobilenet_v3_small"


def test_names_are_the_published_networks():
    assert zoo.names() == (
        "mobilenet_v3_small",
        "mobilenet_v3_large",
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
        "efficientnet_lite3",
        "efficientnet_lite4",
        "yolov8n",
        "resnet50",
    )


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("mobilenet_v3_small", 2_542_856),
        ("mobilenet_v3_large", 5_483_032),
        ("efficientnet_lite0", 4_652_008),
        ("efficientnet_lite1", 5_416_680),
        ("efficientnet_lite2", 6_092_072),
        ("efficientnet_lite3", 8_197_096),
        ("efficientnet_lite4", 13_006_568),
        ("yolov8n", 3_157_200),
        ("resnet50", 25_557_032),
    ],
)
def test_parameters_equal_the_published_count(name, published):
    assert published == zoo.parameters(name)


@pytest.mark.parametrize("name", zoo.names())
def test_a_model_passes_the_checker_and_is_old_enough_for_released_engines(name):
    model = zoo.build(name)

    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert model.producer_name == "hwrt.zoo"
    assert model.graph.name == name


def test_a_folded_model_has_no_batch_norm():
    folded = {node.op_type for node in zoo.build(SMALLEST).graph.node}
    unfolded = {node.op_type for node in zoo.build(SMALLEST, fold_batch_norm=False).graph.node}

    assert unfolded - folded == {"BatchNormalization"}


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first = zoo.export(SMALLEST, tmp_path / "first.onnx", seed=7)
    second = zoo.export(SMALLEST, tmp_path / "second.onnx", seed=7)

    assert first.read_bytes() == second.read_bytes()


def test_another_seed_gives_every_convolution_other_weights():
    first = {weight.name: weight for weight in zoo.build(SMALLEST, seed=0).graph.initializer}
    second = {weight.name: weight for weight in zoo.build(SMALLEST, seed=1).graph.initializer}

    assert first.keys() == second.keys()
    assert all(
        first[name].raw_data != second[name].raw_data for name in first if name.endswith("weight")
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenet_v3_small", "24ce5073b3edf238"),
        ("yolov8n", "9dcb3bad42521a12"),
    ],
)
def test_the_weights_of_seed_0_are_the_same_on_every_machine(name, expected):
    digest = hashlib.sha256()
    for weight in zoo.build(name).graph.initializer:
        digest.update(weight.name.encode() + onnx.numpy_helper.to_array(weight).tobytes())

    assert expected == digest.hexdigest()[:16]


def test_export_returns_the_path_of_a_file_that_holds_the_model(tmp_path):
    path = zoo.export(SMALLEST, str(tmp_path / "model.onnx"), batch=2)

    assert path == tmp_path / "model.onnx"
    assert onnx.load(path) == zoo.build(SMALLEST, batch=2)
    assert [path] == list(tmp_path.iterdir())


def test_export_replaces_an_older_file(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")

    zoo.export(SMALLEST, path)

    assert onnx.load(path).graph.name == SMALLEST


def test_an_exported_file_is_as_readable_as_any_other(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.touch()

    exported = zoo.export(SMALLEST, tmp_path / "model.onnx")

    assert stat.S_IMODE(ordinary.stat().st_mode) == stat.S_IMODE(exported.stat().st_mode)


def test_an_export_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(InputError, match="No space left on device"):
        zoo.export(SMALLEST, path)

    assert path.read_bytes() == b"old"
    assert [path] == list(tmp_path.iterdir())


def test_export_into_a_missing_folder_names_the_path(tmp_path):
    path = tmp_path / "missing" / "model.onnx"

    with pytest.raises(InputError, match=r"missing/model\.onnx can not be written: No such file"):
        zoo.export(SMALLEST, path)


@pytest.mark.parametrize("call", [zoo.build, zoo.parameters, zoo.parse])
def test_an_unknown_name_is_an_error_that_lists_the_names(call):
    with pytest.raises(InputError, match=r"no 'resnet51' \(it has mobilenet_v3_small, .*resnet50"):
        call("resnet51")


def test_export_of_an_unknown_name_writes_nothing(tmp_path):
    with pytest.raises(InputError, match="resnet51"):
        zoo.export("resnet51", tmp_path / "model.onnx")

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("batch", [0, -1, 10**9, 10**20])
def test_a_batch_that_is_no_size_is_an_error(batch):
    with pytest.raises(InputError, match=f"batch is {batch}"):
        zoo.build(SMALLEST, batch=batch)


def test_a_negative_seed_is_an_error():
    with pytest.raises(InputError, match="seed is -1"):
        zoo.build(SMALLEST, seed=-1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet50", ("resnet50", 1)),
        ("zoo:resnet50", ("resnet50", 1)),
        ("zoo:yolov8n@8", ("yolov8n", 8)),
        ("zoo:yolov8n@dynamic", ("yolov8n", None)),
        ("yolov8n@dynamic", ("yolov8n", None)),
    ],
)
def test_parse_reads_name_and_batch(text, expected):
    assert expected == zoo.parse(text)


@pytest.mark.parametrize(
    "batch", ["", "0", "-1", "1.5", "any", "\N{SUPERSCRIPT TWO}", "1@2", "9" * 20, "9" * 5000]
)
def test_parse_refuses_other_batches_and_says_how_to_write_one(batch):
    with pytest.raises(InputError, match="write zoo:resnet50@8 for a batch of 8"):
        zoo.parse(f"zoo:resnet50@{batch}")


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_small", "mobilenet_v3_large"])
def test_a_classifier_says_how_a_frame_becomes_its_input(name):
    metadata = _metadata(name)

    assert metadata.pop("names").startswith("{0: 'class 0', 1: 'class 1', ")
    assert metadata == {
        "task": "classify",
        "imgsz": "[224, 224]",
        "mean": "[123.675, 116.28, 103.53]",
        "std": "[58.395, 57.12, 57.375]",
        "resize": "crop",
        "colour": "rgb",
    }


def test_a_detector_says_how_a_frame_becomes_its_input():
    metadata = _metadata("yolov8n")

    assert ast.literal_eval(metadata.pop("names")) == {i: f"class {i}" for i in range(80)}
    assert metadata == {
        "task": "detect",
        "imgsz": "[640, 640]",
        "mean": "[0.0, 0.0, 0.0]",
        "std": "[255.0, 255.0, 255.0]",
        "resize": "letterbox",
        "colour": "rgb",
        "stride": "32",
    }


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("efficientnet_lite0", 224),
        ("efficientnet_lite1", 240),
        ("efficientnet_lite2", 260),
        ("efficientnet_lite3", 280),
        ("efficientnet_lite4", 300),
    ],
)
def test_an_efficientnet_states_the_size_of_its_row(name, size):
    metadata = _metadata(name)

    assert f"[{size}, {size}]" == metadata["imgsz"]
    assert len(ast.literal_eval(metadata["names"])) == 1000
    assert metadata["mean"] == "[127.0, 127.0, 127.0]"
    assert metadata["std"] == "[128.0, 128.0, 128.0]"


def test_naming_the_networks_loads_no_onnx():
    code = (
        "import sys; from hwrt import zoo; zoo.parse(zoo.names()[0]); print('onnx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def _metadata(name):
    return {entry.key: entry.value for entry in zoo.build(name).metadata_props}
