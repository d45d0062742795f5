"""TFLite's tensors: their types, shapes, scales and numbers of elements."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hwrt.errors import UnsupportedModel
from hwrt.model import tflite_schema as schema
from hwrt.model.dtypes import dtype_named
from hwrt.model.file import Malformed
from hwrt.model.flatbuffer import BOOL, INT8, INT32, INT64, UINT8, Table
from hwrt.spec import Quantization, TensorSpec

__all__ = ["elements", "has_scale", "spec", "type_of"]

_MOST_DIMENSIONS = 64  # NumPy's limit
_MAX_ELEMENTS = (1 << 63) - 1
_UNKNOWN = schema.TensorType("", "", 0)


def type_of(tensor: Table) -> schema.TensorType:
    """The type of a tensor's elements; one without a name where the schema's is newer."""
    number = tensor.integer(schema.Tensor.TYPE, INT8)
    return schema.TYPES[number] if 0 <= number < len(schema.TYPES) else _UNKNOWN


def spec(tensor: Table, name: str, *, role: str, aliases: tuple[str, ...] = ()) -> TensorSpec:
    """The spec of an input or output (``role``).

    The shape of an output without dimensions is None unless the file says that it has a rank; such
    an input is a scalar, as which all runtimes take it.

    Raises Malformed where the file contradicts itself, UnsupportedModel where no array can hold it.
    """
    owner = f"{role} {name!r:.80}"
    kind = type_of(tensor)
    if not kind.dtype:
        number = tensor.integer(schema.Tensor.TYPE, INT8)
        raise UnsupportedModel(
            f"the model's {owner} is of the type {kind.name or number}, which no array holds",
            hint="convert the model with plain tensors as inputs and outputs",
        )
    shape: tuple[int | None, ...] | None = _shape(tensor, owner)
    if role == "output" and not shape and not tensor.integer(schema.Tensor.HAS_RANK, BOOL):
        shape = None
    return TensorSpec(
        name,
        dtype_named(kind.dtype, owner=f"the model's {owner}"),
        shape,
        quantization=_quantization(tensor, kind, shape, owner) if kind.is_integer else None,
        aliases=aliases,
    )


def has_scale(tensor: Table) -> bool:
    """True where the elements stand for other numbers."""
    quantization = tensor.table(schema.Tensor.QUANTIZATION)
    if quantization is None:
        return False
    details = quantization.integer(schema.Quantization.DETAILS_TYPE, UINT8)
    return details == schema.Quantization.BLOCKWISE or quantization.any_float(
        schema.Quantization.SCALE
    )


def elements(tensor: Table, owner: str) -> int:
    """How many elements the shape of a constant tensor has."""
    return _product(_dimensions(tensor, schema.Tensor.SHAPE, owner), owner)


def _shape(tensor: Table, owner: str) -> tuple[int | None, ...]:
    """The shape, None for what ``shape_signature`` or the shape itself leave open by a -1."""
    shape = _dimensions(tensor, schema.Tensor.SHAPE, owner, least=-1)
    signature = _dimensions(tensor, schema.Tensor.SHAPE_SIGNATURE, owner, least=-1) or shape
    if len(signature) != len(shape):
        raise Malformed(f"{owner} has the shape {shape} and the shape signature {signature}")
    sizes = tuple(
        None if -1 in (size, open_size) else size
        for size, open_size in zip(shape, signature, strict=True)
    )
    _product((size for size in sizes if size is not None), owner)
    return sizes


def _dimensions(tensor: Table, field: int, owner: str, *, least: int = 0) -> tuple[int, ...]:
    rank = (tensor.span(field, INT32.size) or (0, 0))[1]
    if rank > _MOST_DIMENSIONS:
        raise Malformed(f"{owner} has {rank} dimensions; an array has at most {_MOST_DIMENSIONS}")
    sizes = tensor.integers(field)
    if sizes and min(sizes) < least:
        raise Malformed(f"{owner} has the impossible dimension {min(sizes)}: {sizes}")
    return sizes


def _product(sizes: Iterable[int], owner: str) -> int:
    product = math.prod(sizes)
    if product > _MAX_ELEMENTS:
        raise Malformed(f"{owner} has more than 2**63 elements")
    return product


def _quantization(
    tensor: Table, kind: schema.TensorType, shape: tuple[int | None, ...] | None, owner: str
) -> Quantization | None:
    """What the integers stand for; None where there is no scale, or nothing but zeros for it."""
    table = tensor.table(schema.Tensor.QUANTIZATION)
    scale = table.floats(schema.Quantization.SCALE) if table else ()
    if table is None or not any(scale):
        return None
    zero_point = table.integers(schema.Quantization.ZERO_POINT, INT64) or (0,)
    if len(zero_point) == 1:
        zero_point *= len(scale)
    if len(zero_point) != len(scale):
        raise Malformed(f"{owner} has {len(scale)} scales and {len(zero_point)} zero points")
    if not all(0 <= value < math.inf for value in scale):  # NaN is not
        raise Malformed(f"{owner} has a scale that is negative, infinite or no number")
    low, high = kind.limits
    if not low <= min(zero_point) <= max(zero_point) <= high:
        raise Malformed(f"{owner} has a zero point outside of {low} to {high}")
    if len(scale) == 1:
        return Quantization(scale, zero_point)
    axis = table.integer(schema.Quantization.DIMENSION)
    if shape is None or not 0 <= axis < len(shape) or shape[axis] not in (None, len(scale)):
        raise Malformed(f"{owner} has {len(scale)} scales along axis {axis} of the shape {shape}")
    return Quantization(scale, zero_point, axis)
