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


def export_blob(core: Any, compiled: Any, blob: Path | None, name: str) -> None:
    """Write the compiled model to the file, where there is to be one and the device can."""
    if blob is None or "EXPORT_IMPORT" not in core.get_property(name, "OPTIMIZATION_CAPABILITIES"):
        return
    exported = compiled.export_model()
    data = exported if isinstance(exported, bytes) else exported.getvalue()
    try:
        with temporary_beside(blob) as temporary:
            temporary.write_bytes(data)
            publish(temporary, blob)
    except OSError as exc:  # a full disk costs time at the next load, not this one
        _LOG.warning("openvino could not keep %s: %s", blob, exc)
