"""What the resampler's tests share: frames, a reference in float64, and how a call is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

Span = tuple[int, int, int, int]
Three = tuple[float, float, float]

# Levels from the exact ones: bilinear has 7 bits behind the point, area is float32.
LEVEL_ERROR = {"bilinear": 0.012, "area": 1e-3}


@dataclass(frozen=True)
class Numbers:
    """The tensor is ``level * scale + bias``; ``pad`` is what stands around it."""

    scale: Three = (1.0, 1.0, 1.0)
    bias: Three = (0.0, 0.0, 0.0)
    pad: Three = (114.0, 114.0, 114.0)
    reverse: bool = False


LEVELS = Numbers()
IMAGENET = Numbers((0.0171, 0.0175, 0.0174), (-2.118, -2.036, -1.804), (-0.166, -0.04, 0.179))


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(height * 1009 + width * 3 + channels)
    frame = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    frame[rng.random((height, width)) < 0.25] = rng.choice([0, 255])  # the ends of the range
    return frame


def whole(source: int, target: int) -> Span:
    return source, target, 0, target


def run(
    kernels: Any,
    frame: np.ndarray,
    rows: Span,
    columns: Span,
    *,
    method: str = "bilinear",
    numbers: Numbers = LEVELS,
    out: np.ndarray | None = None,
    at: tuple[int, int] = (0, 0),
    threads: int = 1,
) -> np.ndarray:
    """``out`` (h, w, C), by default float32 and as large as the spans, filled by the kernel."""
    if out is None:
        out = np.full((rows[3], columns[3], frame.shape[2]), np.nan, np.float32)
    resampler = kernels.Resampler(rows, columns, frame.shape[2], method == "area")
    levels = numbers.scale, numbers.bias, numbers.pad, numbers.reverse
    resampler.run(frame, out, *at, *levels, threads)
    return out


def exact_levels(
    frame: np.ndarray, rows: Span, columns: Span, *, method: str = "bilinear"
) -> np.ndarray:
    """The levels in float64, each dimension a matrix of weights."""
    down, across = _weights(rows, method), _weights(columns, method)
    return np.einsum("yi,ijc,xj->yxc", down, frame.astype(np.float64), across, optimize=True)


def exact(
    frame: np.ndarray, rows: Span, columns: Span, *, method: str, numbers: Numbers, channels: int
) -> np.ndarray:
    """The tensor in float64, neither rounded nor saturated."""
    levels = exact_levels(frame, rows, columns, method=method)
    levels = levels[:, :, ::-1] if numbers.reverse else levels
    return levels * numbers.scale[:channels] + numbers.bias[:channels]


@lru_cache(256)
def _weights(span: Span, method: str) -> np.ndarray:
    source, target, start, count = span
    pixels = np.arange(start, start + count)[:, None]
    others = np.arange(source)[None, :]
    step = source / target
    if method == "area" and target < source:
        shared = np.minimum(others + 1, (pixels + 1) * step) - np.maximum(others, pixels * step)
        return np.maximum(shared, 0.0) / step
    centres = np.clip((pixels + 0.5) * step - 0.5, 0.0, source - 1.0)
    return np.maximum(1.0 - np.abs(centres - others), 0.0)
