from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, NoReturn

import onnx
import pytest
from onnx.backend.base import Backend

from .expected import FOLDER, Expected, Family, Outcome, judge
from .run import report, run_tests

LISTS = sorted(FOLDER.glob("*.toml"))
DIES_IN = "test_acosh"


def expected(*families: Family, least_passed: int = 0) -> Expected:
    return Expected("some", "1.20.1", "some 1.0", least_passed, families)


NO_KERNEL = Family("it has no kernel", "NOT_IMPLEMENTED", ("test_a", "test_b_*"))


def test_listed_failure_is_counted_under_its_reason() -> None:
    outcomes = {
        "test_a": Outcome("failed", "9: NOT_IMPLEMENTED"),
        "test_b_1": Outcome("failed", "NOT_IMPLEMENTED: b"),
        "test_c": Outcome("passed"),
    }
    verdict = judge(outcomes, expected(NO_KERNEL, least_passed=1))

    assert verdict.wrong == []
    assert verdict.expected == {"it has no kernel": ["test_a", "test_b_1"]}
    assert verdict.passed == 1


@pytest.mark.parametrize(
    ("outcomes", "wrong"),
    [
        ({"test_c": Outcome("failed", "boom")}, "test_c failed: boom"),
        ({"test_a": Outcome("passed")}, "test_a passed, expected was: it has no kernel"),
        ({"test_a": Outcome("failed", "SIGSEGV")}, "test_a failed: SIGSEGV"),
        ({"test_c": Outcome("skipped", "no device")}, "test_c skipped: no device"),
    ],
    ids=["not listed", "passes", "for another reason", "skipped"],
)
def test_whatever_is_not_as_listed_is_wrong(outcomes: dict[str, Outcome], wrong: str) -> None:
    listed = {
        "test_a": Outcome("failed", "NOT_IMPLEMENTED"),
        "test_b_1": Outcome("failed", "NOT_IMPLEMENTED"),
    }

    assert judge({**listed, **outcomes}, expected(NO_KERNEL)).wrong == [wrong]


def test_name_that_is_no_test_is_wrong() -> None:
    outcomes = {"test_a": Outcome("failed", "NOT_IMPLEMENTED")}

    (wrong,) = judge(outcomes, expected(NO_KERNEL)).wrong

    assert "test_b_*" in wrong


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_what_depends_on_the_machine_may_pass_and_fail(outcome: str) -> None:
    family = Family("it needs a locale", "locale", ("test_a",), may_pass=True)

    assert judge({"test_a": Outcome(outcome, "locale")}, expected(family)).wrong == []


def test_fewer_passes_than_the_bar_are_wrong() -> None:
    (wrong,) = judge({"test_c": Outcome("passed")}, expected(least_passed=2)).wrong

    assert wrong == "1 tests passed, not 2"


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_list_gives_every_failure_a_reason_of_its_own(path: Path) -> None:
    listed = Expected.load(path)
    names = [name for family in listed.families for name in family.tests]
    reasons = [family.reason for family in listed.families]

    assert path.stem == f"{listed.backend}-{listed.onnx}"
    assert len(set(reasons)) == len(reasons)
    assert len(set(names)) == len(names)
    assert all(family.message and len(family.reason.split()) > 3 for family in listed.families)


class Dying(Backend):  # type: ignore[misc]
    """Runs nothing, and dies of one model as a vendor might."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> NoReturn:
        if model.graph.name == DIES_IN:
            os.kill(os.getpid(), signal.SIGSEGV)
        raise ValueError("this backend runs nothing")


def dying(name: str) -> type[Dying]:
    return Dying


@pytest.mark.slow  # onnx makes its tests anew in each child
def test_crash_costs_the_one_test_in_which_it_happened() -> None:
    version, outcomes = run_tests(
        "any", maker="tests.onnx_backend.test_expected:dying", only="^test_a(cos|cosh|dd)$"
    )

    assert version == onnx.__version__
    assert outcomes == {
        "test_acos": Outcome("failed", "ValueError: this backend runs nothing"),
        "test_acosh": Outcome("failed", "the process ended: SIGSEGV"),
        "test_add": Outcome("failed", "ValueError: this backend runs nothing"),
    }


def test_report_counts_by_reason_and_shows_what_is_wrong() -> None:
    outcomes = {
        "test_a": Outcome("failed", "NOT_IMPLEMENTED"),
        "test_b_1": Outcome("failed", "NOT_IMPLEMENTED"),
        "test_c": Outcome("failed", "boom"),
        "test_d": Outcome("passed"),
    }
    listed = expected(NO_KERNEL)
    text = report(listed, judge(outcomes, listed), len(outcomes))

    assert text.splitlines() == [
        "some, onnx 1.20.1: 4 tests, 1 passed, 2 failed as expected, 1 wrong",
        "     2 it has no kernel",
        "  WRONG test_c failed: boom",
    ]
