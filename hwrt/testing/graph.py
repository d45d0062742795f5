"""A small model that belongs to no file format: what the suite writes as ONNX and as TFLite.

The vocabulary is small on purpose.  An operator whose output has an entry in ``quantization``
computes on what the integers stand for and gives integers again: TFLite has such operators, in
ONNX they are written with DequantizeLinear and QuantizeLinear around them.

=============== ================= =================================================================
operator        inputs            attributes
=============== ================= =================================================================
Relu Neg Not    x
Identity Shape  x                 Shape is int64
Add Mul         a b
Concat          any number        axis
Reshape         x                 shape: one -1 at most
Transpose       x                 perm
ReduceMean      x                 axes, keepdims
Cast            x                 to: a dtype
Gather          x, indices        axis
ArgWhere        x                 int64 (K, rank): the indices of what is not 0
MatMul          x, weights        weights are a constant of shape (K, N)
Conv2D          x, weights, bias  layout, stride; zeros around as TensorFlow's SAME has them.
                                  Weights are OIHW in layout NCHW, OHWI in NHWC.
DepthwiseConv2D x, weights, bias  the same; weights are C1HW in NCHW, 1HWC in NHWC
Quantize        x                 to what ``quantization`` says of the output; dtype
Dequantize      x                 from what it says of the input
Custom          x                 an operator that nobody has
=============== ================= =================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from hwrt.backend import Array, Quantization, TensorSpec

__all__ = ["Graph", "Lacks", "Node", "dtype_named", "node", "tensor"]


class Lacks(Exception):
    """A file format has no way to say what a graph holds."""


@dataclass(frozen=True)
class Node:
    """One operator of the vocabulary above, with the names of the tensors it reads and gives."""

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Inputs, outputs, and the nodes between them in the order in which they can be computed.

    ``quantization`` says by name what the integers of a tensor stand for, inner ones included.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, Array] = field(default_factory=dict)
    quantization: Mapping[str, Quantization] = field(default_factory=dict)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Node:
    """A node; the names of its inputs are separated by spaces."""
    return Node(operator, tuple(inputs.split()), output, attributes)


def tensor(
    name: str,
    dtype: DTypeLike,
    shape: Sequence[int | str | None],
    quantization: Quantization | None = None,
) -> TensorSpec:
    """A spec of these sizes; a str is a dynamic dimension of that name, None one without name."""
    names = tuple(size if isinstance(size, str) else None for size in shape)
    sizes = tuple(size if isinstance(size, int) else None for size in shape)
    return TensorSpec(name, np.dtype(dtype), sizes, names, quantization)


def dtype_named(name: str) -> np.dtype[Any]:
    """NumPy's dtype of this name, or ml_dtypes's; "string" is object.

    Raises Lacks where ml_dtypes is not installed or lacks it.
    """
    if name == "string":
        return np.dtype(object)
    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        import ml_dtypes

        scalar: type = getattr(ml_dtypes, name)
        return np.dtype(scalar)
    except (ImportError, AttributeError) as exc:
        raise Lacks(f"ml_dtypes has no {name} here: {exc}") from exc
