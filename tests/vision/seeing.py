"""What several tests of real photographs need: the frames, and when two objects are the same."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from hwrt import registry
from hwrt.vision.images import read_image

IMAGES = (
    "bird_segmentation.bmp",
    "bus.jpg",
    "cat_1080p.jpg",
    "dog.jpg",
    "grace_hopper.bmp",
    "parrot.jpg",
    "sunflower.bmp",
)


@functools.cache
def frame_of(path: Path) -> np.ndarray:
    return read_image(path)


def readers_of(model_format: str) -> tuple[str, ...]:
    """The installed backends that read the format."""
    return tuple(
        name for name in registry.names() if model_format in registry.backend(name).formats
    )


def iou_of(a: list[float], b: list[float]) -> float:
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (areas - shared)


def unmatched(
    wanted: list[dict[str, Any]], found: list[dict[str, Any]], *, iou: float, score: float
) -> list[dict[str, Any]]:
    """The objects of ``wanted`` that ``found`` lacks: of the same class, place and score."""
    return [
        one
        for one in wanted
        if not any(
            one["class"] == other["class"]
            and one["label"] == other["label"]
            and abs(one["score"] - other["score"]) <= score
            and iou_of(one["box_xyxy"], other["box_xyxy"]) >= iou
            for other in found
        )
    ]
