"""What ``hwrt run --save`` writes: images and videos with what was found drawn in, class maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from numpy.typing import NDArray

from hwrt.cli.run_sources import Shot, Source
from hwrt.vision.images import draw, write_classes, write_image
from hwrt.vision.results import Segmentation
from hwrt.vision.video import VideoWriter

__all__ = ["Saving", "targets_of"]


def targets_of(
    sources: Sequence[Source], folder: Path, *, as_maps: bool = False
) -> dict[Source, Path]:
    """Where each source is saved: under its own name, numbered where two share one.

    ``as_maps`` is for images of which the map of classes is saved: a PNG file.
    Raises click.UsageError where a file of that name is there already.
    """
    targets: dict[Source, Path] = {}
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    for source in sources:
        suffix = ".png" if as_maps and not source.is_video else source.saved_suffix
        plain = name = f"{source.stem}{suffix}"
        while name in taken:
            numbers[plain] = number = numbers.get(plain, 1) + 1
            name = f"{source.stem}-{number}{suffix}"
        taken.add(name)
        targets[source] = folder / name
        _require_free(targets[source])
    return targets


def _require_free(target: Path) -> None:
    try:
        is_free = not (target.exists() or target.is_symlink())
    except OSError as exc:
        raise click.UsageError(f"--save can not write {str(target)!r}: {exc.strerror}") from exc
    if not is_free:
        raise click.UsageError(f"--save would overwrite {str(target)!r}: give another folder")


class Saving:
    """Writes frames with their results drawn in, until it is closed."""

    def __init__(self, targets: dict[Source, Path], *, bgr: bool) -> None:
        self._targets = targets
        self._bgr = bgr
        self._source: Source | None = None
        self._video: VideoWriter | None = None

    def save(self, shot: Shot, result: Any) -> Path | None:
        """Where the frame is saved; None where nothing is to be."""
        target = self._targets.get(shot.source)
        if target is None:
            return None
        if isinstance(result, Segmentation) and not shot.source.is_video:
            write_classes(result.classes, target)
            return target
        drawn = draw(self._as_rgb(shot.frame), result)
        if not shot.source.is_video:
            write_image(drawn, target)
            return target
        if shot.source is not self._source or self._video is None:
            self.close()
            self._source = shot.source
            self._video = VideoWriter(target, rate=shot.rate or 0.0)
        self._video.write(drawn[..., ::-1])
        return target

    def close(self) -> None:
        """Finish the video that is being written."""
        video, self._video = self._video, None
        if video is not None:
            video.close()

    def _as_rgb(self, frame: NDArray[Any]) -> NDArray[Any]:
        return frame[..., ::-1] if self._bgr else frame
