from __future__ import annotations

import re

import numpy as np
import pytest

from hwrt.measure.detections import decode, disagreement, head_of

ANCHORS = 20
# Centre x, centre y, width, height; score; class.
CAT = (100.0, 100.0, 80.0, 60.0, 0.9, 0)
DOG = (400.0, 300.0, 100.0, 100.0, 0.6, 1)


def head(*objects: tuple[float, ...], classes: int = 3) -> np.ndarray:
    """A YOLOv8 head's output (1, 4 + classes, anchors) that tells of these objects."""
    output = np.zeros((1, 4 + classes, ANCHORS), np.float32)
    for anchor, (*box, score, number) in enumerate(objects):
        output[0, :4, anchor] = box
        output[0, 4 + int(number), anchor] = score
    return output


def changed(one: tuple[float, ...], **to: float) -> tuple[float, ...]:
    return (*[to.get(key, value) for key, value in zip("xywhsc", one, strict=True)],)


def test_the_same_objects_agree() -> None:
    assert disagreement(head(CAT, DOG), head(DOG, CAT), "yolov8") == [None]


KEPT = {
    "a box 2 pixels aside": changed(DOG, x=402.0),
    "a score 0.07 lower": changed(DOG, s=0.53),
    "a score 0.07 higher": changed(DOG, s=0.67),
}


@pytest.mark.parametrize("dog", KEPT.values(), ids=KEPT)
def test_what_is_near_enough_agrees(dog: tuple[float, ...]) -> None:
    assert disagreement(head(CAT, dog), head(CAT, DOG), "yolov8") == [None]


WRONG = {
    "moved": (changed(DOG, x=412.0), r"lost or changed: class 1 .* IoU 0\.79"),
    "grown": (changed(DOG, w=120.0), r"lost or changed: class 1 .* IoU 0\.83"),
    "of another class": (changed(DOG, c=2), "lost or changed: class 1 .*nearest is class 2"),
    "less certain": (changed(DOG, s=0.51), "lost or changed: class 1 with the score 0.600"),
    "more certain": (changed(DOG, s=0.69), "lost or changed: class 1 with the score 0.600"),
    "no longer seen": (changed(DOG, s=0.1), "lost or changed: class 1"),
}


@pytest.mark.parametrize(("dog", "fault"), WRONG.values(), ids=WRONG)
def test_an_object_that_changed_is_a_fault(dog: tuple[float, ...], fault: str) -> None:
    (found,) = disagreement(head(CAT, dog), head(CAT, DOG), "yolov8")

    assert found is not None
    assert re.match(fault, found)


def test_an_object_too_many_is_a_fault() -> None:
    (found,) = disagreement(head(CAT, DOG), head(CAT), "yolov8")

    assert found == "added: class 1 with the score 0.600 at (350, 250, 450, 350)"


def test_nothing_where_something_was_is_a_fault() -> None:
    (found,) = disagreement(head(), head(CAT), "yolov8")

    assert found is not None
    assert found.endswith("there is nothing")


def test_an_object_near_the_threshold_may_be_lost() -> None:
    faint = changed(DOG, s=0.32)

    assert disagreement(head(CAT), head(CAT, faint), "yolov8") == [None]


def test_an_object_beyond_the_threshold_may_not_be_lost() -> None:
    faint = changed(DOG, s=0.34)

    assert disagreement(head(CAT), head(CAT, faint), "yolov8") != [None]


def test_an_object_that_the_reference_all_but_sees_may_be_added() -> None:
    ours, theirs = changed(DOG, s=0.26), changed(DOG, s=0.2)

    assert disagreement(head(CAT, ours), head(CAT, theirs), "yolov8") == [None]


@pytest.mark.parametrize("score", [0.0, 0.16])
def test_a_faint_object_of_which_the_reference_knows_nothing_may_not_be_added(
    score: float,
) -> None:
    ours, theirs = changed(DOG, s=0.26), changed(DOG, s=score)

    assert disagreement(head(CAT, ours), head(CAT, theirs), "yolov8") != [None]


def test_one_object_is_no_partner_of_two() -> None:
    twin = changed(CAT, x=104.0, s=0.88)
    apart = head(CAT, changed(twin, c=0))
    # Without suppression both would stand there; of one class the second is suppressed.
    two = head(CAT, changed(CAT, x=400.0))

    (found,) = disagreement(apart, two, "yolov8")

    assert found is not None
    assert "lost" in found


@pytest.mark.parametrize(
    "side", [{"w": 0.0}, {"w": np.inf}, {"x": np.inf}], ids=["no area", "no end", "no place"]
)
def test_a_box_without_measure_is_the_same_as_itself(side: dict[str, float]) -> None:
    odd = head(CAT, changed(DOG, **side))

    assert disagreement(odd, odd, "yolov8") == [None]


def test_each_image_of_a_batch_is_judged_alone() -> None:
    ours = np.concatenate([head(CAT), head(CAT)])
    theirs = np.concatenate([head(CAT), head(CAT, DOG)])

    first, second = disagreement(ours, theirs, "yolov8")

    assert first is None
    assert second is not None


def test_a_yolov5_head_is_read_with_its_objectness() -> None:
    output = np.zeros((1, ANCHORS, 8), np.float32)
    output[0, 3] = (100, 100, 80, 60, 0.5, 0, 0.8, 0)

    (objects,) = decode(output, "yolov5")

    assert objects.scores.tolist() == pytest.approx([0.4])
    assert objects.classes.tolist() == [1]


def test_the_shape_tells_the_head() -> None:
    assert head_of((1, 84, 8400)) == "yolov8"
    assert head_of((1, 25200, 85)) == "yolov5"


def test_a_head_of_doubles_and_halves_is_read() -> None:
    for dtype in (np.float64, np.float16):
        (objects,) = decode(head(CAT).astype(dtype), "yolov8")

        assert objects.classes.tolist() == [0]
