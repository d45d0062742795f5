"""What a list of samples says: percentiles, spread and outliers.

Nothing is clipped and nothing removed: outliers are counted.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hwrt.errors import InputError
from hwrt.measure.percentile import Percentile, Samples, median_interval, percentile

__all__ = ["Outliers", "Summary", "block_spread", "describe", "outliers"]

_LEAST_BLOCKS = 3
_LEAST_PER_BLOCK = 3


@dataclass(frozen=True)
class Outliers:
    """Samples beyond Tukey's fences: 1.5 quartile ranges from the quartiles, ``far`` beyond 3.

    ``low`` and ``high`` count the far ones too.
    """

    low: int
    high: int
    far_low: int
    far_high: int


@dataclass(frozen=True)
class Summary:
    """Statistics of samples in seconds.

    ``median`` halves the samples and stands for any number of them; ``p50`` is the nearest rank
    and needs enough.  ``std`` divides by n - 1; ``mad`` is the median distance from the median,
    unscaled; ``cov`` is std by mean.  ``block_spread`` is the range of the medians of consecutive
    blocks by the median of all.  None: too few samples for it.
    """

    n: int
    total_s: float
    p50: Percentile
    p90: Percentile
    p99: Percentile
    median: float
    median_interval: tuple[float, float] | None
    mean: float
    std: float | None
    mad: float
    cov: float | None
    min: float
    max: float
    outliers: Outliers
    block_spread: float | None

    def to_json(self) -> dict[str, Any]:
        """Values for JSON; a percentile without value is null and ``NAME_reason`` says why."""
        document: dict[str, Any] = {}
        for name in ("p50", "p90", "p99"):
            of_name: Percentile = getattr(self, name)
            document[name] = of_name.value
            document[f"{name}_upper"] = of_name.upper
            if of_name.reason:
                document[f"{name}_reason"] = of_name.reason
        for name in ("mean", "std", "mad", "cov", "min", "max", "n", "total_s", "median"):
            document[name] = getattr(self, name)
        document["median_interval"] = self.median_interval and list(self.median_interval)
        document["outliers"] = asdict(self.outliers)
        document["block_spread"] = self.block_spread
        return document


def describe(samples_s: Samples, *, confidence: float = 0.99) -> Summary:
    """Statistics of the samples, which are seconds in the order they were taken.

    Raises InputError when there are none, or one is negative, infinite or NaN.
    """
    values = np.asarray(samples_s, dtype=np.float64)
    if values.size == 0:
        raise InputError("there are no samples", hint="take at least one")
    wrong = values[~(np.isfinite(values) & (values >= 0))]
    if wrong.size:
        raise InputError(f"a sample is {wrong[0]} s", hint="samples are seconds, 0 or more")
    mean, median = float(values.mean()), float(np.median(values))
    std = float(values.std(ddof=1)) if values.size > 1 else None
    return Summary(
        n=values.size,
        total_s=math.fsum(values),
        p50=percentile(values, 0.5, confidence=confidence),
        p90=percentile(values, 0.9, confidence=confidence),
        p99=percentile(values, 0.99, confidence=confidence),
        median=median,
        median_interval=median_interval(values),
        mean=mean,
        std=std,
        mad=float(np.median(np.abs(values - median))),
        cov=std / mean if std is not None and mean > 0 else None,
        min=float(values.min()),
        max=float(values.max()),
        outliers=outliers(values),
        block_spread=block_spread(values),
    )


def outliers(samples_s: Samples) -> Outliers:
    """Count the samples beyond the fences of Tukey, "Exploratory Data Analysis", section 2D."""
    values = np.asarray(samples_s, dtype=np.float64)
    lower, upper = np.percentile(values, (25, 75))
    reach = upper - lower

    def count(fences: float) -> tuple[int, int]:
        low = np.count_nonzero(values < lower - fences * reach)
        return int(low), int(np.count_nonzero(values > upper + fences * reach))

    (low, high), (far_low, far_high) = count(1.5), count(3.0)
    return Outliers(low, high, far_low, far_high)


def block_spread(samples_s: Samples, *, blocks: int = 5) -> float | None:
    """How far the medians of consecutive blocks lie apart, as a share of the median of all.

    Samples whose level drifts or jumps show it here, whatever their scatter.  None below 3 blocks
    of 3 samples; below ``blocks`` blocks of 3, fewer blocks are made.
    """
    if blocks < _LEAST_BLOCKS:
        raise InputError(f"blocks is {blocks}", hint=f"give {_LEAST_BLOCKS} or more")
    values = np.asarray(samples_s, dtype=np.float64)
    blocks = min(blocks, values.size // _LEAST_PER_BLOCK)
    median = float(np.median(values)) if values.size else 0.0
    if blocks < _LEAST_BLOCKS or median == 0.0:
        return None
    medians = [float(np.median(block)) for block in np.array_split(values, blocks)]
    return (max(medians) - min(medians)) / median
