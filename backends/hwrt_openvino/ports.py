"""OpenVINO's ports: which tensor of the file each one is, and how NumPy holds its elements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from hwrt.backend import Array, TensorSpec, UnsupportedModel, element_bits

__all__ = ["Port", "is_packed", "ports_of", "tensor_maker"]

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
    """One input or output: its place among OpenVINO's, its spec, OpenVINO's element type."""

    place: int
    spec: TensorSpec
    type: Any

    @property
    def is_foreign(self) -> bool:
        """True where NumPy itself lacks the dtype: OpenVINO then shows other numbers' bits."""
        return self.type.to_string() in _FOREIGN


def ports_of(ports: Iterable[Any], specs: tuple[TensorSpec, ...]) -> tuple[Port, ...]:
    """The ports of one side, in the file's order and by the file's names.

    A port is the tensor of which it bears the name or an alias; OpenVINO gives it every name that
    leads to the same values.  A port that the file does not name comes after the others.
    """
    free = list(specs)
    found = []
    for i, port in enumerate(ports):
        names = port.get_names()
        known = [spec for spec in specs if not names.isdisjoint((spec.name, *spec.aliases))]
        of_file = next((spec for spec in known if spec in free), known[0] if known else None)
        if of_file in free:
            free.remove(of_file)
        order = specs.index(of_file) if of_file is not None else len(specs)
        spec = _spec(port, i, of_file)
        found.append((order, Port(i, spec, port.get_element_type())))
    return tuple(port for _, port in sorted(found, key=lambda pair: pair[0]))


def is_packed(port: Port) -> bool:
    """True where OpenVINO holds several elements in a byte."""
    return element_bits(port.spec.dtype) < 8


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
