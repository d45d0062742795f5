"""Settings in a model's metadata, as Ultralytics' exporter and hwrt.zoo write them.

Both write text: plain words, or literals in Python's or JSON's form.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

from hwrt.errors import InputError

__all__ = ["convention", "read_metadata"]

# Ultralytics has a "head" of its own: the name of a class.
_KEYS = {"labels": "names", "size": "imgsz", "head": "yolo_head"}
_WORDS = frozenset({"task", "colour", "resize", "layout", "boxes", "head"})
_LITERAL_CHARACTERS = 4 << 20


def read_metadata(metadata: Mapping[str, str], key: str, source: str) -> Any:
    """The setting ``key`` as a value, None where the metadata does not have it.

    Raises InputError for text that is no literal.
    """
    name = _KEYS.get(key, key)
    text = metadata.get(name)
    if text is None or key in _WORDS:
        return text
    value = _literal(text)
    # A plain string would be taken for a file of labels: a model does not choose what is read.
    if value is None or isinstance(value, str):
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        raise InputError(
            f"{name} in {source} is {shown!r}: no literal", hint=f"give {key} as an argument"
        )
    return value


def convention(metadata: Mapping[str, str], model_format: str) -> Mapping[str, Any]:
    """What the exporter that names itself in the metadata defines for all its models.

    Ultralytics: RGB in 0..1, NCHW; the whole frame in a letterbox, for classifiers its middle, and
    probabilities out.  Its TFLite files are NHWC and give boxes as fractions of the input's size.
    https://docs.ultralytics.com/modes/export/
    """
    if metadata.get("author") != "Ultralytics":
        return {}
    classifies = metadata.get("task") == "classify"
    converted = model_format == "tflite"
    return {
        "colour": "rgb",
        "mean": 0.0,
        "std": 255.0,
        "layout": "NHWC" if converted else "NCHW",
        "boxes": "fractions" if converted else "pixels",
        "head": "yolov8",
        "resize": "crop" if classifies else "letterbox",
        "crop_scale": 1.0,
        "softmax": False,
    }


def _literal(text: str) -> Any:
    """The value of a JSON or Python literal; None where the text is neither, or endless."""
    if len(text) > _LITERAL_CHARACTERS:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass  # Python's literals follow
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
