"""A folder of images as the samples of a model, prepared as its pipeline prepares frames."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwrt.errors import InputError
from hwrt.spec import ModelInfo, TensorSpec
from hwrt.vision.images import SUFFIXES, read_image, require_pillow
from hwrt.vision.model_input import BatchSizes, FrameInput, ModelInput, Preprocess, StageInput
from hwrt.vision.settings import Settings

__all__ = ["ImageSamples", "image_files"]

_FED = ("colour", "mean", "std", "resize", "size", "layout", "channels", "crop_scale")
# Of ITU-R BT.601, as Pillow makes gray images.
_LUMA = np.array((0.299, 0.587, 0.114), np.float32)


@dataclass(frozen=True)
class ImageSamples:
    """The images of a folder, in the order of their names, as feeds of a model with one input.

    ``settings`` say how a frame becomes the input.  ``frames`` is the channel order in which the
    ``preprocess`` of one's own, if any, is given them; it is called in the thread that tunes.
    Each image is one sample; a model of a fixed batch takes as many at once, the last of them
    filled up with the first images.
    """

    folder: Path
    settings: Settings
    frames: str = "rgb"
    preprocess: Preprocess | None = None

    @property
    def key(self) -> str | None:
        """What tells these samples from others: the files' names, sizes and times, the settings.

        None with a ``preprocess``, of which nothing is known.
        """
        if self.preprocess is not None:
            return None
        known = asdict(self.settings)
        files = [[path.name, _size_and_time(path)] for path in image_files(self.folder)]
        told = {"files": files, "settings": {name: known[name] for name in _FED}}
        return f"images:{hashlib.sha256(json.dumps(told).encode()).hexdigest()}"

    def feeds(self, info: ModelInfo) -> Iterator[dict[str, NDArray[Any]]]:
        """Sets of feeds, each made when it is asked for.

        Raises InputError for an image that can not be read, HwrtError where Pillow is missing.
        """
        require_pillow()
        spec = info.inputs[0]
        sizes = BatchSizes(spec, None)
        filler = self._filler(spec, sizes)
        files = image_files(self.folder)
        if not files:
            raise InputError(f"the samples folder {self.folder} holds no image")
        for first in range(0, len(files), sizes.least):
            batch = [files[i % len(files)] for i in range(first, first + sizes.least)]
            image = self._image(spec)
            tensor = np.zeros((sizes.least, *image), spec.dtype)
            # Any request will do: what it is filled with is what the model is fed.
            request: Any = SimpleNamespace(inputs={spec.name: tensor})
            filler.write(request, [self._frame(path) for path in batch])
            yield {spec.name: tensor}

    def _filler(self, spec: TensorSpec, sizes: BatchSizes) -> ModelInput:
        if self.preprocess is not None:
            return StageInput(spec, self._image(spec), sizes, self.preprocess)
        frames = "gray" if self._is_gray else "rgb"
        return FrameInput(spec, self.settings, sizes, frames=frames, threads=1)

    def _image(self, spec: TensorSpec) -> tuple[int, ...]:
        """The shape of one image in the input: the file's, where a stage of one's own fills it."""
        fixed = [size for size in (spec.shape or ())[1:] if size is not None]
        is_fixed = self.preprocess is not None and len(fixed) == len(spec.shape or ()) - 1
        return tuple(fixed) if is_fixed else self.settings.image

    @property
    def _is_gray(self) -> bool:
        return self.frames == "gray" or (self.preprocess is None and self.settings.channels == 1)

    def _frame(self, path: Path) -> NDArray[np.uint8]:
        image = read_image(path)
        if self._is_gray:
            return np.asarray(np.rint(image @ _LUMA).astype(np.uint8))
        if self.preprocess is not None and self.frames == "bgr":
            return np.ascontiguousarray(image[..., ::-1])
        return image


def image_files(folder: Path) -> list[Path]:
    """The images of the folder by name; empty where it is none.

    A folder that holds feeds (.npy, .npz) holds samples already, whatever else lies beside them.
    """
    try:
        files: Iterable[Path] = sorted(folder.iterdir())
    except OSError:  # who reads the samples says what is wrong with it
        return []
    files = list(files)
    if any(path.suffix in (".npy", ".npz") for path in files):
        return []
    return [path for path in files if path.suffix.lower() in SUFFIXES]


def _size_and_time(path: Path) -> Mapping[str, int]:
    found = os.stat(path)  # noqa: PTH116 - as the cache notes of model files
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}
