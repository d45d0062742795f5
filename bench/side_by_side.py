"""Calls timed side by side: each in turn, round after round, within one process and one run.

So drift of the machine meets all of them, and a ratio is the median of each round's ratio.
"""

from __future__ import annotations

import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hwrt.machine.versions import versions

Call = Callable[[], object]
# A round's time for one call, so that the clock's grain and the loop do not count.
_ROUND_S = 5e-3
_FLUSHED_BYTES = 96 << 20
# The one of OpenCV's two packages that is not installed is null.
_PEERS = ("opencv-python", "opencv-python-headless", "numba", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Case:
    """One piece of work: our call, what peers do for it, and the least that it can take."""

    name: str
    ours: Call
    peers: Mapping[str, Call]
    floor: Call | None = None
    wanted: Mapping[str, float] = field(default_factory=dict)
    """The ratio peer / ours that was promised, by peer; ``floor``: the least floor / ours."""


@dataclass(frozen=True)
class Figures:
    """What was measured of one case: seconds a call, a value a round."""

    case: Case
    samples: Mapping[str, Sequence[float]]

    def median_s(self, name: str) -> float:
        """The median time of a call."""
        return statistics.median(self.samples[name])

    def ratio(self, name: str) -> float:
        """How many times ours it takes: the median over the rounds."""
        pairs = zip(self.samples[name], self.samples["hwrt"], strict=True)
        return statistics.median(theirs / ours for theirs, ours in pairs)


def measure(case: Case, *, rounds: int, cold: bool = False) -> Figures:
    """Time the case's calls in turn; ``cold`` throws everything out of the caches before each."""
    calls = {"hwrt": case.ours, **case.peers}
    if case.floor is not None:
        calls["floor"] = case.floor
    counts = {name: 1 if cold else _count(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    flushed = np.zeros(_FLUSHED_BYTES if cold else 0, np.uint8)
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            names = list(calls) if number % 2 == 0 else list(reversed(calls))
            for name in names:
                if cold:
                    flushed += 1
                else:
                    calls[name]()  # what the last one left in the caches is not this one's matter
                samples[name].append(_time(calls[name], counts[name]))
    finally:
        gc.enable()
    return Figures(case, samples)


def print_table(title: str, figures: Sequence[Figures]) -> bool:
    """Print one line a case; True when every promised ratio was kept."""
    kept = True
    print(f"\n{title}")
    for found in figures:
        print(f"  {found.case.name}: {found.median_s('hwrt') * 1e3:.4f} ms")
        for name in found.samples:
            if name == "hwrt":
                continue
            ratio = found.ratio(name)
            promised = found.case.wanted.get(name)
            verdict = ""
            if promised is not None:
                kept = kept and ratio >= promised
                verdict = f"  {'kept' if ratio >= promised else 'MISSED'} (>= {promised:g})"
            shown = f"{ratio:.0%} of ours" if name == "floor" else f"x{ratio:.2f}"
            print(f"    {name:28} {found.median_s(name) * 1e3:9.4f} ms  {shown}{verdict}")
    return kept


def write_json(path: Path, parts: Mapping[str, Sequence[Figures]], **about: Any) -> None:
    """Write all samples, with the machine, the versions and the command."""
    document = {
        "schema": "hwrt.kernel-bench/1",
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "machine": {"cpu": _cpu(), "platform": platform.platform()},
        "versions": versions(_PEERS),
        **about,
        "cases": {
            title: [
                {
                    "name": found.case.name,
                    "wanted": dict(found.case.wanted),
                    "ratios": {n: round(found.ratio(n), 3) for n in found.samples if n != "hwrt"},
                    "median_s": {n: float(f"{found.median_s(n):.4g}") for n in found.samples},
                    "samples_s": {
                        name: [float(f"{value:.4g}") for value in values]
                        for name, values in found.samples.items()
                    },
                }
                for found in figures
            ]
            for title, figures in parts.items()
        },
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _count(call: Call) -> int:
    """How many calls fill a round; the first two warm up."""
    call()
    call()
    once = min(_time(call, 1) for _ in range(3))
    return max(1, round(_ROUND_S / max(once, 1e-7)))


def _time(call: Call, count: int) -> float:
    begin = time.perf_counter_ns()
    for _ in range(count):
        call()
    return (time.perf_counter_ns() - begin) / count / 1e9


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.processor()
