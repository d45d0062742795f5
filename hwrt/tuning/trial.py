"""One candidate in its child process: compiled, checked, timed."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwrt.backend import Array
from hwrt.errors import HwrtError
from hwrt.machine.conditions import Conditions
from hwrt.measure.judge import Finding
from hwrt.measure.measurement import Cold, Measurement, precision_told
from hwrt.measure.output_error import Tolerance, tolerance_of
from hwrt.measure.warm_up import WarmUp
from hwrt.model import memo
from hwrt.spec import ModelInfo, Placement
from hwrt.tuning.children import Child
from hwrt.tuning.feeds import read_feeds
from hwrt.tuning.rounds import Window
from hwrt.tuning.search import Found
from hwrt.tuning.shapes import shapes_to_json
from hwrt.tuning.wish import Effort, Wish

__all__ = ["Task", "Trial"]

# How many times the first run a later one may take: a slow model is no hang.
_MOST_OF_FIRST = 10.0
_WARM_UP_WINDOW_S = 0.2
# Requests beyond this number fill memory: what gains by them states a bound of its own.
_MOST_IN_FLIGHT = 16


@dataclass(frozen=True)
class Task:
    """What every trial of one tuning shares.

    ``given`` is True where the feeds are the user's samples and not random.
    """

    model: ModelInfo
    wish: Wish
    effort: Effort
    feeds: Path
    scratch: Path
    cache_dir: Path | None
    machine: str
    sets: int
    given: bool = False

    @property
    def tolerance(self) -> Tolerance:
        """How far outputs may lie from the reference's."""
        return tolerance_of(self.model)


@dataclass
class Trial:
    """A candidate on its way from found to measured; a fault ends it and becomes its reason."""

    found: Found
    measurement: Measurement = field(init=False)
    samples_s: list[float] = field(default_factory=list)
    rates_per_s: list[float] = field(default_factory=list)
    child: Child | None = None
    max_requests: int | None = None
    counts_rates: bool = False
    effort: Effort = field(default_factory=Effort)
    span: tuple[Conditions, Conditions] | None = None
    _run_timeout_s: float = 0.0

    def __post_init__(self) -> None:
        self.measurement = Measurement(self.found.candidate, "failed", reason="it was not tried")

    @property
    def alive(self) -> bool:
        """True while the candidate is in the race."""
        return self.child is not None

    def compile(self, task: Task, cache_dir: Path | None) -> None:
        """Compile in the child; what was built goes into the measurement."""
        self.child, self.found.child = self.found.child, None
        if self.child is None:
            self.child = self._new_child(task)
        built = self._ask(
            "compile",
            task.effort.compile_timeout_s,
            model=memo.to_json(task.model),
            device=self.found.device.id,
            options=dict(self.found.candidate.options),
            shapes=shapes_to_json(task.wish.shapes),
            feeds=str(task.feeds),
            cache_dir=None if cache_dir is None else str(cache_dir),
        )
        if built is not None:
            self.measurement = dataclasses.replace(
                self.measurement,
                precision=precision_told(built["precision"], quantized=task.model.quantized),
                placement=Placement(built["placement"]),
                cold=Cold(**built["cold"]),
                artefact_sha256=built["artefact_sha256"],
                peak_rss_bytes=built["peak_rss_bytes"],
            )
            self.max_requests = built["max_requests"]
            self._run_first(task.effort)

    def _run_first(self, effort: Effort) -> None:
        self._run_timeout_s = effort.run_timeout_s
        ran = self._ask("first_run", effort.first_run_timeout_s)
        if ran is not None:
            seconds = ran["first_inference_s"]
            self._run_timeout_s = max(self._run_timeout_s, _MOST_OF_FIRST * seconds)
            self.measurement = dataclasses.replace(
                self.measurement,
                cold=dataclasses.replace(self.measurement.cold, first_inference_s=seconds),
                peak_rss_bytes=ran["peak_rss_bytes"],
            )

    def answer(self, task: Task, name: str) -> list[dict[str, Array]] | None:
        """The outputs for every set of feeds; None when that failed.

        They are mapped from files without a name, which vanish with them: those of a dozen
        candidates for 64 photographs would fill a disk, or the memory that pretends to be one.
        """
        folder = task.scratch / name
        if self._ask("answer", self._run_timeout_s * task.sets, folder=str(folder)) is None:
            return None
        outputs = read_feeds(folder)
        shutil.rmtree(folder)
        return outputs

    def record(self, finding: Finding) -> None:
        """Keep what the accuracy gate found; reject the candidate where that is a reason to."""
        self.measurement = dataclasses.replace(
            self.measurement, output_error=finding.errors, judgement=finding.judgement
        )
        if finding.reason is not None:
            self.reject(finding.reason)

    def reject(self, reason: str) -> None:
        """End the trial: the candidate runs, but its outputs are wrong, or nothing judges them."""
        self._end("rejected", reason)

    def warm_up(self, task: Task) -> None:
        """Run until the times settle; for throughput, find how many requests are worth it."""
        self.effort = effort = task.effort
        warmed = self._ask(
            "warm_up",
            effort.warm_up_s + self._run_timeout_s,
            cap_s=effort.warm_up_s,
            window_s=min(_WARM_UP_WINDOW_S, max(effort.window_s, effort.warm_up_s / 10)),
        )
        if warmed is None:
            return
        self.measurement = dataclasses.replace(
            self.measurement,
            warm_up=WarmUp.from_json(warmed["warm_up"]),
            peak_rss_bytes=warmed["peak_rss_bytes"],
        )
        if task.wish.objective == "throughput":
            counts = self._counts(task.wish.threads)
            chosen = self._ask(
                "choose_in_flight",
                self._run_timeout_s * len(counts),
                counts=counts,
                seconds=effort.window_s,
            )
            if chosen is not None:
                self.counts_rates = True
                self.measurement = dataclasses.replace(
                    self.measurement,
                    in_flight=chosen["in_flight"],
                    peak_rss_bytes=chosen["peak_rss_bytes"],
                )

    def sample(self) -> Window | None:
        """One window of samples; None where the candidate failed."""
        effort = self.effort
        if self.counts_rates:
            taken = self._ask(
                "sample_in_flight",
                effort.window_s + self._run_timeout_s,
                seconds=effort.window_s,
            )
        else:
            taken = self._ask(
                "sample",
                effort.window_s * 4 + self._run_timeout_s,
                seconds=effort.window_s,
                min_samples=1,
                max_seconds=effort.window_s * 4,
            )
        if taken is None:
            return None
        self.samples_s += taken["samples_s"]
        rate, peak = taken.get("rate_per_s"), taken["peak_rss_bytes"]
        self.rates_per_s += [] if rate is None else [rate]
        self.measurement = dataclasses.replace(self.measurement, peak_rss_bytes=peak)
        return Window(tuple(taken["samples_s"]), rate, peak)

    def _counts(self, threads: int) -> list[int]:
        """Numbers of requests in flight that may be the best one."""
        options = self.found.candidate.options
        most = max(1, min(self.max_requests or _MOST_IN_FLIGHT, _MOST_IN_FLIGHT))
        wanted = {1, 2, threads, 2 * threads, options.streams or 1, self.max_requests or 1}
        return sorted({min(count, most) for count in wanted})

    def took(self, counts: Sequence[tuple[int, int]]) -> None:
        """Keep in which rounds the samples were taken."""
        if self.child is not None:
            self.measurement = dataclasses.replace(self.measurement, windows=tuple(counts))

    def finish(self) -> Measurement:
        """End the process; the measurement with its samples."""
        if self.child is not None:
            self.child.close()
            self.child = None
            self.measurement = dataclasses.replace(
                self.measurement,
                status="ok",
                reason=None,
                samples_s=tuple(self.samples_s),
                rates_per_s=tuple(self.rates_per_s),
            )
        return self.measurement

    def fail(self, reason: str) -> None:
        """End the trial as failed."""
        self._end("failed", reason)

    def _new_child(self, task: Task) -> Child:
        """A process that has loaded the backend, as the one that was asked for candidates has."""
        child = Child(self.found.candidate.backend, memory_bytes=task.wish.max_memory_bytes)
        try:
            child.ask(
                "probe",
                timeout_s=task.effort.start_timeout_s,
                backend=self.found.candidate.backend,
                model=None,
                limits={"threads": task.wish.threads},
            )
        except HwrtError:
            child.close()
            raise
        return child

    def _ask(self, op: str, timeout_s: float, **message: Any) -> Mapping[str, Any] | None:
        if self.child is None:
            return None
        try:
            return self.child.ask(op, timeout_s=timeout_s, **message)
        except HwrtError as exc:
            self._end("failed", str(exc))
            return None

    def _end(self, status: Any, reason: str) -> None:
        if self.child is not None:
            self.child.close()
            self.child = None
        self.samples_s.clear()
        self.rates_per_s.clear()
        self.measurement = dataclasses.replace(
            self.measurement, status=status, reason=reason, windows=()
        )
