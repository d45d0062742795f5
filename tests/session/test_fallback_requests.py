from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hwrt.errors import BackendFailure
from hwrt.session import Loaded, Session
from hwrt.tuning.plan import Plan

from .fakes import Gate, Model, loaded
from .spares import (
    FEEDS,
    LOST,
    Spares,
    Tripling,
    answer,
    broken,
    raising,
    session_with,
)


def test_a_borrowed_request_that_failed_is_run_again_with_its_inputs() -> None:
    session = session_with(broken(), Tripling())
    loan = session.borrow()
    loan.request.inputs["x"][:] = 5
    again = session.recover(loan, BackendFailure(LOST))
    outputs = dict(again.request.outputs)
    again.give_back()
    session.close()

    assert answer(outputs) == 15.0
    assert session.fallbacks == 1


def test_a_borrowed_request_that_another_engine_refuses_is_given_back() -> None:
    old, second = broken(limit=1), Tripling()
    second.gate = raising(BackendFailure("no memory"))
    session = session_with(old, second)
    with pytest.raises(BackendFailure, match="no memory"):
        session.recover(session.borrow(), BackendFailure(LOST))
    loan = session.try_borrow()

    assert loan is not None
    assert len(old.requests) == 1


def test_where_no_first_request_can_be_made_the_next_candidate_serves() -> None:
    def none_made(shapes: object = None) -> None:
        raise BackendFailure("no memory")

    old, other = Model(), Model()
    old.create_request = other.create_request = none_made  # type: ignore[assignment, method-assign]
    session = session_with(old, Tripling())
    lender = session_with(other, Tripling())
    with lender.borrow() as request:
        request.run()

    assert answer(session.run(FEEDS)) == 3.0
    assert lender.fallbacks == 1


def test_where_no_further_request_can_be_made_runs_share_those_that_are_there(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model()
    session = session_with(model, Tripling())
    create = model.create_request

    def one_alone(shapes: object = None) -> object:
        if model.requests:
            raise BackendFailure("no memory")
        return create(shapes)

    model.create_request = one_alone  # type: ignore[assignment, method-assign]
    model.gate = gate
    runs = [session.submit(FEEDS) for _ in range(2)]
    assert gate.begun.acquire(timeout=30)
    while not session._engine._is_full:  # the other one has found no room
        pass
    gate.opened.set()

    assert [answer(run.result(30)) for run in runs] == [2.0, 2.0]
    assert session.fallbacks == 0
    assert "fake cpu:0 serves 1 runs at once, and no more: no memory" in caplog.text


def test_a_request_that_a_user_holds_says_where_the_session_has_gone() -> None:
    old = broken()
    session = session_with(old, Tripling())
    request = session.request()
    with pytest.raises(BackendFailure) as before:
        request.infer(FEEDS)
    old.gate = raising(BackendFailure(LOST))
    session.run(FEEDS)
    old.gate = raising(BackendFailure(LOST))
    for _ in range(2):
        with pytest.raises(BackendFailure) as after:
            request.infer(FEEDS)

    assert before.value.hint is None
    assert after.value.hint == "the session runs on spare cpu:0 since: ask it for another request"

    old.gate = lambda: None

    assert answer(request.infer(FEEDS)) == 2.0


def test_a_run_that_fails_while_the_session_closes_moves_nothing(gate: Gate) -> None:
    old, new = Model(1), Tripling()

    def fail() -> None:
        gate()
        raise BackendFailure(LOST)

    old.gate = fail
    session = session_with(old, new)
    run = session.submit(FEEDS)
    assert gate.begun.acquire(timeout=30)
    closing = threading.Thread(target=session.close)
    closing.start()
    while not session._closed:
        pass
    gate.opened.set()
    closing.join(30)

    with pytest.raises(BackendFailure, match=LOST):
        run.result(30)
    assert new.requests == []


def test_an_engine_that_does_not_take_over_from_a_borrowed_request_is_closed() -> None:
    class Other(Tripling):
        def create_request(self, shapes=None):
            request = super().create_request(shapes)
            request.run = lambda: request.outputs.update(y=np.ones((1, 4), np.float64))
            return request

    new = Other()
    session = session_with(broken(), new)
    with ThreadPoolExecutor(1) as threads:
        recovery = threads.submit(session.recover, session.borrow(), BackendFailure(LOST))
        error = recovery.exception(30)

    assert "it gave float64" in str(error)
    assert new.closed == 1


def test_a_borrowed_request_that_fails_during_a_replace_goes_to_the_new_model() -> None:
    session = session_with(Model(), Tripling(), Model())
    loan = session.borrow()
    loan.request.inputs["x"][:] = 1
    with ThreadPoolExecutor(1) as threads:
        replacing = threads.submit(session.replace, "another")
        while loan.engine is session._engine:  # it is swapped, and waits for the loan
            pass
        again = session.recover(loan, BackendFailure(LOST))
        replacing.result(30)
    outputs = dict(again.request.outputs)
    again.give_back()

    assert answer(outputs) == 3.0
    assert session.fallbacks == 0


def test_an_engine_that_is_loaded_while_the_session_closes_is_closed_too() -> None:
    new = Tripling()

    class Slow(Spares):
        def fall_back(self, plan: Plan) -> Loaded:
            self.closing = threading.Thread(target=session.close)
            self.closing.start()
            while not session._closed:
                pass
            return super().fall_back(plan)

    origin = Slow(new)
    session = Session(*loaded(broken(), origin))
    with pytest.raises(BackendFailure, match=LOST):
        session.run(FEEDS)
    origin.closing.join(30)

    assert (new.closed, session.fallbacks) == (1, 0)
