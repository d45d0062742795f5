"""Many processes that ask for one plan tune once, and a tuner that is killed stops nobody."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hwrt
from hwrt.errors import SessionError
from hwrt.locks import hold
from hwrt.measure.gate import AccuracyGate

from .programs import await_end, running, start

pytestmark = pytest.mark.slow  # each tunes anew, in child processes

Texts = Callable[[], list[str]]
KILLS = 50


def begin(children: list[subprocess.Popen[str]]) -> None:
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()


def result(child: subprocess.Popen[str]) -> tuple[str, list[str]]:
    """(the plan, what was told of a wait)."""
    out, _ = child.communicate(timeout=120)
    plan, waits = json.loads(out)
    return plan, waits


def test_eight_processes_that_ask_at_once_tune_once(model: Path, noted: Texts) -> None:
    children = [start(model) for _ in range(8)]
    begin(children)
    results = [result(child) for child in children]

    plans = [json.loads(plan) for plan, _ in results]
    assert [child.returncode for child in children] == [0] * 8
    assert {(plan["made_at"], json.dumps(plan["measurements"])) for plan in plans} == {
        (plans[0]["made_at"], json.dumps(plans[0]["measurements"]))
    }
    # The loser is compiled where it is measured, and nowhere else.
    assert noted().count("compile precision=f32 slow=True threads=1") == 1
    assert sum(bool(waits) for _, waits in results) >= 1


def test_when_the_tuner_is_killed_one_of_those_that_wait_takes_over(
    model: Path, cache_root: Path, log: Path
) -> None:
    children = [start(model) for _ in range(4)]
    begin(children[:1])
    killed, others = children[0], children[1:]
    while "compile" not in log.read_text() and killed.poll() is None:
        await_end(killed.pid, timeout_s=0.01)
    begin(others)
    killed.kill()
    killed.communicate()
    results = [result(child) for child in others]

    assert [child.returncode for child in others] == [0, 0, 0]
    assert len({json.loads(plan)["made_at"] for plan, _ in results}) == 1
    assert list((cache_root / "plans").glob("*.lock")) == []


def test_a_tuner_may_be_killed_at_any_moment(
    model: Path,
    cache_root: Path,
    tmp_path: Path,
    own_tmp: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = random.Random(0)
    outlived = 0
    for i in range(KILLS):
        monkeypatch.setenv("HWRT_TEST_STAMP", f"counting {i}")
        child = start(model)
        begin([child])
        try:
            child.wait(timeout=moments.uniform(0.0, 2.0))
            outlived += 1
        except subprocess.TimeoutExpired:
            child.kill()
        child.communicate()
        left = [pid for pid in running(str(tmp_path)) if not await_end(pid, timeout_s=10.0)]
        assert left == []

    session = hwrt.load(model, threads=1)
    assert session(np.full((1, 16), -1, np.float32))["y"].sum() == 0
    assert list(own_tmp.glob("hwrt-*")) == []
    assert list(cache_root.rglob(".*")) == []
    assert list(cache_root.rglob("*.lock")) == []
    for path in (cache_root / "plans").iterdir():
        assert hwrt.Plan.load(path).backend == "counting"
    assert outlived < KILLS


def test_the_wait_is_told_and_may_be_cancelled(model: Path, cache_root: Path) -> None:
    hwrt.load(model, threads=1)
    (plan,) = (cache_root / "plans").glob("*.json")
    plan.unlink()
    told: list[str] = []

    def cancel(fraction: float, text: str) -> bool:
        told.append(text)
        return False

    with (
        hold(plan.with_suffix(".lock"), print),
        pytest.raises(SessionError, match="cancelled by progress"),
    ):
        hwrt.load(model, threads=1, progress=cancel)

    assert told[0].startswith("waiting for process ")


def test_a_plan_that_another_process_made_meanwhile_is_taken(
    model: Path, monkeypatch: pytest.MonkeyPatch, noted: Texts
) -> None:
    plan = hwrt.load(model, threads=1).plan
    noted()
    monkeypatch.setattr("hwrt.loading.origin.cached_plan", lambda asked: None)

    assert hwrt.load(model, threads=1).plan == plan
    assert noted() == [f"compile {plan.options}"]


def test_a_gate_without_a_name_is_measured_each_time(model: Path, cache_root: Path) -> None:
    gate = AccuracyGate(metric=lambda *_: 0.0, max_error=0.1)
    samples = [{"x": np.zeros((1, 16), np.float32)}]
    for _ in range(2):
        hwrt.load(model, threads=1, accuracy=gate, samples=samples)

    assert list((cache_root / "plans").glob("*")) == []


@pytest.mark.parametrize("change", ["time", "size", "name", "none"])
def test_a_folder_of_samples_is_known_by_names_sizes_and_times(
    model: Path, tmp_path: Path, change: str
) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    np.save(folder / "a.npy", np.zeros((1, 16), np.float32))
    first = hwrt.load(model, threads=1, samples=folder).plan
    if change == "time":
        (folder / "a.npy").touch()
    elif change == "size":
        np.savez(folder / "b.npz", x=np.zeros((1, 16), np.float32))
    elif change == "name":
        (folder / "a.npy").rename(folder / "b.npy")
    second = hwrt.load(model, threads=1, samples=folder).plan

    assert (second == first) == (change == "none")


def test_samples_are_known_by_the_name_that_the_user_gives(model: Path, noted: Texts) -> None:
    first = hwrt.load(
        model, threads=1, samples=[{"x": np.zeros((1, 16), np.float32)}], samples_id="shop 3"
    ).plan
    other = [{"x": np.ones((1, 16), np.float32)}]

    assert hwrt.load(model, threads=1, samples=other, samples_id="shop 3").plan == first
    assert hwrt.load(model, threads=1, samples_id="shop 3", tune="never").plan == first


def test_a_name_of_samples_without_a_plan_needs_the_samples(model: Path) -> None:
    with pytest.raises(hwrt.HwrtError, match=r"no plan for the samples 'shop 3' \(give samples="):
        hwrt.load(model, threads=1, samples_id="shop 3")
