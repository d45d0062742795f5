"""A plan made runnable: what users hold."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from numpy import ndarray

from hwrt.backend import Array, CompiledModel, Request
from hwrt.errors import BackendError, InputError, SessionError
from hwrt.session.engine import Engine, Origin
from hwrt.session.fallback import Run, dismiss, find_plan, start, with_feeds, with_inputs
from hwrt.session.fit import check_fit, check_outputs
from hwrt.session.hints import add_hint
from hwrt.session.loan import Loan
from hwrt.session.submissions import Submissions
from hwrt.spec import ModelInfo, TensorSpec
from hwrt.tuning.plan import Plan

__all__ = ["Session"]

_S = TypeVar("_S", bound="Session")
T = TypeVar("T")
_CLOSED, _CLOSED_HINT = "this session is closed", "load the model again"
_FORKED = "this process is a fork of the one that loaded the model"
_FORKED_HINT = "load the model in the process that runs it, or start processes with 'spawn'"


class Session:
    """A model ready to run on the backend of its plan.

    Any thread may use it, also at the same time: each run takes a request from a pool that grows to
    what the backend can serve at once.  Where the engine fails in a run (out of memory, a lost
    device), the run is done again by the plan's next right candidate, and so are those after it:
    once, with a warning on the logger ``hwrt``; see ``fallbacks``.  ``submit`` and ``arun`` make
    threads when they are first called, ``run`` makes none.  Closing it waits for runs that have
    begun or were submitted; without that, the interpreter runs what was submitted before it exits.
    Close what daemon threads run: it waits for none of these, and vendors abort the process there.

    A session can be pickled and copied: the copy is loaded anew by the same plan, in its process.
    A process forked off can not use it, and raises SessionError.
    """

    def __init__(
        self, compiled: CompiledModel, plan: Plan, info: ModelInfo, origin: Origin | None = None
    ) -> None:
        self._engine = Engine(compiled, plan, info, origin)
        # Those that a replace took out of service while requests of theirs are lent.
        self._replaced: weakref.WeakSet[Engine] = weakref.WeakSet()
        self._submissions = Submissions()
        self._state = threading.Lock()
        self._replacing = threading.Lock()
        self._closed = False
        self._fallbacks = 0
        _sessions.add(self)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Name, dtype and shape of each input."""
        return self._engine.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Name, dtype and shape of each output."""
        return self._engine.outputs

    @property
    def plan(self) -> Plan:
        """What was chosen to run the model, and why."""
        return self._engine.plan

    @property
    def fallbacks(self) -> int:
        """How often the session has moved to another candidate because a run failed.

        ``plan.fallback_of`` and ``plan.fallback_reason`` say from which, and why.
        """
        return self._fallbacks

    @property
    def info(self) -> ModelInfo:
        """What the model's file says of itself."""
        return self._engine.info

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for these feeds, by name; the caller owns the arrays.

        ``feeds`` maps each input's name to an array of exactly its dtype and shape: NumPy's, or any
        on the host with ``__dlpack__`` or ``__array__``, or lists and numbers where NumPy gives
        them that dtype.  They are read during the call only.  Raises InputError, listing what is
        expected, for other feeds.
        """
        engine = self._engine
        if feeds.__class__ is dict and len(feeds) == engine.count:
            for name, dtype, shape in engine.expected:
                array = feeds.get(name)
                if (
                    array.__class__ is not ndarray
                    or array.dtype is not dtype
                    or array.shape != shape
                    or not array.flags.carray
                ):
                    feeds = engine.check(feeds)
                    break
        else:
            feeds = engine.check(feeds)
        request = fault = None
        try:
            try:
                request = engine.idle.pop()
            except IndexError:
                request = engine.take()
            if request is not None:
                return request.infer(feeds)
        except BackendError as exc:
            fault = exc
        finally:
            if request is not None:
                engine.idle.append(request)
                if engine.waiting:
                    engine.wake()
        if fault is None:  # the engine was replaced or closed meanwhile
            return self._run_on_next(engine, feeds)
        try:
            return self._run_elsewhere(engine, feeds, fault)
        finally:
            del fault  # its traceback holds this frame

    def __call__(self, array: Array) -> dict[str, Array]:
        """The outputs for the one input of the model, as ``run`` gives them."""
        inputs = self._engine.inputs
        if len(inputs) != 1:
            raise InputError(
                f"the model has {len(inputs)} inputs, so an array alone does not do",
                hint=f"call run() with {', '.join(map(str, inputs))}",
            )
        return self.run({inputs[0].name: array})

    def submit(self, feeds: Mapping[str, Array]) -> Future[dict[str, Array]]:
        """The future outputs: a thread of the session runs the feeds, in no order promised.

        The arrays are read until the future is done and must not be changed before.  Wrong feeds
        raise InputError here; what the run raises is raised where the result is read.  A run that
        has not begun can be cancelled.  There are as many threads as runs that the backend serves
        at once, and four runs may wait for each: then this call waits too, but for one in a
        future's callback.  Raises SessionError once the session is closed.
        """
        return self._submit(feeds, wait=True)

    async def arun(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for these feeds, as ``run`` gives them, without holding up the event loop.

        It runs as ``submit`` does, but never waits for room in the queue: how many are awaited at
        once is the caller's choice.  Cancelling it cancels a run that has not begun; one that has
        goes on reading the arrays, and its outputs are dropped.
        """
        # 28 ms, and whoever awaits has paid them already.
        import asyncio

        return await asyncio.wrap_future(self._submit(feeds, wait=False))

    def request(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Request:
        """A request of the caller's own: fill its ``inputs``, ``run()``, read its ``outputs``.

        A dynamic dimension that neither ``shapes`` nor the load gave is 1 until ``resize``.  One
        thread at a time uses it; the caller closes it, or it is closed with the session.  After a
        ``replace`` it goes on with the model it was made for, whose memory it keeps.
        """
        while True:
            self._check_open()
            request = self._engine.lend(shapes)
            if request is not None:
                return request

    def borrow(self) -> Loan:
        """A request of the session's own pool, for work without a copy; the caller gives it back.

        Waits for one where as many are in use as the backend serves at once.  ``with
        session.borrow() as request`` fills ``request.inputs``, runs it and reads
        ``request.outputs``; ``close`` and ``replace`` wait for its end.
        """
        while True:
            engine = self._engine
            try:
                loan = engine.borrow(wait=True)
            except BackendError as exc:  # there is no room for a first request, say
                self._fall_back(engine, exc, with_feeds(engine.feeds()))
                continue
            if loan is not None:
                return loan
            self._check_replaced(engine)

    def try_borrow(self) -> Loan | None:
        """What ``borrow`` gives where it need not wait, else None."""
        while True:
            engine = self._engine
            loan = engine.borrow(wait=False)
            if loan is not None or engine.is_open():
                return loan
            self._check_replaced(engine)

    def recover(self, loan: Loan, fault: BackendError) -> Loan:
        """A request that has run what ``loan``'s request could not: its run raised ``fault``.

        The session moves to another engine as after a run that failed, and ``loan`` is given back.
        Raises the fault, saying why, where it does not, and what the other engine raises.
        """
        engine = loan.engine
        assert engine is not None, "the loan was given back"
        # This thread waits for a replace, which would wait for the loan.
        loan.detach()
        try:
            inputs = loan.request.inputs
            moved = self._fall_back(engine, fault, with_inputs(inputs))
            return self._engine.run_again(inputs) if moved is None else moved
        finally:
            loan.give_back()

    def replace(self, model_or_plan: str | os.PathLike[str] | bytes | Plan) -> None:
        """Put another model, or the same one by another plan, in the place of what runs.

        It is a path, ``zoo:NAME``, the bytes of an ONNX file, a Plan or a plan's file, and is
        loaded with the arguments of this session's load: measured and checked alike.  It must take
        every feed that this session takes, give outputs of the same names, dtypes and fitting
        shapes, and run once.  Then it is swapped in between two runs.  Runs that have begun end on
        the old model; the call returns when they have, and the old model's memory is given back
        unless a request of it is lent.

        Where anything fails the session stays as it was: InputError says in what the model differs,
        the rest is as in a load.  Two calls at once are served one after the other.
        """
        with self._replacing:
            self._check_open()
            old = self._engine
            new = Engine(*self._origin(old).load(model_or_plan))
            try:
                check_fit(old, new)
                check_outputs(old, new, new.try_out(old.feeds()))
                with self._state:
                    self._check_open()
                    self._replaced.add(old)
                    self._engine = new
            except BaseException:
                new.close()
                raise
            old.retire()

    def close(self) -> None:
        """Give everything back, after the runs that have begun or were submitted.

        Calling it twice is harmless.
        """
        with self._state:
            if self._closed:
                return
            self._closed = True
        refuse = _refusal(_CLOSED, _CLOSED_HINT)
        vars(self)["run"] = refuse
        with contextlib.ExitStack() as stack:
            for engine in (self._engine, *self._replaced):
                stack.callback(engine.close)
            self._submissions.close()

    def __enter__(self: _S) -> _S:  # noqa: PYI019 - typing.Self is of Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        self._check_open()
        engine = self._engine
        return _restored, (self._origin(engine), engine.plan.to_json())

    def __repr__(self) -> str:
        return (
            f"<hwrt.Session {self.info.path.name}: {self.plan.candidate}"
            f"{', closed' if self._closed else ''}>"
        )

    def _run_elsewhere(
        self, engine: Engine, feeds: Mapping[str, Array], fault: BackendError
    ) -> dict[str, Array]:
        """The outputs of the engine that takes over from this one, whose run raised the fault."""
        outputs = self._fall_back(engine, fault, with_feeds(feeds))
        # Not self.run: what was submitted still runs while the session closes.
        return Session.run(self, feeds) if outputs is None else outputs

    def _fall_back(self, engine: Engine, fault: BackendError, run: Run[T]) -> T | None:
        """Put the plan's next right candidate in the engine's place, once; what ``run`` gave.

        None where another thread did it, or the engine was replaced.  Raises the fault with a hint
        where the session stays as it is.
        """
        attempts = engine.fallback_attempts
        with self._replacing:
            if engine is not self._engine:
                return None
            plan = find_plan(engine, fault)
            # Closed, or tried in vain while this thread waited.
            if not self._is_open() or attempts != engine.fallback_attempts:
                add_hint(fault, f"{plan.candidate} could not take over")
                raise fault
            new, result = start(engine, plan, fault, run)
            with self._state:
                if not self._is_open():
                    new.close()
                    raise fault
                self._replaced.add(engine)
                self._engine = new
                self._fallbacks += 1
        dismiss(engine, plan, fault)
        return result

    def _run_on_next(self, engine: Engine, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self._check_replaced(engine)
        # Not self.run: what was submitted still runs while the session closes.
        return Session.run(self, feeds)

    def _submit(self, feeds: Mapping[str, Array], *, wait: bool) -> Future[dict[str, Array]]:
        self._check_open()
        engine = self._engine
        job = functools.partial(Session.run, self, engine.check(feeds))
        return self._submissions.add(job, threads=engine.at_once, wait=wait)

    def _check_replaced(self, engine: Engine) -> None:
        """Raise SessionError where a retired engine has none in its place."""
        if engine is self._engine:
            raise SessionError(_CLOSED, hint=_CLOSED_HINT)

    def _origin(self, engine: Engine) -> Origin:
        origin = engine.origin
        if origin is None:
            raise SessionError(
                "this session was not made by hwrt.load, so it can not be loaded again",
                hint="make it with hwrt.load",
            )
        return origin

    def _is_open(self) -> bool:
        return not self._closed

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError(_CLOSED, hint=_CLOSED_HINT)

    def _disable(self) -> None:
        refuse = _refusal(_FORKED, _FORKED_HINT)
        # Closing is left to the parent: the vendor's threads, which it would wait for, are there.
        names = ("run", "submit", "arun", "request", "borrow", "try_borrow", "recover", "replace")
        vars(self).update(dict.fromkeys(names, refuse), close=lambda: None)
        for engine in (self._engine, *self._replaced):
            engine.disable(_FORKED, hint=_FORKED_HINT)
        _of_parents.append(self._submissions)


def _restored(origin: Origin, plan: str) -> Session:
    """What pickle calls where a session is read back."""
    return Session(*origin.restore(Plan.from_json(plan)))


def _refusal(reason: str, hint: str) -> Any:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise SessionError(reason, hint=hint)

    return refuse


# Threads that were inherited over a fork are the parent's: nothing may wait for them.
_of_parents: list[object] = []
_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _after_fork() -> None:
    for session in list(_sessions):
        session._disable()  # noqa: SLF001 - the same module


os.register_at_fork(after_in_child=_after_fork)
