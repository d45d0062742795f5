"""The pipeline from frames to the class of each pixel."""

from __future__ import annotations

from collections.abc import Sequence

from hwrt.errors import InputError, UnsupportedModel
from hwrt.spec import TensorSpec
from hwrt.vision.class_map import MOST_CLASSES, best_classes, nearest_classes, part_of
from hwrt.vision.geometry import Geometry
from hwrt.vision.model_input import Preprocess
from hwrt.vision.pipeline import Outputs, Pipeline, Runnable, check_numbers
from hwrt.vision.quantization import dequantize
from hwrt.vision.results import Segmentation
from hwrt.vision.settings import Settings, Shape

__all__ = ["Segmenter", "check_map"]


class Segmenter(Pipeline[Segmentation]):
    """Frames to the class of each of their pixels.

    The model's output is a map of scores, (batch, classes, h, w) or (batch, h, w, classes), or a
    map of classes, integers (batch, h, w).  What of it the frame covers is brought to the frame's
    size: scores bilinearly, before the best class is chosen; classes by the nearest pixel.  With
    ``roi`` the result has the region's size.  Without a Geometry from the caller's preprocess it
    has the map's own.
    """

    def __init__(
        self,
        session: Runnable,
        settings: Settings,
        *,
        frames: str = "rgb",
        matrix: str = "bt601",
        preprocess: Preprocess | None = None,
        threads: int = 1,
    ) -> None:
        super().__init__(
            session,
            settings,
            frames=frames,
            matrix=matrix,
            preprocess=preprocess,
            threads=threads,
        )
        self._output = check_map(session.outputs, settings, own_preprocess=preprocess is not None)

    def _read(self, outputs: Outputs, places: Sequence[Geometry | None]) -> list[Segmentation]:
        output = outputs[self._output.name]
        self._check_rows(self._output.name, output, len(places))
        axis = _class_axis(self._output, output.shape, self.settings)
        maps = output[: len(places)]
        if self._output.quantization is not None:
            scale, zero_point, channels = self._output.quantization
            maps = dequantize(maps, scale, zero_point, axis=channels)
        if axis == 1:
            maps = maps.transpose(0, 2, 3, 1)
        found = []
        for one, place in zip(maps, places, strict=True):
            height, width = one.shape[:2]
            size, part = (height, width), None
            if place is not None:
                size = place.frame_height, place.frame_width
                part = part_of(place, height, width)
            classes = (
                nearest_classes(one.reshape(height, width), size, part)
                if _is_classes(self._output)
                else best_classes(one, size, part)
            )
            found.append(Segmentation(classes=classes, labels=self.settings.labels))
        return found


def check_map(
    outputs: Sequence[TensorSpec], settings: Settings, *, own_preprocess: bool = False
) -> TensorSpec:
    """The output that is a map of scores or classes.

    Raises UnsupportedModel for a model of other outputs, InputError for settings that cut off a
    part of the frame.
    """
    ranks = sorted(len(spec.shape) for spec in outputs if spec.shape is not None)
    shown = "; ".join(map(str, outputs))
    if len(outputs) > 1 and ranks == [3, 4]:
        raise UnsupportedModel(
            f"the outputs are {shown}: those of instance segmentation, as YOLOv8-seg's, objects "
            "and the prototypes of their masks",
            hint="a Segmenter takes one map of scores or classes: semantic segmentation; hwrt.load "
            "runs any model, and postprocess=... makes results of it",
        )
    if len(outputs) == 1 and _is_classes(outputs[0]):
        spec = outputs[0]
    else:
        spec = check_numbers("output", outputs)
    if spec.shape is not None:
        _class_axis(spec, spec.shape, settings)
    if settings.resize == "crop" and not own_preprocess:
        raise InputError(
            "resize is 'crop', which leaves pixels of the frame unseen",
            hint="give 'letterbox' or 'stretch' for the task 'segment'",
        )
    return spec


def _is_classes(spec: TensorSpec) -> bool:
    """True for integers that stand for themselves."""
    return spec.dtype.kind in "iu" and spec.quantization is None


def _class_axis(spec: TensorSpec, shape: Shape, settings: Settings) -> int | None:
    """The dimension that the classes lie along; None where the output has none.

    Of two that could be it is the one of the input's layout.
    """
    count = len(settings.labels)
    if _is_classes(spec):
        if len(shape) == 3:
            return None
        sizes, wanted = {1}, "(batch, h, w) of classes"
    else:
        sizes = {count} if 2 <= count <= MOST_CLASSES else set()
        wanted = f"(batch, {count}, h, w) or (batch, h, w, {count}) for {count} labels"
    axes = (1, 3) if settings.layout == "NCHW" else (3, 1)
    fitting = [axis for axis in axes if len(shape) == 4 and shape[axis] in {*sizes, None}]
    if not sizes:
        raise UnsupportedModel(
            f"the output {spec.name!r} has scores, and there are {count} labels",
            hint=f"give the labels of all its classes, 2 to {MOST_CLASSES}, the background's too",
        )
    if not fitting:
        raise UnsupportedModel(
            f"the output {spec.name!r} is {shape}, not {wanted}",
            hint="give one label for each of the model's classes, the background's too",
        )
    known = [axis for axis in fitting if shape[axis] is not None]
    return (known or fitting)[0]
