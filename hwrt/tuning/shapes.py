"""The ``shapes`` argument: checked against the model, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwrt.errors import InputError
from hwrt.spec import ModelInfo, Range, Shapes, TensorSpec

__all__ = ["check_shapes", "shapes_from_json", "shapes_to_json", "typical_shapes"]


def check_shapes(model: ModelInfo, shapes: Mapping[str, Sequence[int | Range]] | None) -> Shapes:
    """The shapes as tuples; InputError for one that does not fit the model."""
    specs = {spec.name: spec for spec in model.inputs}
    checked = {}
    for name, shape in (shapes or {}).items():
        if name not in specs:
            raise InputError(
                f"shapes names {name!r}, which is no input", hint=f"inputs are {', '.join(specs)}"
            )
        checked[name] = tuple(_check_size(name, size) for size in shape)
        best = tuple(size.best if isinstance(size, Range) else size for size in checked[name])
        if not specs[name].accepts(best):
            raise InputError(
                f"shapes gives {name!r} the shape {best}", hint=f"the model has {specs[name]}"
            )
    return checked


def _check_size(name: str, size: object) -> int | Range:
    if isinstance(size, Sequence) and not isinstance(size, str) and len(size) == 3:
        size = Range(*size)
    if isinstance(size, Range):
        if 0 <= size.min <= size.best <= size.max:
            return size
        raise InputError(f"shapes gives {name!r} {size}", hint="min <= best <= max, from 0 on")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise InputError(
            f"shapes gives {name!r} a dimension {size!r}", hint="give a whole number or a Range"
        )
    return size


def typical_shapes(inputs: Sequence[TensorSpec], shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """The shape to time each input at: as given (the best of a range), else 1 where dynamic."""
    typical = {}
    for spec in inputs:
        open_shape = (1,) if spec.shape is None else spec.shape
        given = shapes.get(spec.name) or tuple(1 if size is None else size for size in open_shape)
        typical[spec.name] = tuple(s.best if isinstance(s, Range) else s for s in given)
    return typical


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
