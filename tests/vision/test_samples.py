"""A folder of images as samples: made into feeds as the pipeline makes frames into inputs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import hwrt
from hwrt.measure.gate import AccuracyGate
from hwrt.model import read
from hwrt.vision import loading
from hwrt.vision.loading import image_samples
from hwrt.vision.samples import ImageSamples, image_files
from hwrt.vision.settings import resolve

pytest.importorskip("PIL", reason="Pillow is not installed")

Install = Callable[..., None]
SETTINGS = {"mean": 0.0, "std": 255.0, "resize": "stretch", "colour": "rgb"}


def write_image(path: Path, colour: tuple[int, int, int]) -> None:
    from PIL import Image

    Image.fromarray(np.full((6, 9, 3), colour, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    images.mkdir()
    for name, colour in (("b.png", (0, 255, 0)), ("a.bmp", (255, 0, 0)), ("c.PNG", (0, 0, 255))):
        write_image(images / name, colour)
    (images / "notes.txt").write_text("none of them")
    return images


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    def write(batch: int | str = 1, sidecar: dict[str, Any] | None = SETTINGS) -> Path:
        shape = (batch, 3, 4, 4)
        tensors = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")
        ]
        node = helper.make_node("Relu", ["x"], ["y"])
        graph = helper.make_graph([node], "relu", tensors[:1], tensors[1:])
        made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        path = tmp_path / "net.onnx"
        onnx.save(made, path)
        if sidecar is not None:
            (tmp_path / "net.onnx.hwrt.json").write_text(json.dumps(sidecar))
        return path

    return write


def colours(feeds: Any) -> list[list[float]]:
    """The mean of each channel of each image."""
    return [np.round(image.mean(axis=(1, 2)), 6).tolist() for fed in feeds for image in fed["x"]]


RED, GREEN, BLUE = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]


def test_each_image_is_a_sample_in_the_order_of_the_names(folder: Path, model: Any) -> None:
    info = read(model())

    feeds = list(image_samples(info, folder).feeds(info))

    assert [fed["x"].shape for fed in feeds] == [(1, 3, 4, 4)] * 3
    assert colours(feeds) == [RED, GREEN, BLUE]


def test_a_fixed_batch_is_filled_up_with_the_first_images(folder: Path, model: Any) -> None:
    info = read(model(batch=2))

    feeds = list(image_samples(info, folder).feeds(info))

    assert colours(feeds) == [RED, GREEN, BLUE, RED]
    assert len(feeds) == 2


def test_an_open_batch_takes_one_image(folder: Path, model: Any) -> None:
    info = read(model(batch="N"))

    feeds = list(image_samples(info, folder).feeds(info))

    assert [fed["x"].shape for fed in feeds] == [(1, 3, 4, 4)] * 3


def test_what_the_model_does_not_say_is_an_error_that_names_it(folder: Path, model: Any) -> None:
    info = read(model(sidecar=None))

    with pytest.raises(hwrt.InputError, match="does not say its mean, std, resize"):
        image_samples(info, folder)


def test_feeds_beside_images_are_the_samples(folder: Path) -> None:
    np.save(folder / "feeds.npy", np.zeros(3))

    assert image_files(folder) == []


def test_a_folder_that_is_none_holds_no_images(tmp_path: Path) -> None:
    assert image_files(tmp_path / "gone") == []


def test_the_key_tells_images_and_settings_apart(folder: Path, model: Any) -> None:
    info = read(model())
    samples = image_samples(info, folder)
    keys = [samples.key]

    os.utime(folder / "a.bmp", ns=(1, 1))
    keys.append(samples.key)
    keys.append(
        ImageSamples(
            folder, resolve(info, {**SETTINGS, "mean": 3.0, "task": "classify", "labels": ["a"]})
        ).key
    )
    (folder / "a.bmp").unlink()
    keys.append(samples.key)

    assert len(set(keys)) == 4


def test_a_pipelines_labels_do_not_change_the_key(folder: Path, model: Any) -> None:
    info = read(model())
    given = resolve(info, {"task": "classify", "labels": ["a", "b"]})

    assert ImageSamples(folder, given).key == image_samples(info, folder).key


def test_with_a_preprocess_of_ones_own_there_is_no_key(folder: Path, model: Any) -> None:
    samples = image_samples(read(model()), folder)

    own = ImageSamples(folder, samples.settings, "rgb", lambda frame, out: None)

    assert samples.key is not None
    assert own.key is None


@pytest.mark.parametrize(("frames", "first"), [("rgb", 255), ("bgr", 0)])
def test_a_preprocess_gets_the_frames_it_was_made_for(
    folder: Path, model: Any, frames: str, first: int
) -> None:
    info = read(model())
    seen: list[Any] = []

    def preprocess(frame: Any, out: Any) -> None:
        seen.append(frame[0, 0].tolist())
        out[...] = 7

    settings = image_samples(info, folder).settings
    feeds = list(ImageSamples(folder, settings, frames, preprocess).feeds(info))

    assert seen[0][0] == first
    assert feeds[0]["x"].min() == 7


def test_a_model_of_one_channel_gets_gray_images(folder: Path, tmp_path: Path) -> None:
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 4, 4)) for name in ("x", "y")
    ]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "relu", tensors[:1], tensors[1:]
    )
    path = tmp_path / "gray.onnx"
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path
    )
    (tmp_path / "gray.onnx.hwrt.json").write_text(json.dumps(SETTINGS))
    info = read(path)

    feeds = list(image_samples(info, folder).feeds(info))

    # Red is 0.299 of white: level 76.
    assert colours(feeds)[0] == pytest.approx([76 / 255])


def test_load_takes_a_folder_of_images(install: Install, folder: Path, model: Any) -> None:
    install("Good", "Judge")

    with hwrt.load(model(), threads=1, samples=folder) as session:
        judgement = session.plan.judgement

    assert judgement is not None
    assert judgement.samples == 3
    assert judgement.bound is not None


def test_tune_takes_a_folder_of_images_and_load_finds_its_plan(
    install: Install, folder: Path, model: Any
) -> None:
    install("Good", "Judge")
    path = model()

    made = hwrt.tune(path, threads=1, samples=folder)

    with hwrt.load(path, threads=1, samples=folder, tune="never") as session:
        assert session.plan.made_at == made.made_at


def test_a_folder_of_feeds_is_read_as_before(
    install: Install, tmp_path: Path, relu_model: Callable[..., Path]
) -> None:
    install("Good", "Judge")
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    np.save(feeds / "a.npy", np.ones((1, 16), np.float32))

    with hwrt.load(relu_model(), threads=1, samples=feeds) as session:
        assert session.plan.judgement is not None


def test_load_says_its_own_name_and_arguments() -> None:
    import inspect

    assert hwrt.load.__name__ == "load"
    assert "samples" in inspect.signature(hwrt.load).parameters


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments with which a pipeline loads its model; nothing is loaded."""
    found: dict[str, Any] = {}

    def load(model: Any, **arguments: Any) -> None:
        found.update(arguments)
        raise InterruptedError("that is all")

    monkeypatch.setattr("hwrt.loading.load", load)
    return found


def load_asked(path: Path, **arguments: Any) -> None:
    with pytest.raises(InterruptedError):
        loading.load(path, labels=["a", "b"], **SETTINGS, **arguments)


def test_a_pipeline_feeds_images_by_its_own_settings(
    folder: Path, model: Any, asked: dict[str, Any]
) -> None:
    load_asked(model(sidecar=None), task="classify", samples=folder)

    samples = asked["samples"]
    assert isinstance(samples, ImageSamples)
    assert samples.settings.std == (255.0,)


@pytest.mark.parametrize(("task", "metric"), [("classify", "top-1"), ("detect", "detections")])
def test_the_gate_learns_the_task_from_the_pipeline(
    folder: Path, model: Any, asked: dict[str, Any], task: str, metric: str
) -> None:
    load_asked(model(sidecar=None), task=task, samples=folder, accuracy="relaxed")

    assert asked["accuracy"] == AccuracyGate(metric=metric)


def test_the_gate_is_left_as_it_is_where_it_is_given(
    folder: Path, model: Any, asked: dict[str, Any]
) -> None:
    load_asked(model(sidecar=None), task="classify", samples=folder, accuracy="f32")

    assert asked["accuracy"] == "f32"
