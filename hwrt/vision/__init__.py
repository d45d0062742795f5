"""Pipelines from a frame to what is in it, and the steps they are made of.

``load("yolov8n.onnx")(frame)`` is the main job.  Importing this package needs NumPy alone.
"""

from __future__ import annotations

from hwrt.vision.class_map import argmax_map
from hwrt.vision.classifier import Classifier
from hwrt.vision.custom import Custom
from hwrt.vision.detector import Detector
from hwrt.vision.geometry import Geometry
from hwrt.vision.loading import load
from hwrt.vision.postprocess import decode_yolov5, decode_yolov8, nms, top_k
from hwrt.vision.preprocess import crop, letterbox, resize
from hwrt.vision.quantization import dequantize, quantize
from hwrt.vision.results import Classification, Detections, Segmentation
from hwrt.vision.segmenter import Segmenter

__all__ = [
    "Classification",
    "Classifier",
    "Custom",
    "Detections",
    "Detector",
    "Geometry",
    "Segmentation",
    "Segmenter",
    "argmax_map",
    "crop",
    "decode_yolov5",
    "decode_yolov8",
    "dequantize",
    "letterbox",
    "load",
    "nms",
    "quantize",
    "resize",
    "top_k",
]
