"""The arguments of a load, checked."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import SupportsFloat

from hwrt import registry
from hwrt.backend import Array
from hwrt.errors import InputError
from hwrt.machine.limits import allowed_threads
from hwrt.measure.gate import AccuracyGate
from hwrt.source import Cache
from hwrt.spec import ModelInfo, OptionValue, Progress, Range
from hwrt.tuning.feeds import SampleSource, user_feeds
from hwrt.tuning.keys import samples_key
from hwrt.tuning.shapes import check_shapes
from hwrt.tuning.wish import Wish, names_of

__all__ = [
    "Arguments",
    "GivenShapes",
    "Samples",
    "check_kinds",
    "check_tuning",
    "given_feeds",
    "known_by_name",
    "make_wish",
]

# From 59 right answers on, at most 5 % of all are wrong.
_MOST_SAMPLES = 64

Samples = Iterable[Mapping[str, Array]] | str | os.PathLike[str] | SampleSource
GivenShapes = Mapping[str, Sequence[int | Range]]


@dataclass(frozen=True)
class Arguments:
    """Those of ``load`` that say how, without the model and the plan.

    ``samples`` are None, a folder, sets of feeds, or what makes them; ``samples_id`` is the user's
    name for them.
    """

    backend: str | Sequence[str] | None = None
    device: str | None = None
    options: Mapping[str, OptionValue] | None = None
    shapes: GivenShapes | None = None
    objective: str = "latency"
    accuracy: str | AccuracyGate = "f32"
    samples: Samples | None = None
    threads: int | None = None
    max_memory_mb: int | None = None
    max_p99_ms: float | None = None
    tune: str = "auto"
    budget_s: float = 30.0
    cache: Cache = True
    fallback: bool = True
    samples_id: str | None = None
    verify: bool = False
    progress: Progress | None = None

    def wish(self, info: ModelInfo) -> Wish:
        """What they ask of this model.  Raises InputError for one that is wrong."""
        return make_wish(
            info,
            backend=self.backend,
            device=self.device,
            shapes=self.shapes,
            objective=self.objective,
            accuracy=self.accuracy,
            threads=self.threads,
            max_memory_mb=self.max_memory_mb,
            max_p99_ms=self.max_p99_ms,
        )

    def samples_key(self) -> str | None:
        """What tells the samples from others, in the key of a plan; None without any.

        Feeds are read for it, and none where they have a name.
        """
        if self.samples is None and self.samples_id is None:
            return None
        return samples_key(self.samples or (), self.samples_id)

    def feeds(self, info: ModelInfo) -> list[dict[str, Array]] | None:
        """The samples as sets of feeds, checked.  Raises InputError for a name without samples."""
        if self.samples is None and self.samples_id is not None:
            raise InputError(
                f"there is no plan for the samples {self.samples_id!r}", hint="give samples= too"
            )
        return given_feeds(self.samples, info)


def make_wish(
    info: ModelInfo,
    *,
    backend: str | Sequence[str] | None = None,
    device: str | None = None,
    shapes: GivenShapes | None = None,
    objective: str = "latency",
    accuracy: str | AccuracyGate = "f32",
    threads: int | None = None,
    max_memory_mb: int | None = None,
    max_p99_ms: float | None = None,
    every_candidate: bool = False,
) -> Wish:
    """The arguments of a load, checked.  Raises InputError for one that is wrong."""
    names = names_of(backend)
    for name in names or ():
        if name not in registry.names():
            raise InputError(
                f"there is no backend {name!r}",
                hint=f"there are {', '.join(registry.names()) or 'none'}",
            )
    return Wish(
        threads=_threads(threads),
        backends=names,
        device=device,
        shapes=check_shapes(info, shapes),
        objective=objective,
        accuracy=accuracy,
        max_memory_bytes=_bytes(max_memory_mb),
        max_p99_s=_seconds(max_p99_ms),
        every_candidate=every_candidate,
    )


def _threads(threads: int | None) -> int:
    """Python's number for any library's whole one; what is none is for Wish to refuse."""
    if threads is None:
        return allowed_threads()
    try:
        return threads if isinstance(threads, bool) else operator.index(threads)
    except TypeError:
        return threads


def given_feeds(samples: Samples | None, info: ModelInfo) -> list[dict[str, Array]] | None:
    """The ``samples`` argument as sets of feeds, checked; None where there is none."""
    if samples is None:
        return None
    found = samples.feeds(info) if isinstance(samples, SampleSource) else samples
    return user_feeds(found, info.inputs, limit=_MOST_SAMPLES)


def known_by_name(samples: Samples | None) -> bool:
    """True for samples that can be told from others without being read."""
    if isinstance(samples, SampleSource):
        return samples.key is not None
    return isinstance(samples, str | os.PathLike)


def check_tuning(tune: str, budget_s: object, **given: object) -> None:
    """Raise InputError for a wrong value, and for arguments that exclude each other."""
    if tune not in ("auto", "never"):
        raise InputError(f"tune is {tune!r}", hint="give 'auto' or 'never'")
    if not isinstance(budget_s, SupportsFloat) or not float(budget_s) > 0:
        raise InputError(f"budget_s is {budget_s!r}", hint="give seconds above 0")
    together = [f"{name}=" for name, value in given.items() if value is not None]
    if len(together) > 1:
        raise InputError(
            f"{' and '.join(together)} were given together",
            hint="plan= and options= say what to run; samples= is for finding that out",
        )


def check_kinds(
    *,
    options: object = None,
    shapes: object = None,
    cache: object = False,
    progress: object = None,
) -> None:
    """Raise InputError for an argument that is of no type it may be of."""
    for name, value, fits, hint in (
        ("options", options, isinstance(options, Mapping), "give a dict of name to value"),
        ("shapes", shapes, isinstance(shapes, Mapping), "give a dict of input to shape"),
        ("progress", progress, callable(progress), "give a function of (fraction, text)"),
        ("cache", cache, isinstance(cache, bool | str | os.PathLike), "give a folder or a bool"),
    ):
        if not fits and (value is not None or name == "cache"):
            raise InputError(f"{name} is {value!r}", hint=hint)


def _bytes(megabytes: int | None) -> int | None:
    if megabytes is None:
        return None
    if isinstance(megabytes, bool) or not isinstance(megabytes, int) or megabytes < 1:
        raise InputError(f"max_memory_mb is {megabytes!r}", hint="give a whole number from 1")
    return megabytes << 20


def _seconds(milliseconds: SupportsFloat | None) -> float | None:
    if milliseconds is None:
        return None
    is_number = isinstance(milliseconds, SupportsFloat) and not isinstance(milliseconds, bool)
    if not is_number or not 0 < float(milliseconds) < math.inf:
        raise InputError(f"max_p99_ms is {milliseconds!r}", hint="give milliseconds above 0")
    return float(milliseconds) / 1e3
