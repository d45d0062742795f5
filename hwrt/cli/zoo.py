"""``hwrt zoo``: the reference models, which are built in place."""

from __future__ import annotations

from pathlib import Path

import click

from hwrt import zoo

__all__ = ["command"]


def _batch(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    if text is None or text == "dynamic" or (text.isascii() and text.isdecimal() and int(text)):
        return text
    raise click.BadParameter(f"{text!r} is neither a whole number from 1 nor 'dynamic'")


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
@click.option("--batch", callback=_batch, metavar="N|dynamic", help="1 by default.")
def export(name: str, output: Path | None, batch: str | None) -> None:
    """Write the model NAME as an ONNX file."""
    network, size = zoo.parse(f"{name.partition('@')[0]}@{batch}" if batch else name)
    path = zoo.export(network, output or Path(f"{network}.onnx"), batch=size)
    click.echo(path)
