"""Where a frame lies in the model's input, and the way back for boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Geometry"]


@dataclass(frozen=True)
class Geometry:
    """The map from a frame's pixels to those of a model's input.

    A point (x, y) of the frame lies at ``x * scale_x + pad_x, y * scale_y + pad_y`` of the input.
    The scales are those of the whole pixels that the frame was resized to, so the frame's corners
    come back exactly.  A pad is negative where the frame was cropped.
    """

    frame_height: int
    frame_width: int
    input_height: int
    input_width: int
    scale_x: float
    scale_y: float
    pad_x: int
    pad_y: int

    def to_frame(self, boxes: NDArray[Any]) -> NDArray[np.float32]:
        """Boxes (N, 4) x0, y0, x1, y1 of the input as pixels of the frame, clipped to it.

        The arithmetic is float64, rounded once to the float32 that is returned.
        """
        pad = np.array((self.pad_x, self.pad_y) * 2, dtype=np.float64)
        scale = np.array((self.scale_x, self.scale_y) * 2, dtype=np.float64)
        corner = np.array((self.frame_width, self.frame_height) * 2, dtype=np.float64)
        return np.clip((boxes - pad) / scale, 0.0, corner).astype(np.float32)

    @property
    def box_map(self) -> tuple[float, float, float, float, float, float]:
        """The way back as the kernels take it: pad, scale and limit, x and y each."""
        return (
            self.pad_x,
            self.pad_y,
            self.scale_x,
            self.scale_y,
            self.frame_width,
            self.frame_height,
        )
