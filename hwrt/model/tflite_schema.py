"""TFLite's schema as far as it is read: the numbers of fields, and the types of tensors.

Sources: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/schema/schema.fbs and
https://github.com/tensorflow/tflite-support/blob/master/tensorflow_lite_support/metadata/metadata_schema.fbs.
A field keeps its number for ever: both schemas only grow.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "IDENTIFIER", "METADATA_IDENTIFIER", "TYPES", "VERSION", "AssociatedFile", "Buffer",
    "ExternalBuffer", "ExternalGroup", "Metadata", "Model", "ModelMetadata", "Normalization",
    "Operator", "OperatorCode", "ProcessUnit", "Quantization", "Signature", "SubGraph",
    "SubGraphMetadata", "Tensor", "TensorMap", "TensorMetadata", "TensorType",
]  # fmt: skip

IDENTIFIER = b"TFL3"
VERSION = 3
"""The only version of the schema that LiteRT runs."""


class Model:  # noqa: D101
    VERSION, OPERATOR_CODES, SUBGRAPHS, DESCRIPTION, BUFFERS = range(5)
    METADATA, SIGNATURES, EXTERNAL_GROUPS, EXTERNAL_BUFFERS = range(6, 10)


class OperatorCode:  # noqa: D101
    DEPRECATED_BUILTIN_CODE, CUSTOM_CODE, _, BUILTIN_CODE = range(4)


class SubGraph:  # noqa: D101
    TENSORS, INPUTS, OUTPUTS, OPERATORS, NAME = range(5)


class Tensor:  # noqa: D101
    SHAPE, TYPE, BUFFER, NAME, QUANTIZATION = range(5)
    SPARSITY, SHAPE_SIGNATURE, HAS_RANK, _, EXTERNAL_BUFFER = range(6, 11)


class Quantization:  # noqa: D101
    SCALE, ZERO_POINT, DETAILS_TYPE, _, DIMENSION = range(2, 7)
    BLOCKWISE = 2
    """The value of DETAILS_TYPE that says that scales stand in another tensor."""


class Operator:  # noqa: D101
    OPCODE_INDEX, INPUTS, OUTPUTS = range(3)


class Buffer:  # noqa: D101
    DATA, OFFSET, SIZE = range(3)


class ExternalBuffer:  # noqa: D101
    ID, GROUP, OFFSET, LENGTH = range(4)


class ExternalGroup:  # noqa: D101
    NAME = 0


class Metadata:  # noqa: D101
    NAME, BUFFER = range(2)


class Signature:  # noqa: D101
    INPUTS, OUTPUTS, KEY = range(3)
    SUBGRAPH = 4


class TensorMap:  # noqa: D101
    NAME, TENSOR = range(2)


METADATA_IDENTIFIER = b"M001"


class ModelMetadata:  # noqa: D101
    NAME, DESCRIPTION, VERSION, SUBGRAPHS, AUTHOR, LICENSE = range(6)


class SubGraphMetadata:  # noqa: D101
    INPUTS, OUTPUTS = 2, 3


class TensorMetadata:  # noqa: D101
    PROCESS_UNITS = 4
    ASSOCIATED_FILES = 6


class ProcessUnit:  # noqa: D101
    OPTIONS_TYPE, OPTIONS = range(2)
    NORMALIZATION = 1
    """The value of OPTIONS_TYPE for NormalizationOptions."""


class Normalization:  # noqa: D101
    MEAN, STD = range(2)


class AssociatedFile:  # noqa: D101
    NAME, _, TYPE = range(3)
    LABELS = (2, 3)
    """The values of TYPE for labels: of the places along an axis, and of values."""


class TensorType(NamedTuple):
    """The type of a tensor's elements.  ``dtype`` is empty where hwrt can not pass them."""

    name: str
    dtype: str
    bits: int

    @property
    def is_integer(self) -> bool:
        """True for integers of any size, signed or not."""
        return self.dtype.startswith(("int", "uint"))

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest of the integers."""
        if self.dtype.startswith("u"):
            return 0, (1 << self.bits) - 1
        return -(1 << self.bits - 1), (1 << self.bits - 1) - 1


TYPES: tuple[TensorType, ...] = (
    TensorType("FLOAT32", "float32", 32),
    TensorType("FLOAT16", "float16", 16),
    TensorType("INT32", "int32", 32),
    TensorType("UINT8", "uint8", 8),
    TensorType("INT64", "int64", 64),
    TensorType("STRING", "object", 0),
    TensorType("BOOL", "bool", 8),
    TensorType("INT16", "int16", 16),
    TensorType("COMPLEX64", "complex64", 64),
    TensorType("INT8", "int8", 8),
    TensorType("FLOAT64", "float64", 64),
    TensorType("COMPLEX128", "complex128", 128),
    TensorType("UINT64", "uint64", 64),
    TensorType("RESOURCE", "", 0),
    TensorType("VARIANT", "", 0),
    TensorType("UINT32", "uint32", 32),
    TensorType("UINT16", "uint16", 16),
    TensorType("INT4", "int4", 4),
    TensorType("BFLOAT16", "bfloat16", 16),
    TensorType("INT2", "int2", 2),
    TensorType("UINT4", "uint4", 4),
    TensorType("FLOAT8_E4M3FN", "float8_e4m3fn", 8),
    TensorType("FLOAT8_E5M2", "float8_e5m2", 8),
)
"""The types of tensors, each at its number in the enum TensorType."""
