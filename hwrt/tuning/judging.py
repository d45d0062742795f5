"""The outputs that candidates are held against, who made them, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwrt.backend import Array
from hwrt.errors import HwrtError
from hwrt.measure.gate import AS_GIVEN, gate_of
from hwrt.measure.judge import Case, Finding, judge
from hwrt.measure.output_error import OutputError, compare, judges_nothing, within, worst
from hwrt.model.meaning import meanings
from hwrt.tuning import onnx_reference
from hwrt.tuning.feeds import read_feeds
from hwrt.tuning.folders import cache_of
from hwrt.tuning.report import Report
from hwrt.tuning.search import Found, Search
from hwrt.tuning.trial import Task, Trial

__all__ = ["Reference", "find_reference"]

_SAYS_NOTHING = (
    "on these feeds the reference gives no finite number: give samples with which it does"
)
_RANDOM = "its outputs differ from one run to the next"
# onnx.reference takes 0.5 s (MobileNetV2) to 3 s (YOLOv8n) a sample.
_CHECK_TIMEOUT_S = 20.0
_EVALUATION_TIMEOUT_S = 120.0

Outputs = Mapping[str, Array]


@dataclass
class Reference:
    """What candidates are held against in one tuning.

    ``outputs`` has one set for each of the feeds, None where there is no reference; ``made_by``
    names who made them.  ``unverified`` says why they judge nothing, or not all.  ``check`` says
    in words what ``onnx.reference`` thinks of them.  ``spread`` and ``unsteady`` are as in Case.
    """

    outputs: list[dict[str, Array]] | None
    made_by: str | None
    unverified: str | None
    check: str | None = None
    spread: Mapping[str, OutputError] = field(default_factory=dict)
    unsteady: frozenset[str] = frozenset()
    _defaults: dict[tuple[str, str], Sequence[Outputs]] = field(default_factory=dict)

    @property
    def judges(self) -> bool:
        """True where an output can be found wrong."""
        return self.outputs is not None and not all(map(judges_nothing, self.outputs))

    def judge(self, task: Task, trial: Trial, outputs: Sequence[Outputs]) -> None:
        """Reject the candidate when its outputs are wrong; without reference only NaN is.

        Reduced precision is rejected too where nothing can judge it.
        """
        if not self.judges and _is_reduced(task, trial):
            trial.reject(
                "reduced precision is admitted by a judgement, and there is none: "
                f"{self.unverified}"
            )
            return
        if self.outputs is None:
            if any(_has_nan(array) for arrays in outputs for array in arrays.values()):
                trial.reject("there is a NaN in its outputs")
            return
        gate = task.wish.gate
        if gate.builtin == "f32" and task.given and task.model.quantized:
            trial.record(self._of_quantized(task, trial, self.outputs, outputs))
            return
        trial.record(judge(gate, self._case(task, self.outputs), outputs))

    def _of_quantized(
        self,
        task: Task,
        trial: Trial,
        reference: Sequence[Outputs],
        outputs: Sequence[Outputs],
    ) -> Finding:
        """A quantised model has no truth beside what its backend makes of it unasked.

        So a backend's first candidate must say what the reference says of most samples, and the
        others what that one says of all.
        """
        candidate = trial.found.candidate
        by = (candidate.backend, candidate.device)
        default = self._defaults.get(by)
        if default is None:
            finding = judge(AS_GIVEN, self._case(task, reference), outputs)
            if finding.reason is None:
                self._defaults[by] = outputs
            return finding
        finding = judge(gate_of("relaxed"), self._case(task, default), outputs)
        if finding.reason is None:
            return finding
        return finding._replace(reason=f"against {by[0]}'s default: {finding.reason}")

    def _case(self, task: Task, outputs: Sequence[Outputs]) -> Case:
        return Case(
            model=task.model,
            meanings=meanings(task.model),
            reference=outputs,
            feeds=read_feeds(task.feeds),
            given=task.given,
            spread=self.spread,
            unsteady=self.unsteady,
        )


def find_reference(task: Task, found: Search, report: Report) -> Reference:
    """The reference of this tuning.

    That is what the user gave; else the outputs of the first backend that offers a reference, can
    run it, and is not contradicted by ``onnx.reference``; else ``onnx.reference`` itself.
    """
    gate = task.wish.gate
    if gate.reference is not None:
        given = [
            {name: np.asarray(array) for name, array in outputs.items()}
            for outputs in gate.reference[: task.sets]
        ]
        return Reference(given, "outputs that were given", _worth(given, {}))
    reasons = [f"{name}: {why}" for name, why in found.mute.items()]
    doubted = None
    for offered in found.references:
        report(0.0, f"reference outputs from {offered.candidate.backend}")
        reference = _run_twice(task, offered)
        if reference.outputs is None:
            reasons.append(f"{offered.candidate.backend}: {reference.unverified}")
            continue
        reference.check, difference = _check(task, offered, reference, report)
        if difference is None:
            return reference
        reference.unverified = reference.unverified or difference
        doubted = doubted or reference
    return doubted or _evaluated(task, reasons, report)


def _run_twice(task: Task, offered: Found) -> Reference:
    """The outputs of these options, and how far they lie from those of a second run."""
    trial = Trial(offered)
    try:
        trial.compile(task, cache_of(task, offered))
        outputs = trial.answer(task, "reference")
        again = trial.answer(task, "reference-again")
    except HwrtError as exc:
        outputs = again = None
        trial.fail(str(exc))
    finally:
        trial.finish()
    if outputs is None or again is None:
        return Reference(None, None, trial.measurement.reason)
    spread = worst(
        compare(one, other, task.model.outputs) for one, other in zip(again, outputs, strict=True)
    )
    unsteady = frozenset(
        name for name, error in spread.items() if within({name: error}, task.tolerance)
    )
    if unsteady == spread.keys():
        return Reference(None, None, _RANDOM)
    steady = {name: error for name, error in spread.items() if name not in unsteady}
    return Reference(
        outputs,
        str(offered.candidate),
        _worth(outputs, unsteady),
        spread=steady,
        unsteady=unsteady,
    )


def _worth(
    outputs: Sequence[Outputs], unsteady: Mapping[str, object] | frozenset[str]
) -> str | None:
    """Why these judge nothing, or not all; None where they do."""
    if all(map(judges_nothing, outputs)):
        return _SAYS_NOTHING
    if unsteady:
        names = ", ".join(map(repr, sorted(unsteady)))
        return f"not judged, since the reference differs from one run to the next: {names}"
    return None


def _check(
    task: Task, offered: Found, reference: Reference, report: Report
) -> tuple[str, str | None]:
    """(what to tell of the check, None or in what ``onnx.reference`` differs).

    A check that came to nothing is remembered as well: it takes as long again.
    """
    why = onnx_reference.unfit(task)
    if why is not None:
        return f"not checked: {why}", None
    name = str(offered.candidate)
    known = onnx_reference.recall(task, name, offered.stamp)
    if known is not None:
        return known
    report(0.0, f"checking {offered.candidate.backend} by {onnx_reference.NAME}")
    told, difference = f"{onnx_reference.NAME} agrees", None
    try:
        outputs = onnx_reference.evaluate(
            task, sets=1, timeout_s=_CHECK_TIMEOUT_S, name="evaluated"
        )
    except HwrtError as exc:
        told = f"not checked: {onnx_reference.told(exc)}"
    else:
        differs = _difference(task, reference, outputs)
        if differs:
            told = difference = f"{name} differs from {onnx_reference.NAME}: {differs}"
    onnx_reference.remember(task, name, offered.stamp, told, difference)
    return told, difference


def _difference(task: Task, reference: Reference, outputs: Sequence[Outputs]) -> str:
    """In what the reference's first outputs differ from these; empty where they do not."""
    assert reference.outputs is not None
    errors = compare(reference.outputs[0], outputs[0], task.model.outputs)
    judged = {name: error for name, error in errors.items() if name not in reference.unsteady}
    return within(judged, task.tolerance) or ""


def _evaluated(task: Task, reasons: Sequence[str], report: Report) -> Reference:
    """``onnx.reference`` in the place of a backend's reference; none where it can not be."""
    why = onnx_reference.unfit(task)
    if why is None:
        report(0.0, f"reference outputs from {onnx_reference.NAME}")
        try:
            outputs, again = (
                onnx_reference.evaluate(task, sets=n, timeout_s=_EVALUATION_TIMEOUT_S, name=name)
                for n, name in ((task.sets, "evaluated"), (1, "evaluated-again"))
            )
        except HwrtError as exc:
            why = onnx_reference.told(exc)
        else:
            spread = compare(again[0], outputs[0], task.model.outputs)
            if within(spread, task.tolerance) is None:
                return Reference(outputs, onnx_reference.NAME, _worth(outputs, frozenset()))
            why = f"{onnx_reference.NAME}: {_RANDOM}"
    if not reasons:
        return Reference(None, None, f"no backend here offers a reference for this model; {why}")
    return Reference(None, None, f"no reference could be run: {'; '.join((*reasons, why))}")


def _is_reduced(task: Task, trial: Trial) -> bool:
    """True for a candidate that is only admitted because a gate may find it right."""
    precision = trial.found.candidate.options.precision
    stated = task.model.quantized or precision in (None, "f32")
    return task.wish.gate.admits_reduced and not stated


def _has_nan(array: Array) -> bool:
    # bfloat16 and the like are void to NumPy's kinds, but numbers to its functions.
    floats = array.dtype.kind in "fc" or "float" in array.dtype.name
    return floats and bool(np.isnan(array).any())
