"""Pipelines: preprocess, session and postprocess as one call.

``load("yolov8n.onnx")(frame)`` gives the detections of a frame.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError, UnsupportedModel
from hwrt.spec import ModelInfo, TensorSpec
from hwrt.vision.geometry import Geometry
from hwrt.vision.postprocess import check_k, check_thresholds, decode_yolov8, top_k
from hwrt.vision.preprocess import Levels, crop, letterbox, resize
from hwrt.vision.results import Classification, Detections
from hwrt.vision.settings import Settings, Shape, image_shape, resolve

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from Python 3.11

__all__ = ["FRAMES", "Classifier", "Detector", "Pipeline", "load"]

FRAMES = ("rgb", "bgr", "gray")
_FORESEEN_FRAMES = ("nv12", "yuyv")

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
                hint=f"give {_expected(self.frames)}, or a list of such",
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
        tensor = np.zeros(shape, dtype=self._input.dtype)
        places = [self._fill(frame, row) for frame, row in zip(frames, tensor, strict=False)]
        output = self.session.run({self._input.name: tensor})[self._output.name]
        self._check_output(output.shape)
        return self._results(output, places)

    def _fill(self, frame: NDArray[np.uint8], row: NDArray[Any]) -> Geometry:
        """Write the frame into its row of the input."""
        _check_frame(frame, self.frames)
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
        return decode_yolov8(
            output[: len(places)],
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
            logits = not _are_probabilities(row) if softmax is None else softmax
            classes, scores = top_k(row, self.top, softmax=logits)
            names = tuple(labels[number] for number in classes)
            found.append(Classification(classes=classes, scores=scores, labels=names))
        return found


def load(
    model: str | os.PathLike[str] | bytes,
    *,
    task: str | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    frames: str = "rgb",
    size: int | tuple[int, int] | None = None,
    mean: Levels | None = None,
    std: Levels | None = None,
    resize: str | None = None,
    colour: str | None = None,
    layout: str | None = None,
    crop_scale: float | None = None,
    softmax: bool | None = None,
    conf: float = 0.25,
    iou: float = 0.45,
    max_det: int = 300,
    top: int = 5,
    batch: int | None = None,
    **load_arguments: Any,
) -> Detector | Classifier:
    """A pipeline over ``hwrt.load(model, **load_arguments)``.

    frames:  the channel order of the frames it is to be given: "rgb", "bgr" or "gray".
    labels:  the names of all classes, or a file with one a line.
    size:    the input's side, or (height, width).
    mean, std: in levels 0..255, one number or one per channel.
    resize:  "letterbox", "stretch" or "crop"; ``crop_scale`` as ``hwrt.vision.crop`` takes it.
    colour:  the order of the channels that the model wants, "rgb" or "bgr".
    layout:  of the input, "NCHW" or "NHWC".
    softmax: whether a classifier's outputs are logits; None: unless they are probabilities, that
             is not negative and with a sum of 1.
    conf, iou, max_det: a detector's; ``top``: how many classes a classifier gives.
    batch:   the number of frames that run at once, for a model that leaves it open.

    What is not given is found as ``hwrt.vision.settings`` says.  Raises InputError for what is
    missing or wrong, UnsupportedModel for a model that no pipeline serves, and what hwrt.load does.
    """
    from hwrt import loading

    check_thresholds(conf=conf, iou=iou, max_det=max_det)
    check_k(top)
    info = loading.inspect(model, cache=load_arguments.get("cache", True))
    given_shapes = load_arguments.get("shapes") or {}
    arguments = {
        "task": task,
        "labels": labels,
        "size": size,
        "mean": mean,
        "std": std,
        "resize": resize,
        "colour": colour,
        "layout": layout,
        "crop_scale": crop_scale,
        "softmax": softmax,
    }
    settings = resolve(info, arguments, shape=_shape_to_run(info, given_shapes))
    check_frames(frames, settings)
    load_arguments["shapes"] = _shapes_of_size(info, given_shapes, settings, batch)
    session = loading.load(model, **load_arguments)
    try:
        if settings.task == "detect":
            return Detector(session, settings, frames=frames, conf=conf, iou=iou, max_det=max_det)
        return Classifier(session, settings, frames=frames, top=top)
    except BaseException:
        session.close()
        raise


def check_frames(frames: str, settings: Settings) -> None:
    """Raise InputError where such frames can not be served."""
    if frames in _FORESEEN_FRAMES:
        raise InputError(
            f"frames={frames!r} is not available in this version",
            hint=f"convert them; it takes {', '.join(FRAMES)}",
        )
    if frames not in FRAMES:
        raise InputError(f"frames is {frames!r}", hint=f"give one of {', '.join(FRAMES)}")
    if settings.channels == 1 and frames != "gray":
        raise InputError(
            f"the model takes one channel, frames is {frames!r}", hint="give frames='gray'"
        )


def _check_frame(frame: NDArray[Any], frames: str) -> None:
    fits = isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.size > 0
    channels = (1,) if frames == "gray" else (3,)
    shapes_fit = fits and (
        (frame.ndim == 2 and frames == "gray") or (frame.ndim == 3 and frame.shape[2:] == channels)
    )
    if not shapes_fit:
        kind = type(frame).__name__
        shown = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else kind
        raise InputError(f"the frame is {shown}", hint=f"give {_expected(frames)}")


def _expected(frames: str) -> str:
    shape = "(H, W)" if frames == "gray" else "(H, W, 3)"
    return f"a numpy.ndarray of uint8 {shape}, {frames}"


def _image_input(inputs: Sequence[TensorSpec]) -> TensorSpec:
    if len(inputs) != 1 or inputs[0].dtype not in (np.float32, np.float16):
        raise UnsupportedModel(
            f"the inputs are {'; '.join(map(str, inputs))}",
            hint="a pipeline needs one input of float32 or float16; hwrt.load runs any model",
        )
    return inputs[0]


def _only_output(outputs: Sequence[TensorSpec]) -> TensorSpec:
    if len(outputs) != 1:
        raise UnsupportedModel(
            f"the outputs are {'; '.join(map(str, outputs))}",
            hint="a pipeline needs one output; hwrt.load runs any model",
        )
    return outputs[0]


def _are_probabilities(row: NDArray[np.float32]) -> bool:
    """True when nothing is negative and the sum is 1, but for the rounding of 16-bit floats."""
    return bool(row.min() >= 0 and abs(float(row.sum(dtype=np.float64)) - 1) <= 0.01)


def _shape_to_run(info: ModelInfo, given: Mapping[str, Sequence[Any]]) -> Shape:
    """The input's shape with what ``shapes`` fixes of it."""
    shape = image_shape(info)
    sizes = given.get(info.inputs[0].name, shape)
    if len(sizes) != len(shape):
        raise InputError(
            f"shapes gives {info.inputs[0].name!r} the shape {tuple(sizes)}",
            hint=f"the model has {info.inputs[0]}",
        )
    return tuple(size if isinstance(size, int) else None for size in sizes)


def _shapes_of_size(
    info: ModelInfo, given: Mapping[str, Any], settings: Settings, batch: int | None
) -> Mapping[str, Any] | None:
    """The shapes to load with: the settings' size where the file leaves height or width open.

    Left to itself, a session would be tuned on images of 1x1.
    """
    spec = info.inputs[0]
    shape = _shape_to_run(info, given)
    if batch is not None and shape[0] not in (None, batch):
        raise InputError(
            f"a batch of {batch} was asked of {spec}, which runs {shape[0]} at once",
            hint="leave the batch out, or export the model with an open first dimension",
        )
    if spec.name in given or (batch is None and None not in shape[1:]):
        return given or None
    return {**given, spec.name: (batch or shape[0] or 1, *settings.image)}
