from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import hwrt
from hwrt.errors import InputError, SessionError
from hwrt.session import Session
from hwrt.spec import TensorSpec

from .fakes import FLOAT, ONES, Doubling, Model, session_of


def test_a_run_gives_the_outputs_by_name() -> None:
    outputs = session_of(Model()).run({"x": ONES})

    np.testing.assert_array_equal(outputs["y"], ONES * 2)


def test_a_session_is_called_with_the_array_of_its_one_input() -> None:
    np.testing.assert_array_equal(session_of(Model())(ONES)["y"], ONES * 2)


@pytest.mark.parametrize(
    ("feeds", "expected"),
    [
        ({}, r"'x' is missing \(the inputs are x: float32\[1, 4\]\)"),
        ({"x": ONES, "z": ONES}, "'z' is no input"),
        ({"X": ONES}, "'x' is missing, 'X' is no input"),
        (
            {"x": ONES.astype(np.float64)},
            r"the feed 'x' is float64, the input is float32 \(.*\.astype\('float32'\)",
        ),
        ({"x": ONES.astype(">f4")}, "the feed 'x' is >f4"),
        ({"x": ONES[0]}, r"the feed 'x' has the shape \(4,\)"),
        (
            {"x": np.ones((1, 5), np.float32)},
            r"the shape \(1, 5\) \(the input is x: float32\[1, 4\]",
        ),
        (
            {"x": [[1.0, 2.0, 3.0, 4.0]]},
            r"the feed 'x', a list, is float64, .* \(.* np\.asarray\(x, 'float32'\)\)",
        ),
        (
            {"x": None},
            r"is a NoneType, no array of float32 \(feed a numpy\.ndarray, x: float32\[1, 4\]\)",
        ),
        ({"x": "dog.jpg"}, r"is a str 'dog\.jpg', no array of float32 \(feed a numpy\.ndarray"),
        ({"x": [["a", None]]}, "is a list, no array of float32"),
        (ONES, r"the feeds are a ndarray \(give a dict of name to array: x: float32\[1, 4\]\)"),
    ],
)
def test_wrong_feeds_are_an_error_that_lists_what_is_expected(feeds: object, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        session_of(Model()).run(feeds)  # type: ignore[arg-type]


def test_wrong_feeds_cost_nothing_but_the_error() -> None:
    model = Model(limit=1)
    session = session_of(model)
    for _ in range(3):
        with pytest.raises(InputError):
            session.run({"x": ONES[:, :2]})

    session.run({"x": ONES})

    assert len(model.requests) == 1


@pytest.mark.parametrize(
    "array",
    [
        np.ones((2, 8), np.float32)[::2, ::2],
        np.asfortranarray(np.ones((1, 4), np.float32)),
        np.frombuffer(b"\0" + ONES.tobytes(), np.float32, offset=1).reshape(1, 4),
        ONES[:, ::-1],
    ],
    ids=["strided", "fortran", "unaligned", "negative"],
)
def test_an_array_in_another_layout_is_taken_as_it_is(array: np.ndarray) -> None:
    np.testing.assert_array_equal(session_of(Model()).run({"x": array})["y"], array * 2)


def test_read_only_feeds_are_taken() -> None:
    array = ONES.copy()
    array.flags.writeable = False

    np.testing.assert_array_equal(session_of(Model()).run({"x": array})["y"], ONES * 2)


def test_each_run_may_have_another_shape_where_the_model_allows_it() -> None:
    session = session_of(Model(shape=(None, 4)))

    shapes = [session.run({"x": np.ones((n, 4), np.float32)})["y"].shape for n in (1, 3, 1, 2)]

    assert shapes == [(1, 4), (3, 4), (1, 4), (2, 4)]


def test_a_shape_outside_the_range_of_the_load_is_refused() -> None:
    session = session_of(Model(shape=(None, 4)), x=[[1, 2, 4], 4])

    with pytest.raises(InputError, match=r"has the shape \(5, 4\).*loaded with shapes="):
        session.run({"x": np.ones((5, 4), np.float32)})


def test_dimensions_of_one_name_must_have_one_size() -> None:
    model = Model(shape=(None, 4))
    names = ("N", None)
    model.inputs = tuple(TensorSpec(name, FLOAT, (None, 4), names) for name in ("x", "z"))
    feeds = {"x": np.ones((2, 4), np.float32), "z": np.ones((3, 4), np.float32)}

    with pytest.raises(InputError, match="the dimension 'N' is 2 in 'x' and 3 in 'z'"):
        session_of(model).run(feeds)


def test_no_more_requests_run_at_once_than_the_backend_allows() -> None:
    model = Model(limit=2)
    together = threading.Barrier(2)
    model.gate = together.wait
    session = session_of(model)

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(session.run, {"x": ONES * i}) for i in range(40)]
        values = [future.result()["y"][0, 0] for future in futures]

    assert values == [2 * i for i in range(40)]
    assert (model.most, len(model.requests)) == (2, 2)


def test_close_waits_for_the_runs_that_have_begun() -> None:
    model = Model()
    entered, release = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        release.wait()

    model.gate = hold
    session = session_of(model)
    with ThreadPoolExecutor(2) as pool:
        run = pool.submit(session.run, {"x": ONES})
        entered.wait()
        close = pool.submit(session.close)
        assert not close.done()
        release.set()
        close.result()

        assert run.result()["y"][0, 0] == 2
        assert model.closed == 1


def test_a_run_that_began_before_the_close_gets_none_of_the_closed_requests() -> None:
    model = Model()
    session = session_of(model)
    errors = []

    class Late(Doubling):
        def close(self) -> None:
            # As a thread that was already inside run() when close() began.
            with pytest.raises(SessionError, match="this session is closed") as caught:
                Session.run(session, {"x": ONES})
            errors.append(caught.value)

    engine = session._engine
    requests = [Late(model), Late(model)]
    engine.idle.extend(requests)
    engine._requests.update(requests)
    session.close()

    assert len(errors) == 2


def test_a_closed_session_says_so() -> None:
    model = Model()
    with session_of(model) as session:
        session.run({"x": ONES})
    session.close()

    assert model.closed == 1
    for use in (lambda: session.run({"x": ONES}), lambda: session(ONES), session.request):
        with pytest.raises(SessionError, match="this session is closed"):
            use()


def test_threads_that_wait_for_a_request_are_told_when_the_session_closes() -> None:
    model = Model(limit=1)
    entered, release = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        release.wait()

    model.gate = hold
    session = session_of(model)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(session.run, {"x": ONES})
        entered.wait()
        second = pool.submit(session.run, {"x": ONES})
        closing = pool.submit(session.close)
        release.set()
        closing.result()

        assert first.result()["y"][0, 0] == 2
        outcome = second.exception()
        assert outcome is None or isinstance(outcome, SessionError)


def test_requests_are_closed_with_their_session() -> None:
    session = session_of(Model())
    request = session.request()
    session.close()

    with pytest.raises(SessionError, match="this request is closed"):
        request.run()


def test_eight_threads_get_the_outputs_of_their_own_feeds(relu: Session) -> None:
    def check(thread: int) -> int:
        right = 0
        for i in range(1250):
            value = float(thread * 10_000 + i)
            outputs = relu.run({"x": np.full((1, 16), value, np.float32)})
            right += bool((outputs["y"] == value).all())
        return right

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(check, range(8)))

    assert counts == [1250] * 8


def test_outputs_stay_as_they_were_after_the_next_run(relu: Session) -> None:
    first = relu.run({"x": np.full((1, 16), 1, np.float32)})["y"]
    relu.run({"x": np.full((1, 16), 2, np.float32)})

    np.testing.assert_array_equal(first, np.full((1, 16), 1, np.float32))


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        (5, "shapes is 5"),
        ({"z": (1,)}, "shapes names 'z', which is no input"),
        ({"x": 5}, "shapes gives 'x' 5"),
        ({"x": (1.5, 16)}, "shapes gives 'x' a dimension 1.5"),
    ],
)
def test_a_request_of_no_shape_is_an_error(shapes: object, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        session_of(Model()).request(shapes)  # type: ignore[arg-type]


def test_a_request_reads_its_inputs_and_leaves_its_outputs(relu: Session) -> None:
    request = relu.request()
    request.inputs["x"][:] = np.arange(16) - 8
    request.run()

    np.testing.assert_array_equal(request.outputs["y"][0], np.maximum(np.arange(16) - 8, 0))


def refusal(use: Callable[[], object]) -> str:
    try:
        use()
    except SessionError as exc:
        return exc.message
    return "none"


def test_use_in_a_forked_process_is_an_error_and_the_parent_goes_on(relu: Session) -> None:
    relu.run({"x": ONES.repeat(4, axis=1)})
    request = relu.request()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child
        said = [refusal(use) for use in (lambda: relu.run({}), request.run, relu.request)]
        relu.close()
        os.write(write, "|".join(said).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    message = "this process is a fork of the one that loaded the model"

    assert os.read(read, 1000).decode().split("|") == [message] * 3
    assert relu.run({"x": ONES.repeat(4, axis=1)})["y"].shape == (1, 16)


def test_a_vendor_leaves_nothing_in_the_home_folder(
    engine: str, relu_model: Callable[..., Path], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import sys, numpy, hwrt; path, name = sys.argv[1:]; "
        "session = hwrt.load(path, backend=name, options={}, cache=False); "
        "session(numpy.ones((1, 16), numpy.float32)); hwrt.backends()"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    command = [sys.executable, "-c", code, str(relu_model()), engine]
    subprocess.run(command, check=True, env=environment)

    assert list(home.rglob("*")) == []


def test_an_idle_session_burns_no_cpu(engine: str, relu_model: Callable[..., Path]) -> None:
    with hwrt.load(relu_model((64, 4096)), backend=engine, options={"threads": 2}) as session:
        for _ in range(20):
            session.run({"x": np.ones((64, 4096), np.float32)})
        idle = threading.Event()
        idle.wait(0.2)
        before = os.times()
        idle.wait(1.0)
        after = os.times()

    assert (after.user + after.system) - (before.user + before.system) <= 0.05
