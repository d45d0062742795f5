from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.measure.gate import AccuracyGate, gate_of


def drift(outputs: Any, reference: Any, feeds: Any) -> float:
    return 0.0


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown metric": ({"metric": "psnr"}, "metric is 'psnr'"),
    "a function without a bound": ({"metric": drift}, "needs a bound"),
    "a function with two": (
        {"metric": drift, "max_error": 1.0, "min_agreement": 0.5},
        "needs a bound",
    ),
    "a negative error": ({"max_error": -1}, "max_error is -1"),
    "no number": ({"max_error": "small"}, "max_error is 'small'"),
    "NaN": ({"max_error": math.nan}, "max_error is nan"),
    "infinity": ({"max_error": math.inf}, "max_error is inf"),
    "more than all": ({"min_agreement": 1.1}, "min_agreement is 1.1"),
    "a bool": ({"min_agreement": True}, "min_agreement is True"),
    "an error of detections": (
        {"metric": "detections", "max_error": 0.1},
        "has no use for max_error",
    ),
    "a share of numbers": (
        {"metric": "relative_l2", "min_agreement": 0.9},
        "has no use for min_agreement",
    ),
    "labels of numbers": ({"metric": "relative_l2", "labels": [1]}, "has no use for labels"),
    "a key of a name": ({"metric": "top-1", "key": "mine"}, "has no use for key"),
    "an empty key": ({"metric": drift, "max_error": 1.0, "key": ""}, "key is ''"),
    "an iterator of labels": ({"metric": "top-1", "labels": iter([1])}, "labels is a"),
    "one text as labels": ({"metric": "top-1", "labels": "cat"}, "labels is a str"),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_a_gate_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AccuracyGate(**arguments)


@pytest.mark.parametrize("accuracy", ["f99", None, 1e-3, "F32"])
def test_an_accuracy_that_is_none_is_refused(accuracy: Any) -> None:
    with pytest.raises(InputError, match="which this version does not have"):
        gate_of(accuracy)


@pytest.mark.parametrize("name", ["f32", "relaxed"])
def test_the_named_gates_are_called_by_their_names(name: str) -> None:
    assert gate_of(name).name == name


def test_f32_alone_admits_no_reduced_precision() -> None:
    assert not gate_of("f32").admits_reduced
    assert gate_of("relaxed").admits_reduced
    assert AccuracyGate(metric="relative_l2", max_error=1e-3).admits_reduced


def test_a_function_without_key_has_no_name_to_cache_by() -> None:
    assert AccuracyGate(metric=drift, max_error=1.0).name is None
    assert AccuracyGate(metric=drift, max_error=1.0, key="drift 1").name is not None


DIFFERENT = [
    AccuracyGate(),
    AccuracyGate(max_error=0.1),
    AccuracyGate(metric="relative_l2", max_error=0.1),
    AccuracyGate(metric="relative_l2", max_error=0.2),
    AccuracyGate(metric="top-1"),
    AccuracyGate(metric="top-1", min_agreement=0.9),
    AccuracyGate(metric="top-1", labels=[1, 2]),
    AccuracyGate(metric="top-1", labels=[2, 1]),
    AccuracyGate(metric="top-1", reference=[{"y": np.zeros(3)}]),
    AccuracyGate(metric="top-1", reference=[{"y": np.ones(3)}]),
    AccuracyGate(metric=drift, max_error=0.1, key="drift"),
    AccuracyGate(metric=drift, max_error=0.1, key="top-1"),
]


def test_gates_that_ask_for_something_else_have_other_names() -> None:
    names = [gate.name for gate in DIFFERENT]

    assert len(set(names)) == len(names)


def test_a_function_may_not_pass_for_a_metric_by_its_key() -> None:
    by_key = AccuracyGate(metric=drift, min_agreement=1.0, key="top-1")

    assert by_key.name != AccuracyGate(metric="top-1", min_agreement=1.0).name


def test_what_random_numbers_can_show_needs_no_samples() -> None:
    assert not gate_of("f32").needs_samples
    assert not AccuracyGate(metric="relative_l2", max_error=1e-3).needs_samples
    assert gate_of("relaxed").needs_samples
    assert AccuracyGate().needs_samples


def test_each_sample_needs_a_label() -> None:
    gate = AccuracyGate(metric="top-1", labels=[3, 4])

    gate.check_samples(2)
    with pytest.raises(InputError, match="labels holds 2 for 3 samples"):
        gate.check_samples(3)


def test_each_sample_needs_its_reference() -> None:
    with pytest.raises(InputError, match="reference holds 0 for 1 samples"):
        AccuracyGate(reference=[]).check_samples(1)


def test_relaxed_without_samples_is_refused() -> None:
    with pytest.raises(InputError, match="accuracy is 'relaxed' and there are no samples"):
        gate_of("relaxed").check_samples(None)
