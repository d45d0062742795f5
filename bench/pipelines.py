"""Whole pipelines, a 1280x720 BGR frame to detections: ``python bench/pipelines.py [--rounds N]``.

Each backend's pipeline beside what people write: OpenCV's resize, an ONNX Runtime session as it
comes, ``cv2.dnn.NMSBoxesBatched``.  One thread each, within one process and one run; the detections
must agree before anything is timed.  It runs on the photographs' YOLOv8n of ../shared (or
HWRT_SHARED).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from side_by_side import Case, Figures, measure, print_table, write_json

import hwrt
from hwrt.vision import Detections

_CONF, _IOU, _MAX_DET, _SIDE = 0.25, 0.45, 300, 640
_SHARED = Path(os.environ.get("HWRT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
Boxes = NDArray[np.float32]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    model = _SHARED / "models" / "yolov8n.onnx"
    if not model.is_file():
        print(f"{model} is missing: set HWRT_SHARED", file=sys.stderr)
        return 2
    cv2.setNumThreads(1)
    frame = _frame()
    parts = {
        "pipelines": [measure(case, rounds=arguments.rounds) for case in _pipelines(model, frame)],
        "beside the engine": [_steps(model, frame, arguments.rounds * 5)],
    }
    for title, figures in parts.items():
        print_table(title, figures)
    if arguments.json:
        write_json(arguments.json, parts)
    return 0


def _frame() -> NDArray[np.uint8]:
    """A street, with people and vehicles."""
    image = cv2.imread(str(_SHARED / "images" / "bus.jpg"))
    return np.ascontiguousarray(cv2.resize(image, (1280, 720)))


def _pipelines(model: Path, frame: NDArray[np.uint8]) -> Iterator[Case]:
    peer = _opencv_and_onnxruntime(model, frame)
    for status in hwrt.backends():
        if not status.available:
            continue
        try:
            pipeline = hwrt.vision.load(
                model, frames="bgr", backend=status.name, threads=1, conf=_CONF, iou=_IOU
            )
        except hwrt.HwrtError as exc:
            print(f"{status.name}: {exc}", file=sys.stderr)
            continue
        with pipeline:
            _check(pipeline(frame), peer())
            yield Case(
                f"{status.name}, 1280x720 to detections",
                lambda pipeline=pipeline: pipeline(frame),
                {"OpenCV, ONNX Runtime, NMSBoxesBatched": peer},
            )


def _steps(model: Path, frame: NDArray[np.uint8], rounds: int) -> Figures:
    """Preprocess and postprocess alone, on the engine's real output."""
    session = _onnxruntime(model)
    tensor = _preprocess(frame)
    (output,) = session.run(None, {session.get_inputs()[0].name: tensor})
    out = np.empty_like(tensor)

    def ours() -> list[Detections]:
        geometry = hwrt.vision.letterbox(frame, out, bgr=True)
        return hwrt.vision.decode_yolov8(output, conf=_CONF, iou=_IOU, geometry=geometry)

    def theirs() -> Boxes:
        _preprocess(frame)
        return _postprocess(output, frame)

    _check(ours()[0], theirs())
    case = Case("preprocess and postprocess", ours, {"OpenCV, NMSBoxesBatched": theirs})
    return measure(case, rounds=rounds)


def _onnxruntime(model: Path):  # type: ignore[no-untyped-def]
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _opencv_and_onnxruntime(model: Path, frame: NDArray[np.uint8]) -> Callable[[], Boxes]:
    session = _onnxruntime(model)
    name = session.get_inputs()[0].name
    return lambda: _postprocess(session.run(None, {name: _preprocess(frame)})[0], frame)


def _fit(frame: NDArray[np.uint8]) -> tuple[float, int, int, int, int]:
    scale = min(_SIDE / frame.shape[0], _SIDE / frame.shape[1])
    height, width = round(frame.shape[0] * scale), round(frame.shape[1] * scale)
    return scale, height, width, (_SIDE - height) // 2, (_SIDE - width) // 2


def _preprocess(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    _, height, width, top, left = _fit(frame)
    canvas = np.full((_SIDE, _SIDE, 3), 114, np.uint8)
    canvas[top : top + height, left : left + width] = cv2.resize(frame, (width, height))
    planar = np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1))
    return planar[None].astype(np.float32) / 255


def _postprocess(output: NDArray[np.float32], frame: NDArray[np.uint8]) -> Boxes:
    scale, _, _, top, left = _fit(frame)
    scores = output[0, 4:].max(axis=0)
    above = np.flatnonzero(scores > _CONF)
    classes = output[0, 4:, above].argmax(axis=1)
    x, y, width, height = output[0, :4, above].T
    boxes = np.stack([x - width / 2, y - height / 2, width, height], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(boxes, scores[above], classes.astype(np.int32), _CONF, _IOU)
    found = boxes[np.asarray(kept, int)[:_MAX_DET]]
    found[:, 2:] += found[:, :2]
    found = (found - [left, top, left, top]) / scale
    return np.clip(found, 0, [*frame.shape[1::-1]] * 2).astype(np.float32)


def _check(ours: Detections, theirs: Boxes) -> None:
    """OpenCV rounds its levels, so boxes and borderline scores move a little."""
    assert abs(len(ours) - len(theirs)) <= 1, f"{len(ours)} and {len(theirs)} detections"
    n = min(len(ours), len(theirs), 3)
    np.testing.assert_allclose(ours.boxes[:n], theirs[:n], atol=4.0)


if __name__ == "__main__":
    sys.exit(main())
