"""Which of the measured candidates is chosen, and why, in words.

Everything here is a function of samples and figures: nothing is timed.  A difference counts where
the 95 % interval of the ratio leaves out 1.  It comes from a bootstrap over windows (Efron and
Tibshirani, "An Introduction to the Bootstrap", chapter 8 on dependent data): samples of one window
resemble each other more than those of another, so that a bootstrap over single samples would find
differences that the next minute turns round.  Windows of one round were taken side by side and are
drawn together, which cancels what slowed all of them down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwrt.measure.percentile import nearest_rank

__all__ = [
    "TIE_RATIO",
    "Contender",
    "Decision",
    "Ratio",
    "compare",
    "decide",
    "equal_memory",
    "relative_cost",
]

TIE_RATIO = 1.02
"""What is slower by more than this is no tie, however little the samples say."""
QUANTILES: Mapping[str, float] = {"latency": 0.25, "throughput": 0.25, "memory": 0.25, "p99": 0.99}
"""The quantile of the costs that an objective compares.

The lower quartile: bursts of load lift a median, and one lucky run sets a minimum.
"""
LEAST_WINDOWS = 4
_RESAMPLES = 1000
# Of each window: enough for a quartile, and little enough to resample a thousand times.
_POINTS = 8
# What two runs of one candidate differ by.
_EQUAL_MEMORY, _EQUAL_MEMORY_BYTES = 1.05, 4 << 20

_Windows = Mapping[int, Sequence[float]]
_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Contender:
    """What a decision knows of one candidate.

    ``windows`` maps the number of a round to the costs measured in it, in seconds: the samples, or
    for throughput the seconds per inference.  ``changed`` counts the options in which it differs
    from its backend's own default.  ``group`` names those of which one may stand for all.
    """

    name: str
    windows: _Windows = field(default_factory=dict)
    memory_bytes: int | None = None
    changed: int = 0
    threads: int = 1
    group: str = ""


class Ratio(NamedTuple):
    """How many times one contender costs what another does, with the interval of that.

    ``low`` and ``high`` are None where there are too few windows to tell.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def is_significant(self) -> bool:
        """True where the first is dearer than the other beyond doubt."""
        return self.low is not None and self.low > 1.0

    def __str__(self) -> str:
        if self.low is None:
            return f"{self.value:.2f}x"
        return f"{self.value:.2f}x [{self.low:.2f}, {self.high:.2f}]"


class Decision(NamedTuple):
    """The chosen contender's index, None where nothing was measured, and why it was chosen."""

    winner: int | None
    why: str


def compare(
    one: Contender, other: Contender, *, quantile: float = 0.25, confidence: float = 0.95
) -> Ratio:
    """The cost of ``one`` by that of ``other``, over the rounds that both ran in.

    Where these are too few the rounds of each are taken as they are.  Both have windows.
    """
    paired, mine, theirs = _windows(one, other)
    value = _cost(mine, quantile) / _cost(theirs, quantile)
    if min(len(mine), len(theirs)) < LEAST_WINDOWS:
        return Ratio(value, None, None)
    generator = np.random.default_rng(0)
    drawn = _draw(generator, len(mine))
    again = drawn if paired else _draw(generator, len(theirs))
    ratios = _costs(mine, drawn, quantile) / _costs(theirs, again, quantile)
    outside = (1.0 - confidence) / 2
    low, high = np.quantile(ratios, (outside, 1.0 - outside))
    return Ratio(value, float(low), float(high))


def relative_cost(one: Contender, other: Contender, *, quantile: float = 0.25) -> float:
    """The ``value`` of ``compare``, which costs little: nothing is resampled."""
    _, mine, theirs = _windows(one, other)
    return _cost(mine, quantile) / _cost(theirs, quantile)


def decide(contenders: Sequence[Contender], objective: str = "latency") -> Decision:
    """The contender that serves the objective best.

    A tie, that is a difference which is neither significant nor above ``TIE_RATIO``, goes to the
    one with less memory, then to the simpler one: fewer options other than its backend's default,
    then fewer threads.  Those without windows can not win.
    """
    measured = [i for i, contender in enumerate(contenders) if contender.windows]
    if not measured:
        return Decision(None, "nothing was measured")
    if objective == "memory":
        return _least_memory(contenders, measured)
    return _fastest(contenders, measured, objective)


def equal_memory(one: int, other: int) -> bool:
    """True where two amounts of memory differ by no more than two runs of one candidate do."""
    low, high = sorted((one, other))
    return high <= max(low * _EQUAL_MEMORY, low + _EQUAL_MEMORY_BYTES)


def _fastest(contenders: Sequence[Contender], measured: list[int], objective: str) -> Decision:
    quantile = QUANTILES[objective]
    if len(measured) == 1:
        return Decision(measured[0], "the only candidate that was measured and is right")
    # Candidates that were timed in other rounds are compared by way of the one timed longest.
    yardstick = contenders[max(measured, key=lambda i: len(contenders[i].windows))]
    relative = {i: relative_cost(contenders[i], yardstick, quantile=quantile) for i in measured}
    best = min(measured, key=lambda i: relative[i])
    ratios = {
        i: compare(contenders[i], contenders[best], quantile=quantile)
        for i in measured
        if i != best
    }
    ties = [i for i, ratio in ratios.items() if _ties(ratio)]
    if not ties:
        rival = min(ratios, key=lambda i: ratios[i].value)
        return Decision(best, _lead(ratios[rival], contenders[rival], objective))
    winner, reason = _preferred(contenders, [best, *ties], best)
    # Told against the closest tie, or against the fastest where that was passed over.
    rival = best if winner != best else min(ties, key=lambda i: ratios[i].value)
    ratio = compare(contenders[rival], contenders[winner], quantile=quantile)
    return Decision(
        winner, f"not significant against {contenders[rival].name}, {ratio}; chosen {reason}"
    )


def _ties(ratio: Ratio) -> bool:
    return ratio.value <= TIE_RATIO and not ratio.is_significant


def _windows(
    one: Contender, other: Contender
) -> tuple[bool, list[Sequence[float]], list[Sequence[float]]]:
    """(whether they belong together in pairs, the windows of one, those of the other)."""
    common = sorted(one.windows.keys() & other.windows.keys())
    if common:
        return True, [one.windows[i] for i in common], [other.windows[i] for i in common]
    return False, list(one.windows.values()), list(other.windows.values())


def _lead(ratio: Ratio, rival: Contender, objective: str) -> str:
    """By how much the fastest leads: the ratio is the rival's cost by its own."""
    words = {"throughput": "the rate of", "p99": "less p99 than"}.get(objective, "faster than")
    if ratio.is_significant:
        return f"{ratio} {words} the next, {rival.name}"
    unsure = "" if ratio.low is not None else ", of too few windows for an interval"
    return f"not significant against {rival.name}, {ratio}{unsure}; chosen as the best measured"


def _preferred(contenders: Sequence[Contender], tied: Sequence[int], best: int) -> tuple[int, str]:
    """(which of the tied, why).  ``best`` has the least cost of them."""
    amounts = {i: contenders[i].memory_bytes for i in tied}
    known = {i: amount for i, amount in amounts.items() if amount is not None}
    light = list(tied)
    if len(known) == len(tied):
        least = min(known.values())
        light = [i for i in tied if equal_memory(least, known[i])]
    if len(light) == 1:
        heavier = min(known[i] for i in tied if i != light[0])
        return light[0], f"for less memory: {_size(known[light[0]])}, not {_size(heavier)}"
    plain = min((contenders[i].changed, contenders[i].threads) for i in light)
    simple = [i for i in light if (contenders[i].changed, contenders[i].threads) == plain]
    chosen = best if best in simple else min(simple)
    if len(simple) < len(light):
        return chosen, "as the simpler"
    if len(light) < len(tied) and chosen != best:
        return chosen, "for less memory"
    return chosen, "as the best measured" if chosen == best else "as the first named"


def _least_memory(contenders: Sequence[Contender], measured: list[int]) -> Decision:
    known = {i: contenders[i].memory_bytes for i in measured}
    amounts = {i: amount for i, amount in known.items() if amount is not None}
    if not amounts:
        decision = _fastest(contenders, measured, "latency")
        return Decision(decision.winner, f"the memory is not known here; {decision.why}")
    least = min(amounts.values())
    light = [i for i in amounts if equal_memory(least, amounts[i])]
    heavy = [i for i in amounts if i not in light]
    lead = "no candidate takes less memory"
    if heavy:
        rival = min(heavy, key=lambda i: amounts[i])
        lead = f"least memory: {_size(least)}, {_size(amounts[rival])} for {contenders[rival].name}"
    if len(light) == 1:
        return Decision(light[0], lead)
    decision = _fastest(contenders, light, "latency")
    return Decision(decision.winner, f"{lead}; of {len(light)} alike in that: {decision.why}")


def _size(amount: int) -> str:
    return f"{amount / (1 << 20):.0f} MiB"


def _draw(generator: np.random.Generator, count: int) -> NDArray[np.int64]:
    return generator.integers(0, count, (_RESAMPLES, count))


def _cost(windows: Iterable[Sequence[float]], quantile: float) -> float:
    return nearest_rank([cost for window in windows for cost in window], quantile)


def _costs(windows: Sequence[Sequence[float]], drawn: NDArray[np.int64], quantile: float) -> _Array:
    """The quantile over the windows of each draw."""
    points = _thinned(windows) if quantile <= 0.5 else _padded(windows)
    pooled = np.sort(points[drawn].reshape(len(drawn), -1), axis=1)  # NaN at the end
    counts = np.count_nonzero(~np.isnan(pooled), axis=1)
    ranks = np.ceil(quantile * counts).astype(np.int64) - 1
    return np.take_along_axis(pooled, ranks[:, None], axis=1)[:, 0]


def _thinned(windows: Sequence[Sequence[float]]) -> _Array:
    """A few order statistics of each window, so that all windows weigh the same."""
    shares = (2 * np.arange(_POINTS) + 1) / (2 * _POINTS)
    ordered = [np.quantile(window, shares, method="inverted_cdf") for window in windows]
    return np.asarray(ordered, np.float64)


def _padded(windows: Sequence[Sequence[float]]) -> _Array:
    """All samples: a tail is in none of a few order statistics."""
    width = max(map(len, windows))
    points = np.full((len(windows), width), np.nan)
    for row, window in zip(points, windows, strict=True):
        row[: len(window)] = window
    return points
