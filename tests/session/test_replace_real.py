from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import hwrt
from hwrt.errors import BackendFailure, InputError


@pytest.fixture
def negative(tmp_path: Path) -> Path:
    """As the relu model, but with what is below 0 instead: y = x for x < 0."""
    tensors = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ("N", 16)) for n in ("x", "y")]
    nodes = [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["b"]),
             helper.make_node("Neg", ["b"], ["y"])]  # fmt: skip
    graph = helper.make_graph(nodes, "negative", *[[t] for t in tensors])
    path = tmp_path / "negative.onnx"
    onnx.save(
        helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path
    )
    return path


ROWS = np.arange(16, dtype=np.float32).reshape(1, 16) - 8


@pytest.mark.slow
def test_real_models_are_exchanged_while_threads_run_them(
    engine: str, relu_model: Callable[..., Path], negative: Path
) -> None:
    paths = [negative, relu_model(("N", 16))]
    answers = [np.minimum(ROWS, 0), np.maximum(ROWS, 0)]
    over = threading.Event()

    def use(session: hwrt.Session) -> int:
        runs = 0
        while not over.is_set():
            y = session.run({"x": ROWS})["y"]
            assert any(np.array_equal(y, right) for right in answers)
            runs += 1
        return runs

    with hwrt.load(paths[1], backend=engine, options={"threads": 1}) as session:
        with ThreadPoolExecutor(3) as pool:
            users = [pool.submit(use, session) for _ in range(3)]
            for i in range(50):
                session.replace(paths[i % 2])
            over.set()

            assert all(user.result(60) > 0 for user in users)
        np.testing.assert_array_equal(session(ROWS)["y"], answers[1])
        assert session.info.path == paths[1]


def test_a_real_old_model_is_freed(
    engine: str, relu_model: Callable[..., Path], negative: Path
) -> None:
    with hwrt.load(relu_model(("N", 16)), backend=engine, options={"threads": 1}) as session:
        session(ROWS)
        kept = weakref.ref(session._engine.compiled)
        session.replace(negative)
        gc.collect()

        assert kept() is None
        np.testing.assert_array_equal(session(ROWS)["y"], np.minimum(ROWS, 0))


def test_a_model_may_be_given_as_bytes_and_the_first_by_its_plan(
    engine: str, relu_model: Callable[..., Path], negative: Path, tmp_path: Path
) -> None:
    path = relu_model(("N", 16))
    with hwrt.load(path, backend=engine, options={"threads": 1}, cache=False) as session:
        plan, saved = session.plan, session.plan.save(tmp_path / "plan.json")
        session.replace(negative.read_bytes())
        session.replace(path)
        session.replace(plan)
        session.replace(saved)

        np.testing.assert_array_equal(session(ROWS)["y"], np.maximum(ROWS, 0))
        assert session.plan == plan


@pytest.mark.parametrize("value", [None, 5, {}], ids=repr)
def test_what_is_no_model_and_no_plan_is_said(relu: hwrt.Session, value: object) -> None:
    with pytest.raises(InputError, match=f"the model is {value!r}, not a path"):
        relu.replace(value)  # type: ignore[arg-type]


def test_a_plan_for_another_model_is_refused(
    engine: str, relu_model: Callable[..., Path], negative: Path
) -> None:
    with hwrt.load(negative, backend=engine, options={"threads": 1}) as other:
        plan = other.plan
    with hwrt.load(relu_model(("N", 16)), backend=engine, options={"threads": 1}) as session:
        with pytest.raises(InputError, match="the plan was made for another model"):
            session.replace(plan)
        np.testing.assert_array_equal(session(ROWS)["y"], np.maximum(ROWS, 0))


def test_a_model_that_crashes_its_vendor_leaves_the_old_one(
    install: Callable[..., None],
    relu_model: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install("Fragile")
    monkeypatch.setenv("HWRT_TEST_LOG", os.devnull)
    session = hwrt.load(relu_model(), backend="fragile", options={}, threads=1)
    crash = relu_model(name="crash.onnx")
    crash.write_bytes(crash.read_bytes() + b"\x32\x01 ")  # another content: a domain of one space

    with pytest.raises(BackendFailure, match="SIGSEGV"):
        session.replace(crash)
    np.testing.assert_array_equal(session(ROWS)["y"], np.maximum(ROWS, 0))


@pytest.mark.usefixtures("_quick")
def test_replace_measures_as_the_load_did(
    install: Callable[..., None], relu_model: Callable[..., Path], tmp_path: Path
) -> None:
    install("Good", "Judge")
    session = hwrt.load(relu_model(), threads=1)
    other = tmp_path / "other.onnx"
    other.write_bytes(session.info.path.read_bytes() + b"\x32\x01 ")
    session.replace(other)

    assert [found.status for found in session.plan.measurements] == ["ok"]
    assert session.plan.reference is not None
    assert session.plan.key.model == session.info.sha256


@pytest.mark.usefixtures("_quick")
def test_replace_refuses_what_the_gate_rejects(
    install: Callable[..., None], relu_model: Callable[..., Path], tmp_path: Path
) -> None:
    install("Wrong", "Judge")
    zeros = {"x": np.zeros((1, 16), np.float32)}
    session = hwrt.load(relu_model(), threads=1, samples=iter([zeros]))
    other = tmp_path / "other.onnx"
    other.write_bytes(session.info.path.read_bytes() + b"\x32\x01 ")
    session.replace(other)  # judged on the samples of the load, to which it is right

    assert session.plan.key.samples is not None
    session._engine.origin.arguments.samples[0]["x"][...] = 1  # type: ignore[union-attr]
    other.write_bytes(other.read_bytes() + b"\x32\x01 ")
    with pytest.raises(hwrt.NoBackend, match="relative l2 error"):
        session.replace(other)
