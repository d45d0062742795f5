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
    """Input arrays, and output arrays that stay the same while their shapes do."""

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
        self._outputs: dict[str, Array] | None = {}
        self.inputs: dict[str, Array] = {}
        for spec in inputs:
            self.inputs[spec.name] = _blank(spec, _first_shape(spec, bounds.get(spec.name, ())))
        self.resize(shapes)

    @property
    def outputs(self) -> dict[str, Array]:  # type: ignore[override]
        if self._outputs is None:
            raise SessionError("this request is closed", hint="create another one")
        return self._outputs

    def run(self) -> None:
        outputs = self.outputs
        for name, value in self._evaluator.run(self.inputs).items():
            kept = outputs.setdefault(name, value)
            if kept.shape == value.shape:
                # Callers may read `outputs` once and run often where every shape is fixed.
                np.copyto(kept, value)
            elif name in self._bound_outputs:
                raise InputError(f"{name!r} is {value.shape}, the bound array is {kept.shape}")
            else:
                outputs[name] = value

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self._check({name: array.shape for name, array in feeds.items()})
        return self._evaluator.run({**self.inputs, **feeds})

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
        spec, own = self._specs[name], self.inputs.get(name)
        if array is not None:
            _check_array(spec, array, own)
        if own is not None:
            self.inputs[name] = _blank(spec, own.shape) if array is None else array
        elif array is not None:
            self.outputs[name] = array
            self._bound_outputs.add(name)
        else:
            self.outputs.pop(name, None)
            self._bound_outputs.discard(name)

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


def _check_array(spec: TensorSpec, array: Array, own: Array | None) -> None:
    """Raise InputError unless ``array`` fits the output ``spec``, or the input that ``own`` is."""
    fits = (
        isinstance(array, np.ndarray)
        and array.dtype == spec.dtype
        and (spec.accepts(array.shape) if own is None else array.shape == own.shape)
        and (array.flags.c_contiguous and array.flags.aligned)
        and (array.flags.writeable or own is not None)
    )
    if not fits:
        raise InputError(
            f"{spec.name!r} can not be bound to this array",
            hint=f"it takes a C-contiguous, aligned numpy.ndarray that is {spec}",
        )
