"""What a bench found, as JSON and as a table: the only place in hwrt that formats numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hwrt.machine.conditions import Conditions, between
from hwrt.machine.fingerprint import key as machine_key
from hwrt.measure.measurement import Measurement
from hwrt.measure.output_error import OutputError
from hwrt.measure.percentile import Percentile, nearest_rank
from hwrt.measure.statistics import Summary
from hwrt.measure.verdict import Verdict
from hwrt.model import memo
from hwrt.spec import ModelInfo
from hwrt.text import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "SCHEMA",
    "Report",
    "Result",
    "conclusion",
    "count",
    "error_text",
    "milliseconds",
    "size",
    "table",
]

SCHEMA = "hwrt.bench/1"

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_FIGURES = (
    *(f"p{q}{bound}" for q in (50, 90, 99) for bound in ("", "_upper")),
    *("mean", "std", "mad", "cov", "min", "max", "total_s", "median", "median_interval"),
    *("outliers", "block_spread"),
)
_UNRELIABLE = ", but not reliably: see INVALID, and run again when the machine is idle"
_SHOWN_OPTIONS = frozenset({"precision", "threads"})
_MODEL_FIELDS = (
    *("path", "format", "sha256", "size_bytes", "producer", "ir_version", "opsets"),
    *("parameters", "quantized", "inputs", "outputs"),
)


@dataclass(frozen=True)
class Result:
    """One candidate: what was measured, its statistics, and whether they may be believed.

    ``summary`` is None where nothing was timed; ``span`` holds the conditions before and after.
    """

    measurement: Measurement
    summary: Summary | None
    verdict: Verdict
    span: tuple[Conditions, Conditions] | None

    def to_json(self) -> dict[str, Any]:
        """Values for JSON: the measurement, raw samples and all, and what follows from it."""
        rate = None if self.summary is None else self.summary.n / self.summary.total_s
        document = {
            **self.measurement.to_json(),
            "latency_s": self._latency(),
            "throughput_per_s": rate,
            "verdict": self.verdict.to_json(),
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

    @property
    def winner(self) -> int | None:
        """The index of the right candidate with the least median; None where there is none.

        With the few samples of a tuning the lower quartile tells more; with a bench's many, it is
        the figure that is shown and compared.
        """
        medians = [(_median(r), i) for i, r in enumerate(self.results) if r.summary is not None]
        return min(medians)[1] if medians else None

    @property
    def measured(self) -> tuple[Result, ...]:
        """The candidates that answered rightly and were timed."""
        return tuple(result for result in self.results if result.summary is not None)

    @property
    def valid(self) -> bool:
        """True when something was measured, and every verdict on what was measured is VALID."""
        return bool(self.measured) and all(result.verdict.valid for result in self.measured)

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


def table(report: Report) -> RenderableType:
    """The report for people, to be printed by rich: figures, then reasons, then the conclusion."""
    from rich.console import Group

    heading = _cells(_heading(report))
    return Group(*heading, "", _figures(report), _notes(report), _last(report))


def conclusion(report: Report) -> str:
    """Who is fastest, by how much, or that the samples do not tell.

    Medians are compared with the runner-up's: they differ where their 95 % order-statistic
    intervals do not overlap.
    """
    if report.winner is None:
        return "no candidate ran rightly"
    best = report.results[report.winner]
    others = [result for result in report.measured if result is not best]
    names = _names(report.measured)
    if not others:
        text = f"{names[id(best)]} is the only candidate that ran rightly"
        return text if best.verdict.valid else text + _UNRELIABLE
    second = min(others, key=_median)
    mine, theirs = (_interval(result) for result in (best, second))
    text = f"no significant difference between {names[id(best)]} and {names[id(second)]}"
    if mine[1] < theirs[0]:
        ratio = _median(second) / _median(best)
        text = f"{names[id(best)]} is {ratio:.2f}x faster than {names[id(second)]}"
    if not (best.verdict.valid and second.verdict.valid):
        return text + _UNRELIABLE
    return text


def milliseconds(seconds: float | None) -> str:
    """Milliseconds with three significant digits, without the unit; ``n/a`` for None."""
    return "n/a" if seconds is None else _significant(seconds * 1e3)


def size(size_bytes: int | None) -> str:
    """Bytes in a fitting unit, ``9.70 MiB``; ``unknown`` for None."""
    if size_bytes is None:
        return "unknown"
    power = min(max(size_bytes.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    number = size_bytes / (1 << 10 * power)
    return f"{_significant(number) if power else size_bytes} {_UNITS[power]}"


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


def _heading(report: Report) -> Iterable[str]:
    cpu = report.machine["cpu"]
    model = report.model
    shapes = ", ".join(f"{name} {_sizes(shape)}" for name, shape in report.shapes.items())
    yield (f"{report.source}: {model.format}, {size(model.size_bytes)}, sha256 {model.sha256[:12]}")
    yield f"{cpu['model']}, {cpu['allowed']} CPUs allowed, {_threads(report.threads)}"
    yield f"{report.scenario}, preset {report.preset}; inputs: {report.inputs}; {shapes}"
    if report.unverified is None:
        yield f"outputs checked against {report.reference}"
    else:
        yield f"outputs NOT checked: {report.unverified}"


def _figures(report: Report) -> RenderableType:
    from rich.table import Table

    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for name in ("", "backend", "device", "precision"):
        grid.add_column(name, overflow="fold")
    # Headings of two lines leave room for the backend's name on 80 columns.
    for name in ("p50\nms", "p90\nms", "n", "runs/s", "vs\nbest", "output\nerror"):
        grid.add_column(name, justify="right", no_wrap=True)  # names fold, no figure is cut
    grid.add_column("verdict", no_wrap=True)
    best = None if report.winner is None else report.results[report.winner]
    for result in sorted(report.results, key=_order):
        style = "bold green" if result is best else None
        grid.add_row(*_cells(_row(result, best)), style=style)
    return grid


def _row(result: Result, best: Result | None) -> list[str]:
    measurement, summary = result.measurement, result.summary
    figures = ["-"] * 5
    verdict: str = measurement.status
    if summary is not None and best is not None:
        verdict = "VALID" if result.verdict.valid else "INVALID"
        figures = [
            _percentile(summary.p50),
            _percentile(summary.p90),
            str(summary.n),
            _significant(summary.n / summary.total_s),
            f"{_median(result) / _median(best):.2f}x",
        ]
    candidate = measurement.candidate
    more = [f"{k}={v}" for k, v in candidate.options.items() if k not in _SHOWN_OPTIONS]
    return [
        "*" if result is best else "",
        " ".join([candidate.backend, *more, candidate.variant or ""]).strip(),
        candidate.device,
        measurement.precision or candidate.options.precision or "-",
        *figures,
        error_text(measurement.output_error),
        verdict,
    ]


def _notes(report: Report) -> RenderableType:
    """A line for each reason; those of one candidate stand together."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold", max_width=28)
    grid.add_column(overflow="fold")
    rows = []
    names = _names(report.results)
    for result in sorted(report.results, key=_order):
        name = names[id(result)]
        rows += [
            (name if i == 0 else "", reason) for i, reason in enumerate(result.verdict.reasons)
        ]
        if result.summary is not None:
            rows += [(name, text) for text in _not_told(result.summary)]
    rows += [(name, f"not tried: {why}") for name, why in report.dropped.items()]
    if rows:
        grid.add_row("", "")
    for row in rows:
        grid.add_row(*_cells(row))
    return grid


def _last(report: Report) -> RenderableType:
    from rich.text import Text

    rule = " (by the 95% intervals of the medians)" if len(report.measured) > 1 else ""
    return Text.assemble("\n", (plain(conclusion(report)), "bold"), rule)


def _cells(texts: Iterable[str]) -> Iterable[RenderableType]:
    """The texts as rich shows them unread: a reason may hold what it takes for markup."""
    from rich.text import Text

    return (Text(plain(text)) for text in texts)


def _not_told(summary: Summary) -> Iterable[str]:
    for name, found in (("p50", summary.p50), ("p90", summary.p90)):
        if found.value is None:
            yield f"{name}: n/a ({found.reason})"


def _names(results: Iterable[Result]) -> dict[int, str]:
    """By id: the backend, with as much beside it as tells the candidates apart."""
    results = list(results)
    names: dict[int, str] = {}
    for name_of in (_backend, _backend_and_precision, _candidate):
        texts = [name_of(result) for result in results]
        for result, text in zip(results, texts, strict=True):
            if texts.count(text) == 1:
                names.setdefault(id(result), text)
    return {id(result): names.get(id(result), _candidate(result)) for result in results}


def _backend(result: Result) -> str:
    return result.measurement.candidate.backend


def _backend_and_precision(result: Result) -> str:
    measurement = result.measurement
    precision = measurement.precision or measurement.candidate.options.precision
    return f"{_backend(result)} {precision}"


def _candidate(result: Result) -> str:
    return str(result.measurement.candidate)


def _order(result: Result) -> tuple[int, float]:
    status = ("ok", "rejected", "failed").index(result.measurement.status)
    return status, _median(result)


def _median(result: Result) -> float:
    """The p50 that is shown, for any number of samples; infinite where nothing was timed."""
    samples_s = result.measurement.samples_s
    return nearest_rank(samples_s, 0.5) if samples_s else math.inf


def _interval(result: Result) -> tuple[float, float]:
    """The median's interval; what has too few samples for one overlaps with everything."""
    found = None if result.summary is None else result.summary.median_interval
    return found or (-math.inf, math.inf)


def _percentile(percentile: Percentile) -> str:
    return milliseconds(percentile.value)


def _significant(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"
