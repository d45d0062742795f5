from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hwrt.errors import BackendFailure, InputError, SessionError, UnsupportedModel
from hwrt.session import Loaded, Session
from hwrt.tuning.plan import Plan

from .fakes import ONES, Gate, Model, loaded
from .spares import (
    FEEDS,
    LOST,
    CountingLock,
    Spares,
    Tripling,
    answer,
    broken,
    raising,
    session_with,
)


def wait_until_retired() -> None:
    for thread in threading.enumerate():
        if thread.name == "hwrt-session-retire":
            thread.join(30)


def test_a_run_that_failed_is_run_again_by_the_next_candidate() -> None:
    session = session_with(broken(), Tripling())

    assert answer(session.run(FEEDS)) == 3.0
    assert answer(session(ONES)) == 3.0


def test_the_plan_the_counter_and_the_log_say_that_the_session_moved(
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = session_with(broken(), Tripling())
    before = session.plan, session.fallbacks
    session.run(FEEDS)

    assert before[0].fallback_of is None
    assert (before[1], session.fallbacks) == (0, 1)
    assert session.plan.backend == "spare"
    assert session.plan.fallback_of == before[0].candidate
    assert session.plan.fallback_reason == LOST
    assert [(r.levelno, r.message) for r in caplog.records if r.name == "hwrt"] == [
        (
            logging.WARNING,
            f"m.onnx: fake cpu:0 failed: {LOST}; it runs on spare cpu:0 from here on",
        )
    ]


def test_a_plan_of_a_fallback_is_read_back_as_it_was_written() -> None:
    session = session_with(broken(), Tripling())
    session.run(FEEDS)

    assert Plan.from_json(session.plan.to_json()) == session.plan


def test_eight_threads_that_fail_at_one_moment_move_once() -> None:
    together = threading.Barrier(8)
    old = Model()

    def fail() -> None:
        together.wait(30)
        raise BackendFailure(LOST)

    old.gate = fail
    new = Tripling()
    session = session_with(old, new)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: answer(session.run(FEEDS)), range(8)))

    assert answers == [3.0] * 8
    assert session.fallbacks == 1


@pytest.mark.parametrize("limit", [1, None])
def test_submitted_and_awaited_runs_move_too(limit: int | None) -> None:
    futures = [session_with(broken(limit=limit), Tripling()).submit(FEEDS) for _ in range(4)]
    awaited = asyncio.run(session_with(broken(limit=limit), Tripling()).arun(FEEDS))

    assert [answer(future.result(30)) for future in futures] == [3.0] * 4
    assert answer(awaited) == 3.0


def test_a_run_that_hangs_on_the_failed_engine_holds_up_no_other(gate: Gate) -> None:
    old = Model()
    old.gate = gate
    session = session_with(old, Tripling())
    hanging = session.submit(FEEDS)
    assert gate.begun.acquire(timeout=30)
    old.gate = raising(BackendFailure(LOST))

    assert answer(session.run(FEEDS)) == 3.0
    assert not hanging.done()

    gate.opened.set()

    assert answer(hanging.result(30)) == 2.0


def test_the_failed_engine_is_closed() -> None:
    old = broken()
    session = session_with(old, Tripling())
    session.run(FEEDS)
    wait_until_retired()

    assert old.closed == 1


def test_a_closed_session_has_closed_both_engines() -> None:
    old, new = broken(), Tripling()
    with session_with(old, new) as session:
        session.run(FEEDS)

    assert (old.closed, new.closed) == (1, 1)


@pytest.mark.parametrize(
    "second", [broken(BackendFailure("no memory")), BackendFailure("no memory")]
)
def test_where_the_second_engine_fails_too_its_error_is_raised_and_no_third_is_tried(
    second: Model | Exception,
) -> None:
    third = Tripling()
    session = session_with(broken(), second, third)
    with pytest.raises(BackendFailure, match=r"^no memory") as caught:
        session.run(FEEDS)

    assert caught.value.hint == f"spare cpu:0 was to run what failed on fake cpu:0: {LOST}"
    assert str(caught.value.__cause__) == LOST
    assert third.requests == []
    assert (session.fallbacks, session.plan.backend) == (0, "fake")


def test_feeds_that_no_engine_runs_leave_the_session_where_it_was() -> None:
    old = broken()
    refusal = InputError("index 9 of 4")
    second = broken(refusal)
    session = session_with(old, second)
    with pytest.raises(InputError, match="index 9 of 4"):
        session.run(FEEDS)
    old.gate = lambda: None

    assert answer(session.run(FEEDS)) == 2.0
    assert second.closed == 1


def test_another_candidate_is_tried_three_times_at_most() -> None:
    session = session_with(broken(), *(BackendFailure("no memory") for _ in range(4)))
    messages = []
    for _ in range(5):
        with pytest.raises(BackendFailure) as caught:
            session.run(FEEDS)
        messages.append(str(caught.value))

    assert [message.startswith("no memory") for message in messages] == [True] * 3 + [False] * 2
    assert "no fallback: another candidate was tried 3 times and failed too" in messages[4]


def test_who_waited_for_an_attempt_in_vain_makes_none() -> None:
    together = threading.Barrier(4)
    old = Model()
    begun, goes_on = threading.Event(), threading.Event()

    def fail() -> None:
        together.wait(30)
        raise BackendFailure(LOST)

    class Slow(Spares):
        def fall_back(self, plan: Plan) -> Loaded:
            begun.set()
            assert goes_on.wait(30)
            raise BackendFailure("no memory")

    old.gate = fail
    session = Session(*loaded(old, Slow(Model())))
    lock = session._replacing = CountingLock()  # type: ignore[assignment]
    with ThreadPoolExecutor(4) as threads:
        runs = [threads.submit(session.run, FEEDS) for _ in range(4)]
        assert begun.wait(30)
        for _ in range(4):  # all have failed, and three wait for the attempt of the first
            assert lock.asked.acquire(timeout=30)
        goes_on.set()
        errors = sorted(str(run.exception(30)) for run in runs)

    assert errors[1:] == [f"{LOST} (spare cpu:0 could not take over)"] * 3
    assert errors[0].startswith("no memory")


def test_what_took_over_and_fails_is_not_replaced_again() -> None:
    new = Tripling()
    session = session_with(broken(), new, Model())
    session.run(FEEDS)
    new.gate = raising(BackendFailure("again"))

    with pytest.raises(BackendFailure) as caught:
        session.run(FEEDS)

    assert str(caught.value) == (
        "again (no fallback: it took over from fake cpu:0, and a session falls back once: load the "
        "model again)"
    )
    assert session.fallbacks == 1


def test_after_a_replace_the_session_may_move_again() -> None:
    session = session_with(broken(), Tripling(), broken(), Tripling())
    session.run(FEEDS)
    with pytest.raises(BackendFailure):  # it is tried before it is taken
        session.replace("another")
    session._engine.origin.models.insert(0, Model())  # type: ignore[union-attr]
    session.replace("another")
    session._engine.compiled.gate = raising(BackendFailure(LOST))  # type: ignore[attr-defined]

    assert answer(session.run(FEEDS)) == 3.0
    assert session.fallbacks == 2


def test_without_another_candidate_the_error_is_raised_as_it_is_with_the_reason() -> None:
    error = BackendFailure(LOST, hint="plug it in")
    session = session_with(broken(error))
    for _ in range(2):
        with pytest.raises(BackendFailure) as caught:
            session.run(FEEDS)

    assert caught.value is error
    assert error.message == LOST
    assert error.hint == "plug it in; no fallback: the plan has no other right candidate"


def test_a_session_of_no_load_raises_the_error() -> None:
    session = Session(*loaded(broken()))

    with pytest.raises(
        BackendFailure, match=r"no fallback: this session was not made by hwrt\.load"
    ):
        session.run(FEEDS)


@pytest.mark.parametrize(
    "error",
    [InputError("wrong"), SessionError("closed"), KeyError("k")],
    ids=lambda e: type(e).__name__,
)
def test_an_error_that_is_not_the_backends_moves_nothing(error: Exception) -> None:
    session = session_with(broken(error), Tripling())
    with pytest.raises(type(error)):
        session.run(FEEDS)

    assert session.fallbacks == 0


def test_a_request_that_the_backend_does_not_support_moves_the_session() -> None:
    session = session_with(broken(UnsupportedModel("not of this size")), Tripling())

    assert answer(session.run(FEEDS)) == 3.0


def test_an_engine_of_other_outputs_does_not_take_over() -> None:
    class Other(Tripling):
        def create_request(self, shapes=None):
            request = super().create_request(shapes)
            request.infer = lambda feeds: {"y": feeds["x"].astype(np.float64)}
            return request

    new = Other()
    session = session_with(broken(), new)
    with pytest.raises(InputError, match="it gave float64"):
        session.run(FEEDS)

    assert (session.plan.backend, new.closed) == ("fake", 1)
