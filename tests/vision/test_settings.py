from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwrt.errors import InputError, UnsupportedModel
from hwrt.spec import ModelInfo
from hwrt.vision.settings import Settings, resolve, write_template

MakeInfo = Callable[..., ModelInfo]

ARGUMENTS: dict[str, Any] = {
    "task": "classify",
    "labels": ["cat", "dog"],
    "mean": 127.5,
    "std": [1, 2, 3],
    "resize": "stretch",
}
ULTRALYTICS = {
    "author": "Ultralytics",
    "task": "detect",
    "names": "{0: 'cat', 1: 'dog'}",
    "imgsz": "[8, 8]",
    "stride": "32",
}
ZOO = {
    "task": "classify",
    "names": "{0: 'class 0', 1: 'class 1'}",
    "imgsz": "[8, 8]",
    "mean": "[123.675, 116.28, 103.53]",
    "std": "[58.395, 57.12, 57.375]",
    "resize": "crop",
    "colour": "rgb",
}


def test_arguments_alone_are_enough(model_info: MakeInfo) -> None:
    expected = Settings(
        task="classify",
        labels=("cat", "dog"),
        colour="rgb",
        mean=(127.5,),
        std=(1.0, 2.0, 3.0),
        resize="stretch",
        size=(8, 8),
        layout="NCHW",
    )

    assert expected == resolve(model_info(), ARGUMENTS)


def test_the_metadata_of_ultralytics_is_enough(model_info: MakeInfo) -> None:
    expected = Settings(
        task="detect",
        labels=("cat", "dog"),
        colour="rgb",
        mean=(0.0,),
        std=(255.0,),
        resize="letterbox",
        size=(8, 8),
        layout="NCHW",
        crop_scale=1.0,
        softmax=False,
    )

    assert expected == resolve(model_info(metadata=ULTRALYTICS), {})


def test_the_metadata_of_the_zoo_is_enough(model_info: MakeInfo) -> None:
    expected = Settings(
        task="classify",
        labels=("class 0", "class 1"),
        colour="rgb",
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        resize="crop",
        size=(8, 8),
        layout="NCHW",
    )

    assert expected == resolve(model_info(metadata=ZOO), {})


def test_a_sidecar_is_enough(model_info: MakeInfo, tmp_path: Path) -> None:
    info = model_info(path=tmp_path / "net.onnx")
    (tmp_path / "net.onnx.hwrt.json").write_text(json.dumps({**ARGUMENTS, "colour": "bgr"}))

    settings = resolve(info, {})

    assert ("bgr", (127.5,)) == (settings.colour, settings.mean)


def test_arguments_go_before_metadata_and_metadata_before_the_sidecar(
    model_info: MakeInfo, tmp_path: Path
) -> None:
    info = model_info(path=tmp_path / "net.onnx", metadata={**ZOO, "std": "2"})
    (tmp_path / "net.onnx.hwrt.json").write_text('{"mean": 3, "std": 3, "crop_scale": 3}')

    settings = resolve(info, {"mean": 1})

    assert ((1.0,), (2.0,), 3.0) == (settings.mean, settings.std, settings.crop_scale)


def test_a_sidecar_goes_before_an_exporters_convention(
    model_info: MakeInfo, tmp_path: Path
) -> None:
    info = model_info(path=tmp_path / "net.onnx", metadata=ULTRALYTICS)
    (tmp_path / "net.onnx.hwrt.json").write_text('{"resize": "stretch"}')

    assert "stretch" == resolve(info, {}).resize


def test_metadata_is_not_read_where_an_argument_is_given(model_info: MakeInfo) -> None:
    info = model_info(metadata={**ZOO, "names": "broken {"})

    assert ("cat", "dog") == resolve(info, {"labels": ["cat", "dog"]}).labels


def test_what_is_missing_is_named_with_the_ways_to_give_it(model_info: MakeInfo) -> None:
    with pytest.raises(InputError) as caught:
        resolve(model_info(path=Path("/m/net.onnx")), {"task": "classify", "resize": "crop"})

    text = str(caught.value)
    assert "/m/net.onnx does not say its labels, mean, std" in text
    assert "hwrt run --labels FILE --mean 127.5 --std 127.5" in text
    assert "hwrt.vision.load" in text
    assert "/m/net.onnx.hwrt.json" in text
    assert "metadata" in text


def test_nothing_is_guessed_from_the_name_of_the_file(model_info: MakeInfo) -> None:
    with pytest.raises(InputError, match="does not say its task, labels, mean, std, resize"):
        resolve(model_info(path=Path("/m/yolov8n-coco-640.onnx"), output=(1, 84, 8400)), {})


def test_malformed_metadata_is_an_error_with_path_and_key(model_info: MakeInfo) -> None:
    with pytest.raises(InputError, match=r"std in the metadata of /nowhere/model\.onnx is 'many'"):
        resolve(model_info(metadata={**ZOO, "std": "many"}), {})


def test_a_size_is_needed_where_the_file_leaves_it_open(model_info: MakeInfo) -> None:
    info = model_info(shape=(None, 3, None, None))

    with pytest.raises(InputError, match="does not say its size"):
        resolve(info, ARGUMENTS)

    assert (4, 6) == resolve(info, {**ARGUMENTS, "size": (4, 6)}).size


def test_the_shape_as_it_is_run_goes_before_the_metadatas_size(model_info: MakeInfo) -> None:
    info = model_info(shape=(None, 3, None, None), metadata=ULTRALYTICS)

    assert (4, 6) == resolve(info, {}, shape=(1, 3, 4, 6)).size


def test_a_size_that_contradicts_the_shape_is_an_error(model_info: MakeInfo) -> None:
    with pytest.raises(InputError, match=r"size \(9, 9\).*\(8, 8\)"):
        resolve(model_info(), {**ARGUMENTS, "size": 9})


def test_the_channels_place_tells_the_layout(model_info: MakeInfo) -> None:
    settings = resolve(model_info(shape=(1, 6, 8, 3)), ARGUMENTS)

    assert ("NHWC", (6, 8), (6, 8, 3)) == (settings.layout, settings.size, settings.image)


def test_the_channels_place_goes_before_an_exporters_layout(model_info: MakeInfo) -> None:
    info = model_info(shape=(1, 8, 8, 3), metadata=ULTRALYTICS)

    assert "NHWC" == resolve(info, {}).layout


def test_an_open_layout_is_missing(model_info: MakeInfo) -> None:
    with pytest.raises(InputError, match="does not say its size, layout"):
        resolve(model_info(shape=(1, None, None, None)), ARGUMENTS)


def test_a_gray_model_has_one_channel(model_info: MakeInfo) -> None:
    settings = resolve(model_info(shape=(1, 1, 28, 28)), {**ARGUMENTS, "std": 255})

    assert (1, (1, 28, 28)) == (settings.channels, settings.image)


def test_levels_for_three_channels_do_not_fit_one(model_info: MakeInfo) -> None:
    with pytest.raises(InputError, match=r"std is .* for an input of 1 channels"):
        resolve(model_info(shape=(1, 1, 28, 28)), ARGUMENTS)


@pytest.mark.parametrize("shape", [(1, 10), None, (1, 3, 8, 8, 8)])
def test_a_model_that_takes_no_image_is_unsupported(model_info: MakeInfo, shape: Any) -> None:
    with pytest.raises(UnsupportedModel, match="does not take one image"):
        resolve(model_info(shape=shape), ARGUMENTS)


def test_a_model_of_four_channels_is_unsupported(model_info: MakeInfo) -> None:
    with pytest.raises(UnsupportedModel, match="4 channels as NCHW"):
        resolve(model_info(shape=(1, 4, 8, 8), metadata=ULTRALYTICS), {})


@pytest.mark.parametrize("task", ["pose", "obb"])
def test_a_task_without_a_pipeline_is_unsupported(model_info: MakeInfo, task: str) -> None:
    with pytest.raises(UnsupportedModel, match=f"the task '{task}'"):
        resolve(model_info(metadata={**ULTRALYTICS, "task": task}), {})


def test_a_template_holds_what_is_known_and_null(model_info: MakeInfo, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx.hwrt.json"

    write_template(model_info(), path)

    expected = {
        "task": None,
        "labels": None,
        "colour": None,
        "mean": None,
        "std": None,
        "resize": None,
        "size": [8, 8],
        "layout": "NCHW",
    }
    assert expected == json.loads(path.read_text())


def test_a_filled_in_template_is_enough(model_info: MakeInfo, tmp_path: Path) -> None:
    info = model_info(path=tmp_path / "net.onnx")
    path = tmp_path / "net.onnx.hwrt.json"
    write_template(info, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **ARGUMENTS}))

    assert resolve(model_info(), ARGUMENTS) == resolve(info, {})


def test_a_template_holds_what_the_metadata_says(model_info: MakeInfo, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx.hwrt.json"

    write_template(model_info(metadata=ULTRALYTICS), path)

    document = json.loads(path.read_text())
    assert ("detect", ["cat", "dog"], [255.0]) == tuple(
        document[key] for key in ("task", "labels", "std")
    )


def test_a_template_overwrites_nothing(model_info: MakeInfo, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx.hwrt.json"
    path.write_text("mine")

    with pytest.raises(InputError, match=r"hwrt\.json exists"):
        write_template(model_info(), path)

    assert "mine" == path.read_text()


def test_a_template_in_a_folder_that_is_not_there_is_an_error(
    model_info: MakeInfo, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="can not be written"):
        write_template(model_info(), tmp_path / "gone" / "net.onnx.hwrt.json")


@pytest.mark.parametrize(("std", "warned"), [([0.229, 0.224, 0.225], True), (1, False)])
def test_numbers_made_for_0_to_1_are_pointed_out(
    model_info: MakeInfo, caplog: pytest.LogCaptureFixture, std: object, warned: bool
) -> None:
    resolve(model_info(), {**ARGUMENTS, "mean": [0.485, 0.456, 0.406], "std": std})

    assert warned == ("multiply numbers made for 0..1 by 255" in caplog.text)
