"""``hwrt run``: what a model sees in images, videos, cameras and streams."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from numpy.typing import NDArray

from hwrt.cli.echo import echo
from hwrt.cli.frame_rate import FrameRate
from hwrt.cli.options import load_options, with_zoo_batch
from hwrt.cli.run_output import Document, Lines, Output, entry_of
from hwrt.cli.run_saving import Saving, targets_of
from hwrt.cli.run_sources import Shot, Source, find_sources, require_readers, shots_of
from hwrt.errors import HwrtError
from hwrt.vision.classifier import Classifier
from hwrt.vision.custom import Custom
from hwrt.vision.detector import Detector
from hwrt.vision.loading import load
from hwrt.vision.segmenter import Segmenter

__all__ = ["command"]

_SIZE = re.compile(r"(\d{1,6})(?:x(\d{1,6}))?")


def _levels(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a number, nor numbers with commas") from None


def _size(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> tuple[int, int] | None:
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is neither a side nor HEIGHTxWIDTH")
    height, width = match.groups()
    return int(height), int(width or height)


@click.command("run")
@click.argument("model")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--conf", type=float, default=0.25, show_default=True, help="Least score of a box.")
@click.option("--iou", type=float, default=0.45, show_default=True, help="Most overlap of boxes.")
@click.option("--top", type=int, default=5, show_default=True, help="Classes to list.")
@click.option("--labels", metavar="FILE", help="The names of all classes, one a line.")
@click.option("--task", help="classify, detect or segment, where the model does not say it.")
@click.option("--mean", callback=_levels, metavar="LEVELS", help="In 0..255: 127.5 or 124,116,104.")
@click.option("--std", callback=_levels, metavar="LEVELS", help="In 0..255, as --mean.")
@click.option("--size", callback=_size, metavar="SIZE", help="Of the input: 640 or 480x640 (HxW).")
@click.option("--resize", help="letterbox, stretch or crop.")
@click.option("--colour", help="The order of the model's channels: rgb or bgr.")
@click.option("--layout", help="Of the input, where its shape leaves it open: NCHW or NHWC.")
@click.option("--boxes", help="What a detector gives: pixels of its input, or fractions of it.")
@click.option("--head", help="Of a detector: yolov8 (B, 4+C, N) or yolov5 (B, N, 5+C).")
@click.option("--class-agnostic", is_flag=True, help="Boxes of all classes suppress each other.")
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the images and videos, with what was found drawn in, into this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@load_options
def command(
    model: str,
    sources: Sequence[str],
    save: Path | None,
    as_json: bool,
    batch: int | None,
    load_arguments: dict[str, Any],
    **settings: Any,
) -> int:
    """Show what MODEL sees in each SOURCE.

    A SOURCE is an image, a folder of images, a video file, the number of a camera, or the address
    of a stream (rtsp://...).  Cameras and streams go on until Ctrl-C.
    """
    found = find_sources(sources)
    require_readers(found, draws=save is not None)  # before the seconds that a first load takes
    segments = settings["task"] == "segment"
    targets = targets_of(found, save, as_maps=segments) if save else {}
    bgr = any(source.is_video for source in found)  # as OpenCV gives frames
    model = with_zoo_batch(model, batch)
    frames = "bgr" if bgr else "rgb"
    with load(model, batch=batch, frames=frames, **settings, **load_arguments) as pipeline:
        assert not isinstance(pipeline, Custom)
        if save and isinstance(pipeline, Segmenter) and not segments:  # as the model says
            targets = targets_of(found, save, as_maps=True)
        output: Output = (Document if as_json else Lines)(pipeline, model)
        with closing(Saving(targets, bgr=bgr)) as saving:
            return _Run(pipeline, output, saving).run(found, bgr=bgr)


class _Run:
    """Frames on their way from the sources to the output."""

    def __init__(
        self, pipeline: Detector | Classifier | Segmenter, output: Output, saving: Saving
    ) -> None:
        self._pipeline, self._output, self._saving = pipeline, output, saving
        self._rate = FrameRate()
        # What the pipeline has taken and not answered yet.
        self._taken: deque[Shot] = deque()
        self._broken: list[str] = []

    def run(self, sources: Sequence[Source], *, bgr: bool) -> int:
        """The exit code: 1 where a source broke off."""
        shots = shots_of(sources, bgr=bgr, tell_broken=self._tell_broken)
        results = self._pipeline.stream(self._frames(shots))
        error: str | None = "it did not come to its end"
        is_raised = True
        try:
            with closing(results):
                for result in results:
                    self._say(self._taken.popleft(), result)
            self._saving.close()
            error, is_raised = "; ".join(self._broken) or None, False
        except HwrtError as exc:
            error = str(exc)
            raise
        except KeyboardInterrupt:
            # What has no end of its own is ended by this.
            if not any(source.is_live for source in sources):
                error = "interrupted"
                raise
            self._saving.close()
            error, is_raised = "; ".join(self._broken) or None, False
        finally:
            self._rate.clear()
            self._output.end(error, is_raised=is_raised)
        return 1 if self._broken else 0

    def _frames(self, shots: Iterator[Shot]) -> Iterator[NDArray[Any]]:
        for shot in shots:
            self._taken.append(shot)
            yield shot.frame

    def _say(self, shot: Shot, result: Any) -> None:
        saved = self._saving.save(shot, result)
        self._rate.clear()
        self._output.add(entry_of(shot, result, saved), result)
        if shot.source.is_video:
            self._rate.tick()

    def _tell_broken(self, message: str) -> None:
        self._broken.append(message)
        self._rate.clear()
        echo(f"hwrt run: {message}", err=True)
