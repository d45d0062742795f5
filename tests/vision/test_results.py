from __future__ import annotations

import json

import numpy as np

from hwrt.vision import Classification, Detections, Segmentation


def test_detections_are_as_many_as_their_scores_and_become_json() -> None:
    found = Detections(
        boxes=np.array([[1, 2, 3, 4.5]], dtype=np.float32),
        scores=np.array([0.5], dtype=np.float32),
        classes=np.array([16], dtype=np.int32),
        labels=("dog",),
    )

    assert 1 == len(found)
    expected = [{"class": 16, "label": "dog", "score": 0.5, "box_xyxy": [1.0, 2.0, 3.0, 4.5]}]
    assert expected == json.loads(json.dumps(found.to_json()))


def test_a_classification_is_as_long_as_its_classes_and_becomes_json() -> None:
    found = Classification(
        classes=np.array([1, 0], dtype=np.int32),
        scores=np.array([0.75, 0.25], dtype=np.float32),
        labels=("dog", "cat"),
    )

    assert 2 == len(found)
    expected = [
        {"class": 1, "label": "dog", "score": 0.75},
        {"class": 0, "label": "cat", "score": 0.25},
    ]
    assert expected == json.loads(json.dumps(found.to_json()))


def test_a_segmentation_becomes_json_of_the_shares_largest_first() -> None:
    found = Segmentation(
        classes=np.array([[2, 2, 0, 7], [2, 2, 2, 0]], dtype=np.uint8),
        labels=("floor", "cat", "dog"),
    )

    expected = [
        {"class": 2, "label": "dog", "share": 0.625},
        {"class": 0, "label": "floor", "share": 0.25},
        {"class": 7, "label": "7", "share": 0.125},
    ]
    assert expected == json.loads(json.dumps(found.to_json()))
