"""What a pipeline returns for one frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Classification", "Detections", "Segmentation"]


@dataclass(frozen=True, eq=False)
class Detections:
    """The objects found in one frame, best first; the arrays belong to the caller."""

    boxes: NDArray[np.float32]
    """(N, 4) x0, y0, x1, y1 in the frame's pixels."""
    scores: NDArray[np.float32]
    """(N,)"""
    classes: NDArray[np.int32]
    """(N,)"""
    labels: tuple[str, ...]
    """The name of each object's class; its number as text where the names are not known."""
    masks: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def to_json(self) -> list[dict[str, Any]]:
        """One mapping an object: ``class``, ``label``, ``score``, ``box_xyxy``; see ``_finite``."""
        rows = zip(
            self.classes.tolist(),
            self.labels,
            _finite(self.scores),
            self.boxes.tolist(),
            strict=True,
        )
        return [
            {"class": number, "label": label, "score": score, "box_xyxy": box}
            for number, label, score, box in rows
        ]


@dataclass(frozen=True, eq=False)
class Classification:
    """The best classes of one frame, best first; the arrays belong to the caller."""

    classes: NDArray[np.int32]
    """(k,)"""
    scores: NDArray[np.float32]
    """(k,)"""
    labels: tuple[str, ...]
    """The name of each class."""

    def __len__(self) -> int:
        return len(self.classes)

    def to_json(self) -> list[dict[str, Any]]:
        """One mapping a class: ``class``, ``label``, ``score``; see ``_finite``."""
        rows = zip(self.classes.tolist(), self.labels, _finite(self.scores), strict=True)
        return [{"class": number, "label": label, "score": score} for number, label, score in rows]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The class of each pixel of one frame; the array belongs to the caller."""

    classes: NDArray[np.uint8]
    """(H, W), in the frame's size."""
    labels: tuple[str, ...]
    """The name of each class, from 0 on."""

    def to_json(self) -> list[dict[str, Any]]:
        """One mapping a class that is there, the largest first: ``class``, ``label``, ``share``.

        ``share`` is the part of all pixels, 0..1.  A class without a label is called by its number.
        """
        counts = np.bincount(self.classes.ravel(), minlength=1)
        order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        return [
            {
                "class": number,
                "label": self.labels[number] if number < len(self.labels) else str(number),
                "share": int(counts[number]) / self.classes.size,
            }
            for number in order.tolist()
        ]


def _finite(scores: NDArray[np.float32]) -> list[float | None]:
    """The scores as strict JSON can say them: a broken model's NaN and infinities are None."""
    return [score if math.isfinite(score) else None for score in scores.tolist()]
