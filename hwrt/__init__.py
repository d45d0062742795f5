"""hwrt: runs a model on the fastest backend of this device, chosen by measuring it.

``hwrt.load("model.onnx").run(feeds)`` is the main job.  Importing hwrt imports no vendor runtime;
each public name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwrt import backend, errors, vision, zoo
    from hwrt.entry import load, tune
    from hwrt.errors import (
        BackendError,
        BackendFailure,
        BackendUnavailable,
        HwrtError,
        InputError,
        ModelError,
        NoBackend,
        SessionError,
        UnsupportedModel,
    )
    from hwrt.loading import inspect
    from hwrt.measure.gate import AccuracyGate
    from hwrt.registry import BackendStatus, backends
    from hwrt.session import Session
    from hwrt.spec import Device, ModelInfo, Options, Range, TensorSpec
    from hwrt.tuning.plan import Plan

__version__ = "0.1.0"

__all__ = [
    "AccuracyGate",
    "BackendError",
    "BackendFailure",
    "BackendStatus",
    "BackendUnavailable",
    "Device",
    "HwrtError",
    "InputError",
    "ModelError",
    "ModelInfo",
    "NoBackend",
    "Options",
    "Plan",
    "Range",
    "Session",
    "SessionError",
    "TensorSpec",
    "UnsupportedModel",
    "__version__",
    "backend",
    "backends",
    "errors",
    "inspect",
    "load",
    "tune",
    "vision",
    "zoo",
]

_HOMES = {
    **dict.fromkeys(("load", "tune"), "hwrt.entry"),
    **dict.fromkeys(("BackendStatus", "backends"), "hwrt.registry"),
    **dict.fromkeys(("Device", "ModelInfo", "Options", "Range", "TensorSpec"), "hwrt.spec"),
    "AccuracyGate": "hwrt.measure.gate",
    "Plan": "hwrt.tuning.plan",
    "Session": "hwrt.session",
    "inspect": "hwrt.loading",
}
_MODULES = frozenset({"backend", "errors", "vision", "zoo"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"hwrt.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'hwrt' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES.get(name, "hwrt.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
