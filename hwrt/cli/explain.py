"""``hwrt explain``: why a model runs as it does, from the plan in the cache."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwrt.cli.echo import echo
from hwrt.cli.options import batched, load_options
from hwrt.text import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hwrt.measure.measurement import Candidate
    from hwrt.tuning.explanation import Standing
    from hwrt.tuning.plan import Plan

__all__ = ["command"]

_IN_TABLE = frozenset({"precision", "threads"})


@click.command("explain", short_help="Say why the cached plan chose what it chose.")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@load_options
def command(model: str, as_json: bool, batch: int | None, load_arguments: dict[str, Any]) -> int:
    """Say why MODEL runs as it does: every candidate, its figures, why it won, lost or was dropped.

    MODEL is a file, zoo:NAME, or a plan's own file.  With options the plan is that of a load with
    these.  Nothing is run or measured.  Exits with 1 where there is no plan.
    """
    plan = _plan(model, batch, load_arguments)
    if isinstance(plan, str):
        echo(
            f"hwrt explain: {plan} (run `hwrt tune {model}`, or a load, with these options)",
            err=True,
        )
        return 1
    from hwrt.tuning import explanation

    if as_json:
        click.echo(json.dumps(explanation.to_json(plan), indent=1, allow_nan=False))
        return 0
    from rich.console import Console

    console = Console(highlight=False)
    for part in _parts(plan):
        console.print(part)
    return 0


def _plan(model: str, batch: int | None, load_arguments: dict[str, Any]) -> Plan | str:
    from hwrt.entry import samples_for
    from hwrt.loading.stored import stored_plan
    from hwrt.tuning.plan import Plan

    if _is_json(model):
        return Plan.load(model)
    model, load_arguments = batched(model, load_arguments, batch)
    return stored_plan(model, **{**load_arguments, "samples": samples_for(model, load_arguments)})


def _is_json(model: str) -> bool:
    """True for a file that begins as a plan does, and no model."""
    path = Path(model)
    if model.startswith("zoo:") or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(64).lstrip().startswith(b"{")


def _parts(plan: Plan) -> Iterator[RenderableType]:
    from rich.text import Text

    from hwrt.tuning.explanation import gain, standings

    yield from (Text(plain(line)) for line in _heading(plan))
    ranked = standings(plan)
    if ranked:
        yield ""
        yield _figures(ranked, plan)
    notes = list(_notes(ranked, plan))
    if notes:
        yield ""
        yield _two_columns(notes)
    found = gain(plan)
    if found is not None:
        reduced = found.reduced.measurement.candidate
        yield Text("\n" + plain(f"reduced precision gave {found.ratio}: {reduced}"))
    yield Text("\n" + plain(f"{plan.candidate}: {plan.why or 'not measured'}"), style="bold")


def _heading(plan: Plan) -> Iterator[str]:
    asked = plan.key
    cpu = plan.machine.get("cpu", {}).get("model", "unknown")
    yield f"{plan.model_name or 'the model'}: sha256 {asked.model[:12]}"
    yield f"measured {plan.made_at} on {cpu}"
    yield f"for {asked.objective}, threads allowed: {asked.threads}, accuracy: {asked.accuracy}"
    if plan.measured_again:
        yield f"measured again because: {'; '.join(plan.measured_again)}"
    if plan.unverified is not None:
        yield f"outputs NOT checked: {plan.unverified}"
    elif plan.reference is not None:
        check = f" ({plan.reference_check})" if plan.reference_check else ""
        yield f"outputs checked against {plan.reference}{check}"


def _figures(ranked: Iterable[Standing], plan: Plan) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    grid.add_column("")
    grid.add_column("candidate", overflow="fold")
    grid.add_column("runs as", overflow="fold")
    compared = {"p99": "p99", "throughput": "ms each"}.get(plan.key.objective, "quartile")
    for name in (f"{compared}\nms", "p99\nms", "runs/s", "MiB", "output\nerror", "slower"):
        grid.add_column(name, justify="right", no_wrap=True)
    for one in ranked:
        cells = [Text(plain(text)) for text in _row(one)]
        grid.add_row(*cells, style="bold green" if one.outcome == "chosen" else None)
    return grid


def _row(one: Standing) -> list[str]:
    from hwrt.benchmark.report import error_text, milliseconds, significant

    measured = one.measurement
    memory = measured.peak_rss_bytes
    slower = "-" if one.behind is None else str(one.behind)
    return [
        "*" if one.outcome == "chosen" else "",
        _name(measured.candidate),
        one.precision or "-",
        "-" if one.cost is None else milliseconds(one.cost.value),
        milliseconds(one.p99.value) if measured.samples_s else "-",
        "-" if one.throughput_per_s is None else significant(one.throughput_per_s),
        "-" if memory is None else str(memory >> 20),
        error_text(measured.output_error),
        slower if one.outcome in ("chosen", "lost") else one.outcome,
    ]


def _name(candidate: Candidate) -> str:
    """The candidate without what stands in columns of its own."""
    more = [f"{name}={value}" for name, value in candidate.options.items() if name not in _IN_TABLE]
    threads = [] if candidate.options.threads is None else [f"{candidate.options.threads}t"]
    parts = (candidate.backend, candidate.device, *threads, *more, candidate.variant or "")
    return " ".join(filter(None, parts))


def _notes(ranked: Sequence[Standing], plan: Plan) -> Iterator[tuple[str, str]]:
    """(candidate, what is to be said of it) in the order of the table, then what was not tried."""
    judged = {str(one.measurement.judgement) for one in ranked if one.measurement.judgement}
    if len(judged) == 1:
        yield "every candidate", f"judged by {judged.pop()}"
    for one in ranked:
        measured, name = one.measurement, _name(one.measurement.candidate)
        if measured.reason is not None:
            yield name, f"{one.outcome}: {measured.reason}"
        if measured.judgement is not None and str(measured.judgement) in judged:
            yield name, f"judged by {measured.judgement}"
        if one.outcome == "lost" and one.behind is not None and not one.behind.is_significant:
            few = one.behind.low is None
            yield name, "too few windows for an interval" if few else "not significantly slower"
    for name, reason in plan.dropped.items():
        yield name, f"not tried: {reason}"


def _two_columns(rows: Iterable[tuple[str, str]]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold", max_width=34)
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*(Text(plain(text)) for text in row))
    return grid
