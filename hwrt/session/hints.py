"""What to do about a fault, said in the error that a backend raised."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

from hwrt.backend import Request
from hwrt.errors import BackendError, HwrtError

__all__ = ["add_hint", "hint_faults"]


def add_hint(fault: HwrtError, hint: str) -> None:
    """Add to what the error says to do; once, where several threads raise one error."""
    if hint not in (fault.hint or ""):
        fault.hint = f"{fault.hint}; {hint}" if fault.hint else hint


def hint_faults(request: Request, hint: str) -> None:
    """Have the faults of the request's runs carry the hint from here on."""
    attributes = vars(request)
    for name in ("run", "infer", "wait"):
        # An attribute of the instance hides the method of the class; it must not hold the request.
        attributes[name] = functools.partial(
            _call, weakref.ref(request), name, attributes.get(name), hint
        )


def _call(
    reference: weakref.ref[Request],
    name: str,
    own: Callable[..., Any] | None,
    hint: str,
    /,
    *arguments: Any,
    **named: Any,
) -> Any:
    request: Any = reference()  # the caller holds it
    call = own or functools.partial(getattr(type(request), name), request)
    try:
        return call(*arguments, **named)
    except BackendError as exc:
        add_hint(exc, hint)
        raise
