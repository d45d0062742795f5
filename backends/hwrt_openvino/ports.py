"""OpenVINO's ports: which tensor of the file each one is, and how NumPy holds its elements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from hwrt.backend import Array, TensorSpec, UnsupportedModel, element_bits

__all__ = [
    "Port",
    "is_packed",
    "known_name",
    "ports_of",
    "tensor_maker",
    "with_dropped",
    "with_shared",
]

_NUMPY = {
    **{f"f{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"{sign}{bits}": f"{name}{bits}" for sign, name in (("i", "int"), ("u", "uint"))
       for bits in (8, 16, 32, 64)},
    "boolean": "bool",
}  # fmt: skip
# Element types that NumPy lacks -> the dtypes of ml_dtypes.
_FOREIGN = {
    "bf16": "bfloat16",
    "f8e4m3": "float8_e4m3fn",
    "f8e5m2": "float8_e5m2",
    "f8e8m0": "float8_e8m0fnu",
    "i4": "int4",
    "u4": "uint4",
    "f4e2m1": "float4_e2m1fn",
}


class Port(NamedTuple):
    """One input or output: its place among OpenVINO's, its spec, OpenVINO's type and names for it.

    Place and type are None for an input that OpenVINO has dropped, as no output depends on it.
    """

    place: int | None
    spec: TensorSpec
    type: Any = None
    names: frozenset[str] = frozenset()

    @property
    def is_foreign(self) -> bool:
        """True where NumPy itself lacks the dtype: OpenVINO then shows other numbers' bits."""
        return self.place is not None and self.type.to_string() in _FOREIGN


def ports_of(ports: Iterable[Any], specs: tuple[TensorSpec, ...]) -> tuple[Port, ...]:
    """The ports of one side, in the file's order and by the file's names.

    A port is the tensor of which it bears the name or an alias; OpenVINO gives it every name that
    leads to the same values.  Where an operator that only passes its input on was taken out, the
    port bears the output's name alone: it is then told by its place, if as many ports as the file
    has tensors are in the file's order.  What remains unknown comes after the others.
    """
    ports = tuple(ports)
    found = _named(ports, specs)
    in_order = len(ports) == len(specs) and all(
        of_file in (None, spec) for of_file, spec in zip(found, specs, strict=True)
    )
    if in_order:
        found = list(specs)
    made = [
        Port(i, _spec(port, i, of_file), port.get_element_type(), frozenset(port.get_names()))
        for i, (port, of_file) in enumerate(zip(ports, found, strict=True))
    ]
    return _in_file_order(made, specs)


def _named(ports: tuple[Any, ...], specs: tuple[TensorSpec, ...]) -> list[TensorSpec | None]:
    """The file's tensor of each port, None where the port bears no name of any.

    Aliases come first: a signature's key, which OpenVINO does not know, may be another tensor's
    name.
    """
    found: list[TensorSpec | None] = [None] * len(ports)
    free = list(specs)
    for names_of in (lambda spec: spec.aliases, lambda spec: (spec.name,)):
        for i, port in enumerate(ports):
            if found[i] is not None:
                continue
            names = port.get_names()
            of_file = next((spec for spec in free if not names.isdisjoint(names_of(spec))), None)
            if of_file is not None:
                found[i] = of_file
                free.remove(of_file)
    return found


def with_shared(ports: tuple[Port, ...], specs: tuple[TensorSpec, ...]) -> tuple[Port, ...]:
    """The ports of the outputs, and those of the file's that share their tensor with another.

    OpenVINO gives such a tensor once.  Raises UnsupportedModel for an output that it lacks.
    """
    found = {port.spec.name for port in ports}
    shared = []
    for spec in specs:
        if spec.name in found:
            continue
        names = {spec.name, *spec.aliases}
        owner = next((port for port in ports if port.names & names), None)
        if owner is None:
            raise UnsupportedModel(
                f"openvino has no output {spec.name!r}, only {', '.join(sorted(found)) or 'none'}",
                hint="run it on another backend",
            )
        shared.append(owner._replace(spec=spec))
    return _in_file_order([*ports, *shared], specs)


def with_dropped(ports: tuple[Port, ...], specs: tuple[TensorSpec, ...]) -> tuple[Port, ...]:
    """The ports of the inputs, and those of the file's inputs that OpenVINO has dropped.

    It drops what no output depends on: the tensor that CastLike takes a type from, one without
    elements.  Raises UnsupportedModel where a port bears no name of the file, as that may be one of
    those that seem to be dropped.
    """
    known = {spec.name for spec in specs}
    unknown = [port.spec.name for port in ports if port.spec.name not in known]
    found = {port.spec.name for port in ports}
    dropped = [Port(None, spec) for spec in specs if spec.name not in found]
    if unknown and dropped:
        raise UnsupportedModel(
            f"openvino has no input {dropped[0].spec.name!r}, but one named {unknown[0]!r}",
            hint="run it on another backend",
        )
    return _in_file_order([*ports, *dropped], specs)


def _in_file_order(ports: list[Port], specs: tuple[TensorSpec, ...]) -> tuple[Port, ...]:
    order = {spec.name: i for i, spec in enumerate(specs)}
    return tuple(sorted(ports, key=lambda port: order.get(port.spec.name, len(order))))


def known_name(network: Any, spec: TensorSpec) -> str:
    """The alias or name by which the network knows this input; its name where it knows none."""
    names = {name for port in network.inputs for name in port.get_names()}
    return next((name for name in (*spec.aliases, spec.name) if name in names), spec.name)


def is_packed(port: Port) -> bool:
    """True where OpenVINO holds several elements in a byte."""
    return port.place is not None and element_bits(port.spec.dtype) < 8


def tensor_maker(port: Port) -> Callable[[Array], Any]:
    """What makes an OpenVINO tensor over the memory of an array of whole bytes.

    The array must be C-contiguous and writable, and outlive the tensor, which keeps nothing alive.
    """
    from openvino import Shape, Tensor

    if not port.is_foreign:
        return partial(Tensor, shared_memory=True)
    raw = np.dtype(f"u{port.spec.dtype.itemsize}")
    return lambda array: Tensor(array.view(raw), Shape(array.shape), port.type)


def _spec(port: Any, i: int, of_file: TensorSpec | None) -> TensorSpec:
    name = of_file.name if of_file else min(port.get_names(), default=f"#{i}")
    dtype = _dtype(port, name, of_file)
    partial_shape = port.get_partial_shape()
    shape: tuple[int | None, ...] | None = None
    if not partial_shape.rank.is_dynamic:
        shape = tuple(None if size.is_dynamic else size.get_length() for size in partial_shape)
    spec = TensorSpec(name, dtype, shape)
    if of_file is None or of_file.dtype != dtype or not _is_like(shape, of_file.shape):
        return spec  # another tensor than the file's: preprocess was fused
    return TensorSpec(
        name, dtype, shape, of_file.dim_names, of_file.quantization, aliases=of_file.aliases
    )


def _dtype(port: Any, name: str, of_file: TensorSpec | None) -> np.dtype[Any]:
    kind = port.get_element_type().to_string()
    if kind in _NUMPY:
        return np.dtype(_NUMPY[kind])
    if of_file is not None and _FOREIGN.get(kind) == of_file.dtype.name:
        # Whoever read the file had ml_dtypes.
        return of_file.dtype
    raise UnsupportedModel(f"hwrt passes no {kind} tensor ({name!r}) to openvino")


def _is_like(shape: tuple[int | None, ...] | None, of_file: tuple[int | None, ...] | None) -> bool:
    if shape is None or of_file is None:
        return shape is of_file
    return len(shape) == len(of_file) and all(
        theirs is None or own is None or own == theirs
        for own, theirs in zip(shape, of_file, strict=True)
    )
