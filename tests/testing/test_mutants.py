"""The suite is proved: each mutant makes the tests fail that are there to notice it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from .mutants import BREAKS

pytest.importorskip("onnxruntime", reason="the mutants are onnxruntime's, which is not installed")
pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
Outcomes = dict[tuple[str, str], list[str]]
PAIRS = [(cls.__name__, test) for cls, tests in BREAKS.items() for test in tests]
NAMED = sorted({test for _, test in PAIRS})
LISTS = "test_the_core_is_never_unsupported"
ENTRIES = "test_every_entry_of_unsupported_names_a_test"
REASONS = "test_every_entry_of_unsupported_has_a_reason"
WRITES = "test_the_suite_writes_a_format_that_the_backend_reads"
BATCH = "test_dynamic_batch_follows_resize"
OTHERS = [
    *(("ListsTheCore", test) for test in (LISTS, BATCH)),
    *(("ListsRightly", t) for t in (LISTS, ENTRIES, REASONS, "test_scalar", "test_no_elements")),
    ("ListsNothingKnown", ENTRIES),
    *(("ListsAnUnknownParameter", test) for test in (ENTRIES, "test_no_elements")),
    ("ListsNoReason", REASONS),
    ("ReplacesTheCore", LISTS),
    ("ReadsNoFormat", WRITES),
    *(("WritesNothing", test) for test in (BATCH, "test_scalar")),
    *((name, test) for name in ("Faithful", "Strided") for test in NAMED),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """(mutant, test) -> how the test ended with each of its parameters."""
    report = tmp_path_factory.mktemp("mutants") / "report.xml"
    tests = [f"{HERE / 'mutant_suites.py'}::Test{name}::{test}" for name, test in PAIRS + OTHERS]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--rootdir", str(HERE), "-c", os.devnull, "--import-mode=importlib"]
    done = subprocess.run(
        [*command, "-o", "junit_family=xunit1", f"--junitxml={report}", *tests],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.is_file(), done.stdout + done.stderr
    found: Outcomes = defaultdict(list)
    for case in ET.parse(report).iter("testcase"):
        mutant = case.attrib["classname"].rpartition(".Test")[2]
        test = case.attrib["name"].partition("[")[0]
        kinds = {child.tag for child in case}
        outcome = next(
            (kind for kind in ("error", "failure", "skipped") if kind in kinds), "passed"
        )
        found[mutant, test].append(outcome)
    return dict(found)


@pytest.mark.parametrize(("mutant", "test"), PAIRS, ids=map("-".join, PAIRS))
def test_broken_promise_is_noticed(outcomes: Outcomes, mutant: str, test: str) -> None:
    assert "failure" in outcomes[mutant, test]


@pytest.mark.parametrize("test", NAMED)
def test_backend_that_keeps_its_promises_passes(outcomes: Outcomes, test: str) -> None:
    assert {"failure", "error"}.isdisjoint(outcomes["Faithful", test])
    assert "passed" in outcomes["Faithful", test]


# A bound output is the caller's own array and so as contiguous as that.
@pytest.mark.parametrize("test", [test for test in NAMED if "bound_output" not in test])
def test_backend_with_strided_outputs_passes(outcomes: Outcomes, test: str) -> None:
    assert {"failure", "error"}.isdisjoint(outcomes["Strided", test])


def test_every_mutant_is_of_a_kind_of_its_own() -> None:
    assert len(BREAKS) >= 30
    assert all(BREAKS.values())


# -- the list -------------------------------------------------------------------------------------


def test_core_test_that_is_listed_runs_all_the_same_and_the_list_fails(outcomes: Outcomes) -> None:
    assert outcomes["ListsTheCore", LISTS] == ["failure"]
    assert "failure" in outcomes["ListsTheCore", BATCH]


def test_core_test_that_is_replaced_fails_the_list(outcomes: Outcomes) -> None:
    assert outcomes["ReplacesTheCore", LISTS] == ["failure"]


def test_entry_that_names_no_test_fails(outcomes: Outcomes) -> None:
    assert outcomes["ListsNothingKnown", ENTRIES] == ["failure"]


def test_entry_that_names_no_parameter_fails(outcomes: Outcomes) -> None:
    assert outcomes["ListsAnUnknownParameter", ENTRIES] == ["failure"]


def test_entry_without_a_reason_fails(outcomes: Outcomes) -> None:
    assert outcomes["ListsNoReason", REASONS] == ["failure"]


def test_listed_tests_are_skipped_and_the_list_passes(outcomes: Outcomes) -> None:
    assert outcomes["ListsRightly", "test_scalar"] == ["skipped"]
    assert sorted(outcomes["ListsRightly", "test_no_elements"]) == ["passed", "passed", "skipped"]
    for test in (LISTS, ENTRIES, REASONS):
        assert outcomes["ListsRightly", test] == ["passed"]


def test_backend_whose_formats_nobody_writes_is_no_silent_success(outcomes: Outcomes) -> None:
    assert outcomes["ReadsNoFormat", WRITES] == ["failure"]


def test_format_that_lacks_what_the_core_needs_is_no_silent_success(outcomes: Outcomes) -> None:
    assert outcomes["WritesNothing", BATCH] == ["failure"]
    assert outcomes["WritesNothing", "test_scalar"] == ["skipped"]
