"""``hwrt zoo``: the reference models, which are built in place."""

from __future__ import annotations

from pathlib import Path

import click

from hwrt import zoo
from hwrt.cli.echo import echo
from hwrt.errors import InputError

__all__ = ["command"]


@click.group("zoo", short_help="List or export the reference models.")
def command() -> None:
    """Reference models with seeded weights; any command takes them as zoo:NAME."""


@command.command("list")
def list_names() -> None:
    """Print the names of all models."""
    for name in zoo.names():
        click.echo(name)


@command.command("export")
@click.argument("name")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="The file to write; NAME.onnx in the current folder by default.",
)
@click.option("--batch", metavar="N|dynamic", help="1 by default.")
def export(name: str, output: Path | None, batch: str | None) -> None:
    """Write the model NAME as an ONNX file."""
    network, size = zoo.parse(f"{name.partition('@')[0]}@{batch}" if batch is not None else name)
    path = output or Path(f"{network}.onnx")
    if path.exists():  # it may hold trained weights under the same name
        raise InputError(f"{path} exists", hint="move it away, or give another --output")
    echo(str(zoo.export(network, path, batch=size)))
