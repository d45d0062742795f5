"""Frames made into a model's input, against what people write with OpenCV, numba and NumPy.

*usual* is what tutorials show; *careful* keeps every buffer and converts in place.  All fill
1x3xHxW float32 RGB in 0..1 from a BGR frame and must agree within one level before they are timed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numba
import numpy as np
from floor import Floor
from numpy.typing import NDArray
from side_by_side import Call, Case

from hwrt.kernels import with_numpy
from hwrt.vision import letterbox, resize

_PAD = 114
_LEVEL = np.float32(1 / 255)


@dataclass(frozen=True)
class Work:
    """A frame fitted into an input, its place in it known."""

    frame: NDArray[np.uint8]
    size: tuple[int, int]

    @property
    def fitted(self) -> tuple[int, int]:
        """Height and width of the resized frame."""
        scale = min(self.size[0] / self.frame.shape[0], self.size[1] / self.frame.shape[1])
        return round(self.frame.shape[0] * scale), round(self.frame.shape[1] * scale)

    @property
    def corner(self) -> tuple[int, int]:
        """Top and left of the resized frame in the input."""
        (height, width), fitted = self.size, self.fitted
        return round((height - fitted[0]) / 2 - 0.1), round((width - fitted[1]) / 2 - 0.1)


def cases(floor: Floor) -> Iterator[Case]:
    """All sizes that EVIDENCE names."""
    promised = {"OpenCV, usual": 5.0, "OpenCV, careful": 1.8, "floor": 0.45}
    yield _letterbox("1280x720 -> 640", (720, 1280), (640, 640), floor, promised)
    yield _letterbox("1920x1080 -> 640", (1080, 1920), (640, 640), floor, promised)
    small = {"OpenCV, usual": 4.0}
    yield _letterbox("640x480 -> 224", (480, 640), (224, 224), floor, small)
    yield _letterbox("1000x667 -> 640", (667, 1000), (640, 640), floor, small)
    yield _letterbox("320x240 -> 224", (240, 320), (224, 224), floor, small)
    yield _letterbox("640x640 -> 640", (640, 640), (640, 640), floor, {})
    yield _letterbox("320x240 -> 640", (240, 320), (640, 640), floor, {})
    yield _letterbox("4032x3024 -> 224", (3024, 4032), (224, 224), floor, {})
    yield _area("4032x3024 -> 224, area", (3024, 4032), (224, 224), floor)
    yield _area("1920x1080 -> 224, area", (1080, 1920), (224, 224), floor)


def _frame(shape: tuple[int, int]) -> NDArray[np.uint8]:
    rng = np.random.default_rng(shape[0])
    coarse = rng.integers(0, 256, (shape[0] // 8 + 1, shape[1] // 8 + 1, 3), dtype=np.uint8)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _letterbox(
    name: str,
    shape: tuple[int, int],
    size: tuple[int, int],
    floor: Floor,
    wanted: dict[str, float],
) -> Case:
    work = Work(_frame(shape), size)
    out = np.empty((1, 3, *size), np.float32)
    peers = {
        "OpenCV, usual": _usual(work),
        "OpenCV, careful": _careful(work),
        "OpenCV, blobFromImage": _blob(work),
        "numba": _numba(work),
        "NumPy (hwrt's own form)": _numpy(work),
    }

    def ours() -> object:
        return letterbox(work.frame, out, bgr=True)

    ours()
    for peer, call in peers.items():
        result = np.asarray(call())
        worst = np.abs(result.reshape(out.shape) - out).max() * 255
        assert worst <= 1.01, f"{peer}: {worst:.2f} levels off"
    return Case(name, ours, peers, floor.of(_needed_rows(work), out), wanted)


def _needed_rows(work: Work) -> NDArray[np.uint8]:
    """The source rows that bilinear interpolation looks at."""
    height, fitted = work.frame.shape[0], work.fitted[0]
    centres = np.clip((np.arange(fitted) + 0.5) * height / fitted - 0.5, 0, height - 1)
    low = np.floor(centres).astype(int)
    needed = np.unique(np.concatenate([low, np.minimum(low + 1, height - 1)]))
    return np.array([work.frame[y].ctypes.data for y in needed], np.uintp), work.frame.shape[1] * 3


def _usual(work: Work) -> Call:
    (top, left), (height, width) = work.corner, work.fitted

    def run() -> object:
        resized = cv2.resize(work.frame, (width, height))
        canvas = np.full((*work.size, 3), _PAD, np.uint8)
        canvas[top : top + height, left : left + width] = resized
        planar = np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1))
        return planar[None].astype(np.float32) / 255

    return run


def _careful(work: Work) -> Call:
    (top, left), (height, width) = work.corner, work.fitted
    canvas = np.full((*work.size, 3), _PAD, np.uint8)
    view = canvas[top : top + height, left : left + width]
    planes = [np.empty(work.size, np.uint8) for _ in range(3)]
    out = np.empty((1, 3, *work.size), np.float32)

    def run() -> object:
        cv2.resize(work.frame, (width, height), dst=view)
        cv2.split(canvas, planes)
        for channel in range(3):
            np.multiply(planes[2 - channel], _LEVEL, out=out[0, channel])
        return out

    return run


def _blob(work: Work) -> Call:
    (top, left), (height, width) = work.corner, work.fitted
    canvas = np.full((*work.size, 3), _PAD, np.uint8)
    view = canvas[top : top + height, left : left + width]

    def run() -> object:
        cv2.resize(work.frame, (width, height), dst=view)
        return cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True)

    return run


@numba.njit(nogil=True)
def _numba_letterbox(frame, out, top, left, height, width):  # type: ignore[no-untyped-def]
    source_height, source_width = frame.shape[:2]
    level = np.float32(1 / 255)
    out[:] = np.float32(_PAD) * level
    step_y, step_x = source_height / height, source_width / width
    columns = np.empty(width, np.int64)
    weights = np.empty(width, np.float32)
    for x in range(width):
        centre = min(max((x + 0.5) * step_x - 0.5, 0.0), source_width - 1.0)
        columns[x] = int(centre)
        weights[x] = centre - columns[x]
    for y in range(height):
        centre = min(max((y + 0.5) * step_y - 0.5, 0.0), source_height - 1.0)
        y0 = int(centre)
        y1 = min(y0 + 1, source_height - 1)
        wy = np.float32(centre - y0)
        for x in range(width):
            x0 = columns[x]
            x1 = min(x0 + 1, source_width - 1)
            wx = weights[x]
            for c in range(3):
                a = np.float32(frame[y0, x0, c])
                b = np.float32(frame[y0, x1, c])
                d = np.float32(frame[y1, x0, c])
                e = np.float32(frame[y1, x1, c])
                upper = a + (b - a) * wx
                lower = d + (e - d) * wx
                out[2 - c, top + y, left + x] = (upper + (lower - upper) * wy) * level


def _numba(work: Work) -> Call:
    out = np.empty((1, 3, *work.size), np.float32)

    def run() -> object:
        _numba_letterbox(work.frame, out[0], *work.corner, *work.fitted)
        return out

    return run


def _numpy(work: Work) -> Call:
    out = np.empty((1, 3, *work.size), np.float32)
    (height, width), channels = work.frame.shape[:2], 3
    rows, columns = (
        (height, work.fitted[0], 0, work.fitted[0]),
        (
            width,
            work.fitted[1],
            0,
            work.fitted[1],
        ),
    )
    form = with_numpy.Resampler(rows, columns, channels, False)
    levels = (1 / 255,) * 3

    def run() -> object:
        view = out[0].transpose(1, 2, 0)
        form.run(work.frame, view, *work.corner, levels, (0.0,) * 3, (_PAD / 255,) * 3, True)
        return out

    return run


def _area(name: str, shape: tuple[int, int], size: tuple[int, int], floor: Floor) -> Case:
    frame = _frame(shape)
    out = np.empty((1, 3, *size), np.float32)
    resized = np.empty((*size, 3), np.uint8)

    def ours() -> object:
        return resize(frame, out, mean=0.0, std=255.0, method="area", bgr=True)

    def inter_area() -> object:
        return cv2.resize(frame, size[::-1], dst=resized, interpolation=cv2.INTER_AREA)

    def whole() -> object:
        inter_area()
        return cv2.dnn.blobFromImage(resized, 1 / 255, swapRB=True)

    ours()
    assert np.abs(np.asarray(whole()) - out).max() * 255 <= 1.01
    rows = np.array([row.ctypes.data for row in frame], np.uintp), frame.shape[1] * 3
    peers = {"OpenCV, INTER_AREA alone": inter_area, "OpenCV, INTER_AREA and blob": whole}
    wanted = {"OpenCV, INTER_AREA alone": 10.0} if shape[0] > 2000 else {}
    return Case(name, ours, peers, floor.of(rows, out), wanted)
