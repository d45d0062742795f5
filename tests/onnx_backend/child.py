"""Runs ONNX's backend tests one after the other and writes what became of each to a pipe.

    python -m tests.onnx_backend.child MAKER NAME FD [--after TEST] [--only PATTERN]

MAKER is ``module:function``; the function gives an onnx.backend.base.Backend for NAME.  The vendor
may print, crash or hang here: run.py, the parent, goes on after the test that did.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import json
import os
import re
import tempfile
import unittest
from collections.abc import Iterator
from typing import Any, NoReturn

import onnx
from onnx.backend.test import BackendTest

# Far above what any test takes; one that hangs ends the child.
HANG_S = 300
_LONGEST_MESSAGE = 4000


class Outcome(unittest.TestResult):
    """The outcome of one test, and the message of what it raised."""

    def __init__(self) -> None:
        super().__init__()
        self.outcome, self.message = "passed", ""

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802 - unittest's name
        self.outcome = "failed"
        text = f"{type(err[1]).__name__}: {err[1]}"
        self.message = " ".join(text.split())[:_LONGEST_MESSAGE]

    addFailure = addError  # noqa: N815

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        self.outcome, self.message = "skipped", reason


def refuse_download(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("this test would download a model")


def cases(backend: Any, only: str) -> Iterator[tuple[str, unittest.TestCase]]:
    """The tests for the CPU by name, always in the same order."""
    suite = BackendTest(backend, __name__)
    suite.download_model = suite.prepare_model_data = refuse_download
    for _, kind in sorted(suite.test_cases.items()):
        for method in sorted(dir(kind)):
            name = method.removesuffix("_cpu")
            if name.startswith("test_") and name != method and re.search(only, name):
                yield name, kind(method)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("maker")
    parser.add_argument("name")
    parser.add_argument("fd", type=int)
    parser.add_argument("--after")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    module, function = asked.maker.split(":")
    backend = getattr(importlib.import_module(module), function)(asked.name)
    with (
        os.fdopen(asked.fd, "w", buffering=1) as pipe,
        tempfile.TemporaryDirectory(prefix="onnx-home-") as home,
    ):
        # There the suite puts the data that it makes for models without any.
        os.environ["ONNX_HOME"] = home
        tests = dict(cases(backend, asked.only))
        print(json.dumps({"onnx": onnx.__version__, "tests": list(tests)}), file=pipe)
        names = list(tests)
        for name in names[names.index(asked.after) + 1 if asked.after else 0 :]:
            print(json.dumps({"start": name}), file=pipe)
            faulthandler.dump_traceback_later(HANG_S, exit=True)
            found = Outcome()
            tests[name].run(found)
            faulthandler.cancel_dump_traceback_later()
            done = {"name": name, "outcome": found.outcome, "message": found.message}
            print(json.dumps(done), file=pipe)
        print(json.dumps({"end": True}), file=pipe)


if __name__ == "__main__":
    main()
