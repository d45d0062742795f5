"""What a level becomes in a model's input: ``(level - mean) / std / scale + zero_point``."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from hwrt.errors import InputError
from hwrt.vision.scalars import number

__all__ = ["Affine", "Levels", "Three", "affine"]

Levels = float | Sequence[float]
Three = tuple[float, float, float]

# What is divided by this, times a level, is a number in float32.
_LEAST = 1e-35


class Affine(NamedTuple):
    """Channel c is ``level * scale[c] + bias[c]``, and ``pad[c]`` where there is no frame."""

    scale: Three
    bias: Three
    pad: Three


def affine(
    mean: Levels, std: Levels, scale: float, zero_point: float, pad: float, channels: int
) -> Affine:
    """The factors for tensors of so many channels; ``pad`` is a level.

    Raises InputError for what are no finite numbers, for std and scale that are not above 0, and
    where there are not as many means or stds as channels.
    """
    try:
        return _affine(mean, std, scale, zero_point, pad, channels)
    except TypeError:  # a list has no hash
        named = (("scale", scale), ("zero_point", zero_point), ("pad", pad))
        rest = [number(name, value) for name, value in named]
        return _affine(_tuple("mean", mean), _tuple("std", std), *rest, channels)


@lru_cache(64)
def _affine(mean: Any, std: Any, scale: Any, zero_point: Any, pad: Any, channels: int) -> Affine:
    means, stds = _tuple("mean", mean), _tuple("std", std)
    step, zero, level = (
        number(name, value)
        for name, value in (("scale", scale), ("zero_point", zero_point), ("pad", pad))
    )
    for name, values in (("mean", means), ("std", stds)):
        if len(values) not in (1, channels):
            raise InputError(
                f"{name} is {values} for an input of {channels} channels",
                hint=f"give one finite number, or {channels}",
            )
    if min(stds) <= 0:
        raise InputError(f"std is {std!r:.80}", hint="give numbers above 0, in levels 0..255")
    if step <= 0:
        raise InputError(f"scale is {scale!r:.80}", hint="give a number above 0")
    if min(stds) * step < _LEAST:
        raise InputError(
            f"std is {std!r:.80}, scale is {scale!r:.80}", hint=f"give a product from {_LEAST}"
        )
    factors = [1 / (s * step) for s in _three(stds)]
    biases = [zero - m * f for m, f in zip(_three(means), factors, strict=True)]
    pads = [level * f + b for f, b in zip(factors, biases, strict=True)]
    if max(map(abs, (*biases, *pads))) > 1 / _LEAST:
        raise InputError(
            f"mean is {mean!r:.80}, zero_point is {zero_point!r:.80}, pad is {pad!r:.80}",
            hint="give numbers that float32 can hold once divided by std and scale",
        )
    return Affine(_three(factors), _three(biases), _three(pads))


def _three(values: Sequence[float]) -> Three:
    a, *rest = values
    b, c = rest if len(rest) == 2 else (a, a)
    return a, b, c


def _tuple(name: str, value: Any) -> tuple[float, ...]:
    if isinstance(value, str | bytes):
        raise InputError(f"{name} is {value!r:.80}", hint="give a number, or one a channel")
    try:
        is_one = isinstance(value, numbers.Real) or getattr(value, "ndim", None) == 0
        levels = (value,) if is_one else tuple(value)
    except TypeError as exc:
        raise InputError(
            f"{name} is {value!r:.80}", hint="give a number, or one a channel"
        ) from exc
    return tuple([number(name, level) for level in levels])
