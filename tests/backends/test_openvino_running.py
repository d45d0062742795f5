"""Runs of OpenVINO that raise: with one thread its synchronous call would tell nothing."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from hwrt.backend import BackendFailure, Device, ModelInfo, Options
from hwrt.model import read
from hwrt.testing import graphs, write_onnx

openvino = pytest.importorskip("openvino", reason="openvino is not installed")

BAD: dict[str, dict[str, Any]] = {
    "index": {"i": np.array([77], "i4")},
    "inner shape": {"x": np.array([1, 0, 1, 1], "f4")},
}
GOOD: dict[str, dict[str, Any]] = {
    "index": {"i": np.array([1], "i4")},
    "inner shape": {"x": np.ones(4, "f4")},
}


def value_info(name: str, kind: int, shape: list[int]) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def fixed_model(path: Path, fault: str) -> ModelInfo:
    """All shapes of inputs and outputs are fixed; one value of the input is an error of the run."""
    y = value_info("y", TensorProto.FLOAT, [2, 2])
    if fault == "index":
        inputs = [value_info("i", TensorProto.INT32, [1])]
        data, update = np.arange(4, dtype="f4"), np.array([9], "f4")
        nodes = [
            helper.make_node("ScatterElements", ["data", "i", "update"], ["z"], axis=0),
            helper.make_node("Reshape", ["z", "shape"], ["y"]),
        ]
        constants = {"data": data, "update": update}
    else:
        inputs = [value_info("x", TensorProto.FLOAT, [4])]
        nodes = [
            helper.make_node("NonZero", ["x"], ["found"]),
            helper.make_node("Reshape", ["found", "shape"], ["z"]),
            helper.make_node("Cast", ["z"], ["y"], to=TensorProto.FLOAT),
        ]
        constants = {}
    constants["shape"] = np.array([2, 2], "i8")
    stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "fixed", inputs, [y], stored)
    opsets = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, ir_version=8, opset_imports=opsets), path)
    return read(path)


def compile_it(model: ModelInfo, threads: int, cache_dir: Path | None = None) -> Any:
    from hwrt_openvino import OpenVino

    options = Options(threads=threads)
    return OpenVino().compile(model, Device("cpu"), options=options, cache_dir=cache_dir)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("fault", BAD)
def test_error_of_a_run_of_fixed_shapes_is_told(tmp_path: Path, fault: str, threads: int) -> None:
    request = compile_it(fixed_model(tmp_path / "model.onnx", fault), threads).create_request()
    first = request.infer(GOOD[fault])
    for _ in range(2):
        with pytest.raises(BackendFailure, match="could not run"):
            request.infer(BAD[fault])

    np.testing.assert_array_equal(first["y"], request.infer(GOOD[fault])["y"])


def test_error_of_a_run_of_a_cached_model_is_told(tmp_path: Path) -> None:
    model = fixed_model(tmp_path / "model.onnx", "index")
    compile_it(model, 1, tmp_path / "cache")
    request = compile_it(model, 1, tmp_path / "cache").create_request()

    with pytest.raises(BackendFailure, match="could not run"):
        request.infer(BAD["index"])


def test_error_of_a_run_leaves_nothing_for_later_runs_to_trip_over(tmp_path: Path) -> None:
    # OpenVINO keeps the run whose error it drops and runs it again, by then over freed memory.
    for fault in BAD:
        fixed_model(tmp_path / f"{fault}.onnx", fault)
    done = subprocess.run(
        [sys.executable, __file__, *(str(tmp_path / f"{fault}.onnx") for fault in BAD)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def fail_and_close(paths: list[str]) -> None:
    for _ in range(10):
        for path, bad in zip(paths, BAD.values(), strict=True):
            made = compile_it(read(Path(path)), 1)
            request = made.create_request()
            for feeds in (GOOD[Path(path).stem], bad):
                with contextlib.suppress(BackendFailure):
                    request.infer(feeds)
            request.close()
            made.close()
            del made, request
    print("done")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often OpenVINO is told to infer, to start and to wait."""
    counts: Counter[str] = Counter()
    base = openvino.InferRequest.__mro__[1]
    for owner, name in ((base, "infer"), (openvino.InferRequest, "start_async"), (base, "wait")):
        original = getattr(owner, name)

        def counted(*arguments: Any, _name: str = name, _call: Any = original, **named: Any) -> Any:
            counts[_name] += 1
            return _call(*arguments, **named)

        monkeypatch.setattr(owner, name, counted)
    return counts


@pytest.mark.parametrize(
    ("shape", "threads", "wanted"),
    [
        ((4,), 1, {"infer": 3}),
        ((4,), 2, {"infer": 3}),
        (("N",), 2, {"infer": 3}),
        (("N",), 1, {"start_async": 3, "wait": 3}),
    ],
    ids=["fixed, 1", "fixed, 2", "dynamic, 2", "dynamic, 1"],
)
def test_only_what_may_lose_errors_is_started_and_waited_for(
    tmp_path: Path, calls: Counter[str], shape: Any, threads: int, wanted: dict[str, int]
) -> None:
    model = read(write_onnx(graphs.relu(shape), tmp_path / "model.onnx"))
    request = compile_it(model, threads).create_request()
    for _ in range(3):
        request.run()

    assert wanted == calls


if __name__ == "__main__":
    fail_and_close(sys.argv[1:])
