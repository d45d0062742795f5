"""The ``shapes`` argument: checked against the model, and as JSON."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import SupportsIndex

from hwrt.errors import InputError
from hwrt.spec import ModelInfo, Range, Shapes, TensorSpec

__all__ = ["check_shapes", "shapes_from_json", "shapes_to_json", "typical_shapes"]


def check_shapes(model: ModelInfo, shapes: Mapping[str, Sequence[int | Range]] | None) -> Shapes:
    """The shapes as tuples; InputError for one that does not fit the model."""
    specs = {spec.name: spec for spec in model.inputs}
    if shapes is not None and not isinstance(shapes, Mapping):
        raise InputError(f"shapes is {shapes!r}", hint="give a dict of input to shape")
    checked = {}
    for name, shape in (shapes or {}).items():
        if name not in specs:
            raise InputError(
                f"shapes names {name!r}, which is no input", hint=f"inputs are {', '.join(specs)}"
            )
        if not isinstance(shape, Iterable):
            raise InputError(
                f"shapes gives {name!r} {shape!r}", hint="give a size for each dimension"
            )
        sizes = tuple(_check_size(name, size) for size in shape)
        specs[name].bounded(sizes)
        if sizes != specs[name].shape:  # what the file fixes is no other plan
            checked[name] = sizes
    return checked


def _check_size(name: str, size: object) -> int | Range:
    if not isinstance(size, Sequence) or isinstance(size, str):
        return _whole(name, size)
    if len(size) == 3:
        bounds = Range(*(_whole(name, part) for part in size))
        if bounds.min <= bounds.best <= bounds.max:
            return bounds
    raise InputError(f"shapes gives {name!r} {size}", hint="a Range has min <= best <= max")


def _whole(name: str, size: object) -> int:
    """The size as an int; it may be NumPy's.  Raises InputError for what is none."""
    number = -1
    if isinstance(size, SupportsIndex) and not isinstance(size, bool):
        number = operator.index(size)
    if number < 0:
        raise InputError(
            f"shapes gives {name!r} a dimension {size!r}",
            hint="give a whole number from 0 or a Range",
        )
    return number


def typical_shapes(inputs: Sequence[TensorSpec], shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """The shape to time each input at: as given (the best of a range), else 1 where dynamic.

    Dimensions of one name have one size: what is given for one input holds for the others.
    """
    given = {name: tuple(map(_best, shape)) for name, shape in shapes.items()}
    named: dict[str | None, int] = {}
    for spec in inputs:
        named.update(zip(spec.dim_names or (), given.get(spec.name, ()), strict=False))
    named.pop(None, None)
    return {
        spec.name: given[spec.name] if spec.name in given else _filled(spec, named)
        for spec in inputs
    }


def _best(size: int | Range) -> int:
    return size.best if isinstance(size, Range) else size


def _filled(spec: TensorSpec, named: Mapping[str | None, int]) -> tuple[int, ...]:
    """The spec's shape with a size for what is dynamic."""
    if spec.shape is None:
        return (1,)
    names = spec.dim_names or (None,) * len(spec.shape)
    return tuple(
        named.get(name, 1) if size is None else size
        for size, name in zip(spec.shape, names, strict=True)
    )


def shapes_to_json(shapes: Shapes | None) -> dict[str, list[int | list[int]]]:
    """Name -> sizes, a Range being [min, best, max]."""
    return {
        name: [list(size) if isinstance(size, Range) else size for size in shape]
        for name, shape in (shapes or {}).items()
    }


def shapes_from_json(value: Mapping[str, Sequence[int | Sequence[int]]]) -> Shapes | None:
    """What ``shapes_to_json`` wrote; None for no shapes."""
    return {
        name: tuple(size if isinstance(size, int) else Range(*size) for size in shape)
        for name, shape in value.items()
    } or None
