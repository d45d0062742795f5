"""The plain values that pass through hwrt: what a tensor, a model, a device and its options are.

Everything here is immutable and needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwrt.errors import InputError

__all__ = [
    "Device",
    "Finding",
    "Limits",
    "ModelInfo",
    "ModelVariant",
    "OptionValue",
    "Options",
    "Placement",
    "Preprocess",
    "Progress",
    "Quantization",
    "Range",
    "Shapes",
    "Signature",
    "TensorSpec",
]

OptionValue = bool | int | float | str


class Range(NamedTuple):
    """The sizes one dynamic dimension may take: the least, the one to be fastest at, the most."""

    min: int
    best: int
    max: int


Shapes = Mapping[str, tuple[int | Range, ...]]
"""Input name -> its shape: an int fixes a dimension, a Range bounds it."""

Progress = Callable[[float, str], bool]
"""``progress(fraction, text)``, fraction in 0..1; a False from it asks to stop."""


class Quantization(NamedTuple):
    """What the integers of a tensor stand for: ``real = scale * (integer - zero_point)``.

    ``scale`` and ``zero_point`` have one element each for the whole tensor (``axis`` is None), or
    one for each index of the dimension ``axis``.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None


@dataclass(frozen=True)
class TensorSpec:
    """Name, NumPy dtype and shape of one input or output.

    A None in ``shape`` is a dynamic dimension; ``shape`` is None where even the rank is open.
    ``dim_names`` holds the file's names of the dimensions, None where it gives none.
    ``quantization`` is what the file says its integers stand for, None for plain numbers.
    ``aliases`` are further names by which the file, and so a vendor, knows this tensor.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None
    dim_names: tuple[str | None, ...] | None = field(default=None, compare=False)
    quantization: Quantization | None = field(default=None, compare=False)
    aliases: tuple[str, ...] = field(default=(), compare=False)

    @property
    def is_fixed(self) -> bool:
        """True when every dimension is a known number."""
        return self.shape is not None and None not in self.shape

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """True when an array of this shape fits."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            want is None or want == have for want, have in zip(self.shape, shape, strict=True)
        )

    def bounded(self, shape: tuple[int | Range, ...]) -> TensorSpec:
        """This spec with the sizes that ``shape`` fixes; a Range leaves its dimension dynamic.

        Raises InputError for another rank, and for a dimension that is fixed at another size.
        """
        own = self.shape if self.shape is not None else (None,) * len(shape)
        if len(own) != len(shape) or not all(map(_may_become, own, shape)):
            raise InputError(
                f"the input {self.name!r} can not have the shape {tuple(shape)}",
                hint=f"it is {self}; give a size from 0 or a Range per dynamic dimension",
            )
        sizes = tuple(None if isinstance(size, Range) else size for size in shape)
        return replace(self, shape=sizes)

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{self.shape_text}]"

    @property
    def shape_text(self) -> str:
        """The shape for people: ``N, 3, 224, 224``; ``?`` for a dynamic dimension without name."""
        if self.shape is None:
            return "..."
        names = self.dim_names or (None,) * len(self.shape)
        pairs = zip(self.shape, names, strict=True)
        return ", ".join(str(size) if size is not None else name or "?" for size, name in pairs)


def _may_become(own: int | None, size: int | Range) -> bool:
    if isinstance(size, Range):
        return own is None and 0 <= size.min <= size.best <= size.max
    return size >= 0 if own is None else size == own


class Signature(NamedTuple):
    """One of the functions that a file names: the names of its inputs and of its outputs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says of itself, read without running it.

    ``signatures`` are the functions that the file names (TFLite's); ``inputs`` and ``outputs`` are
    those of ``signature``, the one that is run, or of the file's only graph where it is None.
    """

    path: Path
    format: str
    sha256: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    name: str = ""
    producer: str = ""
    ir_version: int | None = None
    opsets: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)
    parameters: int | None = None
    external_files: tuple[Path, ...] = ()
    quantized: bool = False
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    signature: str | None = None


@dataclass(frozen=True)
class ModelVariant:
    """The same network in another form, made by a backend's own tools (an int8 file, say)."""

    name: str
    path: Path
    format: str


@dataclass(frozen=True)
class Device:
    """A place to run, such as ``cpu:0``.

    ``identity`` tells one physical device from another of its kind (UUID, PCI address, SoC name)
    and is part of a plan's key.  An ``exclusive`` device serves one process at a time.
    """

    kind: str
    index: int = 0
    name: str = ""
    identity: str = ""
    memory_bytes: int | None = None
    exclusive: bool = False

    @property
    def id(self) -> str:
        """``kind:index``."""
        return f"{self.kind}:{self.index}"

    def matches(self, wanted: str) -> bool:
        """True when ``wanted`` names this device (``cuda:0``) or its kind (``cuda``)."""
        return wanted in (self.id, self.kind)

    def __str__(self) -> str:
        return self.id


class Options(Mapping[str, OptionValue]):
    """One backend's settings: a flat, immutable, hashable mapping.

    ``precision`` ("f32", "bf16", "f16", ...), ``threads`` and ``streams`` are hwrt's words and mean
    the same for every backend; every other key is the vendor's own.
    """

    __slots__ = ("_items",)
    _items: dict[str, OptionValue]

    def __init__(
        self, values: Mapping[str, OptionValue] | None = None, /, **named: OptionValue
    ) -> None:
        items = {**(values or {}), **named}
        for key, value in items.items():
            if not isinstance(key, str) or not isinstance(value, bool | int | float | str):
                raise InputError(
                    f"option {key!r} has the value {value!r} of type {type(value).__name__}",
                    hint="options are a flat mapping of names to bool, int, float or str",
                )
        self._items = dict(sorted(items.items()))
        for key in ("threads", "streams"):
            count = items.get(key)
            if count is not None and (
                isinstance(count, bool) or not isinstance(count, int) or count < 1
            ):
                raise InputError(f"option {key!r} is {count!r}", hint="give a whole number from 1")
        if not isinstance(items.get("precision", ""), str):
            raise InputError(
                f"option 'precision' is {items['precision']!r}", hint="give a name such as 'f32'"
            )

    def __getitem__(self, key: str) -> OptionValue:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        return f"Options({', '.join(f'{key}={value!r}' for key, value in self._items.items())})"

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self._items.items())

    @property
    def precision(self) -> str | None:
        """The precision asked for, or None where the backend is left to choose."""
        value = self._items.get("precision")
        return value if isinstance(value, str) else None

    @property
    def threads(self) -> int | None:
        """CPU threads of one inference, or None where the backend is left to choose."""
        value = self._items.get("threads")
        return value if isinstance(value, int) else None

    @property
    def streams(self) -> int | None:
        """Inferences that run side by side, or None where the backend is left to choose."""
        value = self._items.get("streams")
        return value if isinstance(value, int) else None


@dataclass(frozen=True)
class Limits:
    """What a candidate may use: CPU threads, and bytes of memory where that is bounded.

    ``objective`` is what it is measured by, so that only candidates are named that may serve that:
    "latency" and "p99" (one request at a time), "throughput" (several at once), "memory".
    """

    threads: int
    memory_bytes: int | None = None
    objective: str = "latency"


@dataclass(frozen=True)
class Placement:
    """Which device really runs how many of the compiled model's operators.

    A count is None where the vendor tells the device but not the number.
    """

    operators: Mapping[str, int | None]

    @property
    def devices(self) -> tuple[str, ...]:
        """The ids of all devices that run a part of the model."""
        return tuple(self.operators)

    def __str__(self) -> str:
        return ", ".join(
            device if count is None else f"{device} ({count} operators)"
            for device, count in self.operators.items()
        )


@dataclass(frozen=True)
class Preprocess:
    """The steps from a uint8 NHWC frame to one model input that an engine may take over.

    The tensor is ``(frame - mean) / std`` per channel, channels reversed first where
    ``reverse_channels`` says so, in the layout that the model declares.
    """

    input: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: str = "NCHW"
    reverse_channels: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing ``hwrt doctor`` says about a backend: the fault and its mend."""

    fault: str
    mend: str
    fatal: bool = False
