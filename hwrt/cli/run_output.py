"""What ``hwrt run`` says of each frame: lines for people, or one JSON document."""

from __future__ import annotations

import contextlib
import json
import signal
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import click

from hwrt.cli.echo import echo
from hwrt.cli.run_sources import Shot
from hwrt.vision.classifier import Classifier
from hwrt.vision.detector import Detector
from hwrt.vision.results import Classification, Detections, Segmentation
from hwrt.vision.segmenter import Segmenter

__all__ = ["Document", "Lines", "Output", "entry_of"]

Result = Detections | Classification | Segmentation


def entry_of(shot: Shot, result: Result, saved: Path | None) -> dict[str, Any]:
    """The JSON entry of one frame."""
    height, width = shot.frame.shape[:2]
    entry: dict[str, Any] = {"source": shot.source.name}
    if shot.number is not None and shot.time_s is not None:
        entry |= {"frame": shot.number, "time_s": round(shot.time_s, 6)}
    entry |= {"width": width, "height": height}
    entry["detections" if isinstance(result, Detections) else "classes"] = result.to_json()
    if saved is not None:
        entry["saved"] = str(saved)
    return entry


class Output(Protocol):
    """Where the entries go, as they come: a live source has no end."""

    def add(self, entry: dict[str, Any], result: Result) -> None:
        """Say one frame's entry."""

    def end(self, error: str | None, *, is_raised: bool) -> None:
        """Say the end, and why it came early."""


class Lines:
    """Lines for people."""

    def __init__(self, pipeline: Detector | Classifier | Segmenter, model: str) -> None:
        plan, task = pipeline.session.plan, pipeline.settings.task
        echo(f"{model}: {task} on {plan.backend}, {plan.device}, {plan.precision}")

    def add(self, entry: dict[str, Any], result: Result) -> None:
        """Print what was found."""
        for line in _lines(entry, result):
            echo(line)

    def end(self, error: str | None, *, is_raised: bool) -> None:
        """Print nothing: whoever raises the error tells it."""


class Document:
    """One JSON document on standard output, begun with the first entry.

    It is whole whatever happens then; ``error`` is in it where the run did not come to its end.
    """

    def __init__(self, pipeline: Detector | Classifier | Segmenter, model: str) -> None:
        plan = pipeline.session.plan
        self._head = {
            "schema": "hwrt.run/1",
            "model": model,
            "task": pipeline.settings.task,
            "backend": plan.backend,
            "device": plan.device,
            "precision": plan.precision,
        }
        self._count = 0

    def add(self, entry: dict[str, Any], result: Result) -> None:
        """Print the entry, the beginning of the document before the first."""
        text = textwrap.indent(json.dumps(entry, indent=1, allow_nan=False), "  ")
        with _uninterrupted():
            begin = ",\n" if self._count else self._begin()
            self._count += 1
            click.echo(f"{begin}{text}", nl=False)

    def end(self, error: str | None, *, is_raised: bool) -> None:
        """Print the end; nothing where an error was raised before the first entry."""
        if self._count == 0 and is_raised:
            return
        begun = "\n" if self._count else self._begin()
        told = f',\n "error": {json.dumps(error)}' if error is not None else ""
        with _uninterrupted():
            click.echo(f"{begun} ]{told}\n}}")

    def _begin(self) -> str:
        head = json.dumps(self._head, indent=1).removesuffix("\n}")
        return f'{head},\n "results": [\n'


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the end of this; a second one does not.

    Whoever reads a pipe slowly keeps us in the middle of an entry most of the time.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    held: list[int] = []

    def hold(number: int, _frame: object) -> None:
        if held:
            raise KeyboardInterrupt
        held.append(number)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if held:
        raise KeyboardInterrupt


def _lines(entry: dict[str, Any], result: Result) -> Iterator[str]:
    place = f" #{entry['frame']} {entry['time_s']:.3f} s" if "frame" in entry else ""
    head = f"{entry['source']}{place} ({entry['width']}x{entry['height']})"
    rows = result.to_json()
    yield f"{head}:" if rows else f"{head}: nothing found"
    for row, figure in zip(rows, _figures(result, rows), strict=True):
        line = f"  {figure}  {row['label']}"
        if "box_xyxy" in row:
            x0, y0, x1, y1 = (round(edge) for edge in row["box_xyxy"])
            line += f"  ({x0}, {y0}) to ({x1}, {y1})"
        yield line
    if "saved" in entry and "frame" not in entry:
        yield f"  saved as {entry['saved']}"


def _figures(result: Result, rows: list[dict[str, Any]]) -> list[str]:
    """How sure each row is, or how much of the frame it covers."""
    if isinstance(result, Segmentation):
        return [f"{row['share']:6.1%}" for row in rows]
    return [f"{score:.2f}" for score in result.scores]
