"""Lines for people, on standard output or standard error."""

from __future__ import annotations

import click

from hwrt.text import plain

__all__ = ["echo"]


def echo(line: str, *, err: bool = False) -> None:
    """Print one line, whatever it holds; colours are only rich's to give."""
    click.echo(plain(line), err=err)
