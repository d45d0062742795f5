"""What a pipeline must know of a model, and where each of it is found.

A setting is taken from the first of these that has it:

1. the arguments of ``hwrt.vision.load`` (the options of ``hwrt run``);
2. the model's metadata: the keys that Ultralytics' exporter and hwrt.zoo write;
3. the sidecar, a JSON file beside the model, named MODEL.hwrt.json;
4. what an exporter that names itself in the metadata defines for all its models.

``size`` and ``layout`` also follow from the shape of the model's input where that is fixed.
Where nothing says otherwise ``colour`` is "rgb", ``boxes`` are in pixels, ``head`` is "yolov8" (and
held against the output's shape) and ``crop_scale`` is that of ImageNet's networks.  What is still
missing is an InputError that names it.  Nothing is guessed from a file's name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hwrt.errors import InputError, UnsupportedModel
from hwrt.log import LOGGER
from hwrt.spec import ModelInfo
from hwrt.vision.checks import CHECKS, checked
from hwrt.vision.metadata import convention, read_metadata
from hwrt.vision.preprocess import IMAGENET_CROP_SCALE
from hwrt.vision.sidecar import read_sidecar, sidecar_path

__all__ = ["Settings", "image_shape", "resolve", "write_template"]

_SERVED = ("classify", "detect", "segment")
_REQUIRED = ("task", "labels", "colour", "mean", "std", "resize", "size", "layout")
_DEFAULTS: Mapping[str, Any] = {
    "colour": "rgb",
    "boxes": "pixels",
    "head": "yolov8",
    "crop_scale": IMAGENET_CROP_SCALE,
}
_CHANNELS = (1, 3)
# What the caller's own stages make superfluous, and what stands in its place.
_OF_PREPROCESS: Mapping[str, Any] = {"mean": (0.0,), "std": (1.0,), "resize": "stretch"}
_OF_POSTPROCESS: Mapping[str, Any] = {"task": "custom", "labels": ()}

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Settings:
    """How frames become a model's input, and what its output means."""

    task: str
    """"classify", "detect" or "segment"; with a postprocess of one's own what the model says, or
    "custom"."""
    labels: tuple[str, ...]
    """The name of each class; may be empty with a postprocess of one's own."""
    colour: str
    """The order of the model's channels, "rgb" or "bgr"; without meaning where there is one."""
    mean: tuple[float, ...]
    """Levels 0..255, one for all channels or one each; the input is ``(level - mean) / std``."""
    std: tuple[float, ...]
    """Levels 0..255, one for all channels or one each."""
    resize: str
    """"letterbox", "stretch" or "crop"."""
    size: tuple[int, int]
    """Height and width of the input."""
    layout: str
    """"NCHW" or "NHWC"."""
    channels: int = 3
    """1 or 3; any number with a preprocess of one's own."""
    boxes: str = "pixels"
    """What a detector's coordinates are in: the input's "pixels", or "fractions" of its size."""
    head: str = "yolov8"
    """How a detector's output is laid out: "yolov8" (B, 4 + C, N) or "yolov5" (B, N, 5 + C)."""
    crop_scale: float = IMAGENET_CROP_SCALE
    """As ``hwrt.vision.crop`` takes it."""
    softmax: bool | None = None
    """True where a classifier's outputs are logits; None has the pipeline look at the values."""

    @property
    def image(self) -> tuple[int, int, int]:
        """The shape of one image in the input, in the input's layout."""
        height, width = self.size
        if self.layout == "NCHW":
            return self.channels, height, width
        return height, width, self.channels


class _Source(NamedTuple):
    name: str
    read: Callable[[str], Any]


def resolve(
    info: ModelInfo,
    arguments: Mapping[str, Any],
    *,
    shape: Shape | None = None,
    sidecar: Path | None = None,
    own_preprocess: bool = False,
    own_postprocess: bool = False,
) -> Settings:
    """The settings of this model.

    ``arguments`` holds what was given, None for what was not.  ``shape`` is that of the image
    input as it is to run, by default as the file states it.  ``sidecar`` is by default the file
    beside the model; one that does not exist says nothing.  What a stage of the caller's own takes
    over need not be known.

    Raises InputError for a setting that is missing, malformed or contradicts the input's shape,
    and UnsupportedModel for a task or an input that no pipeline serves.
    """
    sidecar = sidecar or sidecar_path(info.path)
    shape = shape or image_shape(info)
    written = read_sidecar(sidecar)
    given = _Source("the arguments", arguments.get)
    sources = [given, _metadata(info), _Source(str(sidecar), written.get)]
    found = _find(info, shape, sources)
    if not own_postprocess:
        _refuse_unserved(found["task"], info)
    _fill_in(found, _OF_POSTPROCESS if own_postprocess else {})
    _fill_in(found, _OF_PREPROCESS if own_preprocess else {})
    if own_preprocess and None not in shape[1:]:
        # The stage sees the shape itself; the layout has no other use.
        _fill_in(found, {"layout": "NCHW", "size": shape[2:]})
    missing = [key for key in _REQUIRED if found.get(key) is None]
    if missing:
        raise _missing(missing, info, sidecar)

    channels = _channels(shape, found["layout"])
    if not own_preprocess:
        _check_channels(channels, shape, found["layout"], info)
    settings = Settings(**found, channels=channels)
    wanted = _first("size", [given])
    if wanted not in (None, settings.size):
        raise InputError(
            f"the size {wanted} was asked of {info.path}, whose input is {shape}",
            hint=f"leave the size out, or give {settings.size}",
        )
    if own_preprocess:
        return settings
    for key, levels in (("mean", settings.mean), ("std", settings.std)):
        if len(levels) not in (1, settings.channels):
            raise InputError(
                f"{key} is {levels} for an input of {settings.channels} channels",
                hint=f"give 1 number or {settings.channels}",
            )
    if max(settings.std) < 1:
        LOGGER.warning(
            "mean %s and std %s are in levels of 0..255: multiply numbers made for 0..1 by 255",
            settings.mean,
            settings.std,
        )
    return settings


def write_template(info: ModelInfo, path: Path) -> None:
    """Write a sidecar to fill in: what the model says of itself, null for the rest.

    Raises InputError where the file exists already, or can not be written.
    """
    found = _find(info, image_shape(info), [_metadata(info)], defaults={})
    document = {key: found[key] for key in _REQUIRED}
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    except FileExistsError as exc:
        raise InputError(f"{path} exists", hint="edit it, or move it away first") from exc
    except OSError as exc:
        raise InputError(f"{path} can not be written: {exc.strerror}") from exc


def image_shape(info: ModelInfo) -> Shape:
    """The shape of the model's only input, which must be of rank 4; None for open dimensions."""
    shape = info.inputs[0].shape if len(info.inputs) == 1 else None
    if shape is None or len(shape) != 4:
        inputs = "; ".join(map(str, info.inputs))
        raise UnsupportedModel(
            f"{info.path} does not take one image: its inputs are {inputs}",
            hint="a pipeline needs one input of rank 4; hwrt.load runs any model",
        )
    return shape


def _find(
    info: ModelInfo,
    shape: Shape,
    sources: list[_Source],
    *,
    defaults: Mapping[str, Any] = _DEFAULTS,
) -> dict[str, Any]:
    """Each setting from the first source that has it, None for what none has."""
    exporter = _Source("the exporter's convention", convention(info.metadata, info.format).get)
    rest = [exporter, _Source("the defaults", defaults.get)]
    found = {key: _first(key, [*sources, *rest]) for key in CHECKS if key not in ("size", "layout")}
    found["layout"] = _first("layout", sources) or _layout(shape) or _first("layout", rest)
    found["size"] = _fixed_size(shape, found["layout"]) or _first("size", sources)
    return found


def _fill_in(found: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if found.get(key) is None:
            found[key] = value


def _first(key: str, sources: list[_Source]) -> Any:
    for source in sources:
        value = source.read(key)
        if value is not None:
            return checked(key, value, source.name)
    return None


def _metadata(info: ModelInfo) -> _Source:
    name = f"the metadata of {info.path}"
    return _Source(name, lambda key: read_metadata(info.metadata, key, name))


def _layout(shape: Shape) -> str | None:
    """Where the channels stand, if only one place can hold them."""
    first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
    if first == last:
        return None
    return "NCHW" if first else "NHWC"


def _fixed_size(shape: Shape, layout: str | None) -> tuple[int, int] | None:
    if layout is None:
        return None
    height, width = shape[2:] if layout == "NCHW" else shape[1:3]
    return None if height is None or width is None else (height, width)


def _channels(shape: Shape, layout: str) -> int:
    channels = shape[1] if layout == "NCHW" else shape[3]
    return 3 if channels is None else channels


def _check_channels(channels: int, shape: Shape, layout: str, info: ModelInfo) -> None:
    if channels not in _CHANNELS:
        raise UnsupportedModel(
            f"the input of {info.path} is {shape}: {channels} channels as {layout}",
            hint="a pipeline needs 3, or 1 for gray; give layout where the other was meant",
        )


def _refuse_unserved(task: str | None, info: ModelInfo) -> None:
    if task is not None and task not in _SERVED:
        raise UnsupportedModel(
            f"{info.path} is for the task {task!r}, which this version has no pipeline for",
            hint=f"pipelines serve {', '.join(_SERVED)}; hwrt.load runs any model",
        )


# How the command line gives each setting; mean and std are levels of 0 to 255.
_EXAMPLES = {
    "task": "--task classify|detect|segment",
    "labels": "--labels FILE",
    "mean": "--mean 127.5",
    "std": "--std 127.5",
    "resize": "--resize letterbox|stretch|crop",
    "size": "--size HEIGHTxWIDTH",
    "layout": "--layout NCHW|NHWC",
    "colour": "--colour rgb|bgr",
}


def _missing(keys: list[str], info: ModelInfo, sidecar: Path) -> InputError:
    return InputError(
        f"{info.path} does not say its {', '.join(keys)}",
        hint=f"give hwrt run {' '.join(_EXAMPLES[key] for key in keys)} (the same names are "
        f"arguments of hwrt.vision.load); or write them into {sidecar}, which "
        f"`hwrt inspect {info.path} --init` begins; or add them to the model's metadata",
    )
