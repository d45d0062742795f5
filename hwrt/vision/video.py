"""Videos, cameras and network streams: read and written through OpenCV, the extra ``video``."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import HwrtError, InputError
from hwrt.files import temporary_beside

__all__ = ["Video", "VideoFrame", "VideoWriter", "require_opencv"]

_LIKELY_RATES = (1.0, 1000.0)
_USUAL_RATE = 25.0
# Of the frames that a file's header states: the count is an estimate in many containers.
_MISSING_PART = 0.05


class VideoFrame(NamedTuple):
    """One frame of a video, uint8 (H, W, 3) BGR, which belongs to the caller."""

    frame: NDArray[np.uint8]
    number: int
    """From 0."""
    time_s: float
    """Since the first frame: by the file's time stamps, of a live source by the clock."""


class Video:
    """The frames of a video file (a path), a camera (its number) or a network stream (its address).

    One thread uses it.  ``name`` is what errors call it.
    """

    def __init__(
        self, address: str | int, name: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Open it; raises InputError where that fails, HwrtError where OpenCV is not installed."""
        self._cv2 = _opencv()
        self._name = name
        self._clock = clock
        self.is_live = isinstance(address, int) or "://" in address
        self._capture = self._cv2.VideoCapture(address)
        if not self._capture.isOpened():
            raise InputError(f"the video {name!r} can not be opened", hint=_hint(address))
        if self.is_live:  # the newest frame counts; a backend that keeps more says so, in vain
            self._capture.set(self._cv2.CAP_PROP_BUFFERSIZE, 1)

    @property
    def rate(self) -> float:
        """Frames a second, by the source's own word; 25 where it has none."""
        rate = float(self._capture.get(self._cv2.CAP_PROP_FPS))
        return rate if _LIKELY_RATES[0] <= rate <= _LIKELY_RATES[1] else _USUAL_RATE

    def frames(self) -> Iterator[VideoFrame]:
        """The frames in order.

        Raises HwrtError where the source breaks off: a live one with any frame that does not come,
        a file without a frame, or that ends more than a twentieth before the number of frames in
        its header.
        """
        count = 0
        begun = 0.0
        while True:
            read, frame = self._capture.read()
            if not read or frame is None:
                break
            now = self._time_s()
            begun = begun if count else now
            yield VideoFrame(frame, count, now - begun)
            count += 1
        if not (count or self.is_live):
            raise HwrtError(f"the video {self._name!r} gives no frame")
        if self.is_live or self._stated() * (1 - _MISSING_PART) > count + 1:
            stated = "" if self.is_live else f" of {self._stated()}"
            raise HwrtError(f"the video {self._name!r} broke off after {count}{stated} frames")

    def close(self) -> None:
        """Give the source back.  Calling it twice is harmless."""
        self._capture.release()

    def _time_s(self) -> float:
        if self.is_live:
            return self._clock()
        return float(self._capture.get(self._cv2.CAP_PROP_POS_MSEC)) / 1000

    def _stated(self) -> int:
        return int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))


class VideoWriter:
    """Writes frames of one size into an MP4 file, which is there once ``close`` has been called.

    The format has even sizes only: of an odd one the last row or column is left out.
    """

    def __init__(self, path: Path, *, rate: float) -> None:
        self._cv2 = _opencv()
        self._path, self._rate = path, rate
        self._size: tuple[int, int] | None = None
        self._writer: Any = None
        self._temporary: Path | None = None
        self._count = 0
        self._stack = contextlib.ExitStack()

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Add a BGR frame.

        Raises HwrtError where the file can not be written, InputError for a frame of another size.
        """
        height, width = frame.shape[:2]
        if self._writer is None:
            self._open(width, height)
        if self._size != (width, height):
            raise InputError(
                f"a frame of {width}x{height} for {str(self._path)!r}, whose frames are "
                f"{'x'.join(map(str, self._size or ()))}",
                hint="a video has frames of one size",
            )
        self._writer.write(np.ascontiguousarray(frame))
        self._count += 1

    def close(self) -> None:
        """Finish the file.  Calling it twice is harmless.

        Raises HwrtError where not all frames are in it: OpenCV does not tell of a full disk.
        """
        with self._stack:
            writer, self._writer = self._writer, None
            if writer is not None and self._temporary is not None:
                writer.release()
                written = self._cv2.VideoCapture(str(self._temporary))
                count = int(written.get(self._cv2.CAP_PROP_FRAME_COUNT))
                written.release()
                if count < self._count:
                    raise HwrtError(
                        f"the video {str(self._path)!r} could not be written to its end",
                        hint="check the space left",
                    )
                self._temporary.replace(self._path)

    def _open(self, width: int, height: int) -> None:
        try:
            self._temporary = self._stack.enter_context(temporary_beside(self._path))
        except OSError as exc:
            raise HwrtError(
                f"the video {str(self._path)!r} can not be written: {exc.strerror}",
                hint="check the folder, its rights and the space left",
            ) from exc
        code = self._cv2.VideoWriter_fourcc(*"mp4v")
        self._size = (width, height)
        self._writer = self._cv2.VideoWriter(str(self._temporary), code, self._rate, self._size)
        if not self._writer.isOpened():
            self._writer = None
            raise HwrtError(
                f"the video {str(self._path)!r} of {width}x{height} can not be written",
                hint="check the folder, its rights and the space left; it has at least 2x2 pixels",
            )


def require_opencv() -> None:
    """Raise HwrtError, saying how to get it, where OpenCV is not installed."""
    _opencv()


def _opencv() -> Any:
    # FFmpeg's and OpenCV's words on standard error name no file; what matters is an error here.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as exc:
        raise HwrtError(
            "OpenCV is not installed, which reads and writes videos",
            hint="pip install opencv-python-headless, or install hwrt with its extra 'video'",
        ) from exc
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


def _hint(address: str | int) -> str:
    if isinstance(address, int):
        return f"check that /dev/video{address} is there, and may be read by this user"
    if "://" in address:
        return "check the address, the user name and password in it, and the network"
    return "give an intact video file"
