"""Percentiles by nearest rank, with what the number of samples allows to say of them.

The k-th smallest of n independent samples is at least the true q-quantile with the probability
P(Bin(n, q) < k): an interval for a quantile that assumes no distribution (David and Nagaraja,
"Order Statistics", 3rd ed., section 7.1).  MLPerf LoadGen stops early by the same rule
(loadgen/early_stopping.h).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError

__all__ = [
    "Percentile",
    "Samples",
    "median_interval",
    "nearest_rank",
    "percentile",
    "samples_needed",
    "surely_above",
]


Samples = Sequence[float] | NDArray[np.float64]
"""Values in seconds, in any order."""


class Percentile(NamedTuple):
    """A percentile and the value that the true one does not exceed, or why there is none."""

    value: float | None
    upper: float | None
    reason: str | None = None


def percentile(samples_s: Samples, q: float, *, confidence: float = 0.99) -> Percentile:
    """The q-quantile (0 < q < 1) of the samples with its upper confidence bound.

    The bound is the least order statistic that is at least the true quantile with ``confidence``.
    Both are told only when at least one sample may lie above the bound: the largest sample alone
    says little, however many there are.
    """
    _check_share("q", q)
    _check_confidence(confidence)
    above = _most_above(len(samples_s), q, 1.0 - confidence)
    if above < 1:
        needed = samples_needed(q, above=1, confidence=confidence)
        return Percentile(None, None, f"needs >= {needed} samples")
    ordered = np.sort(np.asarray(samples_s, dtype=np.float64))
    return Percentile(nearest_rank(ordered, q), float(ordered[-1 - above]))


def nearest_rank(samples_s: Samples, q: float) -> float:
    """The least sample that at least the share q of all samples does not exceed.

    A plain estimate for any number of samples, as a score needs it: it says nothing of its error.
    """
    _check_share("q", q)
    if len(samples_s) == 0:
        raise InputError("there are no samples", hint="take at least one")
    # As written in decimal: 0.07 * 100 in floats is above 7 and would give the 8th.
    rank = math.ceil(Fraction(str(q)) * len(samples_s))
    return float(np.partition(np.asarray(samples_s, dtype=np.float64), rank - 1)[rank - 1])


def samples_needed(q: float, *, above: int = 1, confidence: float = 0.99) -> int:
    """The fewest samples whose (above + 1)-th largest bounds the true q-quantile.

    ``above`` is how many samples may lie above the bound.
    """
    _check_share("q", q)
    _check_confidence(confidence)

    def enough(n: int) -> bool:
        return _share_above(n, above, q) <= 1.0 - confidence

    low, high = above, above + 1  # low is never enough: all of `above` samples lie above
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def median_interval(samples_s: Samples, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """Order statistics between which the true median lies with ``confidence``.

    None where even the smallest and the largest sample do not say so (below 6 samples at 95 %).
    """
    _check_confidence(confidence)
    outside = _most_above(len(samples_s), 0.5, (1.0 - confidence) / 2)
    if outside < 0:
        return None
    ordered = np.sort(np.asarray(samples_s, dtype=np.float64))
    return float(ordered[outside]), float(ordered[-1 - outside])


def surely_above(samples_s: Samples, q: float, limit_s: float, *, confidence: float = 0.99) -> bool:
    """True where the true q-quantile exceeds the limit with ``confidence``: too many samples do."""
    _check_share("q", q)
    _check_confidence(confidence)
    n = len(samples_s)
    above = int(np.count_nonzero(np.asarray(samples_s, dtype=np.float64) > limit_s))
    if above <= n * (1.0 - q):
        return False
    return 1.0 - _share_above(n, above - 1, q) <= 1.0 - confidence


def _share_above(n: int, above: int, q: float) -> float:
    """P(at most ``above`` of n samples exceed the true q-quantile); summed in logarithms."""
    log_q, log_p = math.log(q), math.log1p(-q)
    return math.fsum(
        math.exp(
            math.lgamma(n + 1)
            - math.lgamma(i + 1)
            - math.lgamma(n - i + 1)
            + i * log_p
            + (n - i) * log_q
        )
        for i in range(min(above, n) + 1)
    )


def _most_above(n: int, q: float, risk: float) -> int:
    """The most samples t that may lie above a bound: P(Bin(n, 1 - q) <= t) <= risk; -1: not even 0.

    One pass over the lower half of the distribution, so that n may be in the millions.
    """
    i = np.arange(math.ceil(n * (1.0 - q)) + 1, dtype=np.float64)
    ratios = np.log(n - i[:-1]) - np.log(i[1:]) + (math.log1p(-q) - math.log(q))
    log_shares = n * math.log(q) + np.concatenate(([0.0], np.cumsum(ratios)))
    cumulated = np.cumsum(np.exp(log_shares))
    # The first t that is too likely, less one.  The mean rounded up is, for a risk below a half.
    return int(np.searchsorted(cumulated, risk, side="right")) - 1


def _check_share(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise InputError(f"{name} is {value!r}", hint="give a share between 0 and 1, as 0.99")


def _check_confidence(value: float) -> None:
    if not 0.5 < value < 1.0:
        raise InputError(f"confidence is {value!r}", hint="give a share between 0.5 and 1, as 0.99")
