"""The sidecar: a JSON file beside a model that says what the model itself does not."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwrt.errors import InputError
from hwrt.vision.checks import CHECKS, checked

__all__ = ["read_sidecar", "sidecar_path"]

_LARGEST_BYTES = 16 << 20


def sidecar_path(model: Path) -> Path:
    """Where the sidecar of this model file lies: MODEL.hwrt.json."""
    return model.with_name(f"{model.name}.hwrt.json")


def read_sidecar(path: Path) -> dict[str, Any]:
    """The settings of the sidecar, checked; none where there is no such file.

    A null counts as not given.  ``labels`` may be the name of a file of lines, beside the sidecar.
    Raises InputError, with the path and the key, for anything else than settings of right types.
    """
    if not os.path.isfile(path):  # noqa: PTH113 - Path's raises where the name is too long
        return {}
    document = _document(path)
    unknown = [key for key in document if key not in CHECKS]
    if unknown:
        raise InputError(
            f"{path} has the unknown key {unknown[0]!r}", hint=f"the keys are {', '.join(CHECKS)}"
        )
    given = {key: value for key, value in document.items() if value is not None}
    if isinstance(given.get("labels"), str):
        given["labels"] = path.parent / given["labels"]
    return {key: checked(key, value, str(path)) for key, value in given.items()}


def _document(path: Path) -> Mapping[str, Any]:
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
