"""A report as a table for people, to be printed by rich."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from hwrt.benchmark.report import (
    Report,
    Result,
    backend_and_precision,
    conclusion,
    error_text,
    median_of,
    milliseconds,
    names_of,
    significant,
    size,
)
from hwrt.measure.percentile import Percentile, nearest_rank
from hwrt.measure.statistics import Summary
from hwrt.text import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["table"]


def table(report: Report) -> RenderableType:
    """The report for people, to be printed by rich: figures, then reasons, then the conclusion."""
    from rich.console import Group

    heading = _cells(_heading(report))
    return Group(*heading, "", _figures(report), _notes(report), _last(report))


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
    shown = _shown(report)
    places = [_place(result) for result in shown]
    for result, place in zip(shown, places, strict=True):
        style = "bold green" if result is best else None
        # Where they are needed to tell two rows apart; a note says them else, being long.
        more = _own_options(result, report) if places.count(place) > 1 else ""
        grid.add_row(*_cells(_row(result, best, more)), style=style)
    return grid


def _shown(report: Report) -> list[Result]:
    return sorted((result for result in report.results if not result.screened), key=_order)


def _place(result: Result) -> tuple[str, str, str | None]:
    candidate = result.measurement.candidate
    return backend_and_precision(result), candidate.device, candidate.variant


def _own_options(result: Result, report: Report) -> str:
    """The options that neither another column nor the heading tells."""
    options = result.measurement.candidate.options
    told = {"precision"} | ({"threads"} if options.threads == report.threads else set())
    return " ".join(f"{key}={value}" for key, value in options.items() if key not in told)


def _row(result: Result, best: Result | None, more: str) -> list[str]:
    measurement, summary = result.measurement, result.summary
    figures = ["-"] * 5
    verdict: str = measurement.status
    if summary is not None and best is not None:
        verdict = "VALID" if result.verdict.valid else "INVALID"
        figures = [
            _percentile(summary.p50),
            _percentile(summary.p90),
            str(summary.n),
            significant(result.rate_per_s or 0.0),
            f"{median_of(result) / median_of(best):.2f}x",
        ]
    candidate = measurement.candidate
    return [
        "*" if result is best else "",
        " ".join(part for part in (candidate.backend, more, candidate.variant) if part),
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
    rows: list[tuple[str, str]] = []
    shown = _shown(report)
    names = names_of(shown)
    for result in shown:
        options = _own_options(result, report)
        texts = [f"settings: {options}"] if options else []
        texts += result.verdict.reasons
        if result.summary is not None:
            texts += _not_told(result.summary)
        rows += [(names[id(result)] if i == 0 else "", text) for i, text in enumerate(texts)]
    rows += _screened(report)
    rows += [(name, f"not tried: {why}") for name, why in report.dropped.items()]
    if rows:
        grid.add_row("", "")
    for row in rows:
        grid.add_row(*_cells(row))
    return grid


def _screened(report: Report) -> Iterable[tuple[str, str]]:
    """A line for each backend and precision: its other settings, by the one that was timed."""
    for best in report.measured:
        name = backend_and_precision(best)
        others = [r for r in report.measured if r.screened and backend_and_precision(r) == name]
        if others and not best.screened:
            ratios = sorted((_ratio(other, best), _settings(other)) for other in others)
            told = ", ".join(f"{settings} {ratio:.2f}x" for ratio, settings in ratios)
            yield name, f"other settings, a few rounds each: {told}"


def _ratio(result: Result, best: Result) -> float:
    """The median by that of the best in the same rounds: later ones may have been quieter."""
    rounds = {number for number, _ in result.measurement.windows}
    beside = _samples_of(best, rounds) or best.measurement.samples_s
    return nearest_rank(result.measurement.samples_s, 0.5) / nearest_rank(beside, 0.5)


def _samples_of(result: Result, rounds: Collection[int]) -> list[float]:
    samples: list[float] = []
    start = 0
    for number, count in result.measurement.windows:
        if number in rounds:
            samples += result.measurement.samples_s[start : start + count]
        start += count
    return samples


def _settings(result: Result) -> str:
    options = result.measurement.candidate.options
    return " ".join(f"{k}={v}" for k, v in options.items() if k != "precision") or "default"


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


def _order(result: Result) -> tuple[int, float]:
    status = ("ok", "rejected", "failed").index(result.measurement.status)
    return status, median_of(result)


def _percentile(percentile: Percentile) -> str:
    return milliseconds(percentile.value)


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"
