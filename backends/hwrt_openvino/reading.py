"""Reading a model's file into OpenVINO's network, around what its readers do wrong."""

from __future__ import annotations

import io
from typing import Any

from hwrt.backend import ModelInfo

__all__ = ["read_network"]

# From a path, its ONNX reader iterates over the file, and an operator whose rule wants the
# attributes another way (NegativeLogLikelihoodLoss: ignore_index) fails with these words; from
# bytes it does not (2026.4.1).
_OF_PATHS_ALONE = "get_attribute is not implemented"


def read_network(core: Any, model: ModelInfo) -> Any:
    """The network in the model's file."""
    try:
        return core.read_model(str(model.path))
    except RuntimeError as exc:
        # Bytes have no folder in which external data could be found.
        if _OF_PATHS_ALONE not in str(exc) or model.external_files:
            raise
    # Not the first choice: it holds the file in memory, more than once.
    return core.read_model(io.BytesIO(model.path.read_bytes()))
