"""ONNX's own backend tests through hwrt on one backend, held against the list of expected failures.

    python -m tests.onnx_backend.run tests/onnx_backend/NAME-VERSION.toml [--failures FILE]

Exit code 1 where a test fails that is not listed, or for another reason than listed, or where a
listed one passes.  The onnx that is imported must be the list's: PYTHONPATH chooses it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from .expected import Expected, Outcome, Verdict, judge

HWRT = "hwrt.onnx_backend:backend_named"
ROOT = Path(__file__).resolve().parents[2]


def run_tests(name: str, *, maker: str = HWRT, only: str = "") -> tuple[str, dict[str, Outcome]]:
    """The version of onnx, and the outcome of each of its tests by name.

    A child that dies in a test fails this test; another child goes on after it.
    """
    outcomes: dict[str, Outcome] = {}
    after: list[str] = []
    while True:
        read_fd, write_fd = os.pipe()
        command = [sys.executable, "-W", "ignore", "-m", "tests.onnx_backend.child"]
        command += [maker, name, str(write_fd), "--only", only, *after]
        with tempfile.TemporaryFile("w+") as printed, os.fdopen(read_fd) as pipe:
            child = subprocess.Popen(
                command, pass_fds=[write_fd], stdout=printed, stderr=printed, cwd=ROOT
            )
            os.close(write_fd)
            version, culprit, ended = _read(pipe, outcomes)
            death = _how_it_ended(child.wait())
            printed.seek(0)
            tail = printed.read()[-2000:]
        if ended:
            return version, outcomes
        if culprit is None:
            raise SystemExit(f"the tests could not begin or go on: {death}\n{tail}")
        outcomes[culprit] = Outcome("failed", f"the process ended: {death}")
        after = ["--after", culprit]


def _read(pipe: IO[str], outcomes: dict[str, Outcome]) -> tuple[str, str | None, bool]:
    """The version of onnx, the test that was running at the end, and whether that was the last."""
    version, running = "", None
    for line in pipe:
        if not line.endswith("\n"):
            break
        said = json.loads(line)
        if "start" in said:
            running = said["start"]
        elif "name" in said:
            outcomes[said["name"]] = Outcome(said["outcome"], said["message"])
            running = None
        elif "onnx" in said:
            version = said["onnx"]
        else:
            return version, None, True
    return version, running, False


def _how_it_ended(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def report(expected: Expected, verdict: Verdict, tests: int) -> str:
    """The verdict as text: counts, then expected failures by reason, then what is wrong."""
    failed = sum(map(len, verdict.expected.values()))
    counts = f"{verdict.passed} passed, {failed} failed as expected, {len(verdict.wrong)} wrong"
    lines = [f"{expected.backend}, onnx {expected.onnx}: {tests} tests, {counts}"]
    by_size = sorted(verdict.expected.items(), key=lambda item: -len(item[1]))
    lines += [f"  {len(names):4} {reason}" for reason, names in by_size]
    lines += [f"  WRONG {line[:600]}" for line in verdict.wrong]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("list", type=Path)
    parser.add_argument("--failures", type=Path, help="write each failure and its message here")
    asked = parser.parse_args()
    expected = Expected.load(asked.list)
    version, outcomes = run_tests(expected.backend)
    if version != expected.onnx:
        raise SystemExit(f"{asked.list} is for onnx {expected.onnx}, imported was {version}")
    if asked.failures:
        failures = {name: found for name, found in outcomes.items() if found.outcome != "passed"}
        asked.failures.write_text(json.dumps(failures, indent=1))
    verdict = judge(outcomes, expected)
    print(report(expected, verdict, len(outcomes)))
    if verdict.wrong:
        from hwrt import registry

        stamp = registry.backend(expected.backend).stamp()
        print(f"  the list was made with {expected.made_with}; this is {stamp}")
    return 1 if verdict.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
