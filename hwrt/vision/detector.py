"""The pipeline from frames to detections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError, UnsupportedModel
from hwrt.spec import Quantization
from hwrt.vision.geometry import Geometry
from hwrt.vision.model_input import Preprocess
from hwrt.vision.pipeline import Frame, Outputs, Pipeline, Runnable, check_numbers
from hwrt.vision.postprocess import decode_yolov5, decode_yolov8
from hwrt.vision.quantization import dequantize
from hwrt.vision.results import Detections
from hwrt.vision.settings import Settings, Shape
from hwrt.vision.tiles import checked_tiling, merged, tiles_of
from hwrt.vision.yuv import YUV_FORMATS

__all__ = ["Detector"]


class _Head(NamedTuple):
    """How a detector's output is laid out, and what decodes it."""

    decode: Callable[..., list[Detections]]
    text: str
    extra: int
    """Numbers of an anchor beside the scores of its classes."""
    axis: int
    """The dimension that they lie along."""

    def fits(self, shape: Shape, count: int) -> bool:
        return len(shape) == 3 and shape[self.axis] in (self.extra + count, None)


_HEADS: Mapping[str, _Head] = {
    "yolov8": _Head(decode_yolov8, "(batch, {}, anchors): 4 coordinates", 4, 1),
    "yolov5": _Head(decode_yolov5, "(batch, anchors, {}): 4 coordinates, the objectness", 5, 2),
}


class Detector(Pipeline[Detections]):
    """Frames to detections, through a model with a YOLOv8 head or a YOLOv5-style one."""

    def __init__(
        self,
        session: Runnable,
        settings: Settings,
        *,
        frames: str = "rgb",
        matrix: str = "bt601",
        preprocess: Preprocess | None = None,
        threads: int = 1,
        conf: float = 0.25,
        iou: float = 0.45,
        max_det: int = 300,
        class_agnostic: bool = False,
    ) -> None:
        super().__init__(
            session,
            settings,
            frames=frames,
            matrix=matrix,
            preprocess=preprocess,
            threads=threads,
        )
        self.conf, self.iou, self.max_det = conf, iou, max_det
        self.class_agnostic = class_agnostic
        self._head = _HEADS[settings.head]
        self._output = check_numbers("output", session.outputs)
        if self._output.shape is not None:
            self._check_output(self._output.shape)

    def tiled(
        self, frame: Frame, *, tile: tuple[int, int] | None = None, overlap: float = 0.2
    ) -> Detections:
        """The detections of a large frame, looked at in tiles without a copy of them.

        ``tile`` is height and width in the frame's pixels, by default the model's input at scale
        1.  Tiles cover the frame wholly and share at least ``overlap`` of their sides, as evenly as
        can be.  ``hwrt.vision.tiles`` says how their boxes are merged: one that a tile's border
        cuts yields to a whole one.  Objects larger than a tile come out as the union of their
        parts at best; run the whole frame too where they count.
        """
        view = self._part(frame, None)
        if self._is_checked and self.frames in YUV_FORMATS:
            raise InputError(
                f"tiles of {self.frames} frames are not cut", hint="convert the frame to rgb"
            )
        size, shared = checked_tiling(self.settings.size if tile is None else tile, overlap)
        tiles = tiles_of(view.shape[:2], size, shared)
        results: list[Detections] = []
        for batch in _batches(tiles, self._sizes.least):
            parts = [view[one.y0 : one.y1, one.x0 : one.x1] for one in batch]
            found, places = self._run(parts, lambda outputs, at: (self._read(outputs, at), at))
            pairs = zip(found, places, batch, strict=True)
            results += [self._shift(one, place, t.x0, t.y0) for one, place, t in pairs]
        boxes, scores, classes = merged(
            results,
            tiles,
            view.shape[:2],
            iou=self.iou,
            max_det=self.max_det,
            class_agnostic=self.class_agnostic,
        )
        labels = tuple([self.settings.labels[number] for number in classes.tolist()])
        return Detections(boxes=boxes, scores=scores, classes=classes, labels=labels)

    def _check_output(self, shape: Shape) -> None:
        count = len(self.settings.labels)
        if self._head.fits(shape, count):
            return
        others = [name for name, head in _HEADS.items() if head.fits(shape, count)]
        raise UnsupportedModel(
            f"the output {self._output.name!r} is {shape}, not "
            f"{self._head.text.format(self._head.extra + count)} and the scores of {count} labels",
            hint=f"give head={others[0]!r}, which it fits"
            if others
            else "give the labels of all its classes, or export the head without NMS",
        )

    def _read(self, outputs: Outputs, places: Sequence[Geometry | None]) -> list[Detections]:
        output = outputs[self._output.name]
        self._check_output(output.shape)
        self._check_rows(self._output.name, output, len(places))
        rows, quantization = self._one_scale(output[: len(places)])
        steps: dict[str, Any] = {
            "conf": self.conf,
            "iou": self.iou,
            "max_det": self.max_det,
            "class_agnostic": self.class_agnostic,
            "labels": self.settings.labels,
            "quantization": quantization,
            "fractions_of": self.settings.size if self.settings.boxes == "fractions" else None,
        }
        found = []
        for row, place in zip(rows, places, strict=True):
            found += self._head.decode(row[None], geometry=place, **steps)
        return found

    def _one_scale(self, output: NDArray[Any]) -> tuple[NDArray[Any], Quantization | None]:
        """The output with one scale for all of it; floats where the file has several."""
        quantization = self._output.quantization
        if quantization is None or len(quantization.scale) == 1:
            return output, quantization
        scale, zero_point, axis = quantization
        return dequantize(output, scale, zero_point, axis=axis), None

    def _shift(self, result: Detections, place: Geometry | None, x: int, y: int) -> Detections:
        if place is None:
            raise InputError(
                "preprocess returned no Geometry, so a part's boxes can not be placed in its frame",
                hint="return the hwrt.vision.Geometry of the frame in the input",
            )
        return replace(result, boxes=result.boxes + np.array((x, y, x, y), np.float32))


def _batches(tiles: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [tiles[first : first + size] for first in range(0, len(tiles), size)]
