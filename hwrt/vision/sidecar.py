"""The sidecar: a JSON file beside a model that says what the model itself does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwrt.errors import InputError
from hwrt.model.sidecar import read_document, sidecar_path
from hwrt.vision.checks import CHECKS, checked

__all__ = ["read_sidecar", "sidecar_path"]


def read_sidecar(path: Path) -> dict[str, Any]:
    """The settings of the sidecar, checked; none where there is no such file.

    A null counts as not given.  ``labels`` may be the name of a file of lines, beside the sidecar.
    Raises InputError, with the path and the key, for anything else than settings of right types.
    """
    document = read_document(path)
    unknown = [key for key in document if key not in CHECKS]
    if unknown:
        raise InputError(
            f"{path} has the unknown key {unknown[0]!r}", hint=f"the keys are {', '.join(CHECKS)}"
        )
    given = {key: value for key, value in document.items() if value is not None}
    if isinstance(given.get("labels"), str):
        given["labels"] = path.parent / given["labels"]
    return {key: checked(key, value, str(path)) for key, value in given.items()}
