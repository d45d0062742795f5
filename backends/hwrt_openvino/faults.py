"""What OpenVINO's exceptions mean: nearly all are RuntimeError, so the text has to tell."""

from __future__ import annotations

from typing import NoReturn

from hwrt.backend import BackendFailure, HwrtError, InputError, ModelError, UnsupportedModel

__all__ = ["raise_translated"]

_OF_OPTIONS = (
    *("Unsupported property", "property key", "Could not read number of streams"),
    "Unable to cast Python instance",
)
_OF_FILES = (
    *("Unable to read the model", "Failed to parse", "Could not open the file"),
    "is corrupted or malformed",
)
_OF_MODELS = (
    *("not support", "unsupported", "opconversionfailure", "notimplemented", "not implemented"),
    "unexpected type",
)


def raise_translated(exc: BaseException, what: str) -> NoReturn:
    """Raise the hwrt error that says what this exception of openvino means."""
    if isinstance(exc, HwrtError):
        raise exc
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    said = " ".join(lines) or type(exc).__name__
    text = f"{what}: {said}"
    if any(words in said for words in _OF_OPTIONS):
        raise InputError(text, hint="options in capitals are OpenVINO's own properties") from exc
    if any(words in said for words in _OF_FILES):
        raise ModelError(text, hint="check the file with `hwrt inspect`") from exc
    if any(words in said.lower() for words in _OF_MODELS):
        raise UnsupportedModel(text) from exc
    raise BackendFailure(text) from exc
