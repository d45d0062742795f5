"""Compiled models as files, which OpenVINO calls blobs."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

from hwrt.backend import intact, publish, temporary_beside

__all__ = ["export_blob", "import_blob"]

_LOG = logging.getLogger("hwrt")


def import_blob(core: Any, blob: Path | None, name: str, properties: dict[str, Any]) -> Any:
    """The compiled model in the file, None where there is none that fits."""
    if blob is None or not intact(blob):
        return None
    try:
        return core.import_model(io.BytesIO(blob.read_bytes()), name, properties)
    except RuntimeError as exc:
        _LOG.warning("openvino refuses %s, which is compiled anew: %s", blob, exc)
        return None


def export_blob(core: Any, compiled: Any, blob: Path | None, name: str) -> bool:
    """Write the compiled model to the file; False where there is to be none, or it can not be."""
    if blob is None or "EXPORT_IMPORT" not in core.get_property(name, "OPTIMIZATION_CAPABILITIES"):
        return False
    try:
        exported = compiled.export_model()
        with temporary_beside(blob) as temporary:
            temporary.write_bytes(exported if isinstance(exported, bytes) else exported.getvalue())
            publish(temporary, blob)
    except (OSError, RuntimeError) as exc:  # it costs time at the next load, not this one
        _LOG.warning("openvino could not keep %s: %s", blob, exc)
        return False
    return True
