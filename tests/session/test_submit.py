from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed, wait

import numpy as np
import pytest

from hwrt.errors import InputError, SessionError
from hwrt.session import Session

from .fakes import ONES, Gate, Model, gated, session_of


def value(future: Future[dict[str, np.ndarray]]) -> float:
    return float(future.result(30)["y"][0, 0])


def feeds(number: float) -> dict[str, np.ndarray]:
    return {"x": ONES * np.float32(number)}


def test_a_future_gets_the_outputs() -> None:
    with session_of(Model()) as session:
        futures = [session.submit(feeds(i)) for i in range(50)]

        assert [value(future) for future in futures] == [2.0 * i for i in range(50)]


def test_a_future_gets_what_the_run_raised() -> None:
    def fail() -> None:
        raise ValueError("odd")

    model = Model()
    model.gate = fail
    with session_of(model) as session:
        assert str(session.submit(feeds(1)).exception(30)) == "odd"


def test_wrong_feeds_are_an_error_where_they_are_submitted() -> None:
    with session_of(Model()) as session, pytest.raises(InputError, match="the feed 'x' is float64"):
        session.submit({"x": ONES.astype(np.float64)})


def test_lists_that_fit_are_read_when_they_are_submitted() -> None:
    with session_of(Model()) as session:
        rows = [np.ones(4, np.float32)]
        future = session.submit({"x": rows})
        rows.clear()

        assert value(future) == 2.0


def test_as_many_runs_are_in_flight_as_the_backend_serves_at_once(gate: Gate) -> None:
    model, session = gated(gate, limit=3)
    futures = [session.submit(feeds(i)) for i in range(10)]
    for _ in range(3):
        gate.begun.acquire(timeout=30)
    gate.opened.set()
    wait(futures, 30)
    session.close()

    assert model.most == 3
    assert len(model.requests) == 3


def test_threads_are_made_by_the_first_submit_and_end_with_the_session() -> None:
    session = session_of(Model(limit=2))
    before = threading.active_count()
    session.run(feeds(1))
    after_run = threading.active_count()
    session.submit(feeds(1)).result(30)
    names = {thread.name for thread in threading.enumerate()}
    session.close()

    assert after_run == before
    assert any(name.startswith("hwrt-session-") for name in names)
    assert threading.active_count() == before


def test_a_run_that_has_not_begun_can_be_cancelled(gate: Gate) -> None:
    _, session = gated(gate)
    first, second = session.submit(feeds(1)), session.submit(feeds(2))
    gate.begun.acquire(timeout=30)

    assert (first.cancel(), second.cancel()) == (False, True)
    gate.opened.set()
    session.close()
    assert value(first) == 2.0
    with pytest.raises(CancelledError):
        second.result(30)


def test_who_waits_for_several_futures_is_told_of_a_cancelled_one(gate: Gate) -> None:
    _, session = gated(gate)
    futures = [session.submit(feeds(i)) for i in range(3)]
    gate.begun.acquire(timeout=30)
    futures[2].cancel()
    done, _ = wait(futures, 30, "FIRST_COMPLETED")
    gate.opened.set()

    assert done == {futures[2]}
    assert len(list(as_completed(futures, 30))) == 3
    session.close()


def test_feeds_of_a_cancelled_run_are_let_go(gate: Gate) -> None:
    _, session = gated(gate)
    session.submit(feeds(1))
    gate.begun.acquire(timeout=30)
    array = ONES * 2
    kept = weakref.ref(array)
    future = session.submit({"x": array})
    del array
    future.cancel()
    gc.collect()

    assert kept() is None
    gate.opened.set()
    session.close()


def test_whoever_submits_faster_than_runs_end_has_to_wait(gate: Gate) -> None:
    _, session = gated(gate)
    with ThreadPoolExecutor(1) as pool:
        producer = pool.submit(lambda: [session.submit(feeds(i)) for i in range(20)])
        gate.begun.acquire(timeout=30)
        waited = wait([producer], 0.05).not_done
        queued = len(session._submissions._queue)
        gate.opened.set()
        futures = producer.result(30)

        assert waited == {producer}
        assert queued == 4
        assert [value(future) for future in futures] == [2.0 * i for i in range(20)]
    session.close()


def test_a_cancelled_run_makes_room_for_another(gate: Gate) -> None:
    _, session = gated(gate)
    session.submit(feeds(0))
    gate.begun.acquire(timeout=30)
    queued = [session.submit(feeds(i)) for i in range(4)]
    with ThreadPoolExecutor(1) as pool:
        fifth = pool.submit(session.submit, feeds(5))
        queued[0].cancel()
        future = fifth.result(30)
        gate.opened.set()

        assert value(future) == 10.0
    session.close()


def test_a_callback_may_submit_without_end_of_the_queue_in_sight() -> None:
    done = threading.Event()
    with session_of(Model(limit=1)) as session:
        left = [100]

        def again(_: object) -> None:
            left[0] -= 1
            if left[0] < 0:
                done.set()
                return
            for _ in range(2 if left[0] > 90 else 1):
                session.submit(feeds(1)).add_done_callback(again)

        session.submit(feeds(1)).add_done_callback(again)

        assert done.wait(30)


def test_close_ends_what_was_submitted_and_then_refuses(gate: Gate) -> None:
    model, session = gated(gate)
    futures = [session.submit(feeds(i)) for i in range(5)]
    gate.begun.acquire(timeout=30)
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(session.close)
        waited = wait([closing], 0.05).not_done
        gate.opened.set()
        closing.result(30)

    assert waited == {closing}
    assert [future.done() for future in futures] == [True] * 5
    assert [value(future) for future in futures] == [2.0 * i for i in range(5)]
    assert model.closed == 1
    with pytest.raises(SessionError, match="this session is closed"):
        session.submit(feeds(1))


def test_an_interrupt_while_close_runs_what_was_submitted_is_raised_there(gate: Gate) -> None:
    model, session = gated(gate, limit=None)
    closing = threading.current_thread()

    def interrupt() -> None:
        if threading.current_thread() is closing:
            gate.opened.set()
            raise KeyboardInterrupt
        gate()

    model.gate = interrupt
    running = [session.submit(feeds(i)) for i in range(session._engine.at_once)]
    for _ in running:
        gate.begun.acquire(timeout=30)
    last = session.submit(feeds(9))
    with pytest.raises(KeyboardInterrupt):
        session.close()

    assert [value(future) for future in running] == [2.0 * i for i in range(len(running))]
    assert isinstance(last.exception(30), KeyboardInterrupt)
    assert model.closed == 1


def test_a_producer_that_waits_for_room_is_told_that_the_session_closes(gate: Gate) -> None:
    _, session = gated(gate)
    session.submit(feeds(0))
    gate.begun.acquire(timeout=30)
    for i in range(4):
        session.submit(feeds(i))
    with ThreadPoolExecutor(2) as pool:
        producer = pool.submit(session.submit, feeds(9))
        closing = pool.submit(session.close)

        assert isinstance(producer.exception(30), SessionError)
        gate.opened.set()
        closing.result(30)


def test_a_session_may_be_closed_in_a_callback() -> None:
    model = Model(limit=1)
    session = session_of(model)
    closed = threading.Event()

    def close(_: object) -> None:
        session.close()
        closed.set()

    futures = [session.submit(feeds(i)) for i in range(3)]
    futures[0].add_done_callback(close)

    assert closed.wait(30)
    assert model.closed == 1
    assert all(future.done() for future in futures[1:])


def test_a_session_that_is_dropped_runs_what_was_submitted_and_goes(gate: Gate) -> None:
    _, session = gated(gate)
    futures = [session.submit(feeds(i)) for i in range(3)]
    gone = threading.Event()
    weakref.finalize(session, gone.set)
    del session
    gate.opened.set()

    assert [value(future) for future in futures] == [0.0, 2.0, 4.0]
    assert gone.wait(30)


def test_runs_see_the_context_of_their_submitter() -> None:
    import contextvars

    name = contextvars.ContextVar("name", default="nobody")
    seen: list[str] = []
    model = Model()
    model.gate = lambda: seen.append(name.get())
    with session_of(model) as session:
        name.set("me")
        session.submit(feeds(1)).result(30)

    assert seen == ["me"]


def test_eight_producers_get_the_outputs_of_their_own_feeds(relu: Session) -> None:
    def produce(thread: int) -> int:
        numbers = [float(thread * 1000 + i) for i in range(250)]
        futures = [relu.submit({"x": np.full((1, 16), number, np.float32)}) for number in numbers]
        outputs = [future.result(60)["y"] for future in futures]
        return sum(bool((y == number).all()) for y, number in zip(outputs, numbers, strict=True))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(produce, range(8))) == [250] * 8


def test_the_interpreter_ends_what_was_submitted_to_an_open_session(
    engine: str, relu_model
) -> None:
    code = (
        "import sys, numpy, hwrt; path, name = sys.argv[1:]; "
        "session = hwrt.load(path, backend=name, options={'threads': 1}); "
        "x = {'x': numpy.ones((1, 16), numpy.float32)}; "
        "futures = [session.submit(x) for _ in range(50)]; "
        "futures[-1].add_done_callback(lambda f: print(f.result()['y'][0, 0], flush=True))"
    )
    command = [sys.executable, "-c", code, str(relu_model()), engine]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1.0\n", "")


def test_submit_in_a_forked_process_is_an_error(relu: Session) -> None:
    relu.submit({"x": np.ones((1, 16), np.float32)}).result(30)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child
        try:
            relu.submit({})
        except SessionError as exc:
            os.write(write, exc.message.encode())
        os._exit(0)
    os.waitpid(pid, 0)

    assert os.read(read, 1000).decode().startswith("this process is a fork")
    assert relu.submit({"x": np.ones((1, 16), np.float32)}).result(30)["y"].shape == (1, 16)
