from __future__ import annotations

import collections
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from hwrt.errors import BackendFailure, SessionError
from hwrt.session import Session

from .fakes import ONES, Doubling, Model, session_of


class Interrupted(collections.deque[Doubling]):
    """Idle requests of which the next is lost by a signal, as it is taken or given back."""

    def __init__(self, *, method: str) -> None:
        super().__init__()
        self.method = method

    def pop(self) -> Doubling:  # type: ignore[override]
        if self.method == "pop":
            super().pop()
        self.interrupt("pop")
        return super().pop()

    def append(self, request: Doubling) -> None:
        super().append(request)
        self.interrupt("append")

    def interrupt(self, method: str) -> None:
        if method == self.method:
            self.method = ""
            raise KeyboardInterrupt


@pytest.fixture(params=["pop", "append"])
def interrupted(request: pytest.FixtureRequest) -> Session:
    """A session of one request, of which a run was interrupted where it hurts."""
    model = Model(limit=1)
    session = session_of(model)
    session.run({"x": ONES})
    usual, idle = session._engine.idle, Interrupted(method=request.param)
    idle.extend(usual)
    session._engine.idle = idle
    usual.clear()
    model.requests.clear()
    with pytest.raises(KeyboardInterrupt):
        session.run({"x": ONES})
    return session


def test_a_run_that_a_signal_interrupts_costs_the_pool_nothing(interrupted: Session) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(interrupted.run, {"x": ONES}).result(30)["y"][0, 0] == 2


def test_a_session_of_which_a_run_was_interrupted_can_be_closed(interrupted: Session) -> None:
    closing = threading.Thread(target=interrupted.close, daemon=True)
    closing.start()
    closing.join(30)

    assert not closing.is_alive()


def test_a_thread_that_waits_gets_the_place_of_a_request_that_a_signal_lost() -> None:
    model = Model(limit=1)
    session = session_of(model)
    held = session._engine.take()
    model.requests.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(session.run, {"x": ONES})
        while not session._engine.waiting:
            wait([waiting], 0.001)
        assert held is not None
        del held

        assert waiting.result(30)["y"][0, 0] == 2


class Stuck(Doubling):
    def close(self) -> None:
        raise BackendFailure("the driver is gone")


@pytest.mark.parametrize("place", [0, 1])
def test_a_request_that_does_not_close_keeps_nothing_else_open(place: int) -> None:
    model = Model()
    session = session_of(model)
    lent = session.request()
    pooled = [Doubling(model), Doubling(model)]
    other, pooled[place] = pooled[place - 1], Stuck(model)
    session._engine.idle.extend(pooled)
    session._engine._requests.update(pooled)
    with pytest.raises(BackendFailure, match="the driver is gone"):
        session.close()

    assert model.closed == 1
    for request in (other, lent):
        with pytest.raises(SessionError, match="this request is closed"):
            request.infer({"x": ONES})


def test_an_engine_is_retired_whole_where_a_request_does_not_close() -> None:
    model = Model()
    engine = session_of(model)._engine
    stuck = Stuck(model)
    engine.idle.append(stuck)
    engine._requests.add(stuck)
    with pytest.raises(BackendFailure, match="the driver is gone"):
        engine.retire()

    assert model.closed == 1
