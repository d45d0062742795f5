"""Counts what the suite showed of each backend, for the end of pytest's report.

A ``conftest.py`` beside the test classes says::

    from hwrt.testing.summary import pytest_terminal_summary

and the report ends with lines such as
``conformance mine: 301 passed, 2 unsupported, 4 refused, 1 lacking in the format``.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

__all__ = ["counts", "pytest_terminal_summary"]

_KINDS = ("passed", "failed", "unsupported", "refused", "lacking in the format", "skipped")


def counts(stats: dict[str, list[Any]]) -> dict[str, Counter[str]]:
    """Vendor -> how many of its tests ended how, from the terminal reporter's ``stats``."""
    found: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in stats.get(outcome, ()):
            vendor = dict(getattr(report, "user_properties", ())).get("conformance")
            if vendor is not None:
                found.setdefault(vendor, Counter())[_kind(outcome, report)] += 1
    return found


def _kind(outcome: str, report: Any) -> str:
    if outcome != "skipped":
        return "failed" if outcome == "error" else outcome
    reason = str(report.longrepr[2]).removeprefix("Skipped: ")
    first = reason.partition(":")[0]
    if first in ("unsupported", "refused"):
        return first
    return "lacking in the format" if first in ("onnx", "tflite") else "skipped"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a backend, after everything else."""
    for vendor, found in sorted(counts(terminalreporter.stats).items()):
        numbers = ", ".join(f"{found[kind]} {kind}" for kind in _KINDS if found[kind])
        terminalreporter.write_line(f"conformance {vendor}: {numbers}")
