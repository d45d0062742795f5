from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest

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
