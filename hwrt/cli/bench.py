"""``hwrt bench``: every candidate for a model, measured side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hwrt.cli.options import batched, json_file, load_options
from hwrt.progress import progress_bar

__all__ = ["command"]

_DEFAULT_MODEL = "zoo:mobilenet_v3_small"


def _target(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> Path | str | None:
    """The file to write the report to, checked before the work; "-" is standard output."""
    if text is None or text == "-":
        return text
    # `--json MODEL` reads the model's name as the file's, and must not overwrite the model.
    if text.startswith("zoo:"):
        raise click.BadParameter(f"{text!r} is no file; MODEL goes before --json")
    try:
        return json_file(text)
    except click.BadParameter as exc:
        raise click.BadParameter(f"{exc.message}; MODEL goes before --json") from exc


@click.command("bench", short_help="Measure every backend side by side.")
@click.argument("model", default=_DEFAULT_MODEL)
@click.option("--scenario", default="single-stream", show_default=True, help="MLPerf-style.")
@click.option(
    "--preset",
    type=click.Choice(["quick", "standard", "mlperf"]),
    default="quick",
    show_default=True,
    help="How long each candidate is timed: 3 s (p90), 10 s (p99) or 600 s at the least.",
)
@click.option(
    "--json",
    "target",
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    callback=_target,
    help="Write the report, raw samples included, to FILE; without FILE print it and no table.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 where a result is INVALID.")
@load_options
def command(
    model: str,
    scenario: str,
    preset: str,
    target: Path | str | None,
    strict: bool,
    batch: int | None,
    load_arguments: dict[str, Any],
) -> int:
    """Measure every backend of this device side by side on MODEL.

    MODEL is a file or zoo:NAME, by default zoo:mobilenet_v3_small.  Each candidate's outputs are
    checked first; one that answers wrongly is rejected and has no latency.
    """
    from hwrt.benchmark.bench import bench
    from hwrt.benchmark.table import table

    model, load_arguments = batched(model, load_arguments, batch)
    with progress_bar() as progress:
        report = bench(model, scenario=scenario, preset=preset, progress=progress, **load_arguments)
    if target == "-":
        click.echo(report.dumps())
    else:
        from rich.console import Console

        Console(highlight=False).print(table(report))
    if isinstance(target, Path):
        _write(target, report.dumps())
    failed = not report.measured or (strict and not report.valid)
    return 1 if failed else 0


def _write(path: Path, text: str) -> None:
    from hwrt.errors import InputError
    from hwrt.files import write_atomically

    try:
        if path.exists() and not path.is_file():
            path.write_text(text + "\n", encoding="utf-8")
        else:
            write_atomically(path, text.encode() + b"\n")
    except OSError as exc:
        raise InputError(f"{path} can not be written: {exc.strerror}") from exc
