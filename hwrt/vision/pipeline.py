"""Pipelines: preprocess, session and postprocess as one call.

``hwrt.vision.load("yolov8n.onnx")(frame)`` gives the detections of a frame.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError, UnsupportedModel
from hwrt.spec import Quantization, TensorSpec
from hwrt.vision.frames import check_frame, check_frames, expected
from hwrt.vision.geometry import Geometry
from hwrt.vision.postprocess import decode_yolov8, top_k
from hwrt.vision.preprocess import crop, letterbox, resize
from hwrt.vision.quantization import dequantize, quantize
from hwrt.vision.results import Classification, Detections
from hwrt.vision.settings import Settings, Shape

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from Python 3.11

__all__ = ["Classifier", "Detector", "Pipeline"]

ResultT = TypeVar("ResultT")


class Runnable(Protocol):
    """What a pipeline needs of a session."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The model's inputs as they are run."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The model's outputs as they are run."""

    @property
    def plan(self) -> Any:
        """What was picked: backend, device, precision."""

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Outputs for these feeds; the caller owns them."""

    def close(self) -> None:
        """Give everything back."""


class Pipeline(ABC, Generic[ResultT]):
    """A session with the steps before and after it.

    It owns the session: ``close`` (or the end of a ``with``) closes both.  Any thread may call it,
    also at the same time.
    """

    def __init__(self, session: Runnable, settings: Settings, *, frames: str = "rgb") -> None:
        check_frames(frames, settings)
        self.session = session
        self.settings = settings
        self.frames = frames
        self._input = _image_input(session.inputs)
        self._output = _only_output(session.outputs)
        if self._output.shape is not None:
            self._check_output(self._output.shape)

    @overload
    def __call__(self, frame: NDArray[np.uint8]) -> ResultT: ...

    @overload
    def __call__(self, frame: Sequence[NDArray[np.uint8]]) -> list[ResultT]: ...

    def __call__(
        self, frame: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]
    ) -> ResultT | list[ResultT]:
        """The result of a frame; for a list of frames, of any sizes, the list of their results.

        A frame is uint8 (H, W, 3) in the channel order said at load, or (H, W) for gray.  A list
        runs as one batch where the model's batch is open, in batches of the model's size (the last
        one filled up with zeros) where it is fixed.  Raises InputError for anything else.
        """
        if isinstance(frame, np.ndarray):
            return self._run_batch([frame])[0]
        if not isinstance(frame, list | tuple):
            raise InputError(
                f"the frame is of the type {type(frame).__name__}",
                hint=f"give {expected(self.frames)}, or a list of such",
            )
        size = self._batch_size or len(frame) or 1
        batches = [frame[first : first + size] for first in range(0, len(frame), size)]
        return [result for batch in batches for result in self._run_batch(batch)]

    def close(self) -> None:
        """Close the session.  Calling it twice is harmless."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def _check_output(self, shape: Shape) -> None:
        """Raise InputError or UnsupportedModel where the output's shape is not this task's."""

    @abstractmethod
    def _results(self, output: NDArray[Any], places: Sequence[Geometry]) -> list[ResultT]:
        """One result for each place; rows of the output beyond these are filling."""

    @property
    def _batch_size(self) -> int | None:
        return self._input.shape[0] if self._input.shape else None

    def _run_batch(self, frames: Sequence[NDArray[np.uint8]]) -> list[ResultT]:
        settings = self.settings
        shape = (self._batch_size or len(frames), *settings.image)
        quantization = self._input.quantization
        tensor = np.zeros(shape, dtype=np.float32 if quantization else self._input.dtype)
        places = [self._fill(frame, row) for frame, row in zip(frames, tensor, strict=False)]
        if quantization is not None:
            tensor = quantize(tensor, **_parameters(quantization), dtype=self._input.dtype)
        output = self.session.run({self._input.name: tensor})[self._output.name]
        self._check_output(output.shape)
        if self._output.quantization is not None:
            output = dequantize(output, **_parameters(self._output.quantization))
        return self._results(output, places)

    def _fill(self, frame: NDArray[np.uint8], row: NDArray[Any]) -> Geometry:
        """Write the frame into its row of the input."""
        check_frame(frame, self.frames)
        settings = self.settings
        steps: dict[str, Any] = {
            "mean": settings.mean,
            "std": settings.std,
            "bgr": self.frames != "gray" and self.frames != settings.colour,
            "layout": settings.layout,
        }
        if settings.resize == "letterbox":
            return letterbox(frame, row, **steps)
        if settings.resize == "crop":
            return crop(frame, row, crop_scale=settings.crop_scale, **steps)
        return resize(frame, row, **steps)


class Detector(Pipeline[Detections]):
    """Frames to detections, through a model with a YOLOv8 head."""

    def __init__(
        self,
        session: Runnable,
        settings: Settings,
        *,
        frames: str = "rgb",
        conf: float = 0.25,
        iou: float = 0.45,
        max_det: int = 300,
    ) -> None:
        super().__init__(session, settings, frames=frames)
        self.conf, self.iou, self.max_det = conf, iou, max_det

    def _check_output(self, shape: Shape) -> None:
        rows = 4 + len(self.settings.labels)
        if len(shape) != 3 or shape[1] not in (rows, None):
            raise UnsupportedModel(
                f"the output {self._output.name!r} is {shape}, not (batch, {rows}, anchors): "
                f"4 coordinates and the scores of {len(self.settings.labels)} labels",
                hint="give the labels of all its classes, or export a YOLOv8 head without NMS",
            )

    def _results(self, output: NDArray[Any], places: Sequence[Geometry]) -> list[Detections]:
        rows = output[: len(places)]
        if self.settings.boxes == "fractions":
            height, width = self.settings.size
            rows = rows.copy()
            rows[:, :4] *= np.array([[width], [height], [width], [height]], rows.dtype)
        return decode_yolov8(
            rows,
            conf=self.conf,
            iou=self.iou,
            max_det=self.max_det,
            geometry=places,
            labels=self.settings.labels,
        )


class Classifier(Pipeline[Classification]):
    """Frames to their best classes."""

    def __init__(
        self, session: Runnable, settings: Settings, *, frames: str = "rgb", top: int = 5
    ) -> None:
        super().__init__(session, settings, frames=frames)
        self.top = top

    def _check_output(self, shape: Shape) -> None:
        count = len(self.settings.labels)
        sizes = [size for size in shape[1:] if size != 1]
        if len(shape) < 2 or (None not in sizes and sizes not in ([count], [])):
            raise UnsupportedModel(
                f"the output {self._output.name!r} is {shape}, not (batch, {count}) for "
                f"{count} labels",
                hint="give one label for each of the model's classes",
            )

    def _results(self, output: NDArray[Any], places: Sequence[Geometry]) -> list[Classification]:
        rows = output.reshape(len(output), -1)[: len(places)].astype(np.float32, copy=False)
        labels, softmax = self.settings.labels, self.settings.softmax
        found = []
        for row in rows:
            logits = not self._are_probabilities(row) if softmax is None else softmax
            classes, scores = top_k(row, self.top, softmax=logits)
            names = tuple(labels[number] for number in classes)
            found.append(Classification(classes=classes, scores=scores, labels=names))
        return found

    def _are_probabilities(self, row: NDArray[np.float32]) -> bool:
        """True when nothing is negative and the sum is 1, but for rounding.

        A 16-bit float is off by a thousandth, a quantised one by half a step an element.
        """
        quantization = self._output.quantization
        rounding = 0.0 if quantization is None else max(quantization.scale) / 2 * row.size
        off = abs(float(row.sum(dtype=np.float64)) - 1)
        return bool(row.min() >= 0 and row.max() <= 1 and off <= 0.01 + rounding)


def _image_input(inputs: Sequence[TensorSpec]) -> TensorSpec:
    if len(inputs) != 1 or not _holds_numbers(inputs[0]):
        raise UnsupportedModel(
            f"the inputs are {'; '.join(map(str, inputs))}",
            hint="a pipeline needs one input of floats, or of integers with a scale; hwrt.load "
            "runs any model",
        )
    return inputs[0]


def _only_output(outputs: Sequence[TensorSpec]) -> TensorSpec:
    if len(outputs) != 1 or not _holds_numbers(outputs[0]):
        raise UnsupportedModel(
            f"the outputs are {'; '.join(map(str, outputs))}",
            hint="a pipeline needs one output of floats, or of integers with a scale; hwrt.load "
            "runs any model",
        )
    return outputs[0]


def _holds_numbers(spec: TensorSpec) -> bool:
    """True for floats, and for integers of which the file says what they stand for."""
    if spec.quantization is not None:
        return spec.dtype in (np.int8, np.uint8, np.int16, np.uint16)
    return spec.dtype in (np.float32, np.float16)


def _parameters(quantization: Quantization) -> dict[str, Any]:
    return {
        "scale": quantization.scale,
        "zero_point": quantization.zero_point,
        "axis": quantization.axis,
    }
