"""Seeded parameters, the same to the last bit on every machine, and the moments that scale them.

Plans and bench reports are keyed by a model's hash, so a zoo file must not depend on the machine
that wrote it.  PCG64's raw stream is fixed by NumPy's compatibility policy (NEP 19), sums are taken
over integers, and what remains is elementwise IEEE arithmetic.

Filters are uniform and keep the variance of what passes them (He et al. 2015, arXiv:1502.01852).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ACTIVATIONS", "Weights", "moments"]

Floats = NDArray[np.floating[Any]]

ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "relu6": lambda x: np.clip(x, 0.0, 6.0),
    "hard_swish": lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "silu": lambda x: x / (1.0 + np.exp(-x)),
    "hard_sigmoid": lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
}


def moments(activation: str, mean: float, variance: float) -> tuple[float, float]:
    """Mean and variance of ``activation(x)`` for a normal x of this mean and variance.

    Rounded to four decimals: machines differ in exp and in the order of a sum, but by less.
    """
    z = np.linspace(-8.0, 8.0, 2001)
    density = np.exp(-0.5 * z * z)
    density /= density.sum()
    y = ACTIVATIONS[activation](mean + np.sqrt(variance) * z)
    first = float((density * y).sum())
    second = float((density * y * y).sum())
    return round(first, 4), round(second - first * first, 4)


class Weights:
    """A stream of parameters; the order of the calls is part of what a seed means."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def filters(self, count: int, fan_in: int, *, centred: bool) -> NDArray[np.float32]:
        """Filters (count, fan_in) of unit length, each summing to zero where ``centred``.

        A unit filter over independent inputs of one variance gives that variance; a centred one
        does so whatever their mean, as the batch norm of a trained network sees to.
        """
        rows = self._integers(count * fan_in).reshape(count, fan_in)
        squares = (rows * rows).sum(axis=1)
        if not centred:
            return np.asarray(rows / np.sqrt(squares)[:, None], dtype=np.float32)
        sums = rows.sum(axis=1)
        lengths = np.sqrt((fan_in * squares - sums * sums) / fan_in)
        return np.asarray((rows - (sums / fan_in)[:, None]) / lengths[:, None], dtype=np.float32)

    def uniform(self, count: int, low: float, high: float) -> NDArray[np.float64]:
        """Values (count,) spread evenly between ``low`` and ``high``."""
        return low + (high - low) * ((self._integers(count) + 32768) / 65535.0)

    def _integers(self, count: int) -> NDArray[np.int64]:
        """Signed 16-bit values, four out of each word of the stream."""
        words = np.asarray(self._bits.random_raw(-(-count // 4)), dtype="<u8")
        return words.view("<i2")[:count].astype(np.int64)
