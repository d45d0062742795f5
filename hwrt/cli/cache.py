"""``hwrt cache``: what hwrt has stored and can make again."""

from __future__ import annotations

import json

import click

from hwrt import cache
from hwrt.benchmark.report import size
from hwrt.cli.echo import echo

__all__ = ["command"]

SCHEMA = "hwrt.cache/1"


@click.group("cache", short_help="List or clear the cache folder.")
def command() -> None:
    """The cache folder: HWRT_CACHE_DIR, else the user's."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_entries(as_json: bool) -> None:
    """Print what the cache holds, kind by kind."""
    root = cache.location()
    entries = list(cache.entries(root))
    total = sum(entry.size_bytes for entry in entries)
    if as_json:
        document = {
            "schema": SCHEMA,
            "path": str(root),
            "size_bytes": total,
            "entries": [{**vars(entry), "path": str(entry.path)} for entry in entries],
        }
        click.echo(json.dumps(document, indent=1, allow_nan=False))
        return
    for entry in entries:
        echo(f"{entry.kind:<9} {size(entry.size_bytes):>11}  {entry.path.relative_to(root)}")
    echo(f"{size(total)} in {root}")


@command.command("clear")
def clear() -> None:
    """Delete all of it; hwrt makes again what it needs."""
    root = cache.location()
    freed = cache.clear(root)
    echo(f"{size(freed)} freed in {root}")
