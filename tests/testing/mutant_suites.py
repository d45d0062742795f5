"""The conformance suite over each mutant: collected by name, from a process of its own."""

from __future__ import annotations

from typing import Any

import pytest

from hwrt.backend import Backend
from hwrt.testing import BackendConformance, Lacks
from tests.testing.faithful import Faithful, Strided
from tests.testing.mutants import BREAKS
from tests.testing.request_mutants import TruncatesLargerBatches


def _suite(cls: type[Backend], **attributes: Any) -> type[BackendConformance]:
    class Suite(BackendConformance):
        vendor = "onnxruntime"

        @pytest.fixture
        def backend(self) -> Backend:
            return cls()

    for name, value in attributes.items():
        setattr(Suite, name, value)
    return Suite


globals().update({f"Test{cls.__name__}": _suite(cls) for cls in (*BREAKS, Faithful, Strided)})

TestListsTheCore = _suite(
    TruncatesLargerBatches,
    unsupported={"test_dynamic_batch_follows_resize": "engines have fixed shapes"},
)
TestListsNothingKnown = _suite(Faithful, unsupported={"test_no_such_promise": "why not"})
TestListsNoReason = _suite(Faithful, unsupported={"test_scalar": " "})
TestListsRightly = _suite(
    Faithful,
    unsupported={"test_no_elements[(0,)]": "drops them", "test_scalar[onnx]": "has none"},
)
TestListsAnUnknownParameter = _suite(Faithful, unsupported={"test_no_elements[(9,)]": "why not"})
TestReplacesTheCore = _suite(Faithful, test_dynamic_batch_follows_resize=lambda self: None)
TestReadsNoFormat = _suite(type("ReadsNoFormat", (Faithful,), {"formats": frozenset({"om"})}))


def _lacking(*_: Any, **__: Any) -> Any:
    raise Lacks("it has no word for anything")


TestWritesNothing = _suite(Faithful, writers={"onnx": _lacking})
