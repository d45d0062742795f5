"""NV12 and YUYV frames made into a model's input, against OpenCV's conversion and resize.

*usual* converts the whole frame, then letterboxes it as tutorials show; *careful* keeps every
buffer; *by plane* resizes luma and chroma first, which leaves half of chroma's columns and rows.
All fill 1x3xHxW float32 RGB in 0..1.  OpenCV gives both pixels of a pair the same chroma, so they
agree within a level on average only, by plane within three.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from floor import Floor
from numpy.typing import NDArray
from side_by_side import Call, Case

from hwrt.vision import letterbox

_PAD = 114
_SIZE = (640, 640)
_LEVEL = np.float32(1 / 255)
_TO_RGB = {"nv12": cv2.COLOR_YUV2RGB_NV12, "yuyv": cv2.COLOR_YUV2RGB_YUYV}


def cases(floor: Floor) -> Iterator[Case]:
    """Cameras' and decoders' usual sizes."""
    yield _letterbox("nv12", (720, 1280), floor)
    yield _letterbox("nv12", (1080, 1920), floor)
    yield _letterbox("yuyv", (720, 1280), floor)


def _frame(shape: tuple[int, int], form: str) -> NDArray[np.uint8]:
    rng = np.random.default_rng(shape[0])
    coarse = rng.integers(40, 216, (shape[0] // 32 + 1, shape[1] // 32 + 1, 3), dtype=np.uint8)
    rgb = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    if form == "yuyv":
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_YUY2)
    planes = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    height, width = shape
    chroma = planes[height:].reshape(2, -1).T.reshape(height // 2, width)
    return np.concatenate([planes[:height], chroma])


def _letterbox(form: str, shape: tuple[int, int], floor: Floor) -> Case:
    frame = _frame(shape, form)
    out = np.empty((1, 3, *_SIZE), np.float32)
    peers = {
        "OpenCV, usual": _usual(frame, form, shape),
        "OpenCV, careful": _careful(frame, form, shape),
    }
    if form == "nv12":
        peers["OpenCV, by plane"] = _by_plane(frame, shape)

    def ours() -> object:
        return letterbox(frame, out, yuv=form)

    ours()
    for peer, call in peers.items():
        off = np.abs(np.asarray(call()).reshape(out.shape) - out).mean() * 255
        assert off <= (3.0 if "plane" in peer else 1.0), f"{peer}: {off:.2f} levels off"
    rows = np.array([row.ctypes.data for row in frame], np.uintp), frame[0].nbytes
    name = f"{form} {shape[1]}x{shape[0]} -> {_SIZE[0]}"
    return Case(name, ours, peers, floor.of(rows, out))


def _place(shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Top, left, height and width of the resized frame in the input."""
    scale = min(_SIZE[0] / shape[0], _SIZE[1] / shape[1])
    height, width = round(shape[0] * scale), round(shape[1] * scale)
    top, left = round((_SIZE[0] - height) / 2 - 0.1), round((_SIZE[1] - width) / 2 - 0.1)
    return top, left, height, width


def _usual(frame: NDArray[np.uint8], form: str, shape: tuple[int, int]) -> Call:
    top, left, height, width = _place(shape)

    def run() -> object:
        resized = cv2.resize(cv2.cvtColor(frame, _TO_RGB[form]), (width, height))
        canvas = np.full((*_SIZE, 3), _PAD, np.uint8)
        canvas[top : top + height, left : left + width] = resized
        planar = np.ascontiguousarray(canvas.transpose(2, 0, 1))
        return planar[None].astype(np.float32) / 255

    return run


def _careful(frame: NDArray[np.uint8], form: str, shape: tuple[int, int]) -> Call:
    top, left, height, width = _place(shape)
    rgb = np.empty((*shape, 3), np.uint8)
    canvas = np.full((*_SIZE, 3), _PAD, np.uint8)
    view = canvas[top : top + height, left : left + width]
    planes = [np.empty(_SIZE, np.uint8) for _ in range(3)]
    out = np.empty((1, 3, *_SIZE), np.float32)

    def run() -> object:
        cv2.cvtColor(frame, _TO_RGB[form], dst=rgb)
        cv2.resize(rgb, (width, height), dst=view)
        cv2.split(canvas, planes)
        for channel in range(3):
            np.multiply(planes[channel], _LEVEL, out=out[0, channel])
        return out

    return run


def _by_plane(frame: NDArray[np.uint8], shape: tuple[int, int]) -> Call:
    top, left, height, width = _place(shape)
    chroma = frame[shape[0] :].reshape(shape[0] // 2, shape[1] // 2, 2)
    canvas = np.full((*_SIZE, 3), _PAD, np.uint8)
    view = canvas[top : top + height, left : left + width]
    small = np.empty((height // 2 * 3, width), np.uint8)
    pairs = small[height:].reshape(height // 2, width // 2, 2)
    planes = [np.empty(_SIZE, np.uint8) for _ in range(3)]
    out = np.empty((1, 3, *_SIZE), np.float32)

    def run() -> object:
        cv2.resize(frame[: shape[0]], (width, height), dst=small[:height])
        cv2.resize(chroma, (width // 2, height // 2), dst=pairs)
        cv2.cvtColor(small, cv2.COLOR_YUV2RGB_NV12, dst=view)
        cv2.split(canvas, planes)
        for channel in range(3):
            np.multiply(planes[channel], _LEVEL, out=out[0, channel])
        return out

    return run
