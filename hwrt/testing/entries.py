"""The list ``unsupported`` of a test class, and the formats that it is tested with."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from hwrt.backend import Backend

__all__ = ["FORMAT", "formats_of", "keys_of", "reason_for"]

FORMAT = "model_format"
"""The name of the parameter that says which format a test writes."""


def formats_of(cls: type, written: Iterable[str]) -> list[str]:
    """The formats of ``written`` that the backend of this test class reads.

    The fixture ``backend`` is called for it, without pytest, where it takes no other fixture;
    otherwise all are returned.
    """
    made = inspect.unwrap(inspect.getattr_static(cls, "backend"))
    if not callable(made) or len(inspect.signature(made).parameters) != 1:
        return sorted(written)
    backend: Any = made(cls())
    if inspect.isgenerator(backend):
        backend = next(backend)
    assert isinstance(backend, Backend)
    return sorted(set(written) & backend.formats)


def keys_of(item: Any) -> set[str]:
    """The keys by which ``unsupported`` may name this test."""
    test = item.originalname
    bracket = item.name[len(test) + 1 : -1]
    callspec = getattr(item, "callspec", None)
    model_format = callspec.params.get(FORMAT) if callspec else None
    keys = {test, item.name}
    if model_format is not None:
        rest = f"-{bracket}-".replace(f"-{model_format}-", "-", 1).strip("-")
        keys.add(f"{test}[{model_format}]")
        if rest:
            keys |= {f"{test}[{rest}]", f"{test}[{model_format}-{rest}]"}
    return keys


def reason_for(item: Any, unsupported: Mapping[str, str]) -> str | None:
    """Why this backend can never pass this test, None where the list does not name it."""
    return next((unsupported[key] for key in keys_of(item) if key in unsupported), None)
