"""How far a candidate's outputs lie from the reference's, and whether that is near enough."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwrt.backend import Array
from hwrt.errors import InputError
from hwrt.spec import ModelInfo, Quantization, TensorSpec

__all__ = [
    "F32",
    "INTEGER",
    "QUANTIZED",
    "RELAXED",
    "OutputError",
    "Tolerance",
    "compare",
    "judges_nothing",
    "real_numbers",
    "tolerance_of",
    "within",
    "worst",
]


_SLICE_ELEMENTS = 16  # at least: a single logit near zero is no part that may be judged alone
_SLICE_FLOOR = 1e-5


@dataclass(frozen=True)
class OutputError:
    """How far one output lies from the reference's.

    ``relative_l2``: norm of the difference by norm of the reference, for numbers; ``max_abs``: the
    largest difference of one element, likewise; both infinite where NaN or an infinity stands in
    one output alone.  ``agreement``: the share of equal elements, for all but floats.
    ``difference`` tells in words what can not be compared or must not differ.  ``slice_l2``: the
    relative l2 of the worst slice, that is of the elements at one index of one dimension, for
    floats.  None: does not apply.
    """

    relative_l2: float | None = None
    max_abs: float | None = None
    agreement: float | None = None
    difference: str | None = None
    slice_l2: float | None = None

    def to_json(self) -> dict[str, Any]:
        """What applies, as values for JSON: null and ``NAME_reason`` in place of infinity."""
        document: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and math.isinf(value):
                document[field.name] = None
                document[f"{field.name}_reason"] = "infinite"
            elif value is not None:
                document[field.name] = value
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> OutputError:
        """What ``to_json`` was given.  Raises InputError where the document is something else."""
        names = {field.name for field in fields(cls)}
        unknown = set(document) - names - {f"{name}_reason" for name in names}
        if unknown:
            raise InputError(f"not an output error: it has {sorted(unknown)}")

        def number(name: str) -> float | None:
            return math.inf if f"{name}_reason" in document else document.get(name)

        return cls(
            relative_l2=number("relative_l2"),
            max_abs=number("max_abs"),
            agreement=number("agreement"),
            difference=document.get("difference"),
            slice_l2=number("slice_l2"),
        )


@dataclass(frozen=True)
class Tolerance:
    """What an output error may be: at most ``relative_l2``, at least ``agreement``.

    ``slice_l2`` is the most that one slice may be off: an output may hold scores of 0 to 1 beside
    coordinates of 0 to 640, and all its scores are less than a thousandth of its norm.
    """

    relative_l2: float
    agreement: float
    slice_l2: float = math.inf


F32 = Tolerance(relative_l2=1e-4, agreement=0.999, slice_l2=0.5)
"""For a model computed in float32 as its file states it.

Right f32 engines differ by up to 3e-5.  Integers that stem from floats, such as the class of each
pixel, may flip where two values tie within that error: one in a thousand.  Among fewer than a
thousand elements every one has to agree.  Slices of YOLOv8n's output differ by up to 6e-5 between
right engines; where its scores are left out, by 0.8 to 1.
"""


QUANTIZED = Tolerance(relative_l2=1e-2, agreement=0.99, slice_l2=0.8)
"""For a model whose file is already quantised: it has no f32 truth to come near to.

Engines round such a model's intermediate values differently: YOLOv8n with int8 weights differs by
5e-3 between two that are both right about every object, and a slice of it by up to 0.35.
"""


INTEGER = Tolerance(relative_l2=0.1, agreement=0.95)
"""For a model of integers throughout, which its inputs or outputs show.

There each layer rounds to a step, and later layers carry that on.  Measured on noise between
engines that are right about every photograph: YOLOv8n 0.010 to 0.015, MobileNetV2's probabilities
0.02 to 0.08, 4 % of a label map's pixels; 0.07 to 0.15 for one that is wrong about photographs.
"""


RELAXED = Tolerance(relative_l2=2e-2, agreement=0.99, slice_l2=0.5)
"""For reduced precision, where it is not known what an output means.

A vector that is 2 % off has a cosine of 0.9998 with the right one, and ranks neighbours alike
unless they lie nearer than that.  f16 differs by up to 2e-3, bf16 in a transformer by 8e-3; a
convolutional network in bf16 (3e-2 and more) passes only where its outputs' meaning is known.  Of
a label map the pixels along borders flip: one in a hundred.
"""


def tolerance_of(model: ModelInfo) -> Tolerance:
    """How far the outputs of right engines may lie apart for this model."""
    if any(spec.quantization is not None for spec in (*model.inputs, *model.outputs)):
        return INTEGER
    return QUANTIZED if model.quantized else F32


def compare(
    outputs: Mapping[str, Array],
    reference: Mapping[str, Array],
    specs: Iterable[TensorSpec] = (),
) -> dict[str, OutputError]:
    """The error of each output, by name; nothing is raised for outputs that do not fit.

    Sums are made in float64.  NaN and infinities count as equal only to the very same at the same
    place.  A reference of zeros alone counts as one of ones, so that its error is absolute.
    Integers that stand for numbers, as ``specs`` may tell, are compared as these numbers: that
    half of them lie a step beside is no disagreement.
    """
    quantizations = {spec.name: spec.quantization for spec in specs}
    errors = {}
    for name, expected in reference.items():
        if name in outputs:
            errors[name] = _compare(
                np.asarray(outputs[name]), np.asarray(expected), quantizations.get(name)
            )
        else:
            errors[name] = _incomparable("the output is missing")
    for name in outputs.keys() - reference.keys():
        errors[name] = _incomparable("the reference has no such output")
    return errors


def real_numbers(array: Array, spec: TensorSpec) -> NDArray[Any]:
    """The array in float64 (complex128), integers as the numbers that they stand for."""
    return _real(_wide(np.asarray(array)), spec.quantization)


def judges_nothing(reference: Mapping[str, Array]) -> bool:
    """True where nothing in these outputs can be right or wrong: they are empty, NaN or infinite.

    So it is for a detector that selects boxes within the model, and finds none in noise.
    """
    return not any(map(_tells, map(np.asarray, reference.values())))


def _tells(array: NDArray[Any]) -> bool:
    if _kind(array.dtype) == "float":
        return bool(np.isfinite(_wide(array)).any())
    return array.size > 0


def worst(errors: Iterable[Mapping[str, OutputError]]) -> dict[str, OutputError]:
    """The largest error of each output over several samples."""
    found: dict[str, OutputError] = {}
    for of_sample in errors:
        for name, error in of_sample.items():
            found[name] = _worse(found[name], error) if name in found else error
    return found


def within(errors: Mapping[str, OutputError], tolerance: Tolerance = F32) -> str | None:
    """None when every error is within the tolerance; else the reason why not, for people.

    Floats are judged by ``relative_l2`` and ``slice_l2``, everything else by ``agreement``.  An
    output of another dtype or shape than the reference's is never within: a user's program relies
    on both.
    """
    reasons = []
    for name, error in errors.items():
        if error.difference is not None:
            reasons.append(f"output {name!r}: {error.difference}")
        elif error.agreement is not None:
            if not error.agreement >= tolerance.agreement:
                reasons.append(
                    f"output {name!r}: {error.agreement:.4%} of the elements agree, "
                    f"{tolerance.agreement:.4%} must"
                )
        elif error.relative_l2 is None or not error.relative_l2 <= tolerance.relative_l2:
            reasons.append(
                f"output {name!r}: relative l2 error {error.relative_l2:.3g} "
                f"exceeds {tolerance.relative_l2:.3g}"
                if error.relative_l2 is not None
                else f"output {name!r}: it was not compared"
            )
        elif error.slice_l2 is not None and not error.slice_l2 <= tolerance.slice_l2:
            reasons.append(
                f"output {name!r}: a part of it is wrong: the worst slice's relative l2 error "
                f"{error.slice_l2:.3g} exceeds {tolerance.slice_l2:.3g}"
            )
    return "; ".join(reasons) or None


def _compare(output: Array, expected: Array, quantization: Quantization | None) -> OutputError:
    if output.shape != expected.shape:
        return _incomparable(f"shape {output.shape} where the reference has {expected.shape}")
    if quantization is not None and not _has_scales(expected.shape, quantization):
        return _incomparable(f"shape {expected.shape}, which its scales do not fit")
    kind, expected_kind = _kind(output.dtype), _kind(expected.dtype)
    difference = None
    if output.dtype != expected.dtype and not kind == expected_kind == "text":
        difference = f"dtype {output.dtype} where the reference has {expected.dtype}"
    numbers = {"float", "integer"}
    if kind != expected_kind and not {kind, expected_kind} <= numbers:
        return OutputError(agreement=0.0, difference=difference)
    relative_l2 = max_abs = slice_l2 = None
    if kind in numbers:
        values, right = (_real(_wide(array), quantization) for array in (output, expected))
        relative_l2, max_abs = _distance(values, right)
        if "float" in (kind, expected_kind) and relative_l2 <= 1:  # else all of it is wrong
            slice_l2 = _slice_distance(values, right)
    floats = "float" in (kind, expected_kind) or quantization is not None
    agreement = None if floats else _agreement(output, expected)
    return OutputError(relative_l2, max_abs, agreement, difference, slice_l2)


def _kind(dtype: np.dtype[Any]) -> str:
    """``float``, ``integer``, ``text`` (strings of any width, and objects) or ``other``."""
    if dtype.kind in "fc":
        return "float"
    if dtype.kind in "iu":
        return "integer"
    if dtype.kind in "OSUT":
        return "text"
    # ml_dtypes' numbers (bfloat16, float8_e4m3fn, int4) are void to NumPy: their names tell.
    if dtype.kind == "V" and dtype.names is None:
        if "float" in dtype.name:
            return "float"
        if dtype.name.startswith(("int", "uint")):
            return "integer"
    return "other"


def _wide(values: Array) -> NDArray[Any]:
    """Float64, or complex128 for complex numbers; wider floats (x86's long double) lose digits."""
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)


def _has_scales(shape: tuple[int, ...], quantization: Quantization) -> bool:
    """True where there is a scale for each index of the axis, which a file may leave open."""
    axis = quantization.axis
    return axis is None or (axis < len(shape) and shape[axis] == len(quantization.scale))


def _real(integers: NDArray[Any], quantization: Quantization | None) -> NDArray[Any]:
    """What the integers stand for."""
    if quantization is None:
        return integers
    scale, zero_point = np.asarray(quantization.scale), np.asarray(quantization.zero_point)
    if quantization.axis is not None:
        along = [1] * integers.ndim
        along[quantization.axis] = -1
        scale, zero_point = scale.reshape(along), zero_point.reshape(along)
    return np.asarray((integers - zero_point) * scale)


def _distance(values: NDArray[Any], expected: NDArray[Any]) -> tuple[float, float]:
    """(relative l2, largest absolute difference); infinite where NaN or infinities differ."""
    finite = np.isfinite(expected)
    if not finite.all():
        same = (values == expected) | (np.isnan(values) & np.isnan(expected))
        if not same[~finite].all():
            return math.inf, math.inf
        values, expected = values[finite], expected[finite]
    if not np.isfinite(values).all():
        return math.inf, math.inf
    difference = np.abs(values - expected)
    max_abs = float(difference.max(initial=0.0))
    size = _norm(np.abs(expected)) or math.sqrt(expected.size)
    return (_norm(difference) / size if max_abs else 0.0), max_abs


def _slice_distance(values: NDArray[Any], expected: NDArray[Any]) -> float | None:
    """The relative l2 of the worst slice; None where there is none of enough elements.

    NaN and infinities, which are the same in both, are left out.  A slice counts as no smaller than
    a part of the mean one: what all but vanishes beside the others holds their rounding.
    """
    finite = np.isfinite(expected)
    right = np.where(finite, expected, 0)
    wrong = np.abs(np.where(finite, values, 0) - right)
    right = np.abs(right)
    largest = float(right.max(initial=0.0))
    if largest == 0.0:
        return None
    found = []
    for axis, count in enumerate(expected.shape):
        if count < 2 or expected.size // count < _SLICE_ELEMENTS:
            continue
        others = tuple(i for i in range(expected.ndim) if i != axis)
        off, size = (np.sum(np.square(part / largest), axis=others) for part in (wrong, right))
        least = _SLICE_FLOOR**2 * size.mean()
        found.append(math.sqrt(float(np.max(off / np.maximum(size, least)))))
    return max(found, default=None)


def _norm(values: NDArray[Any]) -> float:
    """The l2 norm, scaled so that squares of very large or small float64 do not overflow."""
    largest = float(values.max(initial=0.0))
    if largest == 0.0 or math.isinf(largest):
        return largest
    return largest * math.sqrt(float(np.sum(np.square(values / largest))))


def _agreement(output: Array, expected: Array) -> float:
    return float(np.mean(output == expected)) if expected.size else 1.0


def _incomparable(why: str) -> OutputError:
    return OutputError(math.inf, math.inf, 0.0, why)


def _worse(one: OutputError, other: OutputError) -> OutputError:
    return OutputError(
        max(_known(one.relative_l2, other.relative_l2), default=None),
        max(_known(one.max_abs, other.max_abs), default=None),
        min(_known(one.agreement, other.agreement), default=None),
        one.difference or other.difference,
        max(_known(one.slice_l2, other.slice_l2), default=None),
    )


def _known(*values: float | None) -> list[float]:
    return [value for value in values if value is not None]
