"""What the requests of one compiled model share: the file's bytes, how interpreters are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hwrt.backend import Array, ModelInfo, Shapes, TensorSpec, UnsupportedModel
from hwrt_litert.vendor import raise_load_fault

MakeInterpreter = Callable[[], Any]
# They share the memory of their first input, also before their output's shape is known.
_SHAPED_BY_THEIR_SECOND_INPUT = frozenset({"RESHAPE", "EXPAND_DIMS"})
Details = Mapping[str, Mapping[str, Any]]


class Port(NamedTuple):
    """An input or output: what hwrt says of it, and the number that the vendor gives the tensor."""

    spec: TensorSpec
    number: int

    @property
    def is_text(self) -> bool:
        """True for strings, which have no address."""
        return self.spec.dtype.hasobject


class Node(NamedTuple):
    """An operator, and the numbers of the tensors that it reads and writes."""

    name: str
    inputs: tuple[int, ...]
    outputs: frozenset[int]


class Graph:
    """The function of the file that is run, and its tensors by hwrt's names.

    Where ``stays`` is True, and all outputs have memory when the tensors are laid out, a run does
    not move that memory.  An operator whose output's shape depends on data lays out anew, in the
    middle of the run, all tensors of the operators after it; so an output that depends on one has
    no memory before.  What could go unnoticed are operators on which no output depends, and those
    whose own output is first laid out in their input's memory: where there are any, ``stays`` is
    False.  A request checks it once more after its first run.
    """

    def __init__(
        self, make: MakeInterpreter, model: ModelInfo, content: bytes, bounds: Shapes
    ) -> None:
        self.path = model.path
        # As they were given to the compile: litert knows nothing of ranges.
        self.bounds = bounds
        self.signature = model.signature
        self._make = make
        # The interpreters read the weights where they lie, so these must outlive them.
        self._content = content
        start = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
        self._content_range = range(start, start + len(content))
        interpreter = self.interpreter()
        for spec in (*model.inputs, *model.outputs):
            if spec.dtype.isbuiltin != 1 and not spec.dtype.hasobject:
                raise _dtype_error(spec)
        named_inputs: Details = {}
        named_outputs: Details = {}
        # Only the tensors of the file's first graph have addresses for us.
        self.place = 0
        if self.signature is not None:
            runner = interpreter.get_signature_runner(self.signature)
            self.place = getattr(runner, "_subgraph_index", 0)
            named_inputs, named_outputs = runner.get_input_details(), runner.get_output_details()
            del runner
        all_inputs = interpreter.get_input_details() if self.is_first else []
        all_outputs = interpreter.get_output_details() if self.is_first else []
        self.inputs = _ports(model.inputs, named_inputs, all_inputs)
        self.outputs = _ports(model.outputs, named_outputs, all_outputs)
        self.stays = self.is_first and self._is_still(interpreter, all_outputs)
        self.spare: list[Any] = [interpreter]

    @property
    def is_first(self) -> bool:
        """True for the file's first graph."""
        return self.place == 0

    def interpreter(self) -> Any:
        """An interpreter whose tensors are not laid out yet."""
        try:
            return self._make()
        except (RuntimeError, ValueError) as exc:
            raise_load_fault(exc, self.path)

    def _is_still(self, interpreter: Any, outputs: Sequence[Mapping[str, Any]]) -> bool:
        """True where nothing shows that a run moves memory; False where that can not be told."""
        core = core_of(interpreter)
        if not hasattr(core, "NodeOutputs"):
            return False
        nodes = [
            Node(
                core.NodeName(i),
                tuple(map(int, core.NodeInputs(i))),
                frozenset(map(int, core.NodeOutputs(i))),
            )
            for i in range(core.NumNodes())
        ]
        ends = frozenset(int(details["index"]) for details in outputs)
        return _are_needed(nodes, ends) and all(
            node.name not in _SHAPED_BY_THEIR_SECOND_INPUT
            or node.outputs.isdisjoint(ends)
            or all(self._holds(interpreter, number) for number in node.inputs[1:])
            for node in nodes
        )

    def _holds(self, interpreter: Any, number: int) -> bool:
        """True where the tensor is a constant of the file."""
        memory = memory_of(interpreter, number)
        return memory is not None and self.is_constant(memory.address)

    def take(self) -> Any:
        """The interpreter that an earlier check left over, else another one."""
        try:
            return self.spare.pop()
        except IndexError:
            return self.interpreter()

    def invoke_of(self, interpreter: Any) -> Callable[[], Any]:
        """What runs the interpreter, without its look for live views, which costs some 0.3 us."""
        invoke: Callable[[], Any] = getattr(core_of(interpreter), "Invoke", interpreter.invoke)
        return invoke

    def is_constant(self, address: int) -> bool:
        """True where the address lies in the file's own bytes."""
        return address in self._content_range


class Memory:
    """A tensor's memory as NumPy understands it; the interpreter lives as long as this does.

    A view that ``interpreter.tensor()`` gives keeps the interpreter from running.
    """

    def __init__(self, interface: Mapping[str, Any], keeper: object) -> None:
        self.__array_interface__ = interface
        self.address: int = interface["data"][0]
        self.shape: tuple[int, ...] = interface["shape"]
        self._keeper = keeper

    def array(self) -> Array:
        """An array over the memory, which it keeps alive."""
        return np.asarray(self)


def core_of(interpreter: Any) -> Any:
    """The compiled part of an interpreter; None where a version keeps it elsewhere."""
    return getattr(interpreter, "_interpreter", None)


def memory_of(interpreter: Any, index: int) -> Memory | None:
    """The tensor's memory; None where it has none before the interpreter runs, or shows none."""
    try:
        view = interpreter.tensor(index)()
    except ValueError:
        return None
    # A tensor without dimensions comes as a NumPy scalar, which is a copy.
    if not isinstance(view, np.ndarray) or view.flags.owndata:
        return None
    return Memory(view.__array_interface__, interpreter)


def _are_needed(nodes: list[Node], ends: frozenset[int]) -> bool:
    """True where some tensor of ``ends`` depends on each of the nodes."""
    read = set(ends)
    # A delegate's nodes stand behind those that they replace, so not in the order of a run.
    while nodes:
        unneeded = []
        for node in reversed(nodes):
            if read.isdisjoint(node.outputs):
                unneeded.append(node)
            else:
                read.update(node.inputs)
        if len(unneeded) == len(nodes):
            return False
        nodes = unneeded[::-1]
    return True


def _ports(
    specs: Sequence[TensorSpec], named: Details, in_order: Sequence[Mapping[str, Any]]
) -> dict[str, Port]:
    """The ports by hwrt's name.

    ``named`` are those that the signature names, and ``in_order`` all of the graph: the ones that
    have no name in the signature have hwrt's names in this order.
    """
    unnamed = list(in_order)
    for spec in specs:
        for place, details in enumerate(unnamed if spec.name in named else ()):
            if details["index"] == named[spec.name]["index"]:
                del unnamed[place]
                break
    ports = {}
    for spec in specs:
        if spec.name not in named and not unnamed:
            raise UnsupportedModel(
                f"litert does not know the tensor {spec.name!r} of this model's signature",
                hint="convert the model with all inputs and outputs in its signature",
            )
        details = named[spec.name] if spec.name in named else unnamed.pop(0)
        _check_dtype(spec, np.dtype(details["dtype"]))
        ports[spec.name] = Port(spec, int(details["index"]))
    return ports


def _check_dtype(spec: TensorSpec, vendors: np.dtype[Any]) -> None:
    passes = vendors.kind == "S" if spec.dtype.hasobject else vendors == spec.dtype
    if not passes:
        raise _dtype_error(spec)


def _dtype_error(spec: TensorSpec) -> UnsupportedModel:
    return UnsupportedModel(
        f"litert's Python interface passes no {spec.dtype} tensor ({spec.name!r})",
        hint="convert the model with another type of inputs and outputs",
    )
