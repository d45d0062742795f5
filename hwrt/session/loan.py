"""A request of a session's pool in one user's hands."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from hwrt.backend import Request

if TYPE_CHECKING:
    from hwrt.session.engine import Engine

__all__ = ["Loan"]


class Loan:
    """A request of a session's pool until it is given back, as the end of a ``with`` does.

    One thread at a time uses it, but it may be another thread each time.  The request's inputs hold
    what its last user left, in the shapes of its last run: ``resize`` it where others are wanted.
    It is given back with no run started, nothing bound and not closed.
    """

    __slots__ = ("_detached", "_engine", "request")

    def __init__(self, engine: Engine, request: Request) -> None:
        self.request = request
        self._engine: Engine | None = engine
        self._detached = False

    @property
    def engine(self) -> Engine | None:
        """Whose request it is; None once it was given back."""
        return self._engine

    def detach(self) -> None:
        """Have neither ``close`` nor ``replace`` wait for this request, however long it is kept.

        ``close`` closes it: a run that was started ends, then each use raises SessionError.  After
        a ``replace`` it goes on with the model it was taken from, whose memory it keeps.
        """
        if self._engine is not None and not self._detached:
            self._detached = True
            self._engine.detach(self.request)

    def give_back(self) -> None:
        """Let others have the request.  Calling it twice is harmless."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        if self._detached:
            engine.take_back(self.request)
            return
        engine.idle.append(self.request)
        if engine.waiting:
            engine.wake()

    def __enter__(self) -> Request:
        return self.request

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.give_back()
