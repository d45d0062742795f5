"""Nothing of a frame's size is allocated once a first frame has been through a pipeline.

NumPy's memory is counted by tracemalloc, with a model that computes nothing; everybody's, that of
the vendor and the kernels too, by a library that is loaded before libc and counts malloc, its kin
and mmap, in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwrt import registry
from hwrt.errors import BackendUnavailable
from hwrt.kernels import active
from hwrt.spec import ModelInfo, Quantization
from hwrt.vision import Detector

from .seeing import readers_of
from .two_classes import DETECT, one_box

MakeInfo = Callable[..., ModelInfo]
MakeSession = Callable[..., Any]
LEAST_BYTES = 32 << 10
FRAME = (360, 640, 3)

CHILD = """
import ctypes
import sys

import numpy as np

import hwrt

counter = ctypes.CDLL(None)
counter.count_allocations_from.argtypes = [ctypes.c_size_t]
counter.counted_allocations.restype = ctypes.c_size_t

model, backend, how, least = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
frame = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
gray = np.ascontiguousarray(frame[..., 0])
pipeline = hwrt.vision.load(
    model, backend=backend, options={"threads": 1}, frames="gray" if how == "gray" else "rgb"
)
ways = {
    "call": lambda: [pipeline(frame) for _ in range(4)],
    "gray": lambda: [pipeline(gray) for _ in range(4)],
    "roi": lambda: [pipeline(frame, roi=(100, 20, 600, 300)) for _ in range(4)],
    "tiled": lambda: [pipeline.tiled(frame, tile=(200, 300)) for _ in range(4)],
    "stream": lambda: list(pipeline.stream(frame for _ in range(6))),
}
ways[how]()
counter.count_allocations_from(least)
ways[how]()
found = counter.counted_allocations()
counter.count_allocations_from(least)
kept = np.empty(least, np.uint8)
print(found, counter.counted_allocations())
"""


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The counting library, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux" or os.confstr("CS_GNU_LIBC_VERSION") is None:
        pytest.skip("there is no C compiler, or no glibc")
    library = tmp_path_factory.mktemp("counter") / "large_allocations.so"
    source = Path(__file__).with_name("large_allocations.c")
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of two classes whose head, (1, 6, 6400), holds means of the image."""
    shape, head = (1, 3, 640, 640), (1, 6, 6400)
    nodes = [
        helper.make_node("AveragePool", ["images"], ["small"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Reshape", ["small", "rows"], ["half"]),
        helper.make_node("Concat", ["half", "half"], ["head"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("head", TensorProto.FLOAT, head)],
        [helper.make_tensor("rows", TensorProto.INT64, [3], [1, 3, 6400])],
    )
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(
        made, {"author": "Ultralytics", "task": "detect", "names": "['cat', 'dog']"}
    )
    path = tmp_path_factory.mktemp("model") / "means.onnx"
    onnx.save(made, path)
    return path


@pytest.fixture
def _with_extension() -> None:
    if not active().startswith("extension"):
        pytest.skip(f"the kernels are {active()}, which allocates")


def counted(counter: Path, model: Path, backend: str, how: str) -> str:
    """How many large allocations there are, and how many of the one made afterwards."""
    try:
        registry.backend(backend).devices()
    except BackendUnavailable as exc:
        pytest.skip(f"{backend}: {exc}")
    command = [sys.executable, "-c", CHILD, str(model), backend, how, str(LEAST_BYTES)]
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "LD_PRELOAD": str(counter), "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


@pytest.mark.usefixtures("_with_extension")
@pytest.mark.parametrize("how", ["call", "gray", "roi", "tiled", "stream"])
@pytest.mark.parametrize("backend", readers_of("onnx"))
def test_nobody_allocates_anything_large(
    counter: Path, model: Path, backend: str, how: str
) -> None:
    assert "0 1" == counted(counter, model, backend, how)


@pytest.mark.slow
@pytest.mark.usefixtures("_with_extension")
@pytest.mark.parametrize("how", ["call", "stream"])
@pytest.mark.parametrize("backend", readers_of("tflite"))
def test_nobody_allocates_anything_large_for_a_quantized_model(
    counter: Path, shared: Path, backend: str, how: str
) -> None:
    assert "0 1" == counted(counter, shared / "models" / "yolov8n_int8.tflite", backend, how)


@pytest.mark.usefixtures("_with_extension")
@pytest.mark.parametrize(
    ("dtype", "quantization"),
    [
        (np.float32, None),
        (np.float16, None),
        (np.uint8, Quantization((1.0,), (0,))),
        (np.int8, Quantization((1.0, 2.0, 1.0), (0, 0, 5), 1)),
        (np.int16, Quantization((0.5,), (0,))),
    ],
)
def test_no_array_of_a_frames_size_is_made(
    model_info: MakeInfo, fake_session: MakeSession, dtype: Any, quantization: Any
) -> None:
    info = model_info(
        shape=(None, 3, 320, 320), output=(None, 6, 1), dtype=dtype, quantization=quantization
    )
    settings = replace(DETECT, size=(320, 320))
    session = fake_session(info, one_box)
    session.model.keeps = False
    pipeline = Detector(session, settings)
    frame = np.zeros(FRAME, np.uint8)
    pipeline(frame)

    tracemalloc.start()
    try:
        for _ in range(3):
            pipeline(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < LEAST_BYTES
