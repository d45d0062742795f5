"""Who judges candidates, and what is admitted by which gate."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import hwrt
from hwrt.measure.gate import AccuracyGate
from hwrt.measure.measurement import Measurement
from hwrt.model import read
from hwrt.tuning import onnx_reference
from hwrt.tuning.judging import Reference
from hwrt.tuning.tuner import Evidence, measure
from hwrt.tuning.wish import Effort, Wish

pytestmark = pytest.mark.slow  # each tunes anew, in child processes

Install = Callable[..., None]
Model = Callable[..., Path]

EFFORT = Effort(min_seconds=0.02, min_samples=4, window_s=0.005, warm_up_s=0.05)
CLASSES = np.zeros((1, 16), np.float32)
CLASSES[0, 0] = 1
SAMPLES = [{"x": np.roll(CLASSES, i)} for i in range(13)]


def tuned(path: Path, *, cache_root: Path | None = None, **arguments: Any) -> Evidence:
    feeds = arguments.pop("feeds", SAMPLES)
    return measure(
        read(path),
        Wish(threads=1, **arguments),
        machine="here",
        effort=EFFORT,
        cache_root=cache_root,
        feeds=feeds,
    )


def of(evidence: Evidence, backend: str, precision: str) -> Measurement:
    (found,) = [
        m
        for m in evidence.measurements
        if (m.candidate.backend, m.candidate.options.precision) == (backend, precision)
    ]
    return found


def test_f32_tries_no_reduced_precision(install: Install, relu_model: Model) -> None:
    install("Judge", "Reduced")

    evidence = tuned(relu_model())

    assert [m.candidate.options.precision for m in evidence.measurements] == ["f32"]


def test_relaxed_admits_reduced_precision_that_keeps_the_answers(
    install: Install, relu_model: Model
) -> None:
    install("Judge", "Reduced")

    evidence = tuned(relu_model(), accuracy="relaxed")

    reduced = of(evidence, "reduced", "bf16")
    assert reduced.status == "ok"
    assert reduced.judgement is not None
    assert (reduced.judgement.metric, reduced.judgement.samples, reduced.judgement.wrong) == (
        "top-1",
        13,
        0,
    )
    assert reduced.judgement.bound == pytest.approx(0.2058, abs=1e-4)


def test_relaxed_rejects_reduced_precision_that_changes_an_answer(
    install: Install, relu_model: Model
) -> None:
    install("Judge", "Reverses")

    evidence = tuned(relu_model(), accuracy="relaxed")

    wrong = of(evidence, "reverses", "bf16")
    assert wrong.status == "rejected"
    assert wrong.reason is not None
    assert "13 of 13 answers are wrong" in wrong.reason
    assert of(evidence, "reverses", "f32").status == "ok"


def test_a_gate_of_ones_own_decides(install: Install, relu_model: Model) -> None:
    install("Judge", "Reduced")

    near = tuned(relu_model(), accuracy=AccuracyGate(metric="relative_l2", max_error=0.02))
    strict = tuned(relu_model(), accuracy=AccuracyGate(metric="relative_l2", max_error=0.005))

    assert of(near, "reduced", "bf16").status == "ok"
    assert of(strict, "reduced", "bf16").status == "rejected"


def test_a_function_of_ones_own_sees_outputs_reference_feeds_and_label(
    install: Install, relu_model: Model
) -> None:
    install("Judge", "Reverses")
    labels = list(range(13))

    def misses(outputs: Any, reference: Any, feeds: Any, label: int) -> float:
        assert np.array_equal(np.maximum(feeds["x"], 0), reference["y"])
        return float(np.argmax(outputs["y"]) != label)

    gate = AccuracyGate(metric=misses, max_error=0, labels=labels)
    evidence = tuned(relu_model(), accuracy=gate)

    assert of(evidence, "reverses", "f32").status == "ok"
    assert of(evidence, "reverses", "bf16").reason == ("misses is 1 for a sample, which exceeds 0")


def test_fewer_labels_than_samples_are_an_error(install: Install, relu_model: Model) -> None:
    install("Judge", "Reduced")

    with pytest.raises(hwrt.InputError, match="labels holds 2 for 13 samples"):
        tuned(relu_model(), accuracy=AccuracyGate(metric="top-1", labels=[0, 1]))


def test_reduced_precision_that_nothing_judges_is_not_admitted(
    install: Install, relu_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Reduced")
    monkeypatch.setattr(onnx_reference, "unfit", lambda task: "onnx is not installed")

    evidence = tuned(relu_model(), accuracy="relaxed")

    reason = of(evidence, "reduced", "bf16").reason
    assert reason is not None
    assert reason.startswith("reduced precision is admitted by a judgement, and there is none")
    assert of(evidence, "reduced", "f32").status == "ok"


def test_a_device_without_f32_is_dropped_with_the_argument_that_admits_it(
    install: Install, relu_model: Model
) -> None:
    install("Judge", "Good", "Bf16Only")

    evidence = tuned(relu_model())

    assert evidence.dropped["bf16only cpu:0"] == (
        "it does not compute the model as its file states it, but in bf16: accuracy='relaxed' "
        "with samples= admits that"
    )


def test_a_device_without_f32_is_tried_where_relaxed_admits_it(
    install: Install, relu_model: Model
) -> None:
    install("Judge", "Bf16Only")

    evidence = tuned(relu_model(), accuracy="relaxed")

    assert of(evidence, "bf16only", "bf16").status == "ok"


def test_the_reference_is_checked_by_onnx(install: Install, relu_model: Model) -> None:
    install("Good", "Judge")

    evidence = tuned(relu_model())

    assert evidence.reference_check == "onnx.reference agrees"
    assert evidence.unverified is None


def test_a_reference_that_onnx_contradicts_gives_way_to_one_that_it_does_not(
    install: Install, relu_model: Model
) -> None:
    install("Good", "WrongJudge", "Judge")

    evidence = tuned(relu_model())

    assert evidence.reference == "judge cpu:0 precision=f32"
    assert evidence.unverified is None


def test_a_reference_that_onnx_contradicts_leaves_the_plan_unverified(
    install: Install, relu_model: Model
) -> None:
    install("Wrong", "WrongJudge")

    evidence = tuned(relu_model())

    assert evidence.unverified is not None
    assert evidence.unverified.startswith(
        "wrongjudge cpu:0 precision=f32 differs from onnx.reference: output 'y': relative l2"
    )


def test_the_check_is_remembered(
    install: Install, relu_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Good", "Judge")
    path = relu_model()
    tuned(path, cache_root=tmp_path / "kept")

    def evaluate(*_: Any, **__: Any) -> Any:
        raise AssertionError("it is evaluated again")

    monkeypatch.setattr(onnx_reference, "evaluate", evaluate)
    evidence = tuned(path, cache_root=tmp_path / "kept")

    assert evidence.reference_check == "onnx.reference agrees"


def test_a_model_that_onnx_can_not_evaluate_is_told_and_judged_by_the_backend(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Judge")
    path = relu_model()
    model = onnx.load(path)
    model.graph.node[0].domain = "nobodys"
    model.opset_import.append(helper.make_opsetid("nobodys", 1))
    onnx.save(model, path)

    evidence = tuned(path)

    assert evidence.reference == "judge cpu:0 precision=f32"
    assert evidence.unverified is None
    assert evidence.reference_check is not None
    assert evidence.reference_check.startswith("not checked: onnx.reference could not evaluate")


def test_a_check_that_came_to_nothing_is_remembered(
    install: Install, relu_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Good", "Judge")
    calls = []

    def evaluate(*_: Any, **__: Any) -> Any:
        calls.append(1)
        raise hwrt.BackendFailure("no answer after 20 s")

    monkeypatch.setattr(onnx_reference, "evaluate", evaluate)
    path = relu_model()
    told = [tuned(path, cache_root=tmp_path / "kept").reference_check for _ in range(2)]

    expected = "not checked: onnx.reference could not evaluate the model: no answer after 20 s"
    assert [expected, expected] == told
    assert len(calls) == 1


def test_without_a_backends_reference_onnx_is_the_reference(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Wrong", "Nan")

    evidence = tuned(relu_model())

    assert (evidence.reference, evidence.unverified) == ("onnx.reference", None)
    assert [m.status for m in evidence.measurements] == ["ok", "rejected", "rejected"]


def test_outputs_that_are_given_are_the_reference(install: Install, relu_model: Model) -> None:
    install("Judge", "Good", "Wrong")
    gate = AccuracyGate(
        metric="relative_l2",
        max_error=1e-3,
        reference=[{"y": sample["x"] * np.float32(1.02)} for sample in SAMPLES],
    )

    evidence = tuned(relu_model(), accuracy=gate)

    assert evidence.reference == "outputs that were given"
    assert [m.status for m in evidence.measurements] == ["rejected", "ok"]


def of_quantized(path: Path, feeds: Any) -> Evidence:
    return measure(
        dataclasses.replace(read(path), quantized=True),
        Wish(threads=1),
        machine="here",
        effort=EFFORT,
        cache_root=None,
        feeds=feeds,
    )


def test_a_quantised_model_keeps_the_answers_of_its_backends_default(
    install: Install, relu_model: Model
) -> None:
    install("Judge", "Integers")
    hair = np.zeros((1, 16), np.float32)
    hair[0, :2] = 0.503, 0.497

    evidence = of_quantized(relu_model(), [{"x": hair}])

    reason = of(evidence, "integers", "int8").reason
    assert of(evidence, "integers", "f32").status == "ok"
    assert reason is not None
    assert reason.startswith("against integers's default: output 'y': the best class is 1 where")


def test_random_numbers_are_no_task_for_a_quantised_model(
    install: Install, relu_model: Model
) -> None:
    install("Judge", "Integers")

    evidence = of_quantized(relu_model(), None)

    assert [m.status for m in evidence.measurements] == ["ok", "ok"]


@pytest.fixture
def half_random_model(tmp_path: Path) -> Path:
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 16))
        for name in ("x", "y", "drawn")
    ]
    nodes = [
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("RandomNormalLike", ["x"], ["drawn"]),
    ]
    graph = helper.make_graph(nodes, "half", tensors[:1], tensors[1:])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    path = tmp_path / "half.onnx"
    onnx.save(model, path)
    return path


def test_an_output_that_differs_from_run_to_run_is_told_and_the_others_judge(
    install: Install, half_random_model: Path
) -> None:
    install("HalfRandom")

    evidence = tuned(half_random_model)

    assert evidence.unverified == (
        "not judged, since the reference differs from one run to the next: 'drawn'"
    )
    (measurement,) = evidence.measurements
    assert measurement.status == "ok"
    assert set(measurement.output_error) == {"y"}


def test_a_candidates_outputs_outlive_the_files_that_they_came_in(
    install: Install, relu_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("Judge", "Good")
    left: list[list[str]] = []
    judge = Reference.judge

    def judge_and_look(self: Reference, task: Any, trial: Any, outputs: Any) -> None:
        left.append(sorted(path.name for path in task.scratch.iterdir()))
        judge(self, task, trial, outputs)

    monkeypatch.setattr(Reference, "judge", judge_and_look)
    (measurement,) = tuned(relu_model()).measurements

    assert measurement.status == "ok"
    assert left == [["evaluated", "feeds"]]


def test_random_numbers_show_nothing_of_the_inputs_to_come(
    install: Install, relu_model: Model
) -> None:
    install("Judge", "Good")

    evidence = tuned(relu_model(), feeds=None)

    (measurement,) = evidence.measurements
    assert measurement.judgement is not None
    assert measurement.judgement.bound is None
    assert measurement.judgement.note == "judged on random numbers"


def test_a_measurement_keeps_its_judgement_in_json(install: Install, relu_model: Model) -> None:
    install("Judge", "Good")

    (measurement,) = tuned(relu_model()).measurements

    assert Measurement.from_json(measurement.to_json()) == measurement
