"""How good the tuner's choices are: a record of every candidate, and the policy played on it.

    python bench/oracle.py record MODEL... --threads N   every candidate, interleaved, to files
    python bench/oracle.py replay [RECORD...]            the tuner's policy on random parts of them
    python bench/oracle.py live MODEL... --threads N     whole tunings, judged by the record

A record's best is the candidate with the least lower quartile over all of it.  A choice is *right*
where it costs at most 3 % more, or where the record itself can not tell the two apart: the 95 %
interval of their ratio holds 1.  Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import hwrt
from hwrt.loading import make_wish
from hwrt.machine.versions import versions
from hwrt.measure.measurement import Measurement
from hwrt.source import open_model
from hwrt.spec import Options
from hwrt.tuning.decision import Contender, compare
from hwrt.tuning.rounds import Race, Window
from hwrt.tuning.tuner import measure
from hwrt.tuning.wish import Effort

RECORDS = Path(__file__).parent / "results" / "oracle"
_SCHEMA = "hwrt.oracle/1"
_LEAST_ROUNDS = 150
_NEAR, _FAR = 1.03, 1.10


class Record(NamedTuple):
    """Every candidate of one model at one number of threads, over the same rounds."""

    model: str
    threads: int
    contenders: Sequence[Contender]

    @property
    def rounds(self) -> list[int]:
        """The rounds in which every candidate ran."""
        common = set.intersection(*(set(one.windows) for one in self.contenders))
        return sorted(common)

    def costs(self) -> list[float]:
        """The lower quartile of each candidate over the whole record, by that of the best."""
        quartiles = [
            float(np.quantile([s for w in one.windows.values() for s in w], 0.25))
            for one in self.contenders
        ]
        return [quartile / min(quartiles) for quartile in quartiles]


def record(model: str, threads: int, samples: int) -> None:
    """Measure every candidate of the model side by side, and keep all samples."""
    opened = open_model(model)
    effort = Effort(
        min_seconds=1e-9,
        min_samples=samples,
        min_windows=_LEAST_ROUNDS,
        budget_s=math.inf,
        prune=False,
    )
    wish = make_wish(opened.info, threads=threads, every_candidate=True)
    started = time.monotonic()
    evidence = measure(opened.info, wish, machine="oracle", effort=effort, cache_root=None)
    document = {
        "schema": _SCHEMA,
        "model": _name(model),
        "threads": threads,
        "seconds": round(time.monotonic() - started),
        "versions": versions(("onnxruntime", "openvino", "ai-edge-litert")),
        "measurements": [_document(measurement) for measurement in evidence.measurements],
        "dropped": dict(evidence.dropped),
    }
    RECORDS.mkdir(parents=True, exist_ok=True)
    path = RECORDS / f"{_name(model)}-{threads}.json"
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    _tell(path)


def _document(measurement: Measurement) -> dict[str, Any]:
    return {
        "candidate": measurement.candidate.to_json(),
        "status": measurement.status,
        "reason": measurement.reason,
        "peak_rss_bytes": measurement.peak_rss_bytes,
        "windows": list(measurement.windows),
        # A tenth of a microsecond is what a clock is good for.
        "samples_us": [round(seconds * 1e6, 1) for seconds in measurement.samples_s],
    }


def read(path: Path) -> Record:
    """The record in the file: its right candidates alone."""
    document = json.loads(path.read_text())
    defaults: dict[tuple[str, str], Options] = {}
    contenders = []
    for entry in document["measurements"]:
        if entry["status"] != "ok":
            continue
        candidate = entry["candidate"]
        options = Options(candidate["options"])
        default = defaults.setdefault((candidate["backend"], candidate["device"]), options)
        names = (default.keys() | options.keys()) - {"threads"}
        contenders.append(
            Contender(
                f"{candidate['backend']} {candidate['device']} {options}",
                windows=dict(_windows(entry)),
                memory_bytes=entry["peak_rss_bytes"],
                changed=sum(default.get(name) != options.get(name) for name in names),
                threads=options.threads or document["threads"],
            )
        )
    return Record(document["model"], document["threads"], contenders)


def _windows(entry: dict[str, Any]) -> Iterator[tuple[int, tuple[float, ...]]]:
    at = 0
    for number, count in entry["windows"]:
        yield number, tuple(us / 1e6 for us in entry["samples_us"][at : at + count])
        at += count


def _tell(path: Path) -> None:
    found = read(path)
    print(f"{path.name}: {len(found.contenders)} right candidates, {len(found.rounds)} rounds")
    for cost, contender in sorted(zip(found.costs(), found.contenders, strict=True), key=_first):
        count = sum(map(len, contender.windows.values()))
        print(f"  x{cost:.3f}  n {count:5}  {contender.name}")


def _first(pair: tuple[float, Contender]) -> float:
    return pair[0]


class _Recorded:
    """An entry of a race: a record's windows from some round on, the first after the last."""

    def __init__(self, contender: Contender, rounds: Sequence[int], start: int) -> None:
        self._contender = contender
        self._rounds = rounds
        self._at = start

    def sample(self) -> Window:
        number = self._rounds[self._at % len(self._rounds)]
        self._at += 1
        return Window(tuple(self._contender.windows[number]), None, self._contender.memory_bytes)


class Judged(NamedTuple):
    """One choice: by how much it costs more than the record's best, and whether that is right."""

    cost: float
    tie: bool

    @property
    def right(self) -> bool:
        """At most 3 % more, or a tie by the record."""
        return self.cost <= _NEAR or self.tie


def judge(found: Record, chosen: int) -> Judged:
    """The choice of this candidate, by the record."""
    costs = found.costs()
    best = costs.index(1.0)
    if chosen == best:
        return Judged(1.0, tie=False)
    ratio = compare(found.contenders[chosen], found.contenders[best])
    return Judged(costs[chosen], tie=not ratio.is_significant)


def replay(path: Path, times: int, seed: int) -> None:
    """Play the policy on random parts of the record, and print how often it chose rightly."""
    found = read(path)
    rounds = found.rounds
    generator = np.random.default_rng(seed)
    judged, costs = [], []
    quickest = min(
        statistics.median(s for w in one.windows.values() for s in w) for one in found.contenders
    )
    for start in generator.integers(0, len(rounds), times):
        race = Race(dataclasses.replace(Effort(), budget_s=math.inf))
        lanes = [
            race.enter(_Recorded(one, rounds, int(start)), dataclasses.replace(one, windows={}))
            for one in found.contenders
        ]
        race.run(lanes)
        winner = race.decision().winner
        assert winner is not None
        judged.append(judge(found, winner))
        costs.append(race.seconds / quickest)
    print(
        f"{path.stem}: {len(found.contenders)} candidates, {times} replays: "
        f"right {_share(one.right for one in judged)}, "
        f"within 3 % {_share(one.cost <= _NEAR for one in judged)}, "
        f"within 10 % {_share(one.cost <= _FAR for one in judged)}, "
        f"worst x{max(one.cost for one in judged):.3f}; "
        f"costs {statistics.median(costs):.0f} times the best latency"
    )


def live(model: str, threads: int, times: int) -> None:
    """Tune anew and judge each choice by the record."""
    found = read(RECORDS / f"{_name(model)}-{threads}.json")
    names = [one.name for one in found.contenders]
    for _ in range(times):
        started = time.monotonic()
        plan = hwrt.tune(model, threads=threads, cache=False)
        took = time.monotonic() - started
        chosen = str(plan.candidate)
        judged = judge(found, names.index(chosen))
        verdict = "right" if judged.right else "MISSED"
        print(f"{_name(model)}-{threads}: {verdict} x{judged.cost:.3f} in {took:.1f} s: {chosen}")


def _share(choices: Iterator[bool]) -> str:
    values = list(choices)
    return f"{sum(values) / len(values):.1%}"


def _name(model: str) -> str:
    return Path(model.removeprefix("zoo:")).stem


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("record", "live"):
        command = commands.add_parser(name)
        command.add_argument("models", nargs="+", metavar="MODEL")
        command.add_argument("--threads", type=int, default=1)
        if name == "record":
            command.add_argument("--samples", type=int, default=500)
        else:
            command.add_argument("--times", type=int, default=5)
    command = commands.add_parser("replay")
    command.add_argument("records", nargs="*", type=Path, metavar="RECORD")
    command.add_argument("--times", type=int, default=200)
    command.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.command == "replay":
        for path in given.records or sorted(RECORDS.glob("*.json")):
            replay(path, given.times, given.seed)
        return
    for model in given.models:
        if given.command == "record":
            record(model, given.threads, given.samples)
        else:
            live(model, given.threads, given.times)


if __name__ == "__main__":
    main()
