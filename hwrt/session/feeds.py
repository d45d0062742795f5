"""Feeds held against a model's inputs: taken as they are, converted, or refused by what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwrt.arrays import feed_array
from hwrt.backend import Array
from hwrt.errors import InputError
from hwrt.spec import ModelInfo, Range, Shapes, TensorSpec

__all__ = ["checked_feeds", "first_shape"]


def first_shape(spec: TensorSpec) -> tuple[int, ...] | None:
    """The shape that needs no check; None until a first run has shown one."""
    return tuple(size or 0 for size in spec.shape or ()) if spec.is_fixed else None


def checked_feeds(
    feeds: Mapping[str, Any], inputs: Sequence[TensorSpec], info: ModelInfo, shapes: Shapes
) -> dict[str, Array]:
    """The feeds as C-contiguous arrays; InputError where they do not fit the inputs.

    ``shapes`` are those of the load, whose ranges bound dimensions.
    """
    if not isinstance(feeds, Mapping):
        raise InputError(
            f"the feeds are a {type(feeds).__name__}",
            hint=f"give a dict of name to array: {_text(inputs)}",
        )
    names = {spec.name for spec in inputs}
    missing, unknown = sorted(names - set(feeds)), sorted(set(feeds) - names, key=str)
    if missing or unknown:
        faults = [f"{name!r} is missing" for name in missing]
        faults += [f"{name!r} is no input" for name in unknown]
        raise InputError(
            f"the feeds do not fit the model: {', '.join(faults)}",
            hint=f"the inputs are {_text(inputs)}",
        )
    checked = {spec.name: _checked(spec, feeds[spec.name], shapes) for spec in inputs}
    _check_named_dimensions(checked, info, inputs)
    return checked


def _checked(spec: TensorSpec, value: Any, shapes: Shapes) -> Array:
    array = value if isinstance(value, np.ndarray) else feed_array(value, spec.name)
    # A subclass of ndarray may index and compare in ways of its own.
    array = np.asarray(array)
    if spec.dtype.hasobject and array.dtype.kind in "US":
        array = array.astype(object)
    if array.dtype != spec.dtype:
        raise _wrong_dtype(spec, value, array)
    bounds = shapes.get(spec.name, ())
    if not spec.accepts(array.shape) or not _within(bounds, array.shape):
        loaded = f", loaded with shapes={{{spec.name!r}: {tuple(bounds)}}}" if bounds else ""
        raise InputError(
            f"the feed {spec.name!r} has the shape {array.shape}",
            hint=f"the input is {spec}{loaded}",
        )
    return np.require(array, requirements=("C", "A"))


def _wrong_dtype(spec: TensorSpec, value: Any, array: Array) -> InputError:
    differs = f"is {array.dtype}, the input is {spec.dtype}"
    if isinstance(value, np.ndarray):
        return InputError(
            f"the feed {spec.name!r} {differs}",
            hint=f"feed {spec}, for example with .astype({spec.dtype.name!r})",
        )
    kind = type(value).__name__
    if array.dtype.kind in "OSU":  # NumPy makes one of these of whatever is no array
        shown = f" {value[:40]!r}" if isinstance(value, str | bytes) else ""
        return InputError(
            f"the feed {spec.name!r} is a {kind}{shown}, no array of {spec.dtype}",
            hint=f"feed a numpy.ndarray, {spec}",
        )
    return InputError(
        f"the feed {spec.name!r}, a {kind}, {differs}",
        hint=f"feed {spec}, for example np.asarray(x, {spec.dtype.name!r})",
    )


def _within(bounds: Sequence[int | Range], shape: tuple[int, ...]) -> bool:
    return all(
        not isinstance(bound, Range) or bound.min <= size <= bound.max
        for bound, size in zip(bounds, shape, strict=False)
    )


def _check_named_dimensions(
    feeds: Mapping[str, Array], info: ModelInfo, inputs: Sequence[TensorSpec]
) -> None:
    """Dimensions of one name have one size: not every vendor notices when they do not."""
    seen: dict[str, tuple[int, str]] = {}
    for spec in info.inputs:
        for size, name in zip(feeds[spec.name].shape, spec.dim_names or (), strict=False):
            if name is None:
                continue
            first, owner = seen.setdefault(name, (size, spec.name))
            if first != size:
                raise InputError(
                    f"the dimension {name!r} is {first} in {owner!r} and {size} in {spec.name!r}",
                    hint=f"the inputs are {_text(inputs)}",
                )


def _text(inputs: Sequence[TensorSpec]) -> str:
    return "; ".join(map(str, inputs)) or "none"
