"""Reading a model's file into OpenVINO's network, around what its readers do wrong."""

from __future__ import annotations

import io
import re
from typing import Any

from hwrt.backend import ModelInfo, UnsupportedModel

__all__ = ["read_network"]

# From a path, its ONNX reader iterates over the file, and an operator whose rule wants the
# attributes another way (NegativeLogLikelihoodLoss: ignore_index) fails with these words; from
# bytes it does not (2026.4.1).
_OF_PATHS_ALONE = "get_attribute is not implemented"


def read_network(core: Any, model: ModelInfo) -> Any:
    """The network in the model's file.

    Raises UnsupportedModel where this version would read another model than the file's.
    """
    _refuse_misread(model)
    try:
        return core.read_model(str(model.path))
    except RuntimeError as exc:
        # Bytes have no folder in which external data could be found.
        if _OF_PATHS_ALONE not in str(exc) or model.external_files:
            raise
    # Not the first choice: it holds the file in memory, more than once.
    return core.read_model(io.BytesIO(model.path.read_bytes()))


def _refuse_misread(model: ModelInfo) -> None:
    # Before 2025.1 the TFLite reader takes the range of an int8 tensor for that of an uint8 one:
    # the model runs, and what it answers is nonsense.
    if model.format != "tflite" or not model.quantized:
        return
    from openvino import get_version

    version = get_version()
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < (2025, 1):
        raise UnsupportedModel(
            f"openvino {version} misreads quantised TFLite files such as {model.path}",
            hint="pip install --upgrade openvino, to 2025.1 at least",
        )
