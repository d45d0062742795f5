from __future__ import annotations

import json

import pytest

from hwrt.errors import InputError
from hwrt.measure.agreement import Judgement, answers_needed, disagreement_bound


@pytest.mark.parametrize(
    ("wrong", "answers", "bound"),
    [(0, 13, 0.2058), (0, 59, 0.0495), (0, 1, 0.95), (1, 20, 0.2161), (5, 5, 1.0)],
)
def test_the_bound_is_that_of_clopper_and_pearson(wrong: int, answers: int, bound: float) -> None:
    assert disagreement_bound(wrong, answers) == pytest.approx(bound, abs=1e-4)


@pytest.mark.parametrize(("wrong", "answers"), [(0, 0), (2, 1), (-1, 3)])
def test_counts_that_can_not_be_are_refused(wrong: int, answers: int) -> None:
    with pytest.raises(InputError, match=f"{wrong} wrong of {answers} answers"):
        disagreement_bound(wrong, answers)


def test_59_right_answers_show_5_in_a_hundred() -> None:
    assert answers_needed(0.05) == 59


def test_a_judgement_says_when_its_answers_are_too_few() -> None:
    few = Judgement.of("top-1", samples=13, answers=13, wrong=0, given=True)

    assert few.bound == pytest.approx(0.2058, abs=1e-4)
    assert few.note == "13 are too few to show that at most 5% differ: 59 are needed"


def test_a_judgement_of_enough_answers_has_no_note() -> None:
    enough = Judgement.of("top-1", samples=59, answers=59, wrong=0, given=True)

    assert enough.note is None


def test_random_numbers_bound_nothing() -> None:
    judgement = Judgement.of("relative_l2", samples=3, answers=3, wrong=0, given=False)

    assert (judgement.bound, judgement.note) == (None, "judged on random numbers")


def test_a_judgement_survives_json() -> None:
    judgement = Judgement.of("detections", samples=20, answers=18, wrong=1, given=True)

    assert Judgement.from_json(json.loads(json.dumps(judgement.to_json()))) == judgement


def test_another_document_is_no_judgement() -> None:
    with pytest.raises(InputError, match="not a judgement"):
        Judgement.from_json({"metric": "top-1", "hue": 3})


def test_a_judgement_reads_as_a_sentence() -> None:
    judgement = Judgement.of("top-1", samples=60, answers=60, wrong=0, given=True)

    assert str(judgement) == "top-1: 0 wrong of 60, at most 4.9% at 95 %"
