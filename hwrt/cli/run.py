"""``hwrt run``: what a model sees in image files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from hwrt.cli.echo import echo
from hwrt.cli.options import load_options, with_zoo_batch
from hwrt.vision.images import SUFFIXES, draw, read_image, require_pillow, write_image
from hwrt.vision.loading import load
from hwrt.vision.pipeline import Classifier, Detector
from hwrt.vision.results import Classification, Detections

__all__ = ["command"]

_VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})
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
@click.option("--task", help="classify or detect, where the model does not say it.")
@click.option("--mean", callback=_levels, metavar="LEVELS", help="In 0..255: 127.5 or 124,116,104.")
@click.option("--std", callback=_levels, metavar="LEVELS", help="In 0..255, as --mean.")
@click.option("--size", callback=_size, metavar="SIZE", help="Of the input: 640 or 480x640 (HxW).")
@click.option("--resize", help="letterbox, stretch or crop.")
@click.option("--colour", help="The order of the model's channels: rgb or bgr.")
@click.option("--layout", help="Of the input, where its shape leaves it open: NCHW or NHWC.")
@click.option("--boxes", help="What a detector gives: pixels of its input, or fractions of it.")
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the images, with what was found drawn in, into this folder.",
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
) -> None:
    """Show what MODEL sees in each SOURCE, an image or a folder of images."""
    require_pillow()  # before the seconds that a first load takes
    files = _image_files(sources)
    targets = dict(zip(files, _targets(files, save), strict=True)) if save else {}
    model = with_zoo_batch(model, batch)
    with load(model, batch=batch, **settings, **load_arguments) as pipeline:
        entries = _entries(pipeline, files, targets, batch or 1)
        if as_json:
            document = {**_document(pipeline, model), "results": [entry for entry, _ in entries]}
            click.echo(json.dumps(document, indent=1, allow_nan=False))
            return
        echo(_heading(pipeline, model))
        for entry, result in entries:
            for line in _lines(entry, result):
                echo(line)


def _image_files(sources: Sequence[str]) -> list[Path]:
    files: list[Path] = []
    for source in sources:
        path = Path(source)
        if path.is_dir():
            found = sorted(
                file
                for file in path.iterdir()
                if file.suffix.lower() in SUFFIXES and file.is_file()
            )
            if not found:
                raise click.UsageError(f"the folder {source!r} holds no images")
            files.extend(found)
        elif "://" in source or (source.isdigit() and not path.exists()):
            raise click.UsageError(f"{source!r}: cameras and streams are not read in this version")
        elif path.suffix.lower() in _VIDEO_SUFFIXES:
            raise click.UsageError(f"{source!r}: videos are not read in this version")
        elif not path.exists():
            raise click.UsageError(f"there is no {source!r}")
        elif not path.is_file():  # a pipe would keep us waiting for its writer
            raise click.UsageError(f"{source!r} is a pipe, socket or device: save it to a file")
        else:
            files.append(path)
    return list(dict.fromkeys(files))


def _targets(files: Sequence[Path], folder: Path) -> list[Path]:
    """Where each image is saved: under its own name, numbered where two share one.

    Raises click.UsageError where a file of that name is there already.
    """
    targets: list[Path] = []
    for file in files:
        suffix = file.suffix if file.suffix.lower() in SUFFIXES else ".png"
        target, number = folder / f"{file.stem}{suffix}", 1
        while target in targets:
            number += 1
            target = folder / f"{file.stem}-{number}{suffix}"
        if target.exists() or target.is_symlink():
            raise click.UsageError(f"--save would overwrite {str(target)!r}: give another folder")
        targets.append(target)
    return targets


def _entries(
    pipeline: Detector | Classifier,
    files: Sequence[Path],
    targets: dict[Path, Path],
    batch: int,
) -> Iterator[tuple[dict[str, Any], Detections | Classification]]:
    """The JSON entry and the result of each file; at most ``batch`` frames are in memory."""
    for first in range(0, len(files), batch):
        paths = files[first : first + batch]
        frames = [read_image(path) for path in paths]
        results: Sequence[Detections | Classification] = pipeline(frames)
        for path, frame, result in zip(paths, frames, results, strict=True):
            kind = "detections" if isinstance(result, Detections) else "classes"
            height, width = frame.shape[:2]
            entry = {"source": str(path), "width": width, "height": height}
            entry[kind] = result.to_json()
            if path in targets:
                write_image(draw(frame, result), targets[path])
                entry["saved"] = str(targets[path])
            yield entry, result


def _document(pipeline: Detector | Classifier, model: str) -> dict[str, Any]:
    plan = pipeline.session.plan
    return {
        "schema": "hwrt.run/1",
        "model": model,
        "task": pipeline.settings.task,
        "backend": plan.backend,
        "device": plan.device,
        "precision": plan.precision,
    }


def _heading(pipeline: Detector | Classifier, model: str) -> str:
    plan = pipeline.session.plan
    return f"{model}: {pipeline.settings.task} on {plan.backend}, {plan.device}, {plan.precision}"


def _lines(entry: dict[str, Any], result: Detections | Classification) -> Iterator[str]:
    head = f"{entry['source']} ({entry['width']}x{entry['height']})"
    yield f"{head}:" if len(result) else f"{head}: nothing found"
    for row, score in zip(result.to_json(), result.scores, strict=True):
        line = f"  {score:.2f}  {row['label']}"
        if "box_xyxy" in row:
            x0, y0, x1, y1 = (round(edge) for edge in row["box_xyxy"])
            line += f"  ({x0}, {y0}) to ({x1}, {y1})"
        yield line
    if "saved" in entry:
        yield f"  saved as {entry['saved']}"
