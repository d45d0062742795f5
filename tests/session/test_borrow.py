"""Requests borrowed from a session's pool."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hwrt.errors import SessionError
from hwrt.session import Session

from .fakes import Model, loaded, session_of
from .test_replace import Factory, Tripling, answer, feeds


def test_a_request_that_was_given_back_is_borrowed_again() -> None:
    session = session_of(Model())
    with session.borrow() as first:
        pass
    with session.borrow() as second:
        pass

    assert first is second


def test_a_run_uses_the_request_that_was_given_back() -> None:
    model = Model()
    session = session_of(model)
    with session.borrow():
        pass
    session.run(feeds())

    assert 1 == len(model.requests)


def test_no_more_requests_are_made_than_the_backend_serves() -> None:
    model = Model(limit=2)
    session = session_of(model)
    loans = [session.borrow(), session.borrow()]

    assert session.try_borrow() is None
    assert 2 == len(model.requests)

    loans[0].give_back()

    assert session.try_borrow() is not None


def test_a_detached_request_still_counts() -> None:
    session = session_of(Model(limit=1))
    loan = session.borrow()
    loan.detach()

    assert session.try_borrow() is None

    loan.give_back()

    assert session.try_borrow() is not None


def test_who_waits_gets_the_request_that_is_given_back() -> None:
    session = session_of(Model(limit=1))
    loan = session.borrow()
    loan.detach()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(session.borrow)
        loan.give_back()

        assert loan.request is waiting.result(30).request


def test_giving_back_twice_is_harmless() -> None:
    session = session_of(Model(limit=1))
    loan = session.borrow()
    loan.give_back()
    loan.give_back()
    session.borrow()

    assert session.try_borrow() is None


def test_a_closed_session_lends_nothing() -> None:
    session = session_of(Model())
    session.close()

    with pytest.raises(SessionError, match="closed"):
        session.borrow()
    with pytest.raises(SessionError, match="closed"):
        session.try_borrow()


def test_close_waits_for_a_borrowed_request() -> None:
    model = Model()
    session = session_of(model)
    loan = session.borrow()
    closing = threading.Thread(target=session.close)
    closing.start()
    closing.join(0.05)
    before = model.closed
    loan.give_back()
    closing.join(30)

    assert (0, 1) == (before, model.closed)


def test_close_does_not_wait_for_a_detached_request_but_closes_it() -> None:
    model = Model()
    session = session_of(model)
    loan = session.borrow()
    loan.detach()
    session.close()

    assert 1 == model.closed
    with pytest.raises(SessionError, match="closed"):
        loan.request.run()

    loan.give_back()

    assert 1 == model.closed


@pytest.mark.parametrize("use", ["borrow", "try_borrow", "run"])
def test_who_takes_one_request_after_the_other_does_not_hold_up_close(use: str) -> None:
    session = session_of(Model(limit=1))
    loan, engine = session.borrow(), session._engine
    method = getattr(session, use)  # as a loop may keep it
    closing = threading.Thread(target=session.close, daemon=True)
    with engine._pool:
        closing.start()

        assert engine._pool.wait_for(lambda: not engine.is_open(), 30)

        loan.give_back()
        with pytest.raises(SessionError, match="closed"):
            method(*([feeds()] if use == "run" else []))
    closing.join(30)

    assert not closing.is_alive()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_borrows_nothing() -> None:
    session = session_of(Model())
    pid = os.fork()
    if pid == 0:
        try:
            session.borrow()
        except SessionError as exc:
            os._exit(7 if "fork" in str(exc) else 1)
        os._exit(0)

    assert 7 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_what_is_borrowed_after_a_replace_is_of_the_new_model() -> None:
    session = Session(*loaded(Model(), Factory(new := Tripling())))
    session.replace("new")

    with session.borrow() as request:
        assert request in new.requests


def test_a_replace_does_not_wait_for_a_detached_request_which_keeps_the_old_model() -> None:
    old = Model()
    session = Session(*loaded(old, Factory(Tripling())))
    loan = session.borrow()
    loan.detach()
    session.replace("new")
    before = old.closed

    assert 3.0 == answer(session)

    loan.give_back()

    assert (0, 1) == (before, old.closed)


def test_a_request_detached_while_a_replace_waits_for_it_lets_it_go_on() -> None:
    old = Model()
    session = Session(*loaded(old, Factory(Tripling())))
    loan = session.borrow()
    with ThreadPoolExecutor(1) as pool:
        replacing = pool.submit(session.replace, "new")
        loan.detach()
        replacing.result(30)

    assert 0 == old.closed

    loan.give_back()

    assert 1 == old.closed
