"""What a model file is: its format, its tensors, what it holds, and the hash that names it.

A file is read without running it and without taking its weights into memory.  A reader of one more
format is one file and one row in READERS.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from hwrt.errors import UnsupportedModel
from hwrt.model import ir_reader, onnx_reader, tflite_reader
from hwrt.model.content import content_hash, write_bytes
from hwrt.model.file import regular_file
from hwrt.model.formats import FORMATS, detect
from hwrt.model.memo import recall, remember
from hwrt.spec import ModelInfo

__all__ = ["FORMATS", "READERS", "content_hash", "detect", "read", "write_bytes"]

READERS: dict[str, Callable[[Path], ModelInfo]] = {
    "onnx": onnx_reader.read,
    "openvino-ir": ir_reader.read,
    "tflite": tflite_reader.read,
}
"""Model format -> what reads it."""


def read(
    source: str | os.PathLike[str], *, memo_dir: Path | None = None, verify: bool = False
) -> ModelInfo:
    """What the model file says of itself.

    ``memo_dir`` is the folder in which the answer is remembered (hwrt.model.memo): an unchanged
    file is then neither parsed nor hashed again, unless ``verify`` asks for it.

    Raises ModelError for a file that is missing, malformed or refused, UnsupportedModel for one
    that is sound but of a format or with tensors that hwrt does not read.
    """
    path = regular_file(source)
    if memo_dir is not None and not verify:
        known = recall(path, memo_dir)
        if known is not None:
            return known
    started_ns = time.time_ns()
    format_name = detect(path)
    if format_name not in READERS:
        raise UnsupportedModel(
            f"{path} is a model of the format {format_name}, which this version does not read",
            hint=f"give one of the formats {', '.join(READERS)}",
        )
    info = READERS[format_name](path)
    if memo_dir is not None:
        remember(info, memo_dir, read_at_ns=started_ns)
    return info
