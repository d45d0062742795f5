from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import hwrt
from hwrt.errors import BackendFailure, InputError, SessionError, UnsupportedModel
from hwrt.session import Loaded, Session
from hwrt.spec import TensorSpec

from .fakes import FLOAT, ONES, Gate, Model, loaded, session_of

OTHER = np.dtype(np.float64)


class Tripling(Model):
    """Its answers are 1.5 times those of Model."""

    def create_request(self, shapes=None):
        request = super().create_request(shapes)
        double = request.infer
        request.infer = lambda feeds: {"y": double(feeds)["y"] * np.float32(1.5)}
        return request


class Factory:
    """An origin whose models are made beforehand, or fail."""

    def __init__(self, *models: Model | Exception) -> None:
        self.models = list(models)

    def load(self, model_or_plan: object) -> Loaded:
        made = self.models.pop(0)
        if isinstance(made, Exception):
            raise made
        return loaded(made, self)

    def restore(self, plan: object) -> Loaded:
        raise AssertionError

    def sample(self, info: object) -> None:
        return None


def replaceable(first: Model, *others: Model | Exception) -> Session:
    return Session(*loaded(first, Factory(*others)))


def feeds(number: float = 1) -> dict[str, np.ndarray]:
    return {"x": ONES * np.float32(number)}


def answer(session: Session) -> float:
    return float(session.run(feeds())["y"][0, 0])


def test_runs_after_a_replace_are_of_the_new_model() -> None:
    old = Model()
    session = replaceable(old, Tripling())
    run = session.run
    before = answer(session)
    session.replace("new")

    assert (before, answer(session), float(run(feeds())["y"][0, 0])) == (2.0, 3.0, 3.0)
    assert old.closed == 1


def test_plan_info_inputs_and_outputs_are_those_of_the_new_model() -> None:
    new = Tripling(shape=(None, 4))
    session = replaceable(Model(), new)
    session.replace("new")

    assert (session.inputs, session.outputs) == (new.inputs, new.outputs)
    assert session.info.inputs == new.inputs
    assert session.run({"x": np.ones((5, 4), np.float32)})["y"].shape == (5, 4)


def test_the_old_model_is_freed() -> None:
    old = Model()
    session = replaceable(old, Tripling())
    answer(session)
    kept = weakref.ref(old)
    del old
    session.replace("new")
    gc.collect()

    assert kept() is None


def test_a_run_in_flight_ends_on_the_old_model_and_delays_no_other(gate: Gate) -> None:
    old = Model(limit=1)
    old.gate = gate
    session = replaceable(old, Tripling())
    with ThreadPoolExecutor(4) as pool:
        flying = pool.submit(answer, session)
        gate.begun.acquire(timeout=30)
        waiting = pool.submit(answer, session)  # for the one request of the old model
        replacing = pool.submit(session.replace, "new")
        first_of_new = waiting.result(30)
        still_flying, closed = not flying.done(), old.closed
        other = answer(session)
        gate.opened.set()
        replacing.result(30)

        assert (first_of_new, other, flying.result(30)) == (3.0, 3.0, 2.0)
        assert (still_flying, closed, old.closed) == (True, 0, 1)


def test_what_was_submitted_before_runs_on_what_is_there_when_it_begins(gate: Gate) -> None:
    old = Model(limit=1)
    old.gate = gate
    session = replaceable(old, Tripling(limit=3))
    futures = [session.submit(feeds()) for _ in range(3)]
    gate.begun.acquire(timeout=30)
    with ThreadPoolExecutor(1) as pool:
        replacing = pool.submit(session.replace, "new")
        while session._engine.compiled is old:
            wait([replacing], 0.001)
        gate.opened.set()
        replacing.result(30)
    futures += [session.submit(feeds()) for _ in range(3)]

    assert [float(f.result(30)["y"][0, 0]) for f in futures] == [2.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    session.close()


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        (
            (TensorSpec("z", FLOAT, (1, 4)),),
            None,
            r"the input x: float32\[1, 4\] is missing; the input z: float32\[1, 4\] is one more",
        ),
        ((TensorSpec("x", OTHER, (1, 4)),), None, r"x: float32\[1, 4\] is float64\[1, 4\] there"),
        ((TensorSpec("x", FLOAT, (1, 5)),), None, r"x: float32\[1, 4\] is float32\[1, 5\] there"),
        ((TensorSpec("x", FLOAT, (4,)),), None, r"x: float32\[1, 4\] is float32\[4\] there"),
        (None, (), r"the output y: float32\[1, 4\] is missing"),
        (None, (TensorSpec("y", FLOAT, (2, 4)),), r"y: float32\[1, 4\] is float32\[2, 4\] there"),
        (None, (TensorSpec("y", OTHER, (1, 4)),), r"y: float32\[1, 4\] is float64\[1, 4\] there"),
    ],
)
def test_a_model_of_another_contract_is_refused_by_what_differs(
    inputs: tuple[TensorSpec, ...] | None, outputs: tuple[TensorSpec, ...] | None, expected: str
) -> None:
    new = Tripling()
    new.inputs = inputs or new.inputs
    new.outputs = new.outputs if outputs is None else outputs
    session = replaceable(Model(), new)
    before = session.inputs

    with pytest.raises(InputError, match=f"can not take the place of m.onnx: .*{expected}"):
        session.replace("new")
    assert (answer(session), session.inputs, new.closed) == (2.0, before, 1)


def test_a_model_that_takes_less_is_refused() -> None:
    session = replaceable(Model(shape=(None, 4)), Tripling(shape=(1, 4)))

    with pytest.raises(InputError, match=r"x: float32\[\?, 4\] is float32\[1, 4\] there"):
        session.replace("new")


def test_a_model_that_does_not_run_leaves_the_old_one() -> None:
    new = Tripling()

    def fail() -> None:
        raise UnsupportedModel("no kernel")

    new.gate = fail
    session = replaceable(Model(), new, Tripling())

    with pytest.raises(UnsupportedModel, match="no kernel"):
        session.replace("new")
    assert (answer(session), new.closed) == (2.0, 1)
    session.replace("a better one")
    assert answer(session) == 3.0


def test_a_model_that_does_not_load_leaves_the_old_one() -> None:
    session = replaceable(Model(), BackendFailure("the driver is gone"))

    with pytest.raises(BackendFailure, match="the driver is gone"):
        session.replace("new")
    assert answer(session) == 2.0


def test_a_lent_request_stays_valid_and_keeps_the_old_model_until_it_is_closed() -> None:
    old = Model()
    session = replaceable(old, Tripling())
    request = session.request()
    session.replace("new")
    still = float(request.infer(feeds())["y"][0, 0])
    closed = old.closed
    request.close()
    request.close()

    assert (still, closed, old.closed) == (2.0, 0, 1)
    with pytest.raises(SessionError, match="this request is closed"):
        request.infer(feeds())


def test_a_lent_request_that_is_dropped_gives_the_old_model_back() -> None:
    old = Model()
    session = replaceable(old, Tripling())
    request = session.request()
    session.replace("new")
    before = old.closed
    old.requests.clear()
    del request
    gc.collect()

    assert (before, old.closed) == (0, 1)


def test_closing_the_session_closes_what_the_old_model_lent() -> None:
    old = Model()
    session = replaceable(old, Tripling())
    request = session.request()
    session.replace("new")
    session.close()

    assert old.closed == 1
    with pytest.raises(SessionError, match="this request is closed"):
        request.infer(feeds())


def test_two_replaces_at_once_are_served_in_turn() -> None:
    models = [Tripling() for _ in range(8)]
    first = Model()
    session = replaceable(first, *models)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(session.replace, range(8)))

    assert done == [None] * 8
    assert (first.closed, sorted(model.closed for model in models)) == (1, [0] + [1] * 7)
    session.close()
    assert [model.closed for model in models] == [1] * 8


def test_replace_of_a_closed_session_is_an_error() -> None:
    session = replaceable(Model(), Tripling())
    session.close()

    with pytest.raises(SessionError, match="this session is closed"):
        session.replace("new")


def test_a_session_that_closes_meanwhile_takes_no_new_model() -> None:
    new = Tripling()
    session = replaceable(Model(), new)
    new.gate = session.close

    with pytest.raises(SessionError, match="this session is closed"):
        session.replace("new")
    assert new.closed == 1


def test_a_session_that_nothing_loaded_can_not_be_replaced() -> None:
    with pytest.raises(SessionError, match=r"not made by hwrt\.load"):
        session_of(Model()).replace("new")


def test_fifty_replaces_lose_and_mix_no_run() -> None:
    models = [Tripling(limit=2) if i % 2 == 0 else Model(limit=2) for i in range(50)]
    session = replaceable(Model(limit=2), *models)
    over = threading.Event()

    def use(_: int) -> set[float]:
        seen = set()
        while not over.is_set():
            seen |= {answer(session), float(session.submit(feeds()).result(30)["y"][0, 0])}
        return seen

    with ThreadPoolExecutor(6) as pool:
        users = [pool.submit(use, i) for i in range(6)]
        for i in range(50):
            session.replace(i)
        over.set()
        seen = set().union(*(user.result(60) for user in users))
    session.close()

    assert seen <= {2.0, 3.0}
    assert [model.closed for model in models] == [1] * 50


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


def test_a_model_whose_answer_is_of_another_shape_is_refused() -> None:
    new = Tripling()
    session = replaceable(Model(), new)
    request = new.create_request()
    request.infer = lambda feeds: {"y": np.ones((1, 5), np.float32)}  # type: ignore[method-assign]
    new.create_request = lambda shapes=None: request  # type: ignore[method-assign]

    with pytest.raises(
        InputError, match=r"it gave float32 of shape \(1, 5\) as y: float32\[1, 4\]"
    ):
        session.replace("new")
    assert (answer(session), new.closed) == (2.0, 1)


def test_a_model_is_tried_at_the_shapes_of_the_one_it_follows() -> None:
    seen: list[tuple[int, ...]] = []

    class Noting(Tripling):
        def create_request(self, shapes=None):
            request = super().create_request(shapes)
            triple = request.infer
            request.infer = lambda feeds: seen.append(feeds["x"].shape) or triple(feeds)
            return request

    session = replaceable(Model(shape=(3, 4)), Noting(shape=(None, 4)))
    session.replace("new")

    assert seen == [(3, 4)]
