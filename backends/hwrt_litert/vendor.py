"""The vendor's module, whichever package brings it, and what its exceptions mean."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from hwrt.backend import (
    BackendFailure,
    BackendUnavailable,
    HwrtError,
    InputError,
    ModelError,
    UnsupportedModel,
)

# All have the same Interpreter; the older ones are what boards without a LiteRT wheel can install.
PACKAGES = (
    ("ai_edge_litert", "ai_edge_litert.interpreter"),
    ("tflite_runtime", "tflite_runtime.interpreter"),
    ("tensorflow", "tensorflow.lite.python.interpreter"),
)
_HINT = "pip install ai-edge-litert"
# The vendor raises ValueError and RuntimeError for everything, so the text has to tell.
_UNREADABLE = ("not a valid Flatbuffer", "Could not open", "must be specified", "Invalid model")
_UNSUPPORTED = (
    "unresolved custom op",
    "Select TensorFlow op",
    "Didn't find op",
    "Op builtin_code out of range",
    "Registration failed",
    "is_supported_type",
    "nsupported",
    "not supported",
)


class Vendor(NamedTuple):
    """What hwrt uses of the vendor's module; ``resolvers`` is None where it has no such choice."""

    interpreter: Callable[..., Any]
    load_delegate: Callable[..., Any]
    resolvers: Any


def installed() -> list[str]:
    """The packages that are here, the one that is used first."""
    return [name for name, _ in PACKAGES if importlib.util.find_spec(name) is not None]


def package_folder() -> Path:
    """The folder of the package that is used; nothing is imported."""
    for name, _ in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            return Path(next(iter(spec.submodule_search_locations)))
    raise BackendUnavailable("LiteRT is not installed", hint=_HINT)


def version() -> str:
    """The package and its version, by the wheel's metadata folder; else what tells builds apart."""
    folder = package_folder()
    for metadata in folder.parent.glob(f"{folder.name}-*.dist-info"):
        return metadata.name.removesuffix(".dist-info").replace("-", " ", 1)
    made = (folder / "__init__.py").stat()
    return f"{folder.name} unversioned {made.st_size} {made.st_mtime_ns}"


def load() -> Vendor:
    """The vendor's module, imported; BackendUnavailable where none is installed or none imports."""
    package_folder()
    faults = []
    for name, path in PACKAGES:
        if importlib.util.find_spec(name) is None:
            continue
        try:
            module = importlib.import_module(path)
        except ImportError as exc:
            faults.append(f"{name} does not import: {exc}")
            continue
        resolvers = getattr(module, "OpResolverType", None)
        return Vendor(module.Interpreter, module.load_delegate, resolvers)
    raise BackendUnavailable("; ".join(faults), hint=f"{_HINT} --force-reinstall")


def raise_load_fault(exc: BaseException, path: Path) -> NoReturn:
    """Raise the hwrt error for what the vendor raised while it made an interpreter."""
    text = f"litert can not load {path}: {_one_line(exc)}"
    _raise_common(exc, text)
    raise BackendFailure(text) from exc


def raise_shape_fault(exc: BaseException, path: Path, shapes: object) -> NoReturn:
    """Raise the hwrt error for what the vendor raised while it laid out tensors of these shapes."""
    text = f"litert can not run {path} with inputs of the shapes {shapes}: {_one_line(exc)}"
    _raise_common(exc, text)
    raise InputError(text, hint="give all inputs shapes that fit the model and each other") from exc


def raise_run_fault(exc: BaseException) -> NoReturn:
    """Raise the hwrt error for what the vendor raised in a run."""
    text = f"litert could not run the model: {_one_line(exc)}"
    _raise_common(exc, text)
    raise BackendFailure(text) from exc


def _raise_common(exc: BaseException, text: str) -> None:
    if isinstance(exc, HwrtError):
        raise exc
    if any(words in text for words in _UNREADABLE):
        raise ModelError(text, hint="check the file with `hwrt inspect`") from exc
    if "edgetpu-custom-op" in text:
        raise UnsupportedModel(text, hint="compile it for a device edgetpu:N") from exc
    if any(words in text for words in _UNSUPPORTED):
        raise UnsupportedModel(text, hint="convert the model to LiteRT's own operators") from exc


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split()) or type(exc).__name__
