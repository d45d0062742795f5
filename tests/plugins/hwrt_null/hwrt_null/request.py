"""The buffers of one inference, for a runtime that takes arrays and gives arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwrt.backend import (
    Array,
    InputError,
    Range,
    Request,
    SessionError,
    Shapes,
    TensorSpec,
    empty_aligned,
)
from hwrt_null.evaluator import Evaluator


class NullRequest(Request):
    """Input arrays, and output arrays that stay the same while their shapes do.

    ``bounds`` is the ``shapes`` that the model was compiled with.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        bounds: Shapes,
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        self._evaluator = evaluator
        # A tensor may be both; as such it is the input's to bind.
        self._specs = {spec.name: spec for spec in (*inputs, *outputs)}
        self._bounds = bounds
        self._bound_outputs: set[str] = set()
        self._outputs: dict[str, Array] | None = {
            spec.name: _blank(spec, _first_shape(spec, ())) for spec in outputs
        }
        self.inputs: dict[str, Array] = {
            spec.name: _blank(spec, _first_shape(spec, bounds.get(spec.name, ())))
            for spec in inputs
        }
        self.resize(shapes)

    @property
    def outputs(self) -> dict[str, Array]:  # type: ignore[override]
        if self._outputs is None:
            raise SessionError("this request is closed", hint="create another one")
        return self._outputs

    def run(self) -> None:
        outputs = self.outputs
        for name, value in self._evaluator.run(self.inputs).items():
            if outputs[name].shape == value.shape:
                # Callers may read `outputs` once and run often where every shape is fixed.
                np.copyto(outputs[name], value)
            elif name in self._bound_outputs:
                raise InputError(
                    f"the output {name!r} has the shape {value.shape}, but the array that is "
                    f"bound to it {outputs[name].shape}",
                    hint="bind an array of the output's shape, or None",
                )
            else:
                outputs[name] = value

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self._check({name: array.shape for name, array in feeds.items()})
        for name in self.inputs:
            dtype = feeds[name].dtype if name in feeds else None
            if dtype != self._specs[name].dtype:
                raise InputError(f"the feed {name!r} is {dtype}", hint=f"it is {self._specs[name]}")
        return self._evaluator.run(feeds)

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        # All are checked first: a request that refuses a shape stays as it was.
        self._check(shapes)
        for name, shape in shapes.items():
            if self.inputs[name].shape != tuple(shape):
                self.inputs[name] = _blank(self._specs[name], tuple(shape))

    def bind(self, name: str, array: Array | None) -> None:
        if name not in self._specs:
            names = ", ".join(self._specs)
            raise InputError(f"there is no tensor {name!r}", hint=f"the tensors are {names}")
        is_input = name in self.inputs
        arrays = self.inputs if is_input else self.outputs
        if array is None:
            array = _blank(self._specs[name], arrays[name].shape)
            self._bound_outputs.discard(name)
        else:
            shape = arrays[name].shape if is_input else None
            _check_array(self._specs[name], array, shape, writable=not is_input)
            if not is_input:
                self._bound_outputs.add(name)
        arrays[name] = array

    def close(self) -> None:
        super().close()
        self._outputs = None

    def _check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for name, shape in shapes.items():
            bounds = self._bounds.get(name, ())
            if (
                name not in self.inputs
                or not self._specs[name].accepts(tuple(shape))
                or any(size < 0 for size in shape)
                or not all(map(_within, shape, bounds))
            ):
                specs = ", ".join(str(self._specs[name]) for name in self.inputs)
                raise InputError(
                    f"the input {name!r} can not have the shape {tuple(shape)}",
                    hint=f"the inputs are {specs}",
                )


def _first_shape(spec: TensorSpec, bounds: Sequence[int | Range]) -> tuple[int, ...]:
    """1 for each dynamic dimension, or the size nearest to it that its range allows."""
    sizes = bounds or tuple(1 if size is None else size for size in spec.shape or ())
    return tuple(
        min(max(size.min, 1), size.max) if isinstance(size, Range) else size for size in sizes
    )


def _within(size: int, bound: int | Range) -> bool:
    return bound.min <= size <= bound.max if isinstance(bound, Range) else size == bound


def _blank(spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    array = empty_aligned(shape, spec.dtype)
    array.fill("" if spec.dtype.hasobject else 0)
    return array


def _check_array(
    spec: TensorSpec, array: Array, shape: tuple[int, ...] | None, *, writable: bool
) -> None:
    fits = spec.accepts(array.shape) if shape is None else array.shape == shape
    flags = array.flags
    plain = flags.c_contiguous and flags.aligned and (flags.writeable or not writable)
    if array.dtype != spec.dtype or not fits or not plain:
        raise InputError(
            f"{spec.name!r} can not be bound to this {array.dtype} array of shape {array.shape}",
            hint=f"it takes {spec}, C-contiguous, aligned" + (", writable" if writable else ""),
        )
