"""A classifier and a detector of cats and dogs in 8x8 pixels, for tests of pipelines."""

from __future__ import annotations

import numpy as np

from hwrt.vision.settings import Settings

CLASSIFY = Settings(
    task="classify",
    labels=("cat", "dog"),
    colour="rgb",
    mean=(0.0,),
    std=(1.0,),
    resize="stretch",
    size=(8, 8),
    layout="NCHW",
)
DETECT = Settings(
    task="detect",
    labels=("cat", "dog"),
    colour="rgb",
    mean=(0.0,),
    std=(1.0,),
    resize="letterbox",
    size=(8, 8),
    layout="NCHW",
)


def gray(level: int, height: int = 8, width: int = 8) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def brightness(tensor: np.ndarray) -> np.ndarray:
    """Two numbers an image: its first level, and 1000 less."""
    first = tensor[:, 0, 0, 0].astype(np.float32)
    return np.stack([first, first - 1000], axis=1)


def level_of(result: object) -> float:
    """The level of the frame that a classifier without softmax has answered with brightness."""
    return float(result.scores[0])  # type: ignore[attr-defined]


def one_box(tensor: np.ndarray) -> np.ndarray:
    """A box over the middle of each image, of the class 1."""
    anchor = np.array([4, 4, 4, 4, 0.25, 0.75], dtype=np.float32)
    return np.repeat(anchor[None, :, None], len(tensor), axis=0)
