from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hwrt.errors import InputError, SessionError
from hwrt.session import Session

from .fakes import ONES, Gate, Model, gated, session_of


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - threads set it, which know no loop
        await asyncio.sleep(0)


def feeds(number: float) -> dict[str, np.ndarray]:
    return {"x": ONES * np.float32(number)}


def test_awaiting_gives_the_outputs() -> None:
    async def main(session: Session) -> list[float]:
        outputs = await asyncio.gather(*(session.arun(feeds(i)) for i in range(100)))
        return [float(found["y"][0, 0]) for found in outputs]

    with session_of(Model(limit=2)) as session:
        assert asyncio.run(main(session)) == [2.0 * i for i in range(100)]


def test_awaiting_raises_what_the_run_raised() -> None:
    def fail() -> None:
        raise ValueError("odd")

    model = Model()
    model.gate = fail
    with session_of(model) as session, pytest.raises(ValueError, match="odd"):
        asyncio.run(session.arun(feeds(1)))


def test_awaiting_with_wrong_feeds_is_an_input_error() -> None:
    with session_of(Model()) as session, pytest.raises(InputError, match="'x' is missing"):
        asyncio.run(session.arun({}))


def test_awaiting_a_closed_session_is_an_error() -> None:
    session = session_of(Model())
    session.close()

    with pytest.raises(SessionError, match="this session is closed"):
        asyncio.run(session.arun(feeds(1)))


def test_the_event_loop_goes_on_while_a_model_runs(gate: Gate) -> None:
    _, session = gated(gate)

    async def main() -> float:
        running = asyncio.ensure_future(session.arun(feeds(3)))
        await until(lambda: gate.begun.acquire(blocking=False))
        gate.opened.set()
        return float((await running)["y"][0, 0])

    assert asyncio.run(main()) == 6.0
    session.close()


def test_a_loop_never_waits_for_room_in_the_queue(gate: Gate) -> None:
    _, session = gated(gate)

    async def main() -> list[dict[str, np.ndarray]]:
        awaited = [asyncio.ensure_future(session.arun(feeds(i))) for i in range(30)]
        await until(lambda: len(session._submissions._queue) == 29)
        gate.opened.set()
        return await asyncio.gather(*awaited)

    assert len(asyncio.run(main())) == 30
    session.close()


def test_a_cancelled_task_cancels_the_run_that_has_not_begun(gate: Gate) -> None:
    model, session = gated(gate)

    async def main() -> None:
        first = asyncio.ensure_future(session.arun(feeds(1)))
        await until(lambda: gate.begun.acquire(blocking=False))
        second = asyncio.ensure_future(session.arun(feeds(2)))
        await until(lambda: bool(session._submissions._queue))
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert not session._submissions._queue
        gate.opened.set()
        await first

    asyncio.run(main())
    session.close()
    assert not gate.begun.acquire(blocking=False)
    assert len(model.requests) == 1


def test_a_task_cancelled_while_it_runs_leaves_the_request_whole(gate: Gate) -> None:
    model, session = gated(gate)

    async def main() -> None:
        running = asyncio.ensure_future(session.arun(feeds(1)))
        await until(lambda: gate.begun.acquire(blocking=False))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    gate.opened.set()

    assert session.run(feeds(4))["y"][0, 0] == 8
    assert len(model.requests) == 1
    session.close()
    assert model.running == 0


def test_many_event_loops_share_a_session() -> None:
    async def main(session: Session, loop: int) -> list[float]:
        numbers = range(loop * 100, loop * 100 + 50)
        outputs = await asyncio.gather(*(session.arun(feeds(i)) for i in numbers))
        return [float(found["y"][0, 0]) / 2 - loop * 100 for found in outputs]

    with session_of(Model(limit=2)) as session, ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(asyncio.run, main(session, loop)) for loop in range(4)]

        assert [future.result(60) for future in futures] == [list(range(50))] * 4


def test_a_run_sees_the_context_of_its_task() -> None:
    name = contextvars.ContextVar("name", default="nobody")
    seen: list[str] = []
    model = Model()
    model.gate = lambda: seen.append(name.get())

    async def main(session: Session) -> None:
        async def one(who: str) -> None:
            name.set(who)
            await session.arun(feeds(1))

        await asyncio.gather(one("a"), one("b"))

    with session_of(model) as session:
        asyncio.run(main(session))

    assert sorted(seen) == ["a", "b"]


def test_a_real_model_is_awaited(relu: Session) -> None:
    async def main() -> np.ndarray:
        return (await relu.arun({"x": np.full((1, 16), 3, np.float32)}))["y"]

    np.testing.assert_array_equal(asyncio.run(main()), np.full((1, 16), 3, np.float32))


def test_no_thread_is_made_before_the_first_await() -> None:
    session = session_of(Model())
    before = threading.active_count()
    session.arun(feeds(1)).close()

    assert threading.active_count() == before


def test_importing_a_session_imports_no_asyncio() -> None:
    code = "import sys, hwrt.loading; print('asyncio' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert shown.stdout == "False\n"
