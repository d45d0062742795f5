"""The tiny model that doctor runs on each backend, and its answer, computed by NumPy alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEED", "answer", "write_check_model"]

_SIDE, _CHANNELS, _CLASSES = 8, 4, 5
_generator = np.random.default_rng(7)
_KERNEL = _generator.standard_normal((_CHANNELS, 3, 3, 3)).astype(np.float32)
_WEIGHTS = _generator.standard_normal((_CHANNELS * _SIDE * _SIDE, _CLASSES)).astype(np.float32)
_BIAS = _generator.standard_normal(_CLASSES).astype(np.float32)

FEED: NDArray[np.float32] = _generator.standard_normal((1, 3, _SIDE, _SIDE)).astype(np.float32)
"""The input ``x``."""


def write_check_model(path: Path) -> Path:
    """Write a convolution, a ReLU and a fully connected layer as ONNX; the path."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("Flatten", ["relu"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["y"]),
    ]
    weights = {"kernel": _KERNEL, "weights": _WEIGHTS, "bias": _BIAS}
    graph = helper.make_graph(
        nodes,
        "check",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, FEED.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, _CLASSES))],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    # Written out, since the newest of onnx is newer than what engines read.
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path)
    return path


def answer() -> dict[str, NDArray[np.float32]]:
    """The output ``y`` for FEED, summed in float64."""
    padded = np.pad(FEED[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    relu = np.maximum(np.einsum("chwij,ocij->ohw", windows, _KERNEL.astype(np.float64)), 0)
    return {"y": (relu.reshape(1, -1) @ _WEIGHTS + _BIAS).astype(np.float32)}
