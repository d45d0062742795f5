"""What a user asks of a tuning, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hwrt.errors import InputError
from hwrt.measure.gate import AccuracyGate, gate_of
from hwrt.spec import Shapes

__all__ = ["Effort", "Wish"]

OBJECTIVES = ("latency", "p99", "throughput", "memory")
# More than any machine has CPUs; vendors hang while they start a hundred thousand.
MOST_THREADS = 1024


@dataclass(frozen=True)
class Wish:
    """Which candidates are allowed, at which shapes and with how many threads.

    ``every_candidate`` tries all that the backends name, and not only those that compute the model
    as its file states it (precision "f32"), which are what ``accuracy="f32"`` can choose.
    """

    threads: int
    backends: tuple[str, ...] | None = None
    device: str | None = None
    shapes: Shapes = field(default_factory=dict)
    objective: str = "latency"
    accuracy: str | AccuracyGate = "f32"
    max_memory_bytes: int | None = None
    max_p99_s: float | None = None
    every_candidate: bool = False

    def __post_init__(self) -> None:
        _one_of("objective", self.objective, OBJECTIVES)
        gate_of(self.accuracy)
        whole = isinstance(self.threads, int) and not isinstance(self.threads, bool)
        if not whole or not 1 <= self.threads <= MOST_THREADS:
            raise InputError(
                f"threads is {self.threads!r}", hint=f"give a whole number from 1 to {MOST_THREADS}"
            )

    @property
    def gate(self) -> AccuracyGate:
        """What outputs are judged by.  Its ``name`` is part of a plan's key; None: not cached."""
        return gate_of(self.accuracy)


@dataclass(frozen=True)
class Effort:
    """How long candidates are timed.

    Each gets windows of ``window_s`` in turn until it has ``min_seconds`` of samples,
    ``min_samples`` of them and ``min_windows``, or ``max_seconds`` of samples; timing ends in any
    case after ``budget_s``.  With ``prune``, what lies behind gets no more windows, and what can
    not be told apart gets up to ``max_windows``.  With ``screen``, one candidate of each backend,
    device and precision goes on after that many rounds.

    The rest bounds what a candidate that hangs may cost: to be loaded and say what it offers, to
    compile, to run for the first time (kernels may be built then), and for each later run, which
    may in any case take ten times the first one.
    """

    min_seconds: float = 0.2
    min_samples: int = 8
    max_seconds: float = math.inf
    window_s: float = 0.03
    min_windows: int = 10
    max_windows: int = 30
    warm_up_s: float = 1.0
    budget_s: float = 30.0
    start_timeout_s: float = 60.0
    compile_timeout_s: float = 600.0
    first_run_timeout_s: float = 120.0
    run_timeout_s: float = 30.0
    prune: bool = True
    screen: int | None = None
    feeds: int = 3


def names_of(value: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """One name or several as a tuple.  Raises InputError for what is neither."""
    if value is None:
        return None
    if not isinstance(value, Iterable):
        raise InputError(f"backend is {value!r}", hint="give a name or several")
    return (value,) if isinstance(value, str) else tuple(value)


def _one_of(name: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(
            f"{name} is {value!r}, which this version does not have",
            hint=f"it has {', '.join(map(repr, known))}",
        )
