"""What was tried, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar, get_args

from hwrt.errors import InputError
from hwrt.measure.agreement import Judgement
from hwrt.measure.output_error import OutputError
from hwrt.measure.percentile import nearest_rank
from hwrt.measure.warm_up import WarmUp
from hwrt.spec import Options, Placement

__all__ = ["Candidate", "Cold", "Measurement", "Status", "precision_told", "score"]

_T = TypeVar("_T")

Status = Literal["ok", "failed", "rejected"]
"""``failed``: it could not be compiled or run; ``rejected``: it ran, but its outputs are wrong, or
it misses a limit of the wish."""


@dataclass(frozen=True)
class Candidate:
    """One way to run a model; its variant is None where the model is run as the file has it."""

    backend: str
    device: str
    options: Options = field(default_factory=Options)
    variant: str | None = None

    def __str__(self) -> str:
        parts = (self.backend, self.device, str(self.options), self.variant)
        return " ".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """The same as values for JSON."""
        return {
            "backend": self.backend,
            "device": self.device,
            "options": dict(self.options),
            "variant": self.variant,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Candidate:
        """What ``to_json`` was given.  Raises InputError where the document is something else."""
        return _read("candidate", lambda: _candidate(document))


@dataclass(frozen=True)
class Cold:
    """Seconds from nothing to the first answer, each stage apart; None: not taken.

    ``import_s``: the vendor's modules; ``load_s``: a model's bytes; ``compile_s``: ready for the
    device, ``cache_hit`` telling whether from a cache; ``first_inference_s``: the first run.
    """

    import_s: float | None = None
    load_s: float | None = None
    compile_s: float | None = None
    cache_hit: bool | None = None
    first_inference_s: float | None = None


@dataclass(frozen=True)
class Measurement:
    """A candidate's raw samples and output error, or the reason it has none.

    ``samples_s`` are seconds in the order they were taken, and empty unless ``status`` is ``ok``:
    a wrong candidate has no latency.  ``windows`` are (number of the round, how many of the samples
    were taken in it), in order; candidates ran in turn in each round.  ``rates_per_s`` are
    inferences in a second, one for each window in which ``in_flight`` requests ran at once; then
    ``samples_s`` are what each of them took beside the others.

    ``precision`` and ``placement`` are what was built.  ``peak_rss_bytes`` is the most memory its
    process held resident.  ``artefact_sha256`` names the compiled file that was tried, where the
    backend has one.  ``judgement`` tells by what its outputs were judged and how much that shows;
    None where nothing judged them.
    """

    candidate: Candidate
    status: Status
    reason: str | None = None
    output_error: Mapping[str, OutputError] = field(default_factory=dict)
    precision: str | None = None
    placement: Placement | None = None
    samples_s: tuple[float, ...] = ()
    cold: Cold = Cold()
    warm_up: WarmUp | None = None
    peak_rss_bytes: int | None = None
    artefact_sha256: str | None = None
    judgement: Judgement | None = None
    in_flight: int = 1
    rates_per_s: tuple[float, ...] = ()
    windows: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise InputError(
                f"a measurement's status is {self.status!r}", hint=f"one of {get_args(Status)}"
            )
        if (self.status == "ok") == bool(self.reason):
            raise InputError(
                f"a measurement with status {self.status!r} has the reason {self.reason!r}",
                hint="what is not ok has a reason, and what is ok has none",
            )
        if self.status != "ok" and self.samples_s:
            raise InputError(
                f"a measurement with status {self.status!r} has {len(self.samples_s)} samples",
                hint="only what answers rightly has a latency",
            )

    @property
    def score_s(self) -> float | None:
        """What decides between candidates, in seconds, by ``score``; None without samples."""
        return score(self.samples_s) if self.samples_s else None

    @property
    def rate_per_s(self) -> float | None:
        """Inferences in a second with ``in_flight`` requests; None where that was not measured.

        The upper quartile of the windows' rates, as ``score`` is the lower one of seconds.
        """
        rates = self.rates_per_s
        return 1.0 / score([1.0 / rate for rate in rates]) if rates else None

    def to_json(self) -> dict[str, Any]:
        """Values for JSON, from which ``from_json`` makes an equal measurement."""
        return {
            **self.candidate.to_json(),
            "status": self.status,
            "reason": self.reason,
            "output_error": {name: error.to_json() for name, error in self.output_error.items()},
            "precision": self.precision,
            "placement": self.placement and dict(self.placement.operators),
            "samples_s": list(self.samples_s),
            "cold": asdict(self.cold),
            "warm_up": self.warm_up and self.warm_up.to_json(),
            "peak_rss_bytes": self.peak_rss_bytes,
            "artefact_sha256": self.artefact_sha256,
            "in_flight": self.in_flight,
            "rates_per_s": list(self.rates_per_s),
            "windows": [list(window) for window in self.windows],
            "judgement": self.judgement and self.judgement.to_json(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Measurement:
        """What ``to_json`` was given.  Raises InputError where the document is something else.

        Names that it does not know are left alone: a report keeps more beside a measurement.
        """
        return _read("measurement", lambda: _measurement(document))


def precision_told(precision: str, *, quantized: bool) -> str:
    """A precision that was built: a quantised file's own integers are no reduction of it."""
    return f"{precision} (as given)" if quantized and precision.startswith("int") else precision


def score(samples_s: Sequence[float]) -> float:
    """The lower quartile: bursts of load lift a median, and one lucky run sets a minimum."""
    return nearest_rank(samples_s, 0.25)


def _candidate(document: Mapping[str, Any]) -> Candidate:
    return Candidate(
        backend=document["backend"],
        device=document["device"],
        options=Options(document["options"]),
        variant=document["variant"],
    )


def _measurement(document: Mapping[str, Any]) -> Measurement:
    placement, warm_up = document["placement"], document["warm_up"]
    judgement = document.get("judgement")
    return Measurement(
        candidate=_candidate(document),
        status=document["status"],
        reason=document["reason"],
        output_error={
            name: OutputError.from_json(error) for name, error in document["output_error"].items()
        },
        precision=document["precision"],
        placement=None if placement is None else Placement(dict(placement)),
        samples_s=tuple(document["samples_s"]),
        cold=Cold(**document["cold"]),
        warm_up=None if warm_up is None else WarmUp.from_json(warm_up),
        peak_rss_bytes=document["peak_rss_bytes"],
        judgement=None if judgement is None else Judgement.from_json(judgement),
        artefact_sha256=document.get("artefact_sha256"),
        in_flight=document.get("in_flight", 1),
        rates_per_s=tuple(document.get("rates_per_s", ())),
        windows=tuple(tuple(window) for window in document.get("windows", ())),
    )


def _read(what: str, make: Callable[[], _T]) -> _T:
    try:
        return make()
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise InputError(f"not a {what}: {exc!r}") from exc
