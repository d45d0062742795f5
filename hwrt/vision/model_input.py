"""How frames get into a model's input: in place, in the input's own dtype."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError, UnsupportedModel
from hwrt.spec import Quantization, TensorSpec
from hwrt.vision.geometry import Geometry
from hwrt.vision.preprocess import crop, letterbox, resize
from hwrt.vision.quantization import quantize
from hwrt.vision.settings import Settings
from hwrt.vision.yuv import YUV_FORMATS

if TYPE_CHECKING:
    from hwrt.backend import Request

__all__ = ["BatchSizes", "FrameInput", "ModelInput", "Preprocess", "StageInput"]

Preprocess = Callable[[NDArray[Any], NDArray[Any]], Geometry | None]
"""``preprocess(frame, out)``: fills ``out`` from the frame; see ``hwrt.vision.load``."""

_WRITTEN = (np.float32, np.float16, np.uint8, np.int8)


class BatchSizes:
    """How many frames run at once: as many as ``most``, which is None where there is no bound."""

    def __init__(self, spec: TensorSpec, bound: Any) -> None:
        """``bound`` is what the load gave as the first dimension: a size, a Range or None."""
        fixed = spec.shape[0] if spec.shape else None
        self.least: int = fixed or getattr(bound, "min", 1) or 1
        self.most: int | None = fixed or getattr(bound, "max", None)

    def split(self, frames: Sequence[Any]) -> list[Sequence[Any]]:
        """The frames in batches of ``most``."""
        size = self.most or len(frames) or 1
        return [frames[first : first + size] for first in range(0, len(frames), size)]


class ModelInput(ABC):
    """What fills a request's input, whose rows are the places of frames.

    Any thread may use it, also at the same time, each with a request of its own.
    """

    def __init__(self, spec: TensorSpec, image: tuple[int, ...], sizes: BatchSizes) -> None:
        self._name = spec.name
        self._image = image
        self._sizes = sizes
        self._blank = _zeros(spec.quantization, len(image) + 1)

    def write(self, request: Request, frames: Sequence[NDArray[Any]]) -> list[Geometry | None]:
        """Fill the request's input with the frames; where each lies in it, None if not known.

        The request is resized where its input has another number of rows.  Rows beyond the frames
        stand for zeros.
        """
        shape = (max(len(frames), self._sizes.least), *self._image)
        tensor = request.inputs[self._name]
        if tensor.shape != shape:
            request.resize({self._name: shape})
            tensor = request.inputs[self._name]
        places = [self._fill(frame, row) for frame, row in zip(frames, tensor, strict=False)]
        if len(frames) < len(tensor):
            tensor[len(frames) :] = self._blank
        return places

    @abstractmethod
    def _fill(self, frame: NDArray[Any], row: NDArray[Any]) -> Geometry | None:
        """Write one frame into its row."""


class StageInput(ModelInput):
    """An input that the caller's own preprocess fills."""

    def __init__(
        self, spec: TensorSpec, image: tuple[int, ...], sizes: BatchSizes, preprocess: Preprocess
    ) -> None:
        super().__init__(spec, image, sizes)
        self._preprocess = preprocess

    def _fill(self, frame: NDArray[Any], row: NDArray[Any]) -> Geometry | None:
        place = self._preprocess(frame, row)
        if place is not None and not isinstance(place, Geometry):
            raise InputError(
                f"preprocess returned a {type(place).__name__}",
                hint="it fills out, and returns a hwrt.vision.Geometry or nothing",
            )
        return place


class FrameInput(ModelInput):
    """An input of floats, or of integers with a scale, that frames are resized into.

    The scale and zero point are folded into the normalisation: nothing lies between the frame and
    the request's memory.  Integers that the kernels do not write (16 bits; scales of something
    else than channels) go by way of floats, which each thread keeps for its next frame.
    """

    def __init__(
        self,
        spec: TensorSpec,
        settings: Settings,
        sizes: BatchSizes,
        *,
        frames: str,
        threads: int,
        matrix: str = "bt601",
    ) -> None:
        super().__init__(spec, settings.image, sizes)
        self._settings = settings
        self._steps: dict[str, Any] = {
            "mean": settings.mean,
            "std": settings.std,
            "bgr": frames != "gray" and frames != settings.colour,
            "layout": settings.layout,
            "threads": threads,
        }
        if frames in YUV_FORMATS:
            self._steps.update(yuv=frames, matrix=matrix, bgr=settings.colour == "bgr")
        self._indirect: Quantization | None = None
        self._kept = threading.local()
        if spec.quantization is not None:
            self._quantize_by(spec, spec.quantization)

    def _quantize_by(self, spec: TensorSpec, quantization: Quantization) -> None:
        scale, zero_point, axis = quantization
        channels = 1 if self._settings.layout == "NCHW" else 3
        if spec.dtype in _WRITTEN and len(scale) == 1:
            self._steps.update(scale=scale[0], zero_point=zero_point[0])
        elif spec.dtype in _WRITTEN and axis == channels:
            self._steps.update(_of_channels(self._settings, quantization))
        elif len(scale) > 1 and axis in (0, None):
            raise UnsupportedModel(
                f"the input {spec} has a scale for each image of a batch",
                hint="a pipeline needs one scale, or one a channel; hwrt.load runs any model",
            )
        else:
            self._indirect = Quantization(scale, zero_point, None if axis is None else axis - 1)

    def _fill(self, frame: NDArray[Any], row: NDArray[Any]) -> Geometry:
        if self._indirect is None:
            return self._fit(frame, row)
        levels = getattr(self._kept, "levels", None)
        if levels is None:
            levels = self._kept.levels = np.empty(row.shape, np.float32)
        place = self._fit(frame, levels)
        scale, zero_point, axis = self._indirect
        quantize(levels, scale, zero_point, row.dtype, out=row, axis=axis)
        return place

    def _fit(self, frame: NDArray[Any], row: NDArray[Any]) -> Geometry:
        settings = self._settings
        if settings.resize == "letterbox":
            return letterbox(frame, row, **self._steps)
        if settings.resize == "crop":
            return crop(frame, row, crop_scale=settings.crop_scale, **self._steps)
        return resize(frame, row, **self._steps)


def _of_channels(settings: Settings, quantization: Quantization) -> Mapping[str, Any]:
    """``(level - mean) / std / scale + zero_point`` as ``(level - mean) / std`` of each channel."""
    count = len(quantization.scale)
    means, deviations = (
        levels * (count // len(levels)) for levels in (settings.mean, settings.std)
    )
    std = tuple(s * scale for s, scale in zip(deviations, quantization.scale, strict=True))
    zeros = (quantization.zero_point * count)[:count]
    mean = tuple(m - zero * s for m, zero, s in zip(means, zeros, std, strict=True))
    return {"mean": mean, "std": std}


def _zeros(quantization: Quantization | None, rank: int) -> Any:
    """What stands for 0 in the tensor, to be assigned to rows of it."""
    if quantization is None:
        return 0
    if len(quantization.zero_point) == 1:
        return quantization.zero_point[0]
    along = [1] * rank
    along[quantization.axis or 0] = -1
    return np.array(quantization.zero_point).reshape(along)
