"""Whether a candidate keeps what the reference says of each set of feeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hwrt.backend import Array
from hwrt.errors import InputError
from hwrt.measure.agreement import Judgement
from hwrt.measure.answers import Answer, answers_of, correct, fits
from hwrt.measure.gate import AccuracyGate
from hwrt.measure.output_error import (
    RELAXED,
    OutputError,
    Tolerance,
    compare,
    tolerance_of,
    within,
    worst,
)
from hwrt.model.meaning import Meaning
from hwrt.spec import ModelInfo, TensorSpec

__all__ = ["Case", "Finding", "judge"]

Outputs = Mapping[str, Array]


@dataclass(frozen=True)
class Case:
    """What outputs are held against.

    ``reference`` and ``feeds`` have one set for each sample.  ``given`` is True where the samples
    are the user's and not random.  ``spread`` is how far the reference differs from itself when it
    runs again: no candidate can come nearer.  ``unsteady`` are the outputs that differ so much that
    they judge nothing.
    """

    model: ModelInfo
    meanings: Mapping[str, Meaning]
    reference: Sequence[Outputs]
    feeds: Sequence[Outputs]
    given: bool
    spread: Mapping[str, OutputError] = field(default_factory=dict)
    unsteady: frozenset[str] = frozenset()


class Finding(NamedTuple):
    """``reason`` says why the candidate is rejected; None: it is not."""

    judgement: Judgement
    errors: dict[str, OutputError]
    reason: str | None


def judge(gate: AccuracyGate, case: Case, outputs: Sequence[Outputs]) -> Finding:
    """Hold the outputs, one set for each sample, against the case's by the gate.

    Raises InputError for a metric that fits no output, and for what a function of the user's
    returns in place of a number.
    """
    compared = [_compare(case, *pair) for pair in zip(outputs, case.reference, strict=True)]
    errors = worst(compared)
    if gate.builtin == "f32":
        faults = [_beyond(case, of_sample, tolerance_of(case.model)) for of_sample in compared]
        told = _beyond(case, errors, tolerance_of(case.model))
        return Finding(_judgement("relative_l2", case, faults), errors, told)
    broken = _broken(compared)
    if broken is not None:
        return Finding(_judgement("finite numbers", case, [broken]), errors, broken)
    if callable(gate.metric):
        return _by_function(gate, case, outputs, errors)
    if gate.labels is not None:
        return _by_labels(gate, case, outputs, errors)
    return _by_meaning(gate, case, outputs, compared, errors)


def _compare(case: Case, outputs: Outputs, reference: Outputs) -> dict[str, OutputError]:
    errors = compare(outputs, reference, case.model.outputs)
    return {name: error for name, error in errors.items() if name not in case.unsteady}


def _beyond(case: Case, errors: Mapping[str, OutputError], tolerance: Tolerance) -> str | None:
    found = [
        within({name: error}, _widened(tolerance, case.spread.get(name)))
        for name, error in errors.items()
    ]
    return "; ".join(filter(None, found)) or None


def _widened(tolerance: Tolerance, spread: OutputError | None) -> Tolerance:
    """The tolerance above the noise of the reference itself."""
    if spread is None:
        return tolerance
    missing = 0.0 if spread.agreement is None else 1 - spread.agreement
    return Tolerance(
        tolerance.relative_l2 + (spread.relative_l2 or 0.0),
        tolerance.agreement - missing,
        tolerance.slice_l2 + (spread.slice_l2 or 0.0),
    )


def _judgement(metric: str, case: Case, faults: Sequence[str | None]) -> Judgement:
    wrong = sum(fault is not None for fault in faults)
    return Judgement.of(
        metric, samples=len(case.reference), answers=len(faults), wrong=wrong, given=case.given
    )


def _broken(compared: Sequence[Mapping[str, OutputError]]) -> str | None:
    """What no metric forgives: outputs missing, of another shape or type, or not finite."""
    for errors in compared:
        for name, error in errors.items():
            if error.difference is not None:
                return f"output {name!r}: {error.difference}"
            if error.max_abs == math.inf:
                return f"output {name!r}: NaN or infinite where the reference is not, or otherwise"
    return None


def _by_function(
    gate: AccuracyGate, case: Case, outputs: Sequence[Outputs], errors: dict[str, OutputError]
) -> Finding:
    assert callable(gate.metric)
    name = str(gate.key or getattr(gate.metric, "__name__", "a function"))
    numbers = []
    for i, parts in enumerate(zip(outputs, case.reference, case.feeds, strict=True)):
        label = () if gate.labels is None else (gate.labels[i],)
        numbers.append(_number(name, gate.metric(*parts, *label)))
    if gate.max_error is not None:
        faults = [
            None if number <= gate.max_error else f"{name} is {number:.3g} for a sample"
            for number in numbers
        ]
        reason = next(filter(None, faults), None)
        told = None if reason is None else f"{reason}, which exceeds {gate.max_error:.3g}"
        return Finding(_judgement(name, case, faults), errors, told)
    assert gate.min_agreement is not None
    mean = math.fsum(numbers) / len(numbers)
    told = None
    if not mean >= gate.min_agreement:
        told = f"{name} is {mean:.3g} in the mean, {gate.min_agreement:.3g} is asked for"
    samples = len(numbers)
    judgement = Judgement(name, samples, samples, 0, note=f"{name} is {mean:.4g} in the mean")
    return Finding(judgement, errors, told)


def _number(name: str, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as exc:
        raise InputError(
            f"the metric {name} gave {value!r:.80}", hint="it gives one number for one sample"
        ) from exc


def _by_labels(
    gate: AccuracyGate, case: Case, outputs: Sequence[Outputs], errors: dict[str, OutputError]
) -> Finding:
    assert gate.labels is not None
    (spec,) = _fitting(gate, case)[:1]
    ours, theirs = (
        [
            right
            for answered, label in zip(answers, gate.labels, strict=False)
            for right in correct(spec, answered[spec.name], label)
        ]
        for answers in (outputs, case.reference)
    )
    faults = [None if right else "another class than the label" for right in ours]
    share, reference_share = sum(ours) / len(ours), sum(theirs) / len(theirs)
    least = reference_share if gate.min_agreement is None else gate.min_agreement
    reason = None
    if share < least:
        reason = (
            f"output {spec.name!r}: {share:.1%} of the labels are met, {least:.1%} must be; "
            f"the reference meets {reference_share:.1%}"
        )
    return Finding(_judgement("top-1 by labels", case, faults), errors, reason)


def _by_meaning(
    gate: AccuracyGate,
    case: Case,
    outputs: Sequence[Outputs],
    compared: Sequence[Mapping[str, OutputError]],
    errors: dict[str, OutputError],
) -> Finding:
    faults: list[str | None] = []
    metrics, reasons = [], []
    meanings, specs = _meanings(gate, case), {spec.name: spec for spec in case.model.outputs}
    for name in errors:
        meaning = meanings.get(name, Meaning("numbers"))
        # A backend may name an output that the file does not list.
        spec = specs.get(name) or TensorSpec(name, case.reference[0][name].dtype, None)
        tolerance = _widened(_tolerance(gate, case), case.spread.get(name))
        answers = _answers(spec, meaning, tolerance, case, outputs, compared)
        if not any(answer.sure for of_sample in answers for answer in of_sample):
            # The reference commits itself to nothing: the numbers have to do.
            meaning = Meaning("numbers")
            answers = _answers(spec, meaning, tolerance, case, outputs, compared)
        told = [answer.fault for of_sample in answers for answer in of_sample if answer.sure]
        faults = _together(faults, told)
        metrics.append(_metric(meaning))
        reasons.append(_reason(gate, name, meaning, answers))
    metric = ", ".join(dict.fromkeys(metrics)) or "nothing"
    return Finding(
        _judgement(metric, case, faults), errors, "; ".join(filter(None, reasons)) or None
    )


def _answers(
    spec: TensorSpec,
    meaning: Meaning,
    tolerance: Tolerance,
    case: Case,
    outputs: Sequence[Outputs],
    compared: Sequence[Mapping[str, OutputError]],
) -> list[list[Answer]]:
    """For each sample what the output says of it."""
    name = spec.name
    return [
        answers_of(meaning, spec, ours[name], right[name], errors[name], tolerance=tolerance)
        for ours, right, errors in zip(outputs, case.reference, compared, strict=True)
    ]


def _reason(
    gate: AccuracyGate, name: str, meaning: Meaning, answers: Sequence[Sequence[Answer]]
) -> str | None:
    """Why an output is rejected: the first fault, where more are wrong than may be."""
    sure = [
        (i, answer.fault)
        for i, of_sample in enumerate(answers)
        for answer in of_sample
        if answer.sure
    ]
    wrong = [(i, fault) for i, fault in sure if fault is not None]
    least = 1.0
    if meaning.kind in ("classes", "detections") and gate.min_agreement is not None:
        least = gate.min_agreement
    if not wrong or 1 - len(wrong) / len(sure) >= least:
        return None
    i, fault = wrong[0]
    if not fault.startswith("output "):
        fault = f"output {name!r}: {fault}"
    return f"{fault} (sample {i + 1}; {len(wrong)} of {len(sure)} answers are wrong)"


def _together(one: list[str | None], other: list[str | None]) -> list[str | None]:
    """The faults of several outputs, image by image where they tell as many apart."""
    if len(one) != len(other):
        return one if len(one) > len(other) else other
    return [a or b for a, b in zip(one, other, strict=True)]


def _metric(meaning: Meaning) -> str:
    return {
        "classes": "top-1",
        "detections": "detections",
        "label map": "agreement",
        "numbers": "relative_l2",
    }[meaning.kind]


def _tolerance(gate: AccuracyGate, case: Case) -> Tolerance:
    """Of what is compared as numbers: a model of integers is never nearer than they round."""
    usual = tolerance_of(case.model) if case.model.quantized else RELAXED
    if gate.max_error is not None:  # asked for by name: its slices are not judged by ours
        return Tolerance(gate.max_error, usual.agreement)
    agreement = usual.agreement
    # That of a built-in gate is about answers.
    if gate.min_agreement is not None and gate.builtin is None:
        agreement = gate.min_agreement
    return Tolerance(usual.relative_l2, agreement, usual.slice_l2)


def _meanings(gate: AccuracyGate, case: Case) -> dict[str, Meaning]:
    """What each output is judged as: as the gate says where that fits, else as is recognised."""
    if gate.metric is None:
        return dict(case.meanings)
    found = dict(case.meanings)
    for spec in _fitting(gate, case):
        found[spec.name] = _asked(gate, case.meanings[spec.name])
    return found


def _asked(gate: AccuracyGate, known: Meaning) -> Meaning:
    if gate.metric == "top-1":
        return Meaning("classes")
    if gate.metric == "detections":
        return Meaning("detections", head=known.head)
    if gate.metric == "agreement":
        return known if known.kind == "label map" else Meaning("label map", axis=1)
    return Meaning("numbers")


def _fitting(gate: AccuracyGate, case: Case) -> list[TensorSpec]:
    """The outputs that the gate's metric can judge.  Raises InputError where there is none."""
    found = []
    for spec in case.model.outputs:
        if spec.name not in case.reference[0] or spec.name in case.unsteady:
            continue
        meaning = case.meanings[spec.name]
        holds_numbers = meaning.kind != "label map" or meaning.axis is not None
        shape = case.reference[0][spec.name].shape
        asked = _asked(gate, meaning)
        if (holds_numbers or gate.metric == "agreement") and fits(asked, shape):
            found.append(spec)
    if not found:
        outputs = "; ".join(map(str, case.model.outputs))
        raise InputError(
            f"the metric {gate.metric!r} fits no output of {case.model.path.name}: {outputs}",
            hint="give another metric, or a function",
        )
    return found
