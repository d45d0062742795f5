"""Options that run, tune and bench share: the arguments of ``hwrt.load``."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from hwrt.errors import InputError
from hwrt.spec import ModelInfo

__all__ = ["batched", "json_file", "load_options", "parse_shape", "with_batch", "with_zoo_batch"]

_DIMENSIONS = re.compile(r"[1-9][0-9]*(x[1-9][0-9]*)*")
_ARGUMENTS = ("backend", "device", "shapes", "threads", "accuracy", "samples", "objective")

Shapes = dict[str, tuple[int, ...]]


def load_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options.

    It is called with ``load_arguments``, the arguments of ``hwrt.load`` that were given, and
    ``batch``, which ``with_batch`` brings into the shapes once the model is known.
    """

    @functools.wraps(command)
    def collected(*args: Any, **options: Any) -> Any:
        values = {name: options.pop(name) for name in _ARGUMENTS}
        values["backend"] = list(values["backend"]) or None
        given = {name: value for name, value in values.items() if value}
        return command(*args, load_arguments=given, **options)

    for option in reversed(_OPTIONS):
        collected = option(collected)
    return collected


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """``images=1x3x640x640`` as ("images", (1, 3, 640, 640)); ValueError for anything else."""
    name, separator, dimensions = text.rpartition("=")
    if not name or not separator or not _DIMENSIONS.fullmatch(dimensions):
        raise ValueError(text)
    return name, tuple(int(size) for size in dimensions.split("x"))


def json_file(text: str) -> Path:
    """The file of this name, which may be written: it is missing, empty, or JSON to be replaced.

    Raises click.BadParameter otherwise: a slip of the pen must not cost a model.
    """
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"lies in {path.parent}, which is no folder"
        raise click.BadParameter(f"{text!r} {what}: give a file in an existing one")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise click.BadParameter(f"{text!r} can not be written")
    if path.exists() and not _is_json(path):
        raise click.BadParameter(f"{text!r} is not a JSON file and is not overwritten")
    return path


def _is_json(path: Path) -> bool:
    if not path.is_file():
        return path.is_char_device()  # /dev/null
    with path.open("rb") as file:
        return file.read(1) in (b"{", b"")


def with_batch(
    info: ModelInfo, load_arguments: Mapping[str, Any], batch: int | None
) -> dict[str, Any]:
    """The load arguments with ``batch`` as the first dimension of every input that leaves it open.

    Raises InputError where a dimension beyond the first is open and no shape gives it, or where
    the model has another batch.
    """
    arguments = dict(load_arguments)
    if batch is None:
        return arguments
    shapes: Shapes = dict(arguments.get("shapes") or {})
    for spec in info.inputs:
        if spec.name in shapes:
            continue
        if spec.shape and spec.shape[0] not in (None, batch):
            raise InputError(
                f"the model's input {spec} has a fixed first dimension, not a batch of {batch}",
                hint="leave --batch out, or export the model with an open first dimension",
            )
        if not spec.shape or None in spec.shape[1:]:
            raise InputError(
                f"a batch of {batch} does not say the shape of {spec}",
                hint=f"give --shape {spec.name}=SIZES instead of --batch",
            )
        shapes[spec.name] = (batch, *(size for size in spec.shape[1:] if size is not None))
    arguments["shapes"] = shapes
    return arguments


def batched(
    model: str, load_arguments: Mapping[str, Any], batch: int | None
) -> tuple[str, dict[str, Any]]:
    """The model and the load arguments for this batch: a zoo model is built with it.

    Raises what ``with_batch`` and ``hwrt.inspect`` raise.
    """
    if batch is None:
        return model, dict(load_arguments)
    named = with_zoo_batch(model, batch)
    if named != model:
        return named, dict(load_arguments)
    from hwrt.loading import inspect

    return model, with_batch(inspect(model), load_arguments, batch)


def with_zoo_batch(model: str, batch: int | None) -> str:
    """The model, a zoo model that names no batch with this one: it is built with it."""
    if batch is None or not model.startswith("zoo:") or "@" in model:
        return model
    return f"{model}@{batch}"


def _shapes(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> Shapes:
    shapes: Shapes = {}
    for text in texts:
        try:
            name, shape = parse_shape(text)
        except ValueError:
            raise click.BadParameter(f"{text!r} is not of the form images=1x3x640x640") from None
        if name in shapes:
            raise click.BadParameter(f"the shape of {name!r} is given twice")
        shapes[name] = shape
    return shapes


_OPTIONS = (
    click.option(
        "--backend", multiple=True, metavar="NAME", help="Consider this backend only (repeatable)."
    ),
    click.option("--device", metavar="DEVICE", help="Consider this device only: cpu, cuda:0."),
    click.option(
        "--shape",
        "shapes",
        multiple=True,
        callback=_shapes,
        metavar="INPUT=SIZES",
        help="The shape of an input, as images=1x3x640x640 (repeatable).",
    ),
    click.option(
        "--batch",
        type=click.IntRange(min=1),
        help="The first dimension of inputs that leave it open.",
    ),
    click.option("--threads", type=click.IntRange(min=1), help="CPU threads allowed."),
    click.option(
        "--accuracy",
        type=click.Choice(["f32", "relaxed"]),
        help="f32: the model as its file states it; relaxed: also reduced precision that keeps the "
        "answers on the samples.",
    ),
    click.option(
        "--samples",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        metavar="DIR",
        help="A folder of representative inputs: .npy or .npz feeds, or images.",
    ),
    click.option(
        "--objective",
        type=click.Choice(["latency", "p99", "throughput", "memory"]),
        help="What decides: latency (of one at a time), its p99, throughput, or memory.",
    ),
)
