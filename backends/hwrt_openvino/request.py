"""Requests over OpenVINO's infer requests, their tensors being hwrt's own arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NoReturn

import numpy as np

from hwrt.backend import (
    Array,
    InputError,
    Request,
    SessionError,
    TensorSpec,
    empty_aligned,
)
from hwrt_openvino.ports import Port, tensor_maker
from hwrt_openvino.running import infer_and_tell

Translate = Callable[[BaseException, str], NoReturn]
# Below this size a copy costs less than handing OpenVINO another tensor (about 3 us).
_COPY_BYTES = 32 * 1024


class _Closed:
    """What a closed request has in place of OpenVINO's: a run of another thread tells."""

    def __call__(self, *_: object) -> NoReturn:
        raise SessionError("this request is closed", hint="create another one")

    __getattr__ = __call__


CLOSED: Any = _Closed()


class OpenVinoRequest(Request):
    """An infer request whose inputs and fixed outputs lie in arrays of ours.

    ``tell`` is true where a synchronous run would lose errors.
    """

    def __init__(
        self,
        request: Any,
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        shapes: Mapping[str, tuple[int, ...]],
        translate: Translate,
        *,
        tell: bool,
    ) -> None:
        from openvino import InferRequest

        self._request = request
        self._translate = translate
        self._inputs = {port.spec.name: (port.place, port.spec) for port in inputs}
        self._outputs = {port.spec.name: (port.place, port.spec) for port in outputs}
        self._tensor = {port.spec.name: tensor_maker(port) for port in (*inputs, *outputs)}
        self._foreign = frozenset(port.spec.name for port in outputs if port.is_foreign)
        # OpenVINO finds tensors by name: another array for an output that is also an input would
        # become the input's.  Two outputs that share a tensor have one array.
        of_inputs = frozenset[str]().union(*(port.names for port in inputs))
        places = Counter(port.place for port in outputs)
        self._open = frozenset(
            port.spec.name
            for port in outputs
            if not port.spec.is_fixed or port.names & of_inputs or places[port.place] > 1
        )
        # The Python wrapper around the compiled call dispatches its arguments and builds a dict of
        # results for some 5 us.  Where the compiled call is another one, TypeError says so.
        compiled_call = getattr(InferRequest.__mro__[1], "infer", InferRequest.infer)
        self._infer: Callable[[], Any] = partial(compiled_call, request, {}, True, False)
        if tell:
            self._infer = partial(infer_and_tell, request)
        self.inputs: dict[str, Array] = {}
        self._bound_inputs: frozenset[str] = frozenset()
        self._fixed: dict[str, Array] = {}
        self._shape_inputs(shapes)
        for name, (i, spec) in self._outputs.items():
            if name not in self._open:
                self._own_output(name, i, spec)

    @property
    def outputs(self) -> Mapping[str, Array]:  # type: ignore[override]
        if not self._open:
            return self._fixed
        return {name: self._read_output(name) for name in self._outputs}

    def run(self) -> None:
        try:
            self._infer()
        except TypeError:
            self._infer = partial(self._request.infer)
            self._run_again()
        except RuntimeError as exc:
            self._translate(exc, "openvino could not run the model")

    def _run_again(self) -> None:
        try:
            self._infer()
        except RuntimeError as exc:
            self._translate(exc, "openvino could not run the model")

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        lent: dict[str, Array] = {}
        try:
            for name, own in self.inputs.items():
                array = feeds[name]
                small = array.nbytes < _COPY_BYTES or not array.flags.writeable
                # What is bound is the caller's: it is not written to.
                if small and own.shape == array.shape and name not in self._bound_inputs:
                    np.copyto(own, array, casting="no")
                    continue
                lent[name] = self._lend_input(name, array)
            if len(feeds) != len(self.inputs):
                raise KeyError(*(set(feeds) - set(self.inputs)))
            return self._infer_into_new()
        except KeyError as exc:
            raise InputError(
                f"the feeds are {', '.join(feeds)}, which {exc} makes wrong",
                hint=f"the inputs are {', '.join(self._inputs)}",
            ) from exc
        except TypeError as exc:
            raise InputError(f"a feed is of another dtype: {exc}") from exc
        finally:
            for name in lent:
                self._give_input(name, self.inputs[name])

    def _lend_input(self, name: str, array: Array) -> Array:
        """The array that the input is until it is given back: a Tensor keeps nothing alive."""
        _, spec = self._inputs[name]
        if array.dtype != spec.dtype:
            raise InputError(f"the input {name!r} can not be {array.dtype}", hint=f"it is {spec}")
        if not spec.accepts(array.shape):
            raise InputError(
                f"the input {name!r} can not have the shape {array.shape}", hint=f"it is {spec}"
            )
        # OpenVINO shares writable memory only, though it does not write to inputs.
        shared = array if array.flags.writeable else array.copy()
        self._set_input(name, shared)
        return shared

    def _give_input(self, name: str, array: Array) -> None:
        i, _ = self._inputs[name]
        if i is not None:
            self._request.set_input_tensor(i, self._tensor[name](array))

    def _set_input(self, name: str, array: Array) -> None:
        _, spec = self._inputs[name]
        try:
            self._give_input(name, array)
        except RuntimeError as exc:
            raise InputError(
                f"the input {name!r} can not have the shape {array.shape}: it is out of the bounds "
                "that the model was compiled for",
                hint=f"it is {spec}",
            ) from exc

    def _infer_into_new(self) -> dict[str, Array]:
        lent: dict[str, Array] = {}
        for name, own in self._fixed.items():
            if own.nbytes >= _COPY_BYTES:
                lent[name] = np.empty(own.shape, own.dtype)
                i, make = self._outputs[name][0], self._tensor[name]
                self._request.set_output_tensor(i, make(lent[name]))
        try:
            self.run()
            return {
                name: lent[name] if name in lent else self._copy_output(name)
                for name in self._outputs
            }
        finally:
            for name in lent:
                self._request.set_output_tensor(
                    self._outputs[name][0], self._tensor[name](self._fixed[name])
                )

    def _read_output(self, name: str) -> Array:
        """The output's array; a copy where its shape is open, as OpenVINO reuses that memory."""
        return self._fixed[name] if name in self._fixed else self._copy_output(name)

    def _copy_output(self, name: str) -> Array:
        own: Array | None = self._fixed.get(name)
        if own is None:
            i, spec = self._outputs[name]
            own = self._request.get_output_tensor(i).data
            own = own.view(spec.dtype) if name in self._foreign else own
        copy: Array = own.copy()
        return copy

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._shape_inputs(
            {name: array.shape for name, array in self.inputs.items()} | dict(shapes)
        )

    def bind(self, name: str, array: Array | None) -> None:
        is_input = name in self._inputs
        entry = self._inputs.get(name) or self._outputs.get(name)
        if entry is None:
            names = ", ".join([*self._inputs, *self._outputs])
            raise InputError(f"there is no tensor {name!r}", hint=f"the tensors are {names}")
        i, spec = entry
        if not is_input and name in self._open:
            why = "shares its tensor with another" if spec.is_fixed else "has an open shape"
            raise InputError(
                f"the output {name!r} {why} and can not be bound",
                hint="load the model with shapes=, or read request.outputs after each run",
            )
        own = self.inputs[name] if is_input else self._fixed[name]
        bound = self._bound_inputs - {name}
        if array is not None:
            bound |= {name}
        else:
            array = empty_aligned(own.shape, spec.dtype)
            array.fill(0)
        if not isinstance(array, np.ndarray):
            raise InputError(
                f"{name!r} can not be bound to a {type(array).__name__}",
                hint="give a numpy.ndarray, for example numpy.from_dlpack(...)",
            )
        if array.dtype != own.dtype or array.shape != own.shape:
            raise InputError(
                f"{name!r} can not be bound to a {array.dtype} array of shape {array.shape}",
                hint=f"it is {spec}, at present of shape {own.shape}",
            )
        if not array.flags.carray:
            raise InputError(
                f"the array for {name!r} is not C-contiguous, aligned and writable",
                hint="copy it with numpy.array(array, order='C')",
            )
        if is_input:
            self._give_input(name, array)
            self.inputs = {**self.inputs, name: array}
            self._bound_inputs = bound
        else:
            self._request.set_output_tensor(i, self._tensor[name](array))
            self._fixed = {**self._fixed, name: array}

    def close(self) -> None:
        super().close()
        self._request = self._infer = CLOSED

    def _shape_inputs(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        wanted = wanted_shapes((spec for _, spec in self._inputs.values()), shapes)
        arrays = dict(self.inputs)
        try:
            for name, shape in wanted.items():
                if name in arrays and arrays[name].shape == shape:
                    continue
                array = empty_aligned(shape, self._inputs[name][1].dtype)
                array.fill(0)
                self._set_input(name, array)
                arrays[name] = array
        except InputError:
            for name, array in self.inputs.items():
                self._set_input(name, array)
            raise
        self._bound_inputs = frozenset(
            name for name in self._bound_inputs if arrays[name] is self.inputs[name]
        )
        self.inputs = arrays

    def _own_output(self, name: str, i: int | None, spec: TensorSpec) -> None:
        shape = tuple(size for size in spec.shape or () if size is not None)
        self._fixed[name] = empty_aligned(shape, spec.dtype)
        self._request.set_output_tensor(i, self._tensor[name](self._fixed[name]))


def wanted_shapes(
    specs: Iterable[TensorSpec], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """A shape for each input, 1 where a dimension is dynamic and not given; or InputError."""
    inputs = {spec.name: spec for spec in specs}
    if unknown := sorted(set(shapes) - set(inputs)):
        raise InputError(
            f"there is no input {unknown[0]!r}", hint=f"the inputs are {', '.join(inputs)}"
        )
    wanted = {}
    for name, spec in inputs.items():
        default = tuple(1 if size is None else size for size in spec.shape or ())
        shape = tuple(shapes.get(name, default))
        if not spec.accepts(shape) or any(size < 0 for size in shape):
            raise InputError(
                f"the input {name!r} can not have the shape {shape}", hint=f"it is {spec}"
            )
        wanted[name] = shape
    return wanted
