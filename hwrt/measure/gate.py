"""The accuracy gate: by what a candidate's outputs are judged, and what they may be off by."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwrt.backend import Array
from hwrt.errors import InputError

__all__ = ["AS_GIVEN", "AccuracyGate", "Metric", "gate_of"]

Metric = Callable[..., float]
"""``metric(outputs, reference, feeds)`` for one sample, a label the fourth argument where there are
labels; outputs are by name, the candidate's and the reference's."""

_NAMES = ("top-1", "detections", "agreement", "relative_l2")
_BUILT_IN = ("f32", "relaxed")
_AS_GIVEN = "as given"


@dataclass(frozen=True)
class AccuracyGate:
    """What a candidate's outputs must keep of the reference's, on the samples.

    ``metric``: "top-1" (the best class of outputs (batch, classes)), "detections" (the objects of a
    YOLO head), "agreement" (equal elements), "relative_l2" (norm of the difference by norm of the
    reference), or a function of (outputs, reference, feeds) for one sample that gives a number;
    None: by what each output means, as ``accuracy="relaxed"`` does.
    ``max_error``: the most that ``relative_l2``, or a function's number for any sample, may be.
    ``min_agreement``: the least share of answers that must be right for "top-1" and "detections"
    (1 by default), of elements for "agreement", in each sample; the least mean of a function's
    numbers over the samples.  A function needs exactly one of the two.
    ``labels``: the truth, one for each sample in their order.  A function gets its sample's as a
    fourth argument; "top-1" then counts a class (or a sequence of them, one for each image of the
    batch) as right where it is the label, and by default as many must be right as the reference's.
    ``key``: a name for a function: what it computes.  Without it no plan is cached.
    ``reference``: outputs by name, one set for each sample in their order, which candidates are
    held against in the place of a backend's.

    NaN and infinities where the reference has none fail whatever the metric says.  The function is
    called in the user's process, in the thread that tunes; what it raises, the tuning raises.
    """

    metric: str | Metric | None = None
    max_error: float | None = None
    min_agreement: float | None = None
    key: str | None = None
    labels: Sequence[Any] | None = field(default=None, compare=False)
    reference: Sequence[Mapping[str, Array]] | None = field(default=None, compare=False)
    builtin: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check_metric(self)
        _check_bound("max_error", self.max_error, sys.float_info.max)
        _check_bound("min_agreement", self.min_agreement, 1.0)
        if self.key is not None and (not isinstance(self.key, str) or not self.key):
            raise InputError(f"key is {self.key!r}", hint="give a name for what metric computes")
        for name, values in (("labels", self.labels), ("reference", self.reference)):
            if values is not None and (
                isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__")
            ):
                raise InputError(
                    f"{name} is a {type(values).__name__}", hint="give a sequence, one a sample"
                )

    @property
    def name(self) -> str | None:
        """What tells this gate from others in the key of a plan; None: it is not to be cached."""
        if self.builtin is not None:
            return self.builtin
        if callable(self.metric) and self.key is None:
            return None
        told = {
            "metric": f"key:{self.key}" if callable(self.metric) else self.metric,
            "max_error": self.max_error,
            "min_agreement": self.min_agreement,
            "labels": _digest(self.labels),
            "reference": _digest(self.reference),
        }
        return json.dumps({key: value for key, value in told.items() if value is not None})

    @property
    def admits_reduced(self) -> bool:
        """True where precisions below the file's are to be tried."""
        return self.builtin != "f32"

    @property
    def needs_samples(self) -> bool:
        """True where random numbers can not show what is asked: they hold no objects."""
        if self.builtin is not None:
            return self.builtin != "f32"
        return self.metric != "relative_l2" or self.reference is not None

    def check_samples(self, samples: int | None) -> None:
        """Raise InputError where this many samples (None: random numbers) can not be judged.

        What is asked may need samples, and each sample a label or a reference.
        """
        if samples is None:
            if self.needs_samples:
                told = "an AccuracyGate" if self.builtin is None else repr(self.builtin)
                raise InputError(
                    f"accuracy is {told} and there are no samples",
                    hint="give samples= (feeds, or a folder of them or of images): random numbers "
                    "do not show whether answers are kept",
                )
            return
        for name, values in (("labels", self.labels), ("reference", self.reference)):
            if values is not None and len(values) < samples:
                raise InputError(
                    f"{name} holds {len(values)} for {samples} samples",
                    hint="give one for each sample, in their order",
                )


def gate_of(accuracy: str | AccuracyGate) -> AccuracyGate:
    """The gate that the argument ``accuracy`` names or is.  Raises InputError for anything else."""
    if isinstance(accuracy, AccuracyGate):
        return accuracy
    if accuracy not in _BUILT_IN:
        raise InputError(
            f"accuracy is {accuracy!r}, which this version does not have",
            hint="it has 'f32', 'relaxed' and hwrt.AccuracyGate(...)",
        )
    return AccuracyGate(builtin=accuracy)


def _check_metric(gate: AccuracyGate) -> None:
    metric, bounds = gate.metric, (gate.max_error, gate.min_agreement)
    if gate.builtin is not None and gate.builtin not in (*_BUILT_IN, _AS_GIVEN):
        raise InputError(f"builtin is {gate.builtin!r}", hint="leave it out")
    if callable(metric):
        if bounds.count(None) != 1:
            raise InputError(
                "a metric of one's own needs a bound",
                hint="give max_error= where it is an error, min_agreement= where more is better",
            )
        return
    if metric is not None and metric not in _NAMES:
        raise InputError(
            f"metric is {metric!r}", hint=f"give one of {', '.join(_NAMES)}, or a function"
        )
    unused = {
        "max_error": gate.max_error is not None and metric not in (None, "relative_l2"),
        "min_agreement": gate.min_agreement is not None and metric == "relative_l2",
        "labels": gate.labels is not None and metric != "top-1",
        "key": gate.key is not None,
    }
    for name, is_unused in unused.items():
        if is_unused:
            raise InputError(f"metric {metric!r} has no use for {name}", hint=f"leave {name}= out")


def _check_bound(name: str, value: object, most: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise InputError(f"{name} is {value!r}", hint=f"give a number from 0 to {most:g}")


def _digest(values: Sequence[Any] | None) -> str | None:
    if values is None:
        return None
    state = hashlib.sha256()
    for value in values:
        parts = sorted(value.items()) if isinstance(value, Mapping) else [("", value)]
        for name, part in parts:
            array = np.asarray(part)
            content = repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
            state.update(f"{name} {array.dtype} {array.shape}".encode() + content)
    return state.hexdigest()[:16]


AS_GIVEN = AccuracyGate(min_agreement=0.75, builtin=_AS_GIVEN)
"""For engines that run a quantised model, each rounding as it does: three of four answers agree.

Of 12 or 13 photographs, right engines say something else of up to 2 (YOLOv8n and MobileNetV2 as
TFLite, YOLOv8n as ONNX), one whose integers are wrong of 5 to 8.
"""
