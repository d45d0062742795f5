"""What an update of the software leaves of the plans that were made before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwrt
from hwrt.errors import BackendFailure, InputError
from hwrt.machine.fingerprint import fingerprint

pytestmark = pytest.mark.slow  # each tunes anew, in child processes

Texts = Callable[[], list[str]]


@pytest.fixture
def update(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Installs another version of the backend."""
    return lambda: monkeypatch.setenv("HWRT_TEST_STAMP", "counting 2")


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this machine another one in the fields given."""

    def change(**fields: Any) -> None:
        facts: Mapping[str, Any] = {**fingerprint(), **fields}
        monkeypatch.setattr("hwrt.tuning.keys.fingerprint", lambda: facts)

    return change


def test_an_update_is_measured_anew_and_the_plan_says_why(
    model: Path, update: Callable[[], None], noted: Texts
) -> None:
    hwrt.load(model, threads=1)
    update()
    noted()
    plan = hwrt.load(model, threads=1).plan

    assert plan.measured_again == ("counting: counting 1 -> counting 2",)
    assert len(noted()) > 1


def test_a_first_plan_is_not_measured_again(model: Path) -> None:
    assert hwrt.load(model, threads=1).plan.measured_again == ()


def test_a_tuning_that_was_asked_for_says_so(model: Path) -> None:
    hwrt.tune(model, threads=1)

    assert hwrt.tune(model, threads=1).measured_again == ("it was asked for",)


def test_a_model_whose_file_changed_says_so(model: Path, relu_model: Callable[..., Path]) -> None:
    hwrt.load(model, threads=1)
    relu_model((1, 8))
    (why,) = hwrt.load(model, threads=1).plan.measured_again

    assert why.startswith("model: ")


def test_a_line_that_never_tunes_runs_on_after_an_update(
    model: Path, update: Callable[[], None], noted: Texts, messages: Texts
) -> None:
    first = hwrt.load(model, threads=1).plan
    update()
    noted()
    session = hwrt.load(model, threads=1, tune="never")

    assert session.plan.candidate == first.candidate
    assert session(np.full((1, 16), -1, np.float32))["y"].sum() == 0
    tried = "compile precision=f32 threads=1"
    assert noted() == [tried, "build", tried]
    (warning,) = messages()
    assert "counting: counting 1 -> counting 2" in warning


def test_what_runs_on_after_an_update_is_called_unverified(
    model: Path, update: Callable[[], None]
) -> None:
    hwrt.load(model, threads=1)
    update()

    assert hwrt.load(model, threads=1, tune="never").plan.unverified == (
        "it was neither checked nor measured since these changed: "
        "counting: counting 1 -> counting 2"
    )


def test_another_backends_update_leaves_a_plan_verified(
    model: Path, monkeypatch: pytest.MonkeyPatch, messages: Texts
) -> None:
    from hwrt.tuning import keys

    hwrt.load(model, threads=1)
    names = keys.registry.names
    stamp = keys._stamp
    monkeypatch.setattr(keys.registry, "names", lambda: (*names(), "other"))
    monkeypatch.setattr(keys, "_stamp", lambda name: "other 1" if name == "other" else stamp(name))
    plan = hwrt.load(model, threads=1, tune="never").plan

    assert plan.unverified is None
    assert messages() == []


def test_a_new_kernel_does_not_stop_a_line(
    model: Path, become: Callable[..., None], messages: Texts
) -> None:
    hwrt.load(model, threads=1)
    become(kernel="99.1", libc="glibc 9")
    hwrt.load(model, threads=1, tune="never")

    (warning,) = messages()
    assert "kernel: " in warning
    assert "-> 99.1; libc: " in warning


def test_a_new_driver_does_not_stop_a_line(model: Path, become: Callable[..., None]) -> None:
    gpu = {"kind": "gpu", "name": "Big", "driver": "550"}
    become(accelerators=[gpu])
    hwrt.load(model, threads=1)
    become(accelerators=[{**gpu, "driver": "560"}])

    unverified = hwrt.load(model, threads=1, tune="never").plan.unverified
    assert unverified is not None
    assert "driver of gpu Big: 550 -> 560" in unverified


def test_another_cpu_does(model: Path, become: Callable[..., None]) -> None:
    hwrt.load(model, threads=1)
    become(cpu={**fingerprint()["cpu"], "model": "Slow One"})

    with pytest.raises(InputError, match=r"nearest one differs in cpu\.model: .* Slow One here"):
        hwrt.load(model, threads=1, tune="never")


def test_a_plan_of_this_wish_and_another_version_is_nearer_than_one_of_another_wish(
    model: Path, update: Callable[[], None], become: Callable[..., None]
) -> None:
    hwrt.load(model, threads=1)
    update()
    become(kernel="99.1")
    hwrt.load(model, threads=2)

    assert hwrt.load(model, threads=1, tune="never").plan.key.threads == 1


def test_never_starts_no_tuning_where_there_is_no_plan(model: Path, noted: Texts) -> None:
    with pytest.raises(InputError, match=r"tune is 'never' and there is no plan for relu\.onnx"):
        hwrt.load(model, threads=1, tune="never")

    assert noted() == []


def test_never_goes_on_with_the_next_right_candidate_where_the_best_no_longer_works(
    model: Path,
    update: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    messages: Texts,
) -> None:
    hwrt.load(model, threads=1)
    update()
    monkeypatch.setenv("HWRT_TEST_BROKEN", "fast")
    plan = hwrt.load(model, threads=1, tune="never").plan

    assert plan.options["slow"] is True
    assert "does not work, counting cpu:0 precision=f32 slow=True" in messages()[-1]


def test_without_fallback_it_does_not(
    model: Path, update: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    hwrt.load(model, threads=1)
    update()
    monkeypatch.setenv("HWRT_TEST_BROKEN", "fast")

    with pytest.raises(BackendFailure, match="the driver is too new"):
        hwrt.load(model, threads=1, tune="never", fallback=False)


def test_a_given_plan_of_another_version_is_refused_with_a_way_out(
    model: Path, update: Callable[[], None], tmp_path: Path
) -> None:
    path = hwrt.tune(model, threads=1).save(tmp_path / "plan.json")
    update()

    with pytest.raises(
        InputError,
        match=r"another version: counting: counting 1 there, counting 2 here .*tune='never'",
    ):
        hwrt.load(model, plan=path, threads=1)


def test_a_given_plan_of_another_version_is_run_by_where_nothing_may_be_tuned(
    model: Path, update: Callable[[], None], tmp_path: Path
) -> None:
    path = hwrt.tune(model, threads=1).save(tmp_path / "plan.json")
    update()

    assert hwrt.load(model, plan=path, threads=1, tune="never").plan.unverified is not None


# -- plans that travel -----------------------------------------------------------------------------


def test_a_plan_is_good_on_a_twin(model: Path, become: Callable[..., None], tmp_path: Path) -> None:
    path = hwrt.tune(model, threads=1).save(tmp_path / "plan.json")
    # A twin's memory differs by what its firmware keeps.
    become(memory_bytes=123)
    session = hwrt.load(model, plan=path, threads=1, cache=tmp_path / "of the twin")

    assert session.plan.unverified is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"board": "Another Board"}, "board: .* there, Another Board here"),
        ({"architecture": "riscv64"}, "architecture: .* there, riscv64 here"),
        ({"kernel": "99.1"}, r"kernel: .* there, 99\.1 here"),
        (
            {"accelerators": [{"kind": "gpu", "name": "Big", "driver": None}]},
            "accelerators: none there, gpu Big here",
        ),
    ],
    ids=["board", "architecture", "kernel", "accelerators"],
)
def test_a_plan_is_refused_on_another_machine_by_what_differs(
    model: Path,
    become: Callable[..., None],
    tmp_path: Path,
    fields: dict[str, Any],
    expected: str,
) -> None:
    become(accelerators=[])
    path = hwrt.tune(model, threads=1).save(tmp_path / "plan.json")
    become(**{"accelerators": [], **fields})

    with pytest.raises(InputError, match=f"the plan was made for another machine: .*{expected}"):
        hwrt.load(model, plan=path, threads=1)
