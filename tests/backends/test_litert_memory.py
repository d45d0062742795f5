"""Arrays over LiteRT's memory: they never dangle, and nothing leaks."""

from __future__ import annotations

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.backend import (
    BackendFailure,
    CompiledModel,
    Device,
    InputError,
    ModelInfo,
    Options,
    Range,
    SessionError,
)
from hwrt.model import read
from hwrt.testing import graphs
from hwrt.testing.tflite_writer import write_tflite

from .tflite_files import ADD, NOT_EQUAL, RELU, RESHAPE, WHERE, Function, Operator, write

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def compile_model(model: ModelInfo, **options: Any) -> CompiledModel:
    from hwrt_litert import LiteRt

    return LiteRt().compile(model, Device("cpu"), options=Options(threads=1, **options))


@pytest.fixture
def growing(tmp_path: Path) -> CompiledModel:
    """A ReLU of x, of shape (N, 3)."""
    return compile_model(read(write_tflite(graphs.relu(("N", 3)), tmp_path / "model.tflite")))


def resident_kib() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


# -- arrays and resize --------------------------------------------------------------------------


def test_arrays_held_over_a_resize_keep_their_values(growing: CompiledModel) -> None:
    request = growing.create_request({"x": (2, 3)})
    x = noise((2, 3))
    request.inputs["x"][...] = x
    request.run()
    held_x, held_y = request.inputs["x"], request.outputs["y"][1:]
    for batch in (40_000, 1, 50_000):
        request.resize({"x": (batch, 3)})
        request.inputs["x"][...] = 7
        request.run()

    np.testing.assert_array_equal(x, held_x)
    np.testing.assert_array_equal(np.maximum(x, 0)[1:], held_y)


def test_array_held_over_a_resize_may_still_be_written_to(growing: CompiledModel) -> None:
    request = growing.create_request({"x": (2, 3)})
    held = request.inputs["x"]
    request.resize({"x": (50_000, 3)})
    held.fill(9)
    request.inputs["x"].fill(1)
    request.run()

    assert held.tolist() == [[9, 9, 9]] * 2
    assert (request.outputs["y"] == 1).all()


@pytest.mark.parametrize("batch", [1, 5])
def test_shape_out_of_range_is_refused_and_the_request_stays_as_it_was(
    tmp_path: Path, batch: int
) -> None:
    from hwrt_litert import LiteRt

    model = read(write_tflite(graphs.relu(("N", 3)), tmp_path / "model.tflite"))
    bounds = {"x": (Range(2, 3, 4), 3)}
    made = LiteRt().compile(model, Device("cpu"), options=Options(threads=1), shapes=bounds)
    request = made.create_request({"x": (2, 3)})
    request.inputs["x"][...] = 7
    for use in (made.create_request, request.resize):
        with pytest.raises(InputError, match=f"'x'.*{batch}, 3.*out of the bounds"):
            use({"x": (batch, 3)})
    request.run()

    np.testing.assert_array_equal(np.full((2, 3), 7, "f4"), request.outputs["y"])


def test_resize_without_held_arrays_keeps_the_interpreter(growing: CompiledModel) -> None:
    request: Any = growing.create_request({"x": (2, 3)})
    before = request._interpreter
    request.resize({"x": (9, 3)})

    assert request._interpreter is before


def test_refused_resize_leaves_held_arrays_those_of_the_request(tmp_path: Path) -> None:
    model = read(write_tflite(graphs.add(("N", 2)), tmp_path / "model.tflite"))
    request = compile_model(model).create_request({"a": (2, 2), "b": (2, 2)})
    held = request.inputs["a"]
    with pytest.raises(InputError):
        request.resize({"a": (3, 2), "b": (4, 2)})
    held.fill(5)
    request.inputs["b"].fill(1)
    request.run()
    outputs = request.outputs["c"].tolist()
    request.resize({"a": (50_000, 2), "b": (50_000, 2)})
    request.inputs["a"].fill(1)
    request.run()

    assert outputs == [[6, 6]] * 2
    assert held.tolist() == [[5, 5]] * 2


@pytest.mark.slow
@pytest.mark.parametrize("hold", [False, True], ids=["nothing held", "outputs held"])
def test_1000_resizes_do_not_take_memory(growing: CompiledModel, hold: bool) -> None:
    request = growing.create_request()

    def resize_often() -> None:
        held = None
        for i in range(1000):
            request.resize({"x": (1 + i % 50 * 1000, 3)})
            request.run()
            held = request.outputs if hold else None
        del held

    resize_often()
    before = resident_kib()
    resize_often()
    resize_often()

    assert resident_kib() - before < 8 * 1024


@pytest.mark.slow
def test_closed_requests_give_their_memory_back(tmp_path: Path) -> None:
    graph = graphs.relu((1 << 20,))
    made = compile_model(read(write_tflite(graph, tmp_path / "model.tflite")))

    def open_and_close() -> None:
        for _ in range(60):
            request = made.create_request()
            request.inputs["x"].fill(1)
            request.run()
            request.close()

    open_and_close()
    before = resident_kib()
    open_and_close()

    # They would hold 480 MiB.
    assert resident_kib() - before < 48 * 1024


# -- memory that moves, and memory that is the file's -------------------------------------------


def moving_without_need(folder: Path, size: int) -> ModelInfo:
    """A ReLU, and beside it operators of sizes that depend on data, which no output needs."""
    tensors = [
        *[("f4", (size,)), ("f4", (size,)), ("f4", (1,), [0]), ("?", (size,))],
        *[("i8", (None, 1))] * 4,
    ]
    operators = [
        Operator(RELU, [0], [1]),
        Operator(NOT_EQUAL, [0, 2], [3]),
        Operator(WHERE, [3], [4]),
        *[Operator(ADD, [i, i], [i + 1]) for i in (4, 5, 6)],
    ]
    return write(folder / "model.tflite", [Function(tensors, [0], [1], operators)])


def test_operator_that_no_output_needs_does_not_move_the_arrays(tmp_path: Path) -> None:
    size = 1000
    request = compile_model(moving_without_need(tmp_path, size)).create_request()
    held = request.inputs["t0"]
    for seed in range(3):
        x = noise((size,), seed=seed)
        held[...] = x
        request.run()

        np.testing.assert_array_equal(np.maximum(x, 0), request.outputs["t1"])


def test_shape_that_depends_on_data_is_followed_over_resizes(tmp_path: Path) -> None:
    model = read(write_tflite(graphs.arg_where(), tmp_path / "model.tflite"))
    request = compile_model(model).create_request()
    for size in (1000, 2, 50, 2, 0, 1):
        request.resize({"x": (size,)})
        request.inputs["x"].fill(1)
        request.run()

        assert request.outputs["y"].shape == (size, 1)


def test_shape_that_is_an_input_is_followed(tmp_path: Path) -> None:
    tensors = [("f4", (6,)), ("i4", (2,)), ("f4", (None, None))]
    function = Function(tensors, [0, 1], [2], [Operator(RESHAPE, [0, 1], [2])])
    made = compile_model(write(tmp_path / "model.tflite", [function]))
    request = made.create_request()
    x = np.arange(6, dtype="f4")
    shapes = ([2, 3], [6, 1], [3, 2])
    found = [request.infer({"t0": x, "t1": np.array(shape, "i4")})["t2"].shape for shape in shapes]

    assert found == [tuple(shape) for shape in shapes]
    assert made.outputs[0].shape == (None, None)


def test_memory_that_moves_unforeseen_is_noticed_after_the_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hwrt_litert import graph

    monkeypatch.setattr(graph.Graph, "_is_still", lambda *_: True)
    tensors = [("f4", (6,)), ("i4", (2,)), ("f4", (None, None))]
    function = Function(tensors, [0, 1], [2], [Operator(RESHAPE, [0, 1], [2])])
    request = compile_model(write(tmp_path / "model.tflite", [function])).create_request()
    held = request.inputs["t0"]
    for shape in ([2, 3], [6, 1]):
        held[...] = x = noise((6,), seed=shape[0])
        request.inputs["t1"][...] = shape
        request.run()

        np.testing.assert_array_equal(x.reshape(shape), request.outputs["t2"])


def test_inputs_that_move_unforeseen_end_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hwrt_litert import graph

    monkeypatch.setattr(graph.Graph, "_is_still", lambda *_: True)
    request = compile_model(moving_without_need(tmp_path, 1000)).create_request()
    request.inputs["t0"].fill(1)
    with pytest.raises(BackendFailure, match=r"moved the inputs of .*model\.tflite"):
        request.run()
    with pytest.raises(SessionError, match="moved this request's memory"):
        request.run()


def test_output_that_is_a_constant_may_be_written_to(tmp_path: Path) -> None:
    tensors = [("f4", (2,)), ("f4", (2,)), ("f4", (2,), [3, 4])]
    function = Function(tensors, [0], [1, 2], [Operator(RELU, [0], [1])])
    made = compile_model(write(tmp_path / "model.tflite", [function]))
    request = made.create_request()
    request.run()
    request.outputs["t2"].fill(0)
    request.infer({"t0": np.ones(2, "f4")})["t2"].fill(0)

    assert made.create_request().infer({"t0": np.ones(2, "f4")})["t2"].tolist() == [3, 4]


def test_file_may_be_overwritten_after_the_compile(tmp_path: Path) -> None:
    graph = graphs.matmul()
    model = read(write_tflite(graph, tmp_path / "model.tflite"))
    made = compile_model(model)
    x = noise((4, 512))
    wanted = made.create_request().infer({"x": x})["y"]
    model.path.write_bytes(bytes(model.size_bytes))

    np.testing.assert_array_equal(wanted, made.create_request().infer({"x": x})["y"])


# -- real files ---------------------------------------------------------------------------------


def feed(shared: Path, image: str, model: ModelInfo) -> dict[str, np.ndarray[Any, Any]]:
    """The photograph stretched to the model's input, 0..255 being all of the input's range."""
    images = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    (spec,) = model.inputs
    assert spec.shape is not None
    picture = images.open(shared / "images" / image).convert("RGB")
    pixels = np.asarray(picture.resize((spec.shape[2], spec.shape[1])))[np.newaxis]
    if spec.dtype == np.uint8:
        return {spec.name: pixels}
    return {spec.name: (pixels.astype("i2") - 128).astype("i1")}


@pytest.fixture(params=[{}, {"kernels": "builtin"}], ids=["xnnpack", "builtin"])
def kernels(request: pytest.FixtureRequest) -> dict[str, str]:
    chosen: dict[str, str] = request.param
    return chosen


def test_mobilenet_sees_what_is_in_the_photographs(shared: Path, kernels: dict[str, str]) -> None:
    expected = json.loads((shared / "expected.json").read_text())["classify"]
    model = read(shared / "models/mobilenet_v2_int8.tflite")
    request = compile_model(model, **kernels).create_request()
    sure = {name: found for name, found in expected.items() if found[0]["score"] > 0.8}
    first = {
        name: int(request.infer(feed(shared, name, model))["Identity"].argmax()) for name in sure
    }

    assert len(sure) >= 4
    assert first == {name: found[0]["class"] for name, found in sure.items()}


def test_deeplab_finds_the_bird(shared: Path, kernels: dict[str, str]) -> None:
    model = read(shared / "models/deeplabv3_int8.tflite")
    names = (shared / "models/pascal_voc_segmentation_labels.txt").read_text().split("\n")
    request = compile_model(model, **kernels).create_request()
    classes = request.infer(feed(shared, "bird_segmentation.bmp", model))["ArgMax"]

    assert np.bincount(classes.ravel())[1:].argmax() + 1 == names.index("bird")
    assert 0.1 < (classes == names.index("bird")).mean() < 0.9


def test_yolo_finds_the_bus_and_its_people(shared: Path, kernels: dict[str, str]) -> None:
    model = read(shared / "models/yolov8n_int8.tflite")
    output = compile_model(model, **kernels).create_request().infer(feed(shared, "bus.jpg", model))
    (meaning,) = (spec.quantization for spec in model.outputs)
    assert meaning is not None
    scores = meaning.scale[0] * (output["output_0"][0, 4:].astype("f4") - meaning.zero_point[0])
    best = scores.max(axis=1)

    assert sorted(np.flatnonzero(best > 0.5)) == [0, 5]


def test_8_threads_over_requests_of_their_own_agree(shared: Path) -> None:
    model = read(shared / "models/mobilenet_v2_int8.tflite")
    made = compile_model(model)
    feeds = feed(shared, "parrot.jpg", model)
    wanted = made.create_request().infer(feeds)["Identity"]

    def work(_: int) -> bool:
        request = made.create_request()
        try:
            return all(np.array_equal(request.infer(feeds)["Identity"], wanted) for _ in range(10))
        finally:
            request.close()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [True] * 8
