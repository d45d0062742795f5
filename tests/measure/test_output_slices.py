"""Outputs of which a part is wrong that is small beside the rest."""

import numpy as np
import pytest

from hwrt.measure.output_error import F32, QUANTIZED, OutputError, compare, within


def yolo_output():
    """Boxes of an image of 640 pixels above the scores of 8 classes, most of them near nothing."""
    generator = np.random.default_rng(3)
    boxes = generator.uniform(100, 600, size=(1, 4, 400))
    scores = generator.uniform(0, 1e-7, size=(1, 8, 400))
    scores[0, 2, 7] = 0.04
    return np.concatenate([boxes, scores], axis=1).astype(np.float32)


def test_scores_that_are_wrong_beside_large_coordinates_are_not_within():
    reference = yolo_output()
    without = reference.copy()
    without[:, 4:] = 0

    errors = compare({"y": without}, {"y": reference})

    assert errors["y"].relative_l2 < F32.relative_l2
    assert errors["y"].slice_l2 > 0.8
    assert "a part of it is wrong" in within(errors, F32)
    assert "a part of it is wrong" in within(errors, QUANTIZED)


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2, 1), (1, 0, 2)])
def test_the_wrong_part_is_found_along_every_dimension(axes):
    reference = yolo_output()
    wrong = reference.copy()
    wrong[:, 6] = 0

    errors = compare({"y": wrong.transpose(axes)}, {"y": reference.transpose(axes)})

    assert within(errors) is not None


def test_the_rounding_of_what_all_but_vanishes_is_within():
    reference = yolo_output()
    rounded = reference.copy()
    rounded[0, 4] *= 3

    assert within(compare({"y": rounded}, {"y": reference})) is None


def test_a_single_logit_is_no_part_that_is_judged_alone():
    reference = np.linspace(-5, 5, 1001, dtype=np.float32)[None]
    output = reference.copy()
    output[0, 500] = 1e-5

    errors = compare({"y": output}, {"y": reference})

    assert errors["y"].slice_l2 is None
    assert within(errors) is None


def test_an_odd_value_that_both_have_does_not_hide_a_wrong_part():
    reference = yolo_output()
    reference[0, 0, 0] = np.inf
    without = reference.copy()
    without[:, 4:] = 0

    assert within(compare({"y": reference}, {"y": reference})) is None
    assert "a part of it is wrong" in within(compare({"y": without}, {"y": reference}))


def test_a_reference_of_zeros_has_no_slices():
    zeros = np.zeros((2, 20), np.float32)

    assert compare({"y": zeros}, {"y": zeros})["y"] == OutputError(0.0, 0.0)
