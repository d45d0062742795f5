"""Which of ONNX's backend tests are expected to fail on a backend, and why."""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it for these versions

FOLDER = Path(__file__).parent


class Outcome(NamedTuple):
    outcome: str
    message: str = ""


@dataclass(frozen=True)
class Family:
    """Tests that fail for one reason, which their message shows.

    ``tests`` are names or patterns of names, ``message`` a regular expression.  With ``may_pass``
    it depends on the machine whether they fail.
    """

    reason: str
    message: str
    tests: tuple[str, ...]
    may_pass: bool = False

    def names(self, test: str) -> bool:
        return any(fnmatch.fnmatchcase(test, pattern) for pattern in self.tests)

    def explains(self, message: str) -> bool:
        return re.search(self.message, message) is not None


@dataclass(frozen=True)
class Expected:
    """One list: for a backend, as made with a version of its vendor, under a version of onnx."""

    backend: str
    onnx: str
    made_with: str
    least_passed: int
    families: tuple[Family, ...]

    @classmethod
    def load(cls, path: Path) -> Expected:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        families = tuple(
            Family(**{**family, "tests": tuple(family["tests"])})
            for family in document.pop("family")
        )
        return cls(families=families, **document)


@dataclass
class Verdict:
    """What a run showed: ``wrong`` has a line for all that is not as the list says."""

    passed: int = 0
    expected: dict[str, list[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def judge(outcomes: Mapping[str, Outcome], expected: Expected) -> Verdict:
    """Every test against the list, and every name in the list against the tests."""
    verdict = Verdict(wrong=_stale(outcomes, expected.families))
    for test, (outcome, message) in outcomes.items():
        families = [family for family in expected.families if family.names(test)]
        explained = [family for family in families if family.explains(message)]
        if outcome == "failed" and explained:
            verdict.expected.setdefault(explained[0].reason, []).append(test)
        elif outcome != "passed":
            verdict.wrong.append(f"{test} {outcome}: {message}")
        elif families and not all(family.may_pass for family in families):
            verdict.wrong.append(f"{test} passed, expected was: {families[0].reason}")
        else:
            verdict.passed += 1
    if verdict.passed < expected.least_passed:
        verdict.wrong.append(f"{verdict.passed} tests passed, not {expected.least_passed}")
    return verdict


def _stale(outcomes: Mapping[str, Outcome], families: Sequence[Family]) -> list[str]:
    return [
        f"the list names {pattern}, which is no test"
        for family in families
        for pattern in family.tests
        if not fnmatch.filter(outcomes, pattern)
    ]
