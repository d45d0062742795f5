"""``hwrt cache``: what hwrt has stored and can make again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

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
    names = _model_names(root)
    models = [_model(entry, names) for entry in entries]
    if as_json:
        document = {
            "schema": SCHEMA,
            "path": str(root),
            "size_bytes": total,
            "entries": [
                {**vars(entry), "path": str(entry.path), "model": name}
                for entry, name in zip(entries, models, strict=True)
            ],
        }
        click.echo(json.dumps(document, indent=1, allow_nan=False))
        return
    width = max((len(name) for name in models if name), default=0)
    for entry, name in zip(entries, models, strict=True):
        named = f"{name or '':<{width}}  " if width else ""
        path = entry.path.relative_to(root)
        echo(f"{entry.kind:<9} {size(entry.size_bytes):>11}  {named}{path}")
    echo(f"{size(total)} in {root}")


def _model_names(root: Path) -> dict[str, str]:
    """What names a model in the cache -> what the user called it, as far as plans tell.

    That is the model's sha256, and those of the files that it was compiled to.
    """
    from hwrt.tuning import plan_cache

    names = {}
    for plan in plan_cache.plans(root):
        names[plan.key.model] = plan.model_name
        for measurement in plan.measurements:
            if measurement.artefact_sha256 is not None:
                names[measurement.artefact_sha256] = plan.model_name
    return names


def _model(entry: cache.Entry, names: Mapping[str, str]) -> str | None:
    """The name of the model that the entry is about; None where that is not known."""
    if entry.kind == "compiled":
        digests = [path.read_bytes() for path in entry.path.rglob("*.sha256")]
        words = [digest.split()[0].decode(errors="replace") for digest in digests if digest.split()]
        return next((names[word] for word in words if word in names), None)
    if entry.kind in ("models", "zoo"):
        return names.get(entry.path.stem)
    return names.get(_about(entry.path))


def _about(path: Path) -> str:
    """The sha256 of the model that a JSON file of the cache is about; empty where it tells none."""
    try:
        document = json.loads(path.read_bytes())
        key = document.get("key", document)  # a plan has one, a proof is one
        found = key["entry"]["info"]["sha256"] if "entry" in key else key["model"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


@command.command("clear")
def clear() -> None:
    """Delete all of it; hwrt makes again what it needs."""
    root = cache.location()
    freed = cache.clear(root)
    echo(f"{size(freed)} freed in {root}")
