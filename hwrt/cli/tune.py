"""``hwrt tune``: the plan that a load would run by, measured anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hwrt.cli.echo import echo
from hwrt.cli.options import batched, json_file, load_options
from hwrt.errors import InputError
from hwrt.progress import progress_bar

if TYPE_CHECKING:
    from hwrt.tuning.plan import Plan

__all__ = ["command"]


def _output(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Path | None:
    return None if text is None else json_file(text)


@click.command("tune", short_help="Find and keep the fastest right candidate.")
@click.argument("model")
@click.option(
    "--output",
    callback=_output,
    metavar="PLAN",
    help="Write the plan to this file too.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="For timing candidates; compiling them is counted apart.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as one JSON document.")
@load_options
def command(
    model: str,
    output: Path | None,
    budget: float,
    as_json: bool,
    batch: int | None,
    load_arguments: dict[str, Any],
) -> None:
    """Find the fastest right candidate for MODEL and keep the plan in the cache."""
    from hwrt.entry import tune

    model, load_arguments = batched(model, load_arguments, batch)
    with progress_bar() as progress:
        plan = tune(model, budget_s=budget, progress=progress, **load_arguments)
    if output is not None:
        _save(plan, output)
    if as_json:
        click.echo(plan.to_json())
        return
    for line in _lines(plan):
        echo(line)
    if output is not None:
        echo(f"wrote {output}")


def _save(plan: Plan, output: Path) -> None:
    try:
        plan.save(output)
    except OSError as exc:
        raise InputError(f"{output} can not be written: {exc.strerror}") from exc


def _lines(plan: Plan) -> Iterator[str]:
    from hwrt.benchmark.report import milliseconds

    for measurement in plan.measurements:
        mark = "*" if measurement.candidate == plan.candidate else " "
        if measurement.samples_s:
            score, n = milliseconds(measurement.score_s), len(measurement.samples_s)
            told = f"lower quartile {score} ms, n {n}"
        else:
            told = f"{measurement.status}: {measurement.reason}"
        yield f"{mark} {measurement.candidate}: {told}"
    yield from (f"  {name}: not tried: {why}" for name, why in plan.dropped.items())
    if plan.unverified is not None:
        yield f"outputs NOT checked: {plan.unverified}"
    if plan.judgement is not None:
        yield f"judged by {plan.judgement}"
    if plan.why:
        yield f"why: {plan.why}"
    yield f"plan: {plan.candidate}, runs as {plan.precision} on {plan.placement}"
