from __future__ import annotations

import numpy as np

from hwrt.vision import Geometry

WIDE = Geometry(
    frame_height=100,
    frame_width=200,
    input_height=50,
    input_width=50,
    scale_x=0.25,
    scale_y=0.25,
    pad_x=0,
    pad_y=12,
)


def test_a_box_of_the_input_comes_back_in_the_frames_pixels() -> None:
    boxes = WIDE.to_frame(np.array([[10, 17, 20, 22]], dtype=np.float32))

    assert [[40.0, 20.0, 80.0, 40.0]] == boxes.tolist()


def test_boxes_are_clipped_to_the_frame() -> None:
    boxes = WIDE.to_frame(np.array([[-1, 0, 51, 50]], dtype=np.float32))

    assert [[0.0, 0.0, 200.0, 100.0]] == boxes.tolist()


def test_infinite_corners_are_clipped_to_the_frame() -> None:
    boxes = WIDE.to_frame(np.array([[-np.inf, -np.inf, np.inf, np.inf]]))

    assert [[0.0, 0.0, 200.0, 100.0]] == boxes.tolist()


def test_no_boxes_stay_no_boxes() -> None:
    boxes = WIDE.to_frame(np.empty((0, 4), dtype=np.float32))

    assert (0, 4) == boxes.shape
    assert np.float32 == boxes.dtype
