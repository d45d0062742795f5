"""Sessions of hwrt.load whose backend fails: third parties' plugins, in one process each."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import hwrt
from hwrt.tuning import proof

Install = Callable[..., None]
Model = Callable[..., Path]
FEEDS = {"x": np.full((1, 16), 3, np.float32)}


class Device:
    """What ``breaks`` runs on, and where engines were compiled since."""

    def __init__(self, folder: Path) -> None:
        self._broken, self._log = folder / "broken", folder / "log"
        self._log.touch()

    def fail(self) -> None:
        self._log.write_text("")
        self._broken.touch()

    def compiled_in(self) -> list[str]:
        own = str(os.getpid())
        return ["here" if line == own else "a child" for line in self._log.read_text().split()]


@pytest.fixture
def device(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """With three backends: the fastest right one breaks, the fastest is wrong, one is spare."""
    install("Breaks", "Wrong", "Spare", "Judge")
    monkeypatch.setattr(proof, "_proved", set())
    monkeypatch.setenv("HWRT_TEST_BREAK", str(tmp_path / "broken"))
    monkeypatch.setenv("HWRT_TEST_LOG", str(tmp_path / "log"))
    return Device(tmp_path)


def load(path: Path, **arguments: object) -> hwrt.Session:
    return hwrt.load(path, **{"threads": 1, "budget_s": 0.1, **arguments})  # type: ignore[arg-type]


def test_a_session_whose_device_is_lost_goes_on_with_the_next_right_candidate(
    device: Device, relu_model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    with load(relu_model()) as session:
        chosen = session.plan
        device.fail()
        outputs = session.run(FEEDS)
        plan = session.plan

    assert outputs["y"].tolist() == FEEDS["x"].tolist()
    assert (chosen.backend, plan.backend) == ("breaks", "spare")
    assert (plan.fallback_of, plan.fallback_reason) == (chosen.candidate, "the device is lost")
    assert plan.measurements == chosen.measurements
    assert device.compiled_in() == ["a child", "here"]
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    (warning,) = warnings
    assert warning == (
        f"relu.onnx: {chosen.candidate} failed: the device is lost; it runs on {plan.candidate} "
        "from here on"
    )


def test_what_was_proved_before_is_compiled_at_once(device: Device, relu_model: Model) -> None:
    path = relu_model()
    plan = hwrt.tune(path, threads=1, budget_s=0.1)
    load(path, backend="spare", options={"precision": "f32", "threads": 1}).close()
    with load(path, plan=plan) as session:
        device.fail()
        session.run(FEEDS)

    assert device.compiled_in() == ["here"]


def test_the_cached_plan_stays_the_one_that_was_measured(
    device: Device, relu_model: Model, tmp_path: Path
) -> None:
    path = relu_model()
    with load(path) as session:
        device.fail()
        session.run(FEEDS)
    (tmp_path / "broken").unlink()
    with load(path) as again:
        assert again.plan.backend == "breaks"
        assert again.plan.fallback_of is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"fallback": False}, "fallback=False was given"),
        (
            {"backend": "breaks", "options": {"precision": "f32"}},
            "options= were given, so nothing else was measured",
        ),
        ({"backend": "breaks"}, "the plan has no other right candidate"),
        (
            {"backend": ("breaks", "wrong")},
            "the plan has no other right candidate, 1 failed or were rejected",
        ),
    ],
    ids=["fallback", "options", "backend", "wrong"],
)
def test_where_a_session_may_not_move_the_error_says_why(
    device: Device, relu_model: Model, arguments: dict[str, object], reason: str
) -> None:
    with load(relu_model(), **arguments) as session:
        device.fail()
        with pytest.raises(hwrt.BackendFailure) as caught:
            session.run(FEEDS)

    assert str(caught.value) == f"the device is lost (no fallback: {reason})"
    assert device.compiled_in() == []


def test_a_given_plan_is_not_widened_beyond_the_arguments(
    device: Device, relu_model: Model
) -> None:
    path = relu_model()
    plan = hwrt.tune(path, threads=1, budget_s=0.1)
    with load(path, plan=plan, backend="breaks") as session:
        device.fail()
        with pytest.raises(hwrt.BackendFailure, match="backend= asks for something else"):
            session.run(FEEDS)

    assert device.compiled_in() == []


def test_a_model_that_changed_since_the_load_is_not_taken(
    device: Device, relu_model: Model
) -> None:
    path = relu_model()
    with load(path) as session:
        device.fail()
        relu_model(("N", 16))
        with pytest.raises(hwrt.ModelError, match=r"relu\.onnx has changed since it was loaded"):
            session.run(FEEDS)

    assert session.fallbacks == 0


def test_a_model_whose_file_is_gone_can_not_be_loaded_again(
    device: Device, relu_model: Model
) -> None:
    path = relu_model()
    with load(path) as session:
        device.fail()
        path.unlink()
        with pytest.raises(hwrt.BackendFailure, match=r"the device is lost .no fallback: .*relu"):
            session.run(FEEDS)


def test_a_copy_of_a_session_that_moved_runs_by_the_plan_it_moved_to(
    device: Device, relu_model: Model
) -> None:
    import copy

    with load(relu_model()) as session:
        device.fail()
        session.run(FEEDS)
        with copy.copy(session) as other:
            assert other.plan.backend == "spare"
            assert other.run(FEEDS)["y"].sum() == 48
