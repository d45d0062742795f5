from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hwrt
from hwrt.model import read
from hwrt.tuning import onnx_reference
from hwrt.tuning.tuner import Evidence, measure
from hwrt.tuning.wish import Effort, Wish

Install = Callable[..., None]
Model = Callable[..., Path]

EFFORT = Effort(
    min_seconds=0.02, min_samples=4, window_s=0.005, warm_up_s=0.05, compile_timeout_s=3.0
)


def tuned(path: Path, effort: Effort = EFFORT, **wish: object) -> Evidence:
    info = read(path)
    return measure(info, Wish(threads=1, **wish), machine="here", effort=effort, cache_root=None)  # type: ignore[arg-type]


def reason(evidence: Evidence, backend: str) -> str:
    (found,) = [m for m in evidence.measurements if m.candidate.backend == backend]
    assert found.status != "ok"
    return f"{found.status}: {found.reason}"


FAULTS = {
    "Segfault": r"failed: segfault was killed by SIGSEGV in compile; last words: "
    r"(.*)about to read address zero",
    "Killed": r"failed: killed was killed by SIGKILL in first_run",
    "Hang": r"failed: no answer from hang in compile after 3 s",
    "Leaves": r"failed: leaves was ended with exit status 3 in compile",
    "Raises": r"failed: compile raised KeyError: 'no such layer'",
    "Nan": r"rejected: output 'y': relative l2 error inf exceeds 0.0001",
    "Wrong": r"rejected: output 'y': relative l2 error 0.02 exceeds 0.0001",
    "WrongShape": r"rejected: output 'y': shape \(1, 15\) where the reference has \(1, 16\)",
}


@pytest.mark.parametrize(("fault", "expected"), FAULTS.items(), ids=FAULTS)
def test_a_faulty_candidate_becomes_a_reason_and_a_right_one_still_wins(
    install: Install, relu_model: Model, fault: str, expected: str
) -> None:
    install("Good", "Judge", fault)

    evidence = tuned(relu_model())

    assert evidence.winner is not None
    assert evidence.measurements[evidence.winner].candidate.backend == "good"
    assert re.match(expected, reason(evidence, fault.lower()))


def test_a_candidate_that_floods_its_output_is_timed_like_any_other(
    install: Install, relu_model: Model
) -> None:
    install("Judge", "Chatty")

    evidence = tuned(relu_model())

    assert [m.status for m in evidence.measurements] == ["ok"]


def test_a_candidate_that_takes_more_memory_than_allowed_is_ended(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Judge", "Hungry")

    evidence = tuned(relu_model(), max_memory_bytes=400 << 20)

    assert "MiB are allowed: raise max_memory_mb" in reason(evidence, "hungry")


def test_the_slower_of_two_right_candidates_loses_and_is_sampled_less(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Judge", "Slow")

    evidence = tuned(
        relu_model(), Effort(min_seconds=1.0, min_samples=40, window_s=0.05, warm_up_s=0.3)
    )

    by_name = {m.candidate.backend: m for m in evidence.measurements}
    assert evidence.winner is not None
    assert evidence.measurements[evidence.winner] is by_name["good"]
    assert sum(by_name["slow"].samples_s) < sum(by_name["good"].samples_s)


def test_without_a_reference_the_evidence_is_unverified(
    install: Install, relu_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Good", "Nan")
    monkeypatch.setattr(onnx_reference, "unfit", lambda task: "onnx is not installed")

    evidence = tuned(relu_model())

    assert evidence.unverified == (
        "no backend here offers a reference for this model; onnx is not installed"
    )
    assert reason(evidence, "nan") == "rejected: there is a NaN in its outputs"


def test_a_reference_without_a_finite_number_verifies_nothing(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Judge", "WrongShape")
    feeds = [{"x": np.full((1, 16), np.nan, np.float32)}]

    evidence = measure(
        read(relu_model()),
        Wish(threads=1),
        machine="here",
        effort=EFFORT,
        cache_root=None,
        feeds=feeds,
    )

    assert evidence.winner is not None
    assert evidence.unverified is not None
    assert evidence.unverified.startswith("on these feeds the reference gives no finite number")
    assert "shape" in reason(evidence, "wrongshape")


def test_a_reference_that_contradicts_itself_judges_nobody(
    install: Install, relu_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Good", "RandomJudge")
    monkeypatch.setattr(onnx_reference, "unfit", lambda task: "onnx is not installed")

    evidence = tuned(relu_model())

    assert evidence.winner is not None
    assert evidence.unverified == (
        "no reference could be run: randomjudge: its outputs differ from one run to the next; "
        "onnx is not installed"
    )


def test_backends_that_are_left_out_are_not_listed(install: Install, relu_model: Model) -> None:
    install("Good", "Judge", "Foreign", "Stampless")

    evidence = tuned(relu_model(), backends=("good",))

    assert evidence.dropped == {}
    assert evidence.reference == "judge cpu:0 precision=f32"


def test_a_left_out_backend_that_can_not_judge_is_told_where_nothing_judges(
    install: Install, relu_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Good", "Foreign", "Stampless")
    monkeypatch.setattr(onnx_reference, "unfit", lambda task: "onnx is not installed")

    evidence = tuned(relu_model(), backends=("good",))

    assert evidence.unverified is not None
    assert re.match(
        "no reference could be run: stampless: .*no version file", evidence.unverified, re.DOTALL
    )


def test_a_format_that_no_allowed_backend_reads_is_an_error_that_names_who_does(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Judge", "Foreign")

    with pytest.raises(hwrt.NoBackend) as caught:
        tuned(relu_model(), backends=("foreign",))

    assert caught.value.reasons == {"foreign": "it reads om, not onnx"}
    assert caught.value.hint == "installed backends that read onnx: good, judge; see `hwrt doctor`"


def test_a_format_that_nothing_reads_is_an_error_that_says_so(
    install: Install, relu_model: Model
) -> None:
    install("Foreign")

    with pytest.raises(hwrt.NoBackend, match="no installed backend reads onnx; see `hwrt doctor`"):
        tuned(relu_model())


def test_an_exclusive_device_holds_one_process_at_a_time(
    install: Install, relu_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Good", "Judge", "Exclusive")
    monkeypatch.setenv("HWRT_TEST_LOCK", str(tmp_path / "lock"))

    evidence = tuned(relu_model())

    assert [m.status for m in evidence.measurements] == ["ok", "ok"]


def test_when_nothing_runs_the_error_holds_each_reason(install: Install, relu_model: Model) -> None:
    install("Judge", "Raises", "Wrong")

    with pytest.raises(hwrt.NoBackend) as caught:
        hwrt.load(relu_model(), threads=1)

    assert set(caught.value.reasons) == {
        "raises cpu:0 precision=f32 threads=1",
        "wrong cpu:0 precision=f32 threads=1",
        "judge cpu:0",
    }


def test_no_process_is_left_behind(install: Install, relu_model: Model) -> None:
    install("Good", "Judge", "Hang", "Segfault")

    tuned(relu_model())

    assert [path for path in Path("/proc").iterdir() if is_child(path)] == []


def test_what_a_dying_candidate_started_ends_with_it(
    install: Install, relu_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Good", "Judge", "Abandons")
    monkeypatch.setenv("HWRT_TEST_PID", str(tmp_path / "pid"))

    evidence = tuned(relu_model())

    assert reason(evidence, "abandons").startswith("failed: abandons was ended with exit status 4")
    state = Path("/proc", (tmp_path / "pid").read_text(), "status")
    assert not state.exists() or "State:\tZ" in state.read_text()


def is_child(process: Path) -> bool:
    try:
        parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        program = (process / "cmdline").read_bytes()
    except OSError:
        return False
    return int(parent) == os.getpid() and b"hwrt.tuning.keeper" in program
