"""What a bench found, as JSON and as a table: the only place in hwrt that formats numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hwrt.machine.conditions import Conditions, between
from hwrt.machine.fingerprint import key as machine_key
from hwrt.measure.measurement import Measurement
from hwrt.measure.output_error import OutputError
from hwrt.measure.percentile import nearest_rank
from hwrt.measure.statistics import Summary
from hwrt.measure.verdict import Verdict
from hwrt.model import memo
from hwrt.spec import ModelInfo

__all__ = [
    "SCHEMA",
    "Report",
    "Result",
    "backend_and_precision",
    "conclusion",
    "count",
    "error_text",
    "median_of",
    "milliseconds",
    "names_of",
    "significant",
    "size",
]

SCHEMA = "hwrt.bench/1"

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_FIGURES = (
    *(f"p{q}{bound}" for q in (50, 90, 99) for bound in ("", "_upper")),
    *("mean", "std", "mad", "cov", "min", "max", "total_s", "median", "median_interval"),
    *("outliers", "block_spread"),
)
_UNRELIABLE = ", but not reliably: see INVALID, and run again when the machine is idle"
_MODEL_FIELDS = (
    *("path", "format", "sha256", "size_bytes", "producer", "ir_version", "opsets"),
    *("parameters", "quantized", "inputs", "outputs"),
)


@dataclass(frozen=True)
class Result:
    """One candidate: what was measured, its statistics, and whether they may be believed.

    ``summary`` is None where nothing was timed; ``span`` holds the conditions before and after.
    ``screened`` is True where it got a few rounds only: another setting stands for it.
    """

    measurement: Measurement
    summary: Summary | None
    verdict: Verdict
    span: tuple[Conditions, Conditions] | None
    screened: bool = False

    @property
    def rate_per_s(self) -> float | None:
        """Inferences in a second; one after the other where no more were in flight."""
        if self.measurement.rate_per_s is not None or self.summary is None:
            return self.measurement.rate_per_s
        return self.summary.n / self.summary.total_s

    def to_json(self) -> dict[str, Any]:
        """Values for JSON: the measurement, raw samples and all, and what follows from it."""
        rate = self.rate_per_s
        document = {
            **self.measurement.to_json(),
            "latency_s": self._latency(),
            "throughput_per_s": rate,
            "verdict": self.verdict.to_json(),
            "screened": self.screened,
            "conditions": None if self.span is None else asdict(between(*self.span)),
        }
        if rate is None:
            document["throughput_per_s_reason"] = self._unmeasured
        return document

    def _latency(self) -> dict[str, Any]:
        document: dict[str, Any] = {"n": 0, **dict.fromkeys(_FIGURES)}
        reason = self._unmeasured
        if self.summary is not None:
            document.update(self.summary.to_json())
            reason = "not defined for these samples"
        for name in _FIGURES:
            if document[name] is None:
                of_bound = document.get(f"{name.removesuffix('_upper')}_reason", reason)
                document.setdefault(f"{name}_reason", of_bound)
        return document

    @property
    def _unmeasured(self) -> str:
        return f"not measured: {self.measurement.status}"


@dataclass(frozen=True)
class Report:
    """All results of one bench, and what they rest on.

    ``source`` is the model as the user named it; ``inputs`` tells in words what it was run on, at
    ``shapes``.  ``before`` and ``after`` are the conditions around the whole bench.  ``dropped``
    maps what was never tried to why.
    """

    source: str
    model: ModelInfo
    machine: Mapping[str, Any]
    before: Conditions
    after: Conditions
    scenario: str
    preset: str
    threads: int
    inputs: str
    shapes: Mapping[str, tuple[int, ...]]
    results: tuple[Result, ...]
    reference: str | None
    unverified: str | None
    dropped: Mapping[str, str]
    versions: Mapping[str, str | None]
    hwrt_version: str
    made_at: str
    objective: str = "latency"
    chosen: int | None = None
    why: str = ""

    @property
    def winner(self) -> int | None:
        """The index of the right candidate with the least median; None where there is none.

        With the few samples of a tuning the lower quartile tells more; with a bench's many, it is
        the figure that is shown and compared.  For another objective it is the one ``chosen``.
        """
        if self.objective != "latency":
            return self.chosen
        right = [i for i, r in enumerate(self.results) if r.summary and not r.screened]
        return min(right, key=lambda i: median_of(self.results[i]), default=None)

    @property
    def measured(self) -> tuple[Result, ...]:
        """The candidates that answered rightly and were timed."""
        return tuple(result for result in self.results if result.summary is not None)

    @property
    def valid(self) -> bool:
        """True when something was measured, and every verdict on what was measured is VALID."""
        verdicts = [result.verdict.valid for result in self.measured if not result.screened]
        return bool(verdicts) and all(verdicts)

    def to_json(self) -> dict[str, Any]:
        """The report as values for strict JSON: no NaN and no infinity."""
        described = memo.to_json(self.model)
        return {
            "schema": SCHEMA,
            "hwrt": self.hwrt_version,
            "made_at": self.made_at,
            "machine": {**self.machine, "key": machine_key(self.machine)},
            "conditions": {
                "before": self.before.to_json(),
                "after": self.after.to_json(),
                "change": asdict(between(self.before, self.after)),
            },
            "versions": dict(self.versions),
            "model": {"name": self.source, **{name: described[name] for name in _MODEL_FIELDS}},
            "scenario": self.scenario,
            "preset": self.preset,
            "threads": self.threads,
            "objective": self.objective,
            "inputs": self.inputs,
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "reference": self.reference,
            "unverified": self.unverified,
            "results": [result.to_json() for result in self.results],
            "winner": self.winner,
            "dropped": dict(self.dropped),
            "conclusion": conclusion(self),
        }

    def dumps(self) -> str:
        """The report as one JSON document."""
        return json.dumps(self.to_json(), indent=1, allow_nan=False)


def conclusion(report: Report) -> str:
    """Who is fastest, by how much, or that the samples do not tell.

    Medians are compared with the runner-up's: they differ where their 95 % order-statistic
    intervals do not overlap.
    """
    if report.winner is None:
        return "no candidate ran rightly"
    best = report.results[report.winner]
    if report.objective != "latency":
        return f"{best.measurement.candidate}: {report.why}"
    timed = [result for result in report.measured if not result.screened]
    others = [result for result in timed if result is not best]
    names = names_of(timed)
    if not others:
        text = f"{names[id(best)]} is the only candidate that ran rightly"
        return text if best.verdict.valid else text + _UNRELIABLE
    second = min(others, key=median_of)
    mine, theirs = (_interval(result) for result in (best, second))
    text = f"no significant difference between {names[id(best)]} and {names[id(second)]}"
    if mine[1] < theirs[0]:
        ratio = median_of(second) / median_of(best)
        text = f"{names[id(best)]} is {ratio:.2f}x faster than {names[id(second)]}"
    if not (best.verdict.valid and second.verdict.valid):
        return text + _UNRELIABLE
    return text


def milliseconds(seconds: float | None) -> str:
    """Milliseconds with three significant digits, without the unit; ``n/a`` for None."""
    return "n/a" if seconds is None else significant(seconds * 1e3)


def size(size_bytes: int | None) -> str:
    """Bytes in a fitting unit, ``9.70 MiB``; ``unknown`` for None."""
    if size_bytes is None:
        return "unknown"
    power = min(max(size_bytes.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    number = size_bytes / (1 << 10 * power)
    return f"{significant(number) if power else size_bytes} {_UNITS[power]}"


def count(number: int | None) -> str:
    """A whole number with separators, ``2,542,856``; ``unknown`` for None."""
    return "unknown" if number is None else f"{number:,}"


def error_text(errors: Mapping[str, OutputError]) -> str:
    """The worst output's error: relative l2, else the share that agrees; ``-`` where none is."""
    if any(error.difference for error in errors.values()):
        return "differs"
    distances = [e.relative_l2 for e in errors.values() if e.relative_l2 is not None]
    if distances:
        return f"{max(distances):.1e}" if max(distances) else "0"
    shares = [error.agreement for error in errors.values() if error.agreement is not None]
    return f"{min(shares):.2%}" if shares else "-"


def names_of(results: Iterable[Result]) -> dict[int, str]:
    """By id: the backend, with as much beside it as tells the candidates apart."""
    results = list(results)
    names: dict[int, str] = {}
    for name_of in (_backend, backend_and_precision, _candidate):
        texts = [name_of(result) for result in results]
        for result, text in zip(results, texts, strict=True):
            if texts.count(text) == 1:
                names.setdefault(id(result), text)
    return {id(result): names.get(id(result), _candidate(result)) for result in results}


def _backend(result: Result) -> str:
    return result.measurement.candidate.backend


def backend_and_precision(result: Result) -> str:
    """The backend, and the precision that was built, or asked for where nothing was."""
    measurement = result.measurement
    precision = measurement.precision or measurement.candidate.options.precision
    return f"{_backend(result)} {precision}"


def _candidate(result: Result) -> str:
    return str(result.measurement.candidate)


def median_of(result: Result) -> float:
    """The p50 that is shown, for any number of samples; infinite where nothing was timed."""
    samples_s = result.measurement.samples_s
    return nearest_rank(samples_s, 0.5) if samples_s else math.inf


def _interval(result: Result) -> tuple[float, float]:
    """The median's interval; what has too few samples for one overlaps with everything."""
    found = None if result.summary is None else result.summary.median_interval
    return found or (-math.inf, math.inf)


def significant(value: float) -> str:
    """The number with three significant digits."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
