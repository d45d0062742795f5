"""Requests over ONNX Runtime's IOBinding, and over its plain run where tensors can not be bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, NoReturn

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
from hwrt_onnxruntime.element_types import element_type, numpy_dtype

RaiseFault = Callable[[BaseException], NoReturn]


class _Closed:
    """What a closed request has in place of the vendor's objects: a run of another thread tells."""

    def __call__(self, *_: object) -> NoReturn:
        raise SessionError("this request is closed", hint="create another one")

    __getattr__ = __call__


_CLOSED: Any = _Closed()


class FixedSizes(NamedTuple):
    """What ``shapes`` fixed: whole shapes by input, and sizes by the name of the dimension.

    ``bounds`` are the shapes as they were given, whose ranges onnxruntime knows nothing of.
    """

    by_input: Mapping[str, tuple[int | None, ...]]
    by_dimension: Mapping[str, int]
    bounds: Shapes


def tensor_spec(node: Any, fixed: FixedSizes, spec: TensorSpec | None) -> TensorSpec:
    """The TensorSpec of an onnxruntime NodeArg, which the file's ``spec`` is about too."""
    dtype = numpy_dtype(node, spec)
    # onnxruntime shows a tensor of open rank as a scalar; the file's reader tells them apart.
    if spec is not None and spec.shape is None:
        return TensorSpec(node.name, dtype, fixed.by_input.get(node.name))
    names = tuple(size if isinstance(size, str) else None for size in node.shape)
    shape = tuple(
        size if isinstance(size, int) and size >= 0 else fixed.by_dimension.get(name or "")
        for size, name in zip(node.shape, names, strict=True)
    )
    return TensorSpec(node.name, dtype, fixed.by_input.get(node.name, shape), names)


class SessionRequest(Request):
    """What both kinds share: the session's own run, which ``infer`` is."""

    def __init__(
        self,
        session: Any,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        shapes: Mapping[str, tuple[int, ...]],
        bounds: Shapes,
        raise_fault: RaiseFault,
    ) -> None:
        self._session = session
        self._bounds = bounds
        # The wrapper around the C session re-reads every name and keeps a CPU fallback ready.
        self._core = getattr(session, "_sess", None) or session
        self._input_specs = {spec.name: spec for spec in inputs}
        self._output_specs = {spec.name: spec for spec in outputs}
        self._output_names = list(self._output_specs)
        self._raise_fault = raise_fault
        self._shapes = {name: _first_shape(spec) for name, spec in self._input_specs.items()}
        self._shapes = self._check_shapes(shapes)

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        names = self._output_names
        for name, array in feeds.items():
            # onnxruntime looks at the type alone, and would take the bytes for other numbers.
            if not array.dtype.isnative:
                raise InputError(
                    f"the feed {name!r} is {array.dtype}",
                    hint="give it in this machine's byte order",
                )
        try:
            return dict(zip(names, self._core.run(names, feeds, None), strict=True))
        except Exception as exc:  # noqa: BLE001 - onnxruntime's exceptions share no other base
            self._raise_fault(exc)

    def close(self) -> None:
        super().close()
        self._core = self._session = _CLOSED

    def _check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        if unknown := sorted(set(shapes) - set(self._input_specs)):
            raise InputError(
                f"there is no input {unknown[0]!r}",
                hint=f"the inputs are {', '.join(self._input_specs)}",
            )
        for name, shape in shapes.items():
            _check_bounds(self._input_specs[name], self._bounds.get(name, ()), shape)
        return {
            name: _fitting_shape(spec, shapes.get(name, self._shapes[name]))
            for name, spec in self._input_specs.items()
        }


class FedRequest(SessionRequest):
    """A request that hands its arrays to ``run`` each time: for what can not be bound."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.outputs = {}
        self.resize({})

    def run(self) -> None:
        self.outputs = self.infer(self.inputs)

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._shapes = self._check_shapes(shapes)
        self.inputs = {
            name: _blank(self._shapes[name], spec.dtype) for name, spec in self._input_specs.items()
        }


class BoundRequest(SessionRequest):
    """A request whose arrays are bound once; outputs of open shape are bound anew for each run.

    Nothing is allocated before ``inputs`` is asked for: a request that only serves ``infer`` needs
    no buffers of its own.
    """

    _inputs: dict[str, Array] | None = None
    _outputs: dict[str, Array]
    _sized_outputs: frozenset[str]
    _types: dict[str, Any]
    _binding: Any = None
    _run_bound: Any = None

    @property
    def inputs(self) -> Mapping[str, Array]:  # type: ignore[override]
        if self._inputs is None:
            self._bind_all()
        assert self._inputs is not None
        return self._inputs

    @property
    def outputs(self) -> Mapping[str, Array]:  # type: ignore[override]
        if self._inputs is None:
            self._bind_all()
        if not self._open_outputs:
            return self._outputs
        values = dict(zip(self._output_names, self._binding.get_outputs(), strict=True))
        return {
            name: self._outputs[name] if name in self._outputs else self._view(name, value)
            for name, value in values.items()
        }

    def run(self) -> None:
        if self._binding is None:
            self._bind_all()
        if self._open_outputs:
            self._bind_outputs()
        try:
            self._run_bound(None)
        except Exception as exc:  # noqa: BLE001 - onnxruntime's exceptions share no other base
            self._raise_fault(exc)

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        checked = self._check_shapes(shapes)
        if self._inputs is not None:
            for name, shape in checked.items():
                # An input whose shape stays keeps its array, which may be the caller's.
                if shape != self._shapes[name]:
                    array = _blank(shape, self._input_specs[name].dtype)
                    self._inputs = {**self._inputs, name: array}
                    self._bind_input(name, array)
        self._shapes = checked

    def bind(self, name: str, array: Array | None) -> None:
        spec = self._input_specs.get(name) or self._output_specs.get(name)
        if spec is None:
            names = ", ".join([*self._input_specs, *self._output_specs])
            raise InputError(f"there is no tensor {name!r}", hint=f"the tensors are {names}")
        inputs = dict(self.inputs)
        is_input = name in self._input_specs
        wanted = self._shapes[name] if is_input else None
        if array is not None:
            _check_bound(spec, array, wanted, writable=not is_input)
        if is_input:
            inputs[name] = _blank(self._shapes[name], spec.dtype) if array is None else array
            self._inputs = inputs
            self._bind_input(name, inputs[name])
            return
        if array is not None:
            self._outputs[name] = array
        elif name in self._sized_outputs:
            self._outputs[name] = empty_aligned(_known(spec), spec.dtype)
        else:
            self._outputs.pop(name, None)
        self._open_outputs = len(self._outputs) < len(self._output_specs)
        self._bind_outputs()

    def close(self) -> None:
        super().close()
        # Each of these would keep the session alive.
        self._binding = self._run_bound = _CLOSED

    def _view(self, name: str, value: Any) -> Array:
        if not value.has_value():
            raise InputError(f"the output {name!r} has no value yet", hint="call run() first")
        try:
            array: Array = np.from_dlpack(value)
        except (TypeError, RuntimeError, BufferError, AttributeError):
            # Versions without DLPack for this dtype: a copy.
            array = value.numpy()
        # onnxruntime's DLPack says that bool is uint8.
        return array.view(self._output_specs[name].dtype)

    def _bind_all(self) -> None:
        self._binding = self._session.io_binding()
        bound = getattr(self._binding, "_iobinding", self._binding)
        run = getattr(self._core, "run_with_iobinding", None) or self._session.run_with_iobinding
        self._run_bound = partial(run, bound)
        specs = {**self._input_specs, **self._output_specs}
        self._types = {name: element_type(spec.dtype) for name, spec in specs.items()}
        self._inputs = {
            name: _blank(self._shapes[name], spec.dtype) for name, spec in self._input_specs.items()
        }
        # Exporters forget that an output is as dynamic as its input, and a run into an array of the
        # size that the file states would fail.
        sized = all(spec.is_fixed for spec in self._input_specs.values())
        self._sized_outputs = frozenset(
            name for name, spec in self._output_specs.items() if sized and spec.is_fixed
        )
        self._outputs = {
            name: empty_aligned(_known(self._output_specs[name]), self._output_specs[name].dtype)
            for name in self._output_names
            if name in self._sized_outputs
        }
        self._open_outputs = len(self._outputs) < len(self._output_specs)
        for name, array in self._inputs.items():
            self._bind_input(name, array)
        self._bind_outputs()

    def _bind_input(self, name: str, array: Array) -> None:
        kind = self._types[name]
        self._binding.bind_input(name, "cpu", 0, kind, array.shape, array.ctypes.data)

    def _bind_outputs(self) -> None:
        # What a run left in an output bound without a buffer would bound the next run's shape.
        self._binding.clear_binding_outputs()
        for name in self._output_names:
            array = self._outputs.get(name)
            if array is None:
                self._binding.bind_output(name, "cpu")
            else:
                kind = self._types[name]
                self._binding.bind_output(name, "cpu", 0, kind, array.shape, array.ctypes.data)


def _first_shape(spec: TensorSpec) -> tuple[int, ...]:
    return tuple(1 if size is None else size for size in spec.shape or ())


def _fitting_shape(spec: TensorSpec, shape: tuple[int, ...]) -> tuple[int, ...]:
    if not spec.accepts(tuple(shape)) or any(size < 0 for size in shape):
        raise InputError(
            f"the input {spec.name!r} can not have the shape {tuple(shape)}",
            hint=f"it is {spec}",
        )
    return tuple(shape)


def _check_bounds(
    spec: TensorSpec, bounds: tuple[int | Range, ...], shape: tuple[int, ...]
) -> None:
    for bound, size in zip(bounds, shape, strict=False):
        if isinstance(bound, Range) and not bound.min <= size <= bound.max:
            raise InputError(
                f"the input {spec.name!r} can not have the shape {tuple(shape)}: it is out of the "
                "bounds that the model was compiled for",
                hint=f"it is {spec}, compiled for {tuple(bounds)}",
            )


def _known(spec: TensorSpec) -> tuple[int, ...]:
    assert spec.shape is not None
    return tuple(size for size in spec.shape if size is not None)


def _blank(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    array = empty_aligned(shape, dtype)
    array.fill("" if dtype.hasobject else 0)
    return array


def _check_bound(
    spec: TensorSpec, array: Array, shape: tuple[int, ...] | None, *, writable: bool
) -> None:
    if not isinstance(array, np.ndarray):
        raise InputError(
            f"{spec.name!r} can not be bound to a {type(array).__name__}",
            hint="give a numpy.ndarray, for example numpy.from_dlpack(...)",
        )
    fits = array.shape == shape if shape is not None else spec.accepts(array.shape)
    if array.dtype != spec.dtype or not fits:
        raise InputError(
            f"{spec.name!r} can not be bound to a {array.dtype} array of shape {array.shape}",
            hint=f"it is {spec}" + (f", at present of shape {shape}" if shape is not None else ""),
        )
    flags = array.flags
    if not (flags.c_contiguous and flags.aligned and (flags.writeable or not writable)):
        raise InputError(
            f"the array for {spec.name!r} is not C-contiguous and aligned"
            f"{' and writable' if writable else ''}",
            hint="copy it with numpy.array(array, order='C')",
        )
