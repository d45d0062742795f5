"""The exceptions of hwrt.

::

    HwrtError                    every error that hwrt raises on purpose
    ├── ModelError               a model file is missing, malformed or refused
    ├── InputError (ValueError)  an argument, a feed or an option is wrong
    ├── SessionError             a session or request is closed, or of another process
    └── BackendError             something about a backend
        ├── BackendUnavailable   it is absent on this machine: doctor says how to get it, tests skip
        ├── UnsupportedModel     it works, but not with this model: the tuner notes why and goes on
        ├── BackendFailure       it is broken: the tuner reports it, tests fail
        └── NoBackend            not one backend can serve the request; every reason is kept

A message says what failed, with the value; ``hint`` says what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "BackendError",
    "BackendFailure",
    "BackendUnavailable",
    "HwrtError",
    "InputError",
    "ModelError",
    "NoBackend",
    "SessionError",
    "UnsupportedModel",
]


class HwrtError(Exception):
    """What failed, with the value, and in ``hint`` what to do about it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, dict(vars(self)))


class ModelError(HwrtError):
    """A model file is missing, malformed, or refused for what it asks for."""


class InputError(HwrtError, ValueError):
    """An argument, a feed or an option is wrong; the message lists what is expected."""


class SessionError(HwrtError):
    """A session or request is closed, was carried over a fork, or can not be pickled."""


class BackendError(HwrtError):
    """Something about a backend went wrong."""


class BackendUnavailable(BackendError):
    """A backend is absent on this machine; ``hint`` is how to get it."""


class UnsupportedModel(BackendError):
    """A working backend can not run this model, device or request."""


class BackendFailure(BackendError):
    """A backend that is present does not work as it promises."""


class NoBackend(BackendError):
    """No backend can serve the request.

    ``reasons`` maps what was tried to why it could not be used.
    """

    def __init__(
        self, message: str, *, reasons: Mapping[str, str] | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.reasons: dict[str, str] = dict(reasons or {})

    def __str__(self) -> str:
        lines = [super().__str__(), *(f"  {name}: {why}" for name, why in self.reasons.items())]
        return "\n".join(lines)


def _rebuild(cls: type[HwrtError], args: tuple[object, ...], state: dict[str, object]) -> HwrtError:
    error = cls.__new__(cls, *args)
    Exception.__init__(error, *args)
    vars(error).update(state)
    return error
