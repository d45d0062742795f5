from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import hwrt
from hwrt import errors
from hwrt.errors import InputError, SessionError
from hwrt.session import Session
from hwrt.spec import Quantization, Range, Signature, TensorSpec
from hwrt.tuning import proof

from .fakes import Model, session_of

ROWS = np.arange(16, dtype=np.float32).reshape(1, 16) - 8
RIGHT = np.maximum(ROWS, 0)
RUN = (
    "import pickle, sys, numpy; session = pickle.load(sys.stdin.buffer); "
    "x = numpy.arange(16, dtype=numpy.float32).reshape(1, 16) - 8; "
    "print(session.plan.candidate, session(x)['y'].sum())"
)


def run_elsewhere(session: Session, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """What another process prints that reads the session and runs it."""
    return subprocess.run(
        [sys.executable, "-c", RUN],
        input=pickle.dumps(session),
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
        timeout=120,
    )


def run_in_pool(session: Session) -> float:
    return float(session(ROWS)["y"].sum())


def send_run(session: Session, sender: object) -> None:
    sender.send(run_in_pool(session))  # type: ignore[attr-defined]


def test_another_process_loads_the_session_by_its_plan(relu: Session, engine: str) -> None:
    ended = run_elsewhere(relu)

    assert ended.stdout.decode() == f"{engine} cpu:0 threads=1 {RIGHT.sum()}\n", ended.stderr


@pytest.mark.slow
def test_a_process_started_with_spawn_gets_a_session(relu: Session) -> None:
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=send_run, args=(relu, sender))
    process.start()
    process.join(120)

    assert receiver.recv() == RIGHT.sum()


@pytest.mark.slow
def test_a_pool_of_processes_gets_a_session(relu: Session) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert list(pool.map(run_in_pool, [relu, relu])) == [RIGHT.sum()] * 2


@pytest.mark.parametrize("copy_it", [copy.copy, copy.deepcopy])
def test_a_copy_is_a_session_of_its_own(relu: Session, copy_it: Callable[..., Session]) -> None:
    other = copy_it(relu)
    relu.close()

    np.testing.assert_array_equal(other(ROWS)["y"], RIGHT)
    assert other.plan == relu.plan
    other.close()


def test_a_pickle_holds_no_model_and_no_vendor_state(relu: Session, engine: str) -> None:
    data = pickle.dumps(relu)

    assert len(data) < 10_000
    assert f"hwrt_{engine}".encode() not in data
    assert relu.info.path.read_bytes() not in data


def test_the_bytes_of_a_model_travel_where_no_cache_keeps_them(
    engine: str, relu_model: Callable[..., Path]
) -> None:
    session = hwrt.load(
        relu_model().read_bytes(), backend=engine, options={"threads": 1}, cache=False
    )
    data = pickle.dumps(session)
    first_file = session.info.path
    session.close()
    del session
    restored = pickle.loads(data)

    assert not first_file.exists()
    assert relu_model().read_bytes() in data
    np.testing.assert_array_equal(restored(ROWS)["y"], RIGHT)
    # It can travel on.
    np.testing.assert_array_equal(copy.deepcopy(restored)(ROWS)["y"], RIGHT)


def test_bytes_that_a_cache_keeps_stay_there(engine: str, relu_model: Callable[..., Path]) -> None:
    content = relu_model().read_bytes()
    session = hwrt.load(content, backend=engine, options={"threads": 1})
    data = pickle.dumps(session)

    assert content not in data
    np.testing.assert_array_equal(pickle.loads(data)(ROWS)["y"], RIGHT)


def test_a_relative_path_is_found_from_another_folder(
    engine: str, relu_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = relu_model()
    monkeypatch.chdir(path.parent)
    session = hwrt.load(path.name, backend=engine, options={"threads": 1}, cache="own-cache")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    np.testing.assert_array_equal(copy.copy(session)(ROWS)["y"], RIGHT)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_ranges_of_the_load_hold_in_the_other_process(
    engine: str, relu_model: Callable[..., Path]
) -> None:
    session = hwrt.load(
        relu_model(("N", 16)),
        backend=engine,
        options={"threads": 1},
        shapes={"x": (Range(1, 1, 4), 16)},
    )
    other = pickle.loads(pickle.dumps(session))

    assert other(ROWS.repeat(4, axis=0))["y"].shape == (4, 16)
    with pytest.raises(InputError, match="loaded with shapes="):
        other(ROWS.repeat(5, axis=0))


def test_more_threads_than_allowed_travel_where_the_options_named_them(
    engine: str, relu_model: Callable[..., Path]
) -> None:
    session = hwrt.load(relu_model(), backend=engine, options={"threads": 3}, threads=1)

    assert copy.copy(session).plan.options.threads == 3


def test_a_progress_function_stays_behind(engine: str, relu_model: Callable[..., Path]) -> None:
    session = hwrt.load(
        relu_model(), backend=engine, options={"threads": 1}, progress=lambda fraction, text: True
    )

    np.testing.assert_array_equal(pickle.loads(pickle.dumps(session))(ROWS)["y"], RIGHT)


@pytest.mark.usefixtures("_quick")
def test_reading_a_measured_session_measures_nothing(
    install: Callable[..., None],
    relu_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install("Good", "Judge")
    session = hwrt.load(relu_model(), threads=1)
    data = pickle.dumps(session)
    monkeypatch.setattr("hwrt.loading.origin.measured_plan", None)

    assert pickle.loads(data).plan == session.plan


def test_a_copy_that_was_replaced_travels_as_what_it_is(
    engine: str, relu_model: Callable[..., Path], tmp_path: Path
) -> None:
    with hwrt.load(relu_model(), backend=engine, options={"threads": 1}) as session:
        other = tmp_path / "other.onnx"
        other.write_bytes(session.info.path.read_bytes())
        session.replace(other)

        assert copy.copy(session).info.path == other


def test_a_model_that_changed_meanwhile_is_said_to_be_another(
    relu: Session, relu_model: Callable[..., Path]
) -> None:
    data = pickle.dumps(relu)
    relu_model((2, 16))

    with pytest.raises(InputError, match="the plan was made for another model"):
        pickle.loads(data)


def test_a_model_that_is_gone_is_named(relu: Session) -> None:
    data = pickle.dumps(relu)
    relu.info.path.unlink()

    with pytest.raises(errors.ModelError, match=r"relu\.onnx"):
        pickle.loads(data)


def test_another_machine_is_said_to_be_another(
    relu: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pickle.dumps(relu)
    monkeypatch.setattr("hwrt.tuning.keys.machine_key", lambda _: "another")

    with pytest.raises(
        InputError, match=r"made for another machine: machine: \w+ there, another here"
    ):
        pickle.loads(data)


def test_a_process_in_which_nothing_is_proved_tries_the_model_in_a_child(
    install: Callable[..., None],
    relu_model: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install("Fragile")
    log = tmp_path / "log"
    monkeypatch.setenv("HWRT_TEST_LOG", str(log))
    session = hwrt.load(relu_model(), backend="fragile", options={}, threads=1, cache=False)
    monkeypatch.setattr(proof, "_proved", set())
    log.write_text("")
    copy.copy(session)

    child, here = log.read_text().splitlines()
    assert here == str(os.getpid())
    assert child != here


def test_a_closed_session_can_not_be_pickled(relu: Session) -> None:
    relu.close()

    with pytest.raises(SessionError, match="this session is closed"):
        pickle.dumps(relu)


def test_a_session_that_nothing_loaded_can_not_be_pickled() -> None:
    with pytest.raises(SessionError, match=r"not made by hwrt\.load"):
        pickle.dumps(session_of(Model()))


def test_requests_of_a_session_can_not_be_pickled(relu: Session) -> None:
    with pytest.raises(SessionError, match="a request can not be pickled"):
        pickle.dumps(relu.request())


SPEC = TensorSpec(
    "x", np.dtype(ml_dtypes.bfloat16), (None, 3), ("N", None), Quantization((0.5,), (3,)), ("a",)
)


@pytest.mark.parametrize(
    "value",
    [
        SPEC,
        hwrt.Options(threads=2, precision="f32", NUM=1.5),
        hwrt.Range(1, 2, 3),
        hwrt.Device("cuda", 1, "name", "id", 5, True),
        Signature(("x",), ("y",)),
        errors.NoBackend("none", reasons={"a": "why"}, hint="see"),
        InputError("wrong", hint="mend"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_travel_whole(value: object) -> None:
    other = pickle.loads(pickle.dumps(value))

    assert type(other) is type(value)
    assert vars(other) == vars(value) if isinstance(value, Exception) else other == value


@pytest.mark.usefixtures("_quick")
def test_plans_and_model_infos_travel_whole(
    install: Callable[..., None], relu_model: Callable[..., Path]
) -> None:
    install("Good", "Judge")
    path = relu_model()
    plan, info = hwrt.tune(path, threads=1), hwrt.inspect(path)
    info = replace(info, inputs=(SPEC,), signatures={"serve": Signature(("x",), ("y",))})

    assert pickle.loads(pickle.dumps((plan, info))) == (plan, info)
    assert copy.deepcopy(plan) == plan
