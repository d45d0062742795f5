"""The sidecar of a model: a JSON file beside it that says what the model itself does not."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwrt.errors import InputError

__all__ = ["read_document", "sidecar_path"]

_LARGEST_BYTES = 16 << 20


def sidecar_path(model: Path) -> Path:
    """Where the sidecar of this model file lies: MODEL.hwrt.json."""
    return model.with_name(f"{model.name}.hwrt.json")


def read_document(path: Path) -> Mapping[str, Any]:
    """The JSON object in the file, its values unchecked; empty where there is no such file.

    Raises InputError for anything else than a JSON object.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - Path's raises where the name is too long
        return {}
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ValueError(f"it is larger than {_LARGEST_BYTES} bytes")
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise TypeError(f"it holds a {type(document).__name__}, not an object")
    except (OSError, ValueError, TypeError, RecursionError) as exc:
        raise InputError(
            f"{path} is no sidecar: {exc}",
            hint="it is a JSON object; `hwrt inspect MODEL --init` writes one to fill in",
        ) from exc
    return document
