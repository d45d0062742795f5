"""The tiny model that doctor runs on each backend, and its answer, computed by NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwrt.testing import Graph, node, tensor, write_onnx, write_tflite

__all__ = ["FORMATS", "answer", "feeds", "write_check_model"]

_SIDE, _CHANNELS, _CLASSES = 8, 4, 5
_generator = np.random.default_rng(7)
_KERNEL = _generator.standard_normal((_CHANNELS, 3, 3, 3)).astype(np.float32)
_WEIGHTS = _generator.standard_normal((_CHANNELS * _SIDE * _SIDE, _CLASSES)).astype(np.float32)
_BIAS = _generator.standard_normal(_CLASSES).astype(np.float32)
_ZEROS = np.zeros(_CHANNELS, np.float32)
_FEED: NDArray[np.float32] = _generator.standard_normal((1, 3, _SIDE, _SIDE)).astype(np.float32)

_WRITERS: Mapping[str, tuple[str, Callable[[Graph, Path], Path]]] = {
    "onnx": ("NCHW", write_onnx),
    "tflite": ("NHWC", write_tflite),
}
FORMATS = tuple(_WRITERS)
"""The model formats that there is a check model of, the preferred one first."""


def write_check_model(folder: Path, model_format: str) -> Path:
    """Write a convolution, a ReLU and a fully connected layer in this format; the path.

    Raises ImportError where the package that writes the format is not installed.
    """
    layout, write = _WRITERS[model_format]
    return write(_graph(layout), folder / f"check.{model_format}")


def feeds(model_format: str) -> dict[str, NDArray[np.float32]]:
    """The input ``x``, in the format's layout."""
    layout, _ = _WRITERS[model_format]
    return {"x": _FEED if layout == "NCHW" else np.ascontiguousarray(_FEED.transpose(0, 2, 3, 1))}


def answer() -> dict[str, NDArray[np.float32]]:
    """The output ``y`` for the feeds, summed in float64."""
    padded = np.pad(_FEED[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    relu = np.maximum(np.einsum("chwij,ocij->ohw", windows, _KERNEL.astype(np.float64)), 0)
    return {"y": (relu.reshape(1, -1) @ _WEIGHTS + _BIAS).astype(np.float32)}


def _graph(layout: str) -> Graph:
    """The network; the last layer reads channels first, whatever the layout."""
    first = layout == "NCHW"
    weights = _WEIGHTS
    if not first:
        by_place = _WEIGHTS.reshape(_CHANNELS, _SIDE * _SIDE, _CLASSES)
        weights = np.ascontiguousarray(by_place.transpose(1, 0, 2)).reshape(_WEIGHTS.shape)
    return Graph(
        (tensor("x", "f4", (1, 3, _SIDE, _SIDE) if first else (1, _SIDE, _SIDE, 3)),),
        (tensor("y", "f4", (1, _CLASSES)),),
        (
            node("Conv2D", "x kernel zeros", "conv", layout=layout, stride=1),
            node("Relu", "conv", "relu"),
            node("Reshape", "relu", "flat", shape=[1, _CHANNELS * _SIDE * _SIDE]),
            node("MatMul", "flat weights", "product"),
            node("Add", "product bias", "y"),
        ),
        {
            "kernel": _KERNEL if first else np.ascontiguousarray(_KERNEL.transpose(0, 2, 3, 1)),
            "zeros": _ZEROS,
            "weights": weights,
            "bias": _BIAS,
        },
    )
