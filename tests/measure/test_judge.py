from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.measure.gate import AS_GIVEN, AccuracyGate, gate_of
from hwrt.measure.judge import Case, Finding, judge
from hwrt.measure.output_error import OutputError
from hwrt.model.meaning import Meaning, meanings
from hwrt.spec import ModelInfo, Quantization, TensorSpec

RELAXED = gate_of("relaxed")
F32 = gate_of("f32")


def model(*shapes: tuple[int, ...], dtype: Any = np.float32, **of_model: Any) -> ModelInfo:
    outputs = tuple(
        TensorSpec(name, np.dtype(dtype), shape) for name, shape in zip("yz", shapes, strict=False)
    )
    values = {"format": "onnx", "sha256": "", "size_bytes": 0, "inputs": (), "outputs": outputs}
    return ModelInfo(path=Path("none.onnx"), **{**values, **of_model})


def judged(
    gate: AccuracyGate,
    info: ModelInfo,
    outputs: Sequence[Any],
    reference: Sequence[Any],
    **of_case: Any,
) -> Finding:
    """Of one output ``y``, one array for each sample."""
    case = Case(
        model=info,
        meanings=of_case.pop("meanings", meanings(info)),
        reference=[{"y": np.asarray(array)} for array in reference],
        feeds=[{"x": np.array(i)} for i in range(len(reference))],
        given=of_case.pop("given", True),
        **of_case,
    )
    return judge(gate, case, [{"y": np.asarray(array)} for array in outputs])


def shares(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


CLASSES = model((1, 3))
SURE = shares(0.7, 0.2, 0.1)


def test_the_same_best_class_passes() -> None:
    found = judged(RELAXED, CLASSES, [shares(0.6, 0.3, 0.1)], [SURE])

    assert found.reason is None
    assert (found.judgement.metric, found.judgement.answers, found.judgement.wrong) == (
        "top-1",
        1,
        0,
    )


def test_another_best_class_than_a_sure_one_is_rejected() -> None:
    found = judged(RELAXED, CLASSES, [SURE, shares(0.4, 0.5, 0.1)], [SURE, shares(0.5, 0.4, 0.1)])

    assert found.reason == (
        "output 'y': the best class is 1 where the reference has 0, by 0.100 (output error 0.100) "
        "(sample 2; 1 of 2 answers are wrong)"
    )
    assert found.judgement.wrong == 1


def test_another_best_class_within_the_output_error_counts_as_no_answer() -> None:
    found = judged(
        RELAXED, CLASSES, [SURE, shares(0.42, 0.43, 0.15)], [SURE, shares(0.43, 0.42, 0.15)]
    )

    assert found.reason is None
    assert found.judgement.answers == 1


def test_a_large_error_does_not_excuse_itself() -> None:
    found = judged(RELAXED, CLASSES, [SURE, shares(0.3, 0.6, 0.1)], [SURE, shares(0.5, 0.35, 0.15)])

    assert found.reason is not None


def test_where_the_reference_is_sure_of_nothing_the_numbers_count() -> None:
    undecided = shares(0.335, 0.333, 0.332)

    near = judged(RELAXED, CLASSES, [shares(0.331, 0.333, 0.336)], [undecided])
    far = judged(RELAXED, CLASSES, [shares(0.32, 0.33, 0.35)], [undecided])

    assert near.reason is None
    assert near.judgement.metric == "relative_l2"
    assert far.reason is not None


def test_logits_are_judged_as_probabilities() -> None:
    # 12.0 before 11.9 is a margin of five hundredths, within an error of 0.2.
    found = judged(
        RELAXED,
        CLASSES,
        [shares(12.0, 1.0, 0.0), shares(11.9, 12.1, 0.0)],
        [shares(12.0, 1.0, 0.0), shares(12.0, 11.9, 0.0)],
    )

    assert found.reason is None
    assert found.judgement.answers == 1


def test_a_vector_that_may_be_an_embedding_may_not_turn() -> None:
    reference = np.array([[3.0, *np.ones(30)]], np.float32)
    turned = np.array([[3.0, *np.ones(20), *-np.ones(10)]], np.float32)

    found = judged(RELAXED, model((1, 31)), [turned], [reference])

    assert found.reason is not None
    assert "exceeds 0.2" in found.reason


def test_each_image_of_a_batch_is_an_answer() -> None:
    batch = np.concatenate([SURE, shares(0.1, 0.8, 0.1)])
    wrong = np.concatenate([SURE, shares(0.8, 0.1, 0.1)])

    found = judged(AccuracyGate(metric="top-1"), model((2, 3)), [wrong], [batch])

    assert (found.judgement.samples, found.judgement.answers) == (1, 2)


def test_classes_in_a_map_of_one_place_are_classes() -> None:
    found = judged(
        RELAXED, model((1, 3, 1, 1)), [SURE.reshape(1, 3, 1, 1)], [SURE.reshape(1, 3, 1, 1)]
    )

    assert found.judgement.metric == "top-1"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "gate",
    [
        F32,
        RELAXED,
        AccuracyGate(metric="top-1", min_agreement=0.0),
        AccuracyGate(metric="top-1", labels=[0], min_agreement=0.0),
        AccuracyGate(metric="relative_l2", max_error=1e30),
        AccuracyGate(metric=lambda *_: 0.0, max_error=1.0),
    ],
    ids=["f32", "relaxed", "top-1", "labels", "relative_l2", "a function"],
)
def test_what_is_not_finite_fails_at_any_gate(gate: AccuracyGate, bad: float) -> None:
    found = judged(gate, CLASSES, [shares(0.7, 0.2, bad)], [SURE])

    assert found.reason is not None


@pytest.mark.parametrize("gate", [F32, RELAXED, AccuracyGate(metric="relative_l2", max_error=1.0)])
def test_another_shape_fails_at_any_gate(gate: AccuracyGate) -> None:
    found = judged(gate, CLASSES, [SURE[:, :2]], [SURE])

    assert found.reason is not None
    assert "shape (1, 2) where the reference has (1, 3)" in found.reason


def test_infinities_that_the_reference_has_too_pass() -> None:
    numbers = np.linspace(1, 2, 64, dtype=np.float32).reshape(1, 4, 16)
    numbers[0, 0, 0] = np.inf

    assert judged(RELAXED, model((1, 4, 16)), [numbers], [numbers]).reason is None


def test_numbers_of_unknown_meaning_may_be_2_in_a_hundred_off() -> None:
    info, numbers = model((1, 4, 16)), np.linspace(1, 2, 64, dtype=np.float32).reshape(1, 4, 16)

    assert judged(RELAXED, info, [numbers * 1.015], [numbers]).reason is None
    assert judged(RELAXED, info, [numbers * 1.025], [numbers]).reason is not None


def test_a_bound_of_ones_own_takes_the_place_of_ours() -> None:
    info, numbers = model((1, 4, 16)), np.linspace(1, 2, 64, dtype=np.float32).reshape(1, 4, 16)
    gate = AccuracyGate(metric="relative_l2", max_error=0.5)

    assert judged(gate, info, [numbers * 1.4], [numbers]).reason is None
    assert judged(gate, info, [numbers * 1.6], [numbers]).reason is not None


def test_a_label_map_may_differ_in_one_place_of_a_hundred() -> None:
    info, places = model((1, 20, 20), dtype=np.int64), np.zeros((1, 20, 20), np.int64)
    near, far = places.copy(), places.copy()
    near[0, 0, :4], far[0, 0, :5] = 1, 1

    assert judged(RELAXED, info, [near], [places]).reason is None
    assert judged(RELAXED, info, [far], [places]).reason is not None
    assert judged(RELAXED, info, [near], [places]).judgement.metric == "agreement"


def test_the_scores_of_a_segmentation_are_judged_by_their_map() -> None:
    info = model((1, 2, 20, 20), metadata={"task": "segment"})
    scores = np.zeros((1, 2, 20, 20), np.float32)
    scores[0, 1] = 1
    noisy, wrong = scores * 1.3, scores.copy()
    wrong[0, 0, 0] = 2

    assert judged(RELAXED, info, [noisy], [scores]).reason is None
    assert judged(RELAXED, info, [wrong], [scores]).reason is not None


def head(score: float, number: int = 0, x: float = 100.0) -> np.ndarray:
    output = np.zeros((1, 6, 20), np.float32)
    output[0, :4, 0] = (x, 100, 80, 60)
    output[0, 4 + number, 0] = score
    return output


DETECTOR = model((1, 6, 20), metadata={"task": "detect"})


def test_objects_are_judged_where_the_model_says_that_it_detects() -> None:
    kept = judged(RELAXED, DETECTOR, [head(0.85)], [head(0.9)])
    lost = judged(RELAXED, DETECTOR, [head(0.9), head(0.1)], [head(0.9), head(0.9)])

    assert kept.reason is None
    assert kept.judgement.metric == "detections"
    assert lost.reason is not None
    assert lost.reason.startswith("output 'y': lost or changed: class 0 with the score 0.900")
    assert lost.reason.endswith("(sample 2; 1 of 2 answers are wrong)")


def test_an_image_without_objects_is_no_answer() -> None:
    found = judged(RELAXED, DETECTOR, [head(0.9), head(0.0)], [head(0.9), head(0.0)])

    assert (found.judgement.samples, found.judgement.answers) == (2, 1)


def test_a_detector_that_sees_nothing_at_all_is_judged_by_its_numbers() -> None:
    found = judged(RELAXED, DETECTOR, [head(0.1, x=300)], [head(0.1)])

    assert found.judgement.metric == "relative_l2"
    assert found.reason is not None


def test_objects_added_to_nothing_are_a_fault() -> None:
    found = judged(RELAXED, DETECTOR, [head(0.9)], [head(0.0)])

    assert found.reason is not None
    assert "added: class 0" in found.reason


def test_without_a_word_of_detection_a_head_is_numbers() -> None:
    found = judged(RELAXED, model((1, 6, 20)), [head(0.85)], [head(0.9)])

    assert found.judgement.metric == "relative_l2"


def test_the_gate_may_say_that_outputs_are_detections() -> None:
    gate = AccuracyGate(metric="detections")

    assert judged(gate, model((1, 6, 20)), [head(0.85)], [head(0.9)]).reason is None


def test_a_share_of_the_images_may_be_wrong_where_it_is_allowed() -> None:
    ours, theirs = [head(0.9), head(0.9, 1)], [head(0.9), head(0.9)]

    half = judged(AccuracyGate(metric="detections", min_agreement=0.5), DETECTOR, ours, theirs)
    most = judged(AccuracyGate(metric="detections", min_agreement=0.6), DETECTOR, ours, theirs)

    assert half.reason is None
    assert half.judgement.wrong == 1
    assert most.reason is not None


def test_quantised_scores_are_judged_as_what_they_stand_for() -> None:
    spec = TensorSpec("y", np.dtype(np.uint8), (1, 3), quantization=Quantization((1 / 256,), (0,)))
    info = model(outputs=(spec,), metadata={"task": "classify"}, quantized=True)
    right, flipped = np.array([[180, 51, 25]], np.uint8), np.array([[51, 180, 25]], np.uint8)

    assert judged(RELAXED, info, [right - 5], [right]).reason is None
    assert judged(RELAXED, info, [flipped], [right]).reason is not None


def test_engines_of_a_quantised_model_agree_in_three_of_four_answers() -> None:
    flipped = shares(0.2, 0.7, 0.1)

    most = judged(AS_GIVEN, CLASSES, [SURE, SURE, SURE, flipped], [SURE] * 4)
    half = judged(AS_GIVEN, CLASSES, [SURE, SURE, flipped, flipped], [SURE] * 4)

    assert most.reason is None
    assert half.reason is not None


def test_their_label_maps_agree_as_nearly_as_ever() -> None:
    info = model((1, 20, 20), dtype=np.int64, quantized=True)
    places = np.zeros((1, 20, 20), np.int64)
    far = places.copy()
    far[0, :2] = 1

    assert judged(AS_GIVEN, info, [far], [places]).reason is not None


def test_a_metric_that_fits_no_output_is_an_error() -> None:
    with pytest.raises(InputError, match="the metric 'detections' fits no output of none"):
        judged(AccuracyGate(metric="detections"), CLASSES, [SURE], [SURE])


def test_a_function_judges_each_sample_by_its_outputs_reference_and_feeds() -> None:
    seen: list[Any] = []

    def metric(outputs: Any, reference: Any, feeds: Any) -> float:
        seen.append((outputs["y"], reference["y"], int(feeds["x"])))
        return float(np.abs(outputs["y"] - reference["y"]).max())

    gate = AccuracyGate(metric=metric, max_error=0.15)
    near = judged(gate, CLASSES, [SURE, SURE + 0.1], [SURE, SURE])
    far = judged(gate, CLASSES, [SURE, SURE + 0.2], [SURE, SURE])

    assert near.reason is None
    assert [number for _, _, number in seen] == [0, 1, 0, 1]
    assert far.reason == "metric is 0.2 for a sample, which exceeds 0.15"


def test_a_function_gets_the_label_of_its_sample() -> None:
    labels: list[Any] = []

    def metric(outputs: Any, reference: Any, feeds: Any, label: Any) -> float:
        labels.append(label)
        return float(np.argmax(outputs["y"]) == label)

    gate = AccuracyGate(metric=metric, min_agreement=0.75, labels=[0, 2])
    found = judged(gate, CLASSES, [SURE, SURE], [SURE, SURE])

    assert labels == [0, 2]
    assert found.reason == "metric is 0.5 in the mean, 0.75 is asked for"


@pytest.mark.parametrize("bound", [{"max_error": 1.0}, {"min_agreement": 0.0}])
def test_a_function_that_gives_nan_rejects(bound: dict[str, float]) -> None:
    gate = AccuracyGate(metric=lambda *_: np.nan, **bound)

    assert judged(gate, CLASSES, [SURE], [SURE]).reason is not None


def test_a_function_that_gives_no_number_is_an_error() -> None:
    gate = AccuracyGate(metric=lambda *_: "fine", max_error=1.0, key="mine")

    with pytest.raises(InputError, match="the metric mine gave 'fine'"):
        judged(gate, CLASSES, [SURE], [SURE])


def test_by_labels_a_candidate_must_be_right_as_often_as_the_reference() -> None:
    gate = AccuracyGate(metric="top-1", labels=[0, 1])
    other = shares(0.1, 0.8, 0.1)

    same = judged(gate, CLASSES, [SURE, SURE], [SURE, SURE])
    better = judged(gate, CLASSES, [SURE, other], [SURE, SURE])
    worse = judged(gate, CLASSES, [other, SURE], [SURE, SURE])

    assert (same.reason, better.reason) == (None, None)
    assert better.judgement.wrong == 0
    assert worse.reason == (
        "output 'y': 0.0% of the labels are met, 50.0% must be; the reference meets 50.0%"
    )


def test_f32_is_a_matter_of_numbers_even_of_classes() -> None:
    found = judged(F32, CLASSES, [SURE * 1.001], [SURE])

    assert found.reason is not None
    assert "relative l2 error 0.001 exceeds 0.0001" in found.reason


def test_no_candidate_need_come_nearer_than_the_reference_to_itself() -> None:
    info, numbers = model((1, 4, 16)), np.linspace(1, 2, 64, dtype=np.float32).reshape(1, 4, 16)
    spread = {"y": OutputError(relative_l2=9e-5, slice_l2=9e-5)}

    assert judged(F32, info, [numbers * 1.00015], [numbers]).reason is not None
    assert judged(F32, info, [numbers * 1.00015], [numbers], spread=spread).reason is None


def test_an_unsteady_output_judges_nobody() -> None:
    found = judged(F32, CLASSES, [SURE * 3], [SURE], unsteady=frozenset("y"))

    assert found.reason is None


def test_an_output_that_the_model_does_not_have_is_a_fault() -> None:
    case = Case(CLASSES, meanings(CLASSES), [{"y": SURE}], [{}], given=True)

    found = judge(RELAXED, case, [{"y": SURE, "extra": SURE}])

    assert found.reason is not None
    assert "the reference has no such output" in found.reason


def test_a_missing_output_is_a_fault() -> None:
    case = Case(CLASSES, meanings(CLASSES), [{"y": SURE}], [{}], given=True)

    found = judge(RELAXED, case, [{}])

    assert found.reason is not None
    assert "the output is missing" in found.reason


def test_every_output_has_to_be_right() -> None:
    info = model((1, 3), (1, 4, 16))
    numbers = np.ones((1, 4, 16), np.float32)
    case = Case(info, meanings(info), [{"y": SURE, "z": numbers}], [{}], given=True)

    found = judge(RELAXED, case, [{"y": SURE, "z": numbers * 1.1}])

    assert found.reason is not None
    assert found.reason.startswith("output 'z': relative l2 error 0.1")
    assert found.judgement.wrong == 1


def test_the_judgement_bounds_the_share_of_wrong_answers() -> None:
    found = judged(RELAXED, CLASSES, [SURE] * 13, [SURE] * 13)

    assert found.judgement.bound == pytest.approx(0.2058, abs=1e-4)
    assert found.judgement.note is not None


MEANINGS: dict[str, tuple[ModelInfo, Meaning]] = {
    "a classifier's": (
        model((1, 1000), metadata={"task": "classify"}),
        Meaning("classes"),
    ),
    "what looks like one": (model((1, 1000)), Meaning("classes", stated=False)),
    "a single number": (model((1, 1)), Meaning("numbers")),
    "a sequence's": (model((1, 128, 384)), Meaning("numbers")),
    "a detector's": (
        model((1, 84, 8400), metadata={"task": "detect", "yolo_head": "yolov8"}),
        Meaning("detections", head="yolov8"),
    ),
    "integers": (model((1, 9), dtype=np.int64), Meaning("label map")),
    "another task's": (model((1, 1000), metadata={"task": "pose"}), Meaning("numbers")),
}


@pytest.mark.parametrize(("info", "meaning"), MEANINGS.values(), ids=MEANINGS)
def test_what_an_output_means(info: ModelInfo, meaning: Meaning) -> None:
    assert meanings(info) == {"y": meaning}


def test_a_task_says_nothing_of_several_outputs() -> None:
    info = model((1, 84, 8400), (1, 3, 8, 8), metadata={"task": "detect"})

    assert meanings(info) == {"y": Meaning("numbers"), "z": Meaning("numbers")}


def test_the_sidecar_says_what_the_metadata_does_not(tmp_path: Path) -> None:
    (tmp_path / "net.onnx.hwrt.json").write_text('{"task": "detect", "head": "yolov5"}')
    info = model((1, 25200, 85))

    found = meanings(ModelInfo(**{**vars(info), "path": tmp_path / "net.onnx"}))

    assert found == {"y": Meaning("detections", head="yolov5")}
