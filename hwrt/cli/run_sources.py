"""What ``hwrt run`` looks at: image files, folders of them, videos, cameras and streams."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from numpy.typing import NDArray

from hwrt.errors import HwrtError
from hwrt.vision.images import SUFFIXES, read_image, require_pillow
from hwrt.vision.video import Video, require_opencv

__all__ = ["Shot", "Source", "find_sources", "require_readers", "shots_of"]

_VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4"}
    | {".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"}
)
_MOST_DIGITS = 9  # of a camera's number, which OpenCV keeps in 32 bits
_SCHEMES = ("http", "https", "rtmp", "rtsp", "rtsps", "tcp", "udp")
# To the last @ before the path: a password may hold one.
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/]*@")


@dataclass(frozen=True)
class Source:
    """An image file (its path), or what OpenCV opens: a video's path, an address, a number."""

    address: Path | str | int
    is_video: bool

    @property
    def name(self) -> str:
        """What it is called in what is shown and written: an address without its password."""
        return _PASSWORD.sub(r"\1:***@", str(self.address))

    @property
    def is_live(self) -> bool:
        """True for what has no end of its own."""
        return self.is_video and not isinstance(self.address, Path)

    @property
    def stem(self) -> str:
        """What its saved form is named."""
        if isinstance(self.address, Path):
            return self.address.stem
        return f"camera-{self.address}" if isinstance(self.address, int) else "stream"

    @property
    def saved_suffix(self) -> str:
        """The ending of its saved form's name, which says the format."""
        if self.is_video:
            return ".mp4"
        suffix = self.address.suffix if isinstance(self.address, Path) else ""
        return suffix if suffix.lower() in SUFFIXES else ".png"


@dataclass(frozen=True)
class Shot:
    """One frame and where it comes from."""

    source: Source
    frame: NDArray[Any]
    number: int | None = None
    """Of a video's frame, from 0."""
    time_s: float | None = None
    """Of a video's frame, since its first one."""
    rate: float | None = None
    """Of the video: frames a second."""


def find_sources(texts: Sequence[str]) -> list[Source]:
    """What the words of the command line stand for, each once; click.UsageError for nothing."""
    found = [source for text in texts for source in _sources(text)]
    return list(dict.fromkeys(found))


def require_readers(sources: Sequence[Source], *, draws: bool) -> None:
    """Raise HwrtError, saying how to get it, where what reads these sources is not installed."""
    if draws or not all(source.is_video for source in sources):
        require_pillow()
    if any(source.is_video for source in sources):
        require_opencv()


def shots_of(
    sources: Sequence[Source], *, bgr: bool, tell_broken: Callable[[str], None]
) -> Iterator[Shot]:
    """The frames of all sources in order, read when they are asked for.

    Images are RGB, or with ``bgr`` views with the channels reversed, as videos' are.  A video that
    breaks off is told and the next source follows.
    """
    for source in sources:
        if source.is_video:
            yield from _video_shots(source, tell_broken)
        else:
            assert isinstance(source.address, Path)
            frame = read_image(source.address)
            yield Shot(source, frame[..., ::-1] if bgr else frame)


def _video_shots(source: Source, tell_broken: Callable[[str], None]) -> Iterator[Shot]:
    address = str(source.address) if isinstance(source.address, Path) else source.address
    video = Video(address, source.name)
    frames = video.frames()
    try:
        while True:
            try:
                one = next(frames, None)
            except HwrtError as exc:
                tell_broken(str(exc))
                return
            if one is None:
                return
            yield Shot(source, one.frame, one.number, one.time_s, video.rate)
    finally:
        video.close()


def _sources(text: str) -> list[Source]:
    if not text:
        raise click.UsageError("a SOURCE is empty")
    if "://" in text:
        source = Source(text, is_video=True)
        if text.partition("://")[0].lower() not in _SCHEMES:
            raise click.UsageError(f"{source.name!r}: an address begins with {', '.join(_SCHEMES)}")
        return [source]
    try:
        return _files(text)
    except OSError as exc:
        raise click.UsageError(f"{text!r} can not be read: {exc.strerror}") from exc


def _files(text: str) -> list[Source]:
    path = Path(text)
    if path.is_dir():
        return _images(path)
    if not path.exists():
        if text.isdecimal() and text.isascii() and len(text) <= _MOST_DIGITS:
            return [Source(int(text), is_video=True)]
        raise click.UsageError(f"there is no {text!r}")
    if not path.is_file():  # a pipe would keep us waiting for its writer
        raise click.UsageError(f"{text!r} is a pipe, socket or device: save it to a file")
    return [Source(path, is_video=path.suffix.lower() in _VIDEO_SUFFIXES)]


def _images(folder: Path) -> list[Source]:
    found = sorted(
        file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()
    )
    if not found:
        raise click.UsageError(f"the folder {str(folder)!r} holds no images")
    return [Source(file, is_video=False) for file in found]
