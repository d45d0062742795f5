"""The kernels in NumPy: the oracle that every other form is tested against.

Written to be read.  It also serves where there is neither the extension nor numba.
"""

from __future__ import annotations

from hwrt.kernels.with_numpy.argmax_map import argmax_map
from hwrt.kernels.with_numpy.quantize import dequantize, quantize
from hwrt.kernels.with_numpy.resampler import Resampler
from hwrt.kernels.with_numpy.softmax_top_k import softmax_top_k
from hwrt.kernels.with_numpy.yolo import nms, yolo_detections
from hwrt.kernels.with_numpy.yuv import YuvResampler

__all__ = [
    "Resampler",
    "YuvResampler",
    "argmax_map",
    "dequantize",
    "nms",
    "quantize",
    "softmax_top_k",
    "yolo_detections",
]
