"""``hwrt.vision.load``: from a model and what is known of it to a pipeline."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwrt.errors import InputError
from hwrt.loading.arguments import GivenShapes
from hwrt.machine.limits import allowed_threads
from hwrt.measure.gate import AccuracyGate
from hwrt.model.meaning import meanings
from hwrt.spec import ModelInfo, Shapes
from hwrt.tuning.shapes import check_shapes
from hwrt.vision.classifier import Classifier
from hwrt.vision.custom import Custom, Postprocess
from hwrt.vision.detector import Detector
from hwrt.vision.frames import check_frames
from hwrt.vision.model_input import Preprocess
from hwrt.vision.postprocess import check_k, check_thresholds
from hwrt.vision.preprocess import Levels
from hwrt.vision.samples import ImageSamples, image_files
from hwrt.vision.scalars import whole_number
from hwrt.vision.segmenter import Segmenter, check_map
from hwrt.vision.settings import Settings, Shape, image_shape, resolve

__all__ = ["load"]


def load(
    model: str | os.PathLike[str] | bytes,
    *,
    task: str | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    frames: str = "rgb",
    matrix: str = "bt601",
    size: int | tuple[int, int] | None = None,
    mean: Levels | None = None,
    std: Levels | None = None,
    resize: str | None = None,
    colour: str | None = None,
    layout: str | None = None,
    boxes: str | None = None,
    head: str | None = None,
    crop_scale: float | None = None,
    softmax: bool | None = None,
    conf: float = 0.25,
    iou: float = 0.45,
    max_det: int = 300,
    class_agnostic: bool = False,
    top: int = 5,
    batch: int | None = None,
    preprocess: Preprocess | None = None,
    postprocess: Postprocess | None = None,
    **load_arguments: Any,
) -> Detector | Classifier | Segmenter | Custom:
    """A pipeline over ``hwrt.load(model, **load_arguments)``.

    frames:  what the frames that it is to be given hold: "rgb", "bgr" or "gray" channels, or luma
             and chroma, "nv12" or "yuyv"; ``hwrt.vision.letterbox`` says what those are.
    matrix:  what luma and chroma are converted by: "bt601", "bt709" (luma of 16 to 235),
             "bt601-full" or "bt709-full" (0 to 255).
    labels:  the names of all classes, or a file with one a line.
    size:    the input's side, or (height, width).
    mean, std: in levels 0..255, one number or one per channel.
    resize:  "letterbox", "stretch" or "crop"; ``crop_scale`` as ``hwrt.vision.crop`` takes it.
    colour:  the order of the channels that the model wants, "rgb" or "bgr".
    layout:  of the input, "NCHW" or "NHWC".
    boxes:   what a detector's coordinates are in: the input's "pixels" or "fractions" of its size.
    head:    of a detector: "yolov8", an output (B, 4 + C, N), or "yolov5", (B, N, 5 + C).
    softmax: whether a classifier's outputs are logits; None: unless they are probabilities, that
             is not negative and with a sum of 1.
    conf, iou, max_det, class_agnostic: a detector's; ``top``: how many classes a classifier gives.
    batch:   the number of frames that run at once, for a model that leaves it open.
    preprocess(frame, out): takes the place of resize, mean, std and colour.  It fills ``out``, all
             of it: the frame's part of the model's input, without the batch, in its dtype and
             shape; it holds an earlier frame's numbers.  It may return the Geometry of the frame in
             the input, without which a detector's boxes stay in the input's pixels, and a
             segmenter's classes in those of the output.  The frame is any array that the pipeline
             is given.  Neither array may be kept.
    postprocess(outputs): takes the place of task and labels, and has load return a Custom pipeline,
             whose results are what it returns.  ``outputs`` maps each output's name to its array,
             for one frame: the first dimension is 1, where a batch ran.  They are the model's
             memory, which the next frame overwrites: copy what is to be kept.  Where it has a
             parameter named ``geometry`` it gets the frame's, or None.
    Both are called in the thread that calls the pipeline, by several at once where several do; what
    they raise, the call raises.  Any callable will do, functions compiled by numba among them.

    What is not given is found as ``hwrt.vision.settings`` says.  Raises InputError for what is
    missing or wrong, UnsupportedModel for a model that no pipeline serves, and what hwrt.load does.
    """
    from hwrt import loading

    check_thresholds(conf=conf, iou=iou, max_det=max_det)
    check_k(top, "top")
    if batch is not None:
        batch = whole_number("batch", batch, least=1)
    _check_callable(preprocess=preprocess, postprocess=postprocess)
    info = loading.inspect(model, cache=load_arguments.get("cache", True))
    given_shapes = check_shapes(info, load_arguments.get("shapes"))
    arguments = {
        "task": task,
        "labels": labels,
        "size": size,
        "mean": mean,
        "std": std,
        "resize": resize,
        "colour": colour,
        "layout": layout,
        "boxes": boxes,
        "head": head,
        "crop_scale": crop_scale,
        "softmax": softmax,
    }
    settings = resolve(
        info,
        arguments,
        shape=_shape_to_run(info, given_shapes),
        own_preprocess=preprocess is not None,
        own_postprocess=postprocess is not None,
    )
    check_frames(frames, None if preprocess else settings, matrix)
    segments = postprocess is None and settings.task == "segment"
    if segments:
        check_map(info.outputs, settings, own_preprocess=preprocess is not None)
    load_arguments["shapes"] = _shapes_of_size(info, given_shapes, settings, batch)
    _judge_by_task(load_arguments, info, settings)
    folder = _image_folder(load_arguments.get("samples"))
    if folder is not None:
        load_arguments["samples"] = ImageSamples(folder, settings, frames, preprocess)
    session = loading.load(model, **load_arguments)
    threads = load_arguments.get("threads") or allowed_threads()
    own: dict[str, Any] = {
        "frames": frames,
        "matrix": matrix,
        "preprocess": preprocess,
        "threads": threads,
    }
    try:
        if postprocess is not None:
            return Custom(session, settings, postprocess=postprocess, **own)
        if settings.task == "classify":
            return Classifier(session, settings, top=top, **own)
        if segments:
            return Segmenter(session, settings, **own)
        own |= {"conf": conf, "iou": iou, "max_det": max_det, "class_agnostic": class_agnostic}
        return Detector(session, settings, **own)
    except BaseException:
        session.close()
        raise


def image_samples(
    info: ModelInfo, folder: Path, *, shapes: GivenShapes | None = None
) -> ImageSamples:
    """The folder's images as the model's metadata and sidecar say that it takes them.

    Raises InputError, naming what is missing, where they do not say it.
    """
    shape = _shape_to_run(info, check_shapes(info, shapes))
    return ImageSamples(folder, resolve(info, {}, shape=shape, own_postprocess=True))


def _image_folder(samples: Any) -> Path | None:
    if not isinstance(samples, str | os.PathLike):
        return None
    folder = Path(os.path.abspath(samples))  # noqa: PTH100 - nothing is resolved
    return folder if image_files(folder) else None


def _judge_by_task(load_arguments: dict[str, Any], info: ModelInfo, settings: Settings) -> None:
    """Have the accuracy gate know the task where only the caller says it."""
    metric = {"classify": "top-1", "detect": "detections"}.get(settings.task)
    stated = all(
        meaning.stated and meaning.kind != "numbers" for meaning in meanings(info).values()
    )
    if load_arguments.get("accuracy") == "relaxed" and metric is not None and not stated:
        load_arguments["accuracy"] = AccuracyGate(metric=metric)


def _check_callable(**stages: object) -> None:
    for name, stage in stages.items():
        if stage is not None and not callable(stage):
            raise InputError(f"{name} is {stage!r:.80}", hint="give a function")


def _shape_to_run(info: ModelInfo, given: Shapes) -> Shape:
    """The input's shape with what ``shapes`` fixes of it."""
    sizes = given.get(info.inputs[0].name, image_shape(info))
    return tuple(size if isinstance(size, int) else None for size in sizes)


def _shapes_of_size(
    info: ModelInfo, given: Shapes, settings: Settings, batch: int | None
) -> Shapes | None:
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
    if batch is not None and shape[0] is None and spec.name in given:
        raise InputError(
            f"a batch of {batch} was asked for, and shapes of {given[spec.name]}",
            hint="give the batch as the first of the shapes alone",
        )
    if spec.name in given or (batch is None and None not in shape[1:]):
        return given or None
    return {**given, spec.name: (batch or shape[0] or 1, *settings.image)}
