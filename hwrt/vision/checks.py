"""The settings by name: what each may be, and how it is said in an error."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwrt.errors import InputError

__all__ = ["CHECKS", "checked", "read_labels"]

_LABELS_CHARACTERS = 16 << 20
_LARGEST_SIDE = 16384


class Check(NamedTuple):
    """``parse`` returns the value in its one form, or raises TypeError or ValueError."""

    parse: Callable[[Any], Any]
    expected: str


def checked(key: str, value: Any, source: str) -> Any:
    """The setting in its one form; InputError, naming key and source, where it can not be."""
    check = CHECKS[key]
    is_scalar = isinstance(value, np.ndarray) and value.ndim == 0
    try:
        return check.parse(value.item() if is_scalar else value)
    except InputError:
        raise
    except (TypeError, ValueError, OverflowError) as exc:
        raise InputError(
            f"{key} in {source} is {_shown(value)}", hint=f"give {check.expected}"
        ) from exc


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return f"{type(value).__name__}, too long to show"
    return text if len(text) <= 80 else f"{text[:77]}..."


def read_labels(path: Path) -> tuple[str, ...]:
    """The labels of a UTF-8 file, one a line, the first that of class 0."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(_LABELS_CHARACTERS + 1)  # a device has no end
        if len(text) > _LABELS_CHARACTERS:
            raise InputError(f"{path} has more than {_LABELS_CHARACTERS} characters: no labels")
    except (OSError, ValueError) as exc:
        if isinstance(exc, InputError):
            raise
        raise InputError(
            f"the labels {str(path)!r} can not be read: {exc}", hint="give a text file, one a line"
        ) from exc
    # Opening it made all ends of lines "\n"; str.splitlines knows eight more.
    text = text.rstrip("\n")
    return _labels(text.split("\n") if text else ())


def _labels(value: Any) -> tuple[str, ...]:
    """From a sequence, from a mapping of 0..n-1 to names, or from a file of lines."""
    if isinstance(value, str | os.PathLike):
        return read_labels(Path(value))
    if isinstance(value, Mapping):
        by_number = {
            int(key) if isinstance(key, str) else operator.index(key): name
            for key, name in value.items()
        }
        value = [by_number[number] for number in _numbered(by_number)]
    labels = _sequence(value)
    if not labels or not all(isinstance(label, str) for label in labels):
        raise ValueError(labels)
    return labels


def _numbered(by_number: Mapping[int, Any]) -> range:
    numbers_wanted = range(len(by_number))
    if set(by_number) != set(numbers_wanted):
        raise ValueError(by_number)
    return numbers_wanted


def _one_of(*names: str) -> Check:
    def parse(value: Any) -> str:
        if value not in names:
            raise ValueError(value)
        return str(value)

    return Check(parse, f"one of {', '.join(names)}")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(value)
    if not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _levels(value: Any) -> tuple[float, ...]:
    values = (value,) if isinstance(value, numbers.Real) else _sequence(value)
    if len(values) not in (1, 3):
        raise ValueError(value)
    return tuple(map(_number, values))


def _positive_levels(value: Any) -> tuple[float, ...]:
    levels = _levels(value)
    if min(levels) <= 0:
        raise ValueError(value)
    return levels


def _size(value: Any) -> tuple[int, int]:
    sides = (value, value) if isinstance(value, numbers.Real) else _sequence(value)
    if any(isinstance(side, bool) for side in sides):
        raise TypeError(value)
    height, width = map(operator.index, sides)
    if not 1 <= min(height, width) <= max(height, width) <= _LARGEST_SIDE:
        raise ValueError(value)
    return height, width


def _sequence(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str | bytes | Mapping | set | frozenset):  # a set has no order
        raise TypeError(value)
    return tuple(value)


def _crop_scale(value: Any) -> float:
    scale = _number(value)
    if scale < 1:
        raise ValueError(value)
    return scale


def _true_or_false(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


CHECKS: Mapping[str, Check] = {
    "task": _one_of("classify", "detect", "segment", "pose", "obb"),
    "labels": Check(_labels, "the names of all classes from 0 in order, or a file of them"),
    "colour": _one_of("rgb", "bgr"),
    "mean": Check(_levels, "a level 0..255, or one a channel"),
    "std": Check(_positive_levels, "a number of levels above 0, or one a channel"),
    "resize": _one_of("letterbox", "stretch", "crop"),
    "size": Check(_size, f"a side in pixels, or height and width, each in 1..{_LARGEST_SIDE}"),
    "layout": _one_of("NCHW", "NHWC"),
    "boxes": _one_of("pixels", "fractions"),
    "head": _one_of("yolov8", "yolov5"),
    "crop_scale": Check(_crop_scale, "a number from 1"),
    "softmax": Check(_true_or_false, "true where the outputs are logits, else false"),
}
"""Every setting, in the order in which a sidecar lists them."""
