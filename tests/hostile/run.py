"""Reads thousands of damaged models and says what became of them.

python -m tests.hostile.run --cases 21000 --record tests/hostile/record.json
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import platform
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from tests.hostile import traced
from tests.hostile.bases import made_bases, real_bases, whole_files
from tests.hostile.cases import Case, write
from tests.hostile.runner import FINDINGS, READER, Outcome, Runner, cases, digest

_PACKAGES = ("numpy", "onnx", "protobuf", "ml_dtypes", "openvino", "ai-edge-litert", "lxml")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--whole", action="store_true", help="damage the files with their weights")
    parser.add_argument("--real", action="store_true", help="leave the small made models out")
    parser.add_argument("--format", help="one model format only")
    parser.add_argument("--keep", type=Path, help="a folder for what is found")
    parser.add_argument("--record", type=Path, help="a JSON file for the counts")
    parser.add_argument("--strace", type=Path, help="a file for what the kernel sees opened")
    parser.add_argument("--scratch", type=Path, default=Path("/dev/shm"))
    args = parser.parse_args(arguments)
    bases = whole_files(args.shared) if args.whole else []
    if not args.whole and not args.real:
        bases += made_bases()
    if not args.whole and (args.real or (args.shared / "models").is_dir()):
        bases += real_bases(args.shared)
    bases = [base for base in bases if args.format in (None, base.format)]
    tally = Tally(args.keep)
    prefix = traced.command(args.strace) if args.strace else ()
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(dir=args.scratch) as folder,
        contextlib.closing(Runner(Path(folder), prefix=prefix)) as runner,
    ):
        for case in cases(bases, args.seed, args.cases):
            tally.add(case, runner.run(case))
        if args.strace:
            tally.opened_outside = traced.outside(args.strace, Path(folder) / "case" / "model")
    document = {
        "command": " ".join(["python -m tests.hostile.run", *(arguments or sys.argv[1:])]),
        "date": dt.datetime.now(tz=dt.timezone.utc).date().isoformat(),
        "seconds": round(time.monotonic() - started),
        "bases": sorted(base.name for base in bases),
        **tally.to_json(),
        "versions": {"python": platform.python_version(), **_versions()},
    }
    if args.record:
        args.record.write_text(json.dumps(document, indent=1) + "\n")
    print(tally.table())
    return 1 if tally.findings or tally.opened_outside else 0


class Tally:
    """Outcomes by mutator, and what was found."""

    def __init__(self, keep: Path | None) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.findings: list[dict[str, str]] = []
        self.opened_outside: list[str] | None = None
        self.slowest = (0.0, "")
        self.largest = (0, "")
        self._keep = keep

    def add(self, case: Case, outcome: Outcome) -> None:
        self.counts[case.mutator][outcome.kind] += 1
        named = f"{case.mutator} of {case.base}"
        self.slowest = max(self.slowest, (outcome.cpu_s, named))
        self.largest = max(self.largest, (outcome.peak_kb >> 10, named))
        if outcome.kind not in FINDINGS:
            return
        name = f"{outcome.kind}-{case.mutator}-{digest(case.files)}"
        self.findings.append({"case": name, "base": case.base, "detail": outcome.detail})
        print(f"{name} of {case.base}: {outcome.detail}", flush=True)
        if self._keep:
            write(case.files, self._keep / name / "model")
            (self._keep / name / "detail.txt").write_text(f"{case.main}\n{outcome.detail}\n")

    def to_json(self) -> dict[str, Any]:
        """The counts as values for JSON."""
        total: Counter[str] = sum(self.counts.values(), Counter())
        structured = sum(
            sum(count.values())
            for name, count in self.counts.items()
            if not name.startswith("bytes.")
        )
        return {
            "files": sum(total.values()),
            "structure_aware": structured,
            "outcomes": dict(total.most_common()),
            "most_cpu_s": self.slowest,
            "most_mb": self.largest,
            "by_mutator": {name: dict(count) for name, count in sorted(self.counts.items())},
            "findings": self.findings,
            "opened_outside_by_strace": self.opened_outside,
        }

    def table(self) -> str:
        """A row for each mutator."""
        kinds = ["ModelError", "UnsupportedModel", "confirmed", *FINDINGS]
        rows = [["mutator", *kinds]]
        total: Counter[str] = sum(self.counts.values(), Counter())
        for name, count in [*sorted(self.counts.items()), ("all", total)]:
            rows.append([name, *(str(count[kind]) for kind in kinds)])
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _versions() -> dict[str, str]:
    installed = {item.name.lower(): item.version for item in distributions()}
    return {"reader": READER} | {name: installed.get(name, "absent") for name in _PACKAGES}


if __name__ == "__main__":
    sys.exit(main())
