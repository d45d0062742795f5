"""Requests over LiteRT's interpreters, whose memory is that of the arrays where it can be."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from hwrt.backend import (
    Array,
    BackendFailure,
    HwrtError,
    InputError,
    Range,
    Request,
    SessionError,
    TensorSpec,
    empty_aligned,
)
from hwrt_litert.graph import Graph, Memory, Port, core_of, memory_of
from hwrt_litert.vendor import raise_run_fault, raise_shape_fault

Sizes = dict[str, tuple[int, ...]]
_FAULTS = (RuntimeError, ValueError)


class LiteRtRequest(Request):
    """A request with an interpreter of its own.

    Mostly ``inputs`` and ``outputs`` lie where the interpreter computes.  Strings, outputs whose
    shape depends on data, constants, and graphs other than the file's first are copied instead: the
    first have no address, the second move as they are computed, the third must not be written to.
    """

    _invoke: Any = None
    _is_plain = False
    _inputs: dict[str, Array]
    _outputs: dict[str, Array] | None

    def __init__(self, graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._graph = graph
        self._interpreter: Any = graph.take()
        self._copies = self._is_plain = False
        self._lent: list[weakref.ref[Memory]] = []
        self._inputs, self._outputs = {}, None
        self._shapes = first_shapes(graph)
        self._shapes = self._check_shapes(shapes)
        self._lay_out(self._shapes)

    @property
    def inputs(self) -> Mapping[str, Array]:  # type: ignore[override]
        if self._interpreter is None:
            raise _closed()
        return self._inputs

    @property
    def outputs(self) -> Mapping[str, Array]:  # type: ignore[override]
        if self._interpreter is None:
            raise _closed()
        if self._outputs is None:
            names = ", ".join(map(repr, self._graph.outputs))
            raise InputError(f"the output {names} has no value yet", hint="call run() first")
        return self._outputs

    def run(self) -> None:
        try:
            if self._is_plain:
                self._invoke()
            elif self._copies:
                self._run_copying()
            else:
                self._run_first()
        except _FAULTS as exc:
            raise_run_fault(exc)

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        inputs = self._inputs
        fit = len(feeds) == len(inputs)
        for name, array in feeds.items():
            own = inputs.get(name)
            if own is None or own.dtype is not array.dtype or own.shape != array.shape:
                fit = False
                break
            own[...] = array
        if not fit:
            self._adapt_to(feeds)
            self._fill(feeds)
        self.run()
        if (outputs := self._outputs) is None:
            raise _closed()
        return {name: array.copy() for name, array in outputs.items()}

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        wanted = self._check_shapes(shapes)
        before, old = self._shapes, self._interpreter
        if wanted == before:
            return
        contents = {name: array.copy() for name, array in self._inputs.items()}
        # Laying out anew moves the memory.  Where a caller still holds an array over it, that
        # interpreter is left to it, and this request goes on with another one.
        held = self._release()
        try:
            if held:
                self._interpreter = self._graph.interpreter()
            self._lay_out(wanted)
        except (HwrtError, MemoryError):
            self._release()
            # An interpreter that could not lay its tensors out is not used again.
            self._interpreter = old if held else self._graph.interpreter()
            self._lay_out(before)
            self._lent += held
            self._fill(contents)
            raise
        self._shapes = wanted
        kept = (name for name, shape in before.items() if shape == wanted[name])
        self._fill({name: contents[name] for name in kept})

    def bind(self, name: str, array: Array | None) -> None:
        ports = {**self._graph.inputs, **self._graph.outputs}
        if name not in ports:
            raise InputError(
                f"there is no tensor {name!r}", hint=f"the tensors are {', '.join(ports)}"
            )
        # Its Python interface can not be told where a tensor is to lie.
        if array is not None:
            super().bind(name, array)

    def close(self) -> None:
        super().close()
        self._release()
        # A run of another thread gets there next.
        self._interpreter, self._copies, self._invoke = None, False, _refuse

    def __del__(self) -> None:
        # The compiled part of the interpreter, which this holds, must go before what it was made
        # from: the file's bytes and the delegates, which the Interpreter holds.
        self._invoke = None

    def _adapt_to(self, feeds: Mapping[str, Array]) -> None:
        """Take the shapes of these feeds; raises InputError where they are not the inputs'."""
        if missing := sorted(set(self._inputs) - set(feeds)):
            raise InputError(
                f"the feed {missing[0]!r} is missing",
                hint=f"the inputs are {', '.join(self._inputs)}",
            )
        for name, array in feeds.items():
            port = self._graph.inputs.get(name)
            if port is not None and port.spec.dtype != array.dtype:
                raise InputError(
                    f"the feed {name!r} is {array.dtype}", hint=f"the input is {port.spec}"
                )
        self.resize({name: array.shape for name, array in feeds.items()})

    def _fill(self, contents: Mapping[str, Array]) -> None:
        for name, array in contents.items():
            self._inputs[name][...] = array

    def _release(self) -> list[weakref.ref[Memory]]:
        """Let go of the arrays over the interpreter's memory; those that a caller still holds."""
        self._inputs, self._outputs, self._invoke, self._is_plain = {}, None, None, False
        held = [memory for memory in self._lent if memory() is not None]
        self._lent = []
        return held

    def _lay_out(self, shapes: Sizes) -> None:
        """Give the tensors memory and make the arrays; raises InputError for unfit shapes."""
        allocate(self._interpreter, self._graph, shapes)
        if self._graph.stays:
            inputs = self._map(self._graph.inputs)
            outputs = self._map(self._graph.outputs)
            if inputs is not None and outputs is not None:
                self._use(inputs, outputs)
                return
            # Once it has run, an interpreter also shows memory that its next run moves.
            self._graph.stays = False
        self._copies = True
        self._inputs = {
            name: empty_aligned(shapes[name], port.spec.dtype)
            for name, port in self._graph.inputs.items()
        }
        for array in self._inputs.values():
            array.fill("" if array.dtype.hasobject else 0)

    def _map(self, ports: Mapping[str, Port]) -> dict[str, Memory] | None:
        """The tensors' memory, or None where one has none that stays and may be written to."""
        found = {}
        for name, port in ports.items():
            memory = None if port.is_text else memory_of(self._interpreter, port.number)
            if memory is None or self._graph.is_constant(memory.address):
                return None
            found[name] = memory
        return found

    def _use(self, inputs: Mapping[str, Memory], outputs: Mapping[str, Memory]) -> None:
        self._copies = self._is_plain = False
        self._lent = [weakref.ref(memory) for memory in (*inputs.values(), *outputs.values())]
        self._inputs = {name: memory.array() for name, memory in inputs.items()}
        self._outputs = {name: memory.array() for name, memory in outputs.items()}
        for array in self._inputs.values():
            array.fill(0)
        self._invoke = self._graph.invoke_of(self._interpreter)

    def _run_first(self) -> None:
        """Run, and see whether all memory stayed where it was: the rest of the runs rely on it."""
        self._invoke()
        if self._outputs is None:
            raise _closed()
        graph = self._graph
        if not all(self._is_at(graph.inputs[name], array) for name, array in self._inputs.items()):
            self.disable("litert moved this request's memory", hint="use another backend")
            raise BackendFailure(f"litert moved the inputs of {graph.path} in a run")
        if all(self._is_at(graph.outputs[name], array) for name, array in self._outputs.items()):
            self._is_plain = True
            return
        graph.stays, self._copies = False, True
        self._outputs = self._read_outputs()

    def _is_at(self, port: Port, array: Array) -> bool:
        memory = memory_of(self._interpreter, port.number)
        own = array.__array_interface__
        return memory is not None and (memory.address, memory.shape) == (
            own["data"][0],
            own["shape"],
        )

    def _run_copying(self) -> None:
        graph, interpreter = self._graph, self._interpreter
        inputs = {
            name: _encode(array) if array.dtype.hasobject else array
            for name, array in self._inputs.items()
        }
        self._outputs = self._invoke = None
        if not graph.is_first:
            values = interpreter.get_signature_runner(graph.signature)(**inputs)
            self._outputs = _decoded(values, graph.outputs)
            return
        for name, port in graph.inputs.items():
            interpreter.set_tensor(port.number, inputs[name])
        interpreter.invoke()
        self._outputs = self._read_outputs()

    def _read_outputs(self) -> dict[str, Array]:
        ports = self._graph.outputs
        return _decoded({name: _read(self._interpreter, ports[name]) for name in ports}, ports)

    def _check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> Sizes:
        ports = self._graph.inputs
        if unknown := sorted(set(shapes) - set(ports)):
            raise InputError(
                f"there is no input {unknown[0]!r}", hint=f"the inputs are {', '.join(ports)}"
            )
        wanted = {name: tuple(shapes.get(name, own)) for name, own in self._shapes.items()}
        for name, shape in wanted.items():
            spec = ports[name].spec
            if not spec.accepts(shape) or any(not 0 <= size < 1 << 31 for size in shape):
                raise InputError(
                    f"the input {name!r} can not have the shape {shape}", hint=f"it is {spec}"
                )
        for name in shapes:
            _check_bounds(ports[name].spec, self._graph.bounds.get(name, ()), wanted[name])
        return wanted


def _check_bounds(
    spec: TensorSpec, bounds: tuple[int | Range, ...], shape: tuple[int, ...]
) -> None:
    for bound, size in zip(bounds, shape, strict=False):
        if isinstance(bound, Range) and not bound.min <= size <= bound.max:
            raise InputError(
                f"the input {spec.name!r} can not have the shape {shape}: it is out of the bounds "
                "that the model was compiled for",
                hint=f"it is {spec}, compiled for {tuple(bounds)}",
            )


def first_shapes(graph: Graph) -> Sizes:
    """The shapes of the inputs, dynamic dimensions being 1."""
    return {
        name: tuple(1 if size is None else size for size in port.spec.shape or ())
        for name, port in graph.inputs.items()
    }


def allocate(interpreter: Any, graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Give the tensors of these input shapes memory; raises InputError where they do not fit."""
    try:
        if not graph.is_first:
            # As its signature's runner does, in each run.
            core = core_of(interpreter)
            for name, port in graph.inputs.items():
                size = np.array(shapes[name], np.int32)
                core.ResizeInputTensor(port.number, size, False, graph.place)
            core.AllocateTensors(graph.place)
            return
        present = {int(d["index"]): tuple(d["shape"]) for d in interpreter.get_input_details()}
        for name, port in graph.inputs.items():
            if present[port.number] != shapes[name]:
                interpreter.resize_tensor_input(port.number, shapes[name])
        interpreter.allocate_tensors()
    except _FAULTS as exc:
        raise_shape_fault(exc, graph.path, dict(shapes))


def _read(interpreter: Any, port: Port) -> Array:
    try:
        array: Array = interpreter.get_tensor(port.number)
    except ValueError:
        # It refuses to copy nothing.
        for details in interpreter.get_output_details():
            if int(details["index"]) == port.number and 0 in details["shape"]:
                return np.empty(tuple(details["shape"]), port.spec.dtype)
        raise
    return array


def _decoded(values: Mapping[str, Array], ports: Mapping[str, Port]) -> dict[str, Array]:
    return {
        name: _decode(values[name]) if port.is_text else values[name]
        for name, port in ports.items()
    }


def _encode(array: Array) -> Array:
    """Strings as the bytes that they are in a tensor; bytes stay as they are."""
    flat = [
        text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogateescape")
        for text in array.flat
    ]
    encoded = np.empty(array.shape, object)
    encoded[...] = np.array([*flat, None], object)[:-1].reshape(array.shape)
    return encoded


def _decode(array: Array) -> Array:
    """The bytes of a tensor as strings; what is not UTF-8 survives the way back."""
    flat = [text.decode("utf-8", "surrogateescape") for text in array.flat]
    decoded = np.empty(array.shape, object)
    decoded[...] = np.array([*flat, None], object)[:-1].reshape(array.shape)
    return decoded


def _refuse() -> NoReturn:
    raise _closed()


def _closed() -> SessionError:
    return SessionError("this request is closed", hint="create another one")
