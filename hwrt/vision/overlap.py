"""One group of frames prepared while another one runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from numpy.typing import NDArray

from hwrt.errors import BackendError, HwrtError, SessionError
from hwrt.vision.geometry import Geometry

if TYPE_CHECKING:
    from hwrt.backend import Request
    from hwrt.session.loan import Loan

__all__ = ["overlapped"]

T = TypeVar("T")
Group = Sequence[NDArray[Any]]
Places = Sequence[Geometry | None]
Write = Callable[["Request", Group], Places]
Read = Callable[[Mapping[str, NDArray[Any]], Places], list[T]]


class Lender(Protocol):
    """What lends requests; see ``hwrt.Session``."""

    def borrow(self) -> Loan:
        """A request, when one is free."""

    def try_borrow(self) -> Loan | None:
        """A request, or None where none is free."""

    def recover(self, loan: Loan, fault: BackendError) -> Loan:
        """A request of another engine that has run what this one's run failed at."""


class _Run:
    """One group on its way through a borrowed request."""

    def __init__(self, lender: Lender, loan: Loan) -> None:
        self._lender = lender
        # The consumer of a stream may close or replace the session, or never come back.
        loan.detach()
        self._loan = loan
        self._places: Places = ()
        self._is_started = False

    def fill(self, group: Group, write: Write) -> None:
        self._places = write(self._loan.request, group)

    def start(self) -> None:
        # Threads that outlive the main one still run frames, but Python lets no pool begin a task.
        with contextlib.suppress(SessionError):
            self._loan.request.start()
            self._is_started = True

    def wait(self) -> None:
        try:
            if self._is_started:
                self._loan.request.wait()
            else:
                self._loan.request.run()
        except BackendError as exc:
            self._loan = self._lender.recover(self._loan, exc)
            self._loan.detach()

    def results(self, read: Read[T]) -> list[T]:
        try:
            return read(self._loan.request.outputs, self._places)
        finally:
            self._loan.give_back()

    def abandon(self) -> None:
        """Give the request back; what its run raises is nobody's any more.

        Where the run's own thread collects the stream as garbage the request is dropped instead: it
        leaves the pool at the end of its run.
        """
        is_done = True
        try:
            with contextlib.suppress(HwrtError):
                is_done = self._loan.request.wait()
        finally:
            if is_done:
                self._loan.give_back()


def overlapped(
    lender: Lender, groups: Iterator[Group], *, write: Write, read: Read[T]
) -> Generator[T, None, None]:
    """The results of the groups in order, each group written while the one before it runs.

    Between two results one request is kept, which runs, and only where another was free beside it:
    whoever reads the results may borrow one too.
    """
    running: _Run | None = None
    following: _Run | None = None
    ended: _Run | None
    try:
        while True:
            group, failure = _next(groups)
            if group is not None:
                loan = lender.try_borrow() if running else lender.borrow()
                if loan is None and running is not None:
                    running.wait()
                    ended, running = running, None
                    yield from ended.results(read)
                    loan = lender.borrow()
                assert loan is not None
                following = _Run(lender, loan)
                failure = _fill(following, group, write)
                if failure is not None:
                    following.abandon()
                    following = None
            if running is not None:
                running.wait()
            if following is not None:
                following.start()
            ended, running, following = running, following, None
            if ended is not None:
                yield from ended.results(read)
            if failure is not None:
                raise failure
            if running is None:
                return
    finally:
        for run in (running, following):
            if run is not None:
                run.abandon()


def _next(groups: Iterator[Group]) -> tuple[Group | None, Exception | None]:
    """The next group, None at the end; or what its frames raised, which has its place in order."""
    try:
        return next(groups, None), None
    except Exception as exc:  # noqa: BLE001 - raised after the results of the frames before
        return None, exc


def _fill(run: _Run, group: Group, write: Write) -> Exception | None:
    try:
        run.fill(group, write)
    except Exception as exc:  # noqa: BLE001 - as above
        return exc
    return None
