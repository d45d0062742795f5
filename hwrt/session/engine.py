"""One compiled model with its pool of requests: what a session runs until it is replaced."""

from __future__ import annotations

import collections
import contextlib
import functools
import threading
import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from hwrt.backend import Array, CompiledModel, Request
from hwrt.errors import BackendError, SessionError
from hwrt.log import LOGGER
from hwrt.machine.limits import allowed_threads
from hwrt.session.feeds import checked_feeds, first_shape
from hwrt.session.hints import hint_faults
from hwrt.session.loan import Loan
from hwrt.spec import ModelInfo
from hwrt.tuning.feeds import random_feeds
from hwrt.tuning.plan import Plan
from hwrt.tuning.shapes import check_shapes, typical_shapes

__all__ = ["Engine", "Loaded", "Origin"]

_LEAST_AT_ONCE = 2
_LOOK_AGAIN_S = 1.0


class Origin(Protocol):
    """How an engine was loaded, so that another can be: in its place, or in another process.

    It can be pickled.
    """

    def load(self, model_or_plan: Any) -> Loaded:
        """Another model, or the same one by another plan, everything else asked for as before."""

    def restore(self, plan: Plan) -> Loaded:
        """The same model by the plan, which is checked to fit this machine."""

    def next_plan(self, plan: Plan, fault: BackendError) -> Plan | str:
        """The plan of the next right candidate after a run raised this, or why there is none."""

    def fall_back(self, plan: Plan) -> Loaded:
        """The same model by a plan that ``next_plan`` gave; nobody is told how far it is."""

    def sample(self, info: ModelInfo) -> Mapping[str, Array] | None:
        """The first of the samples that the load was given; None where there are none."""


class Loaded(NamedTuple):
    """What a load comes to, and a session or an engine is made of."""

    compiled: CompiledModel
    plan: Plan
    info: ModelInfo
    origin: Origin | None = None


class Engine:
    """A compiled model and the requests that run it.

    Any thread may use it, also at the same time.  ``take`` gives a request that its taker puts back
    into ``idle`` when the run has ended; where ``waiting`` is not 0, it calls ``wake`` then.
    """

    def __init__(
        self, compiled: CompiledModel, plan: Plan, info: ModelInfo, origin: Origin | None = None
    ) -> None:
        self.compiled = compiled
        self.plan = plan
        self.info = info
        self.origin = origin
        # Whether it took over from one that failed; how often another failed to take over from it.
        self.is_fallback = False
        self.fallback_attempts = 0
        self.inputs = compiled.inputs
        self.outputs = compiled.outputs
        self.count = len(compiled.inputs)
        # What needs no further check: name, dtype and shape of each input at the last run.
        self.expected = tuple(
            (spec.name, spec.dtype, first_shape(spec)) for spec in compiled.inputs
        )
        self.idle: collections.deque[Request] = collections.deque()
        self._kept = self.idle
        self.waiting = 0
        self._pool = threading.Condition()
        # Those of the pool, idle or running.  Weak: what a signal in mid-run throws away is gone.
        self._requests: weakref.WeakSet[Request] = weakref.WeakSet()
        # Once a further request could not be made.
        self._is_full = False
        self._retired = False
        self._ended = False
        self._ending = threading.Lock()
        self._lent: weakref.WeakSet[Request] = weakref.WeakSet()
        # Those of the lent ones that are the pool's, and count as such.
        self._detached: weakref.WeakSet[Request] = weakref.WeakSet()
        self._shut = weakref.finalize(self, _close_all, self.idle, compiled)
        self._shut.atexit = False

    @functools.cached_property
    def at_once(self) -> int:
        """How many runs are worth having in flight.

        Where the backend names no bound: as many as fill the CPUs that this process may use, and
        two at least, so that one run's copies overlap another's computation on a device.
        """
        if self.compiled.max_requests is not None:
            return self.compiled.max_requests
        return max(_LEAST_AT_ONCE, allowed_threads() // (self.plan.options.threads or 1))

    def check(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """The feeds as C-contiguous arrays; InputError where they do not fit the inputs.

        An array that needs no conversion is itself in the answer.
        """
        checked = checked_feeds(feeds, self.inputs, self.info, self.plan.shapes or {})
        # The next run with these shapes takes the short way.
        self.expected = tuple(
            (name, dtype, checked[name].shape) for name, dtype, _ in self.expected
        )
        return checked

    def is_open(self) -> bool:
        """True until the engine is retired."""
        return not self._retired

    def take(self, *, wait: bool = True) -> Request | None:
        """A request for one run: another one where the backend has room, else the next idle one.

        None once the engine is retired; without ``wait`` also where there is neither.
        """
        with self._pool:
            # A thread that gives a request back looks at `waiting` after it has done so: either
            # this thread finds the request here, or that thread finds this one waiting.
            self.waiting += 1
            try:
                while self.is_open():
                    if self._has_room():
                        try:
                            return self._create()
                        except BackendError as exc:
                            if not self._requests:
                                raise
                            # Those that are there serve on: out of memory, most likely.
                            self._is_full = True
                            LOGGER.warning(
                                "%s serves %d runs at once, and no more: %s",
                                self.plan.candidate,
                                len(self._requests),
                                exc,
                            )
                    try:
                        return self.idle.pop()
                    except IndexError:  # another thread may take it first
                        if not wait:
                            return None
                        self._wait()
                return None
            finally:
                self.waiting -= 1

    def wake(self) -> None:
        """Tell those who wait that a request has become idle."""
        with self._pool:
            # One request serves one waiter; once retired, who ends the engine is among them.
            self._pool.notify(self.waiting if self._retired else 1)

    def lend(self, shapes: Mapping[str, tuple[int, ...]] | None) -> Request | None:
        """A request of the caller's own, which keeps the engine open until it is closed.

        None once the engine is retired.  Raises InputError for shapes that do not fit the inputs.
        """
        given = check_shapes(self.info, shapes)
        typical = typical_shapes(self.info.inputs, {**(self.plan.shapes or {}), **given})
        with self._pool:
            if self._retired:
                return None
            request = self.compiled.create_request(typical)
            self._lent.add(request)
        # An attribute of the instance hides the method of the class.
        vars(request)["close"] = functools.partial(_close_lent, self, weakref.ref(request))
        return request

    def borrow(self, *, wait: bool) -> Loan | None:
        """A request of the pool, to be given back; None as ``take`` says."""
        try:
            request = self.idle.pop()
        except IndexError:
            taken = self.take(wait=wait)
            if taken is None:
                return None
            request = taken
        return Loan(self, request)

    def detach(self, request: Request) -> None:
        """Make a request that was taken a lent one, which keeps its place in the pool."""
        with self._pool:
            self._requests.discard(request)
            self._lent.add(request)
            self._detached.add(request)
            self._pool.notify(self.waiting)

    def take_back(self, request: Request) -> None:
        """Put a detached request back into the pool; close it where the engine is retired."""
        with self._pool:
            self._detached.discard(request)
            if not self._retired:
                self._lent.discard(request)
                self._requests.add(request)
                self.idle.append(request)
                self._pool.notify(1)
                return
        try:
            request.close()
        finally:
            self._return(request)

    def feeds(self) -> Mapping[str, Array]:
        """What to try a run with: the first of the load's samples, else seeded random numbers."""
        given = self.origin.sample(self.info) if self.origin is not None else None
        if given is not None:
            return given
        shapes = typical_shapes(self.info.inputs, self.plan.shapes or {})
        (feeds,) = random_feeds(self.info.inputs, shapes, count=1)
        return feeds

    def try_out(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of one run, before anybody else uses the engine."""
        request = self.take()
        assert request is not None
        try:
            return request.infer(self.check(feeds))
        finally:
            self.idle.append(request)

    def run_again(self, inputs: Mapping[str, Array]) -> Loan:
        """A request of the pool that has run what these inputs of another engine's request hold.

        Raises SessionError once the engine is retired.
        """
        loan = self.borrow(wait=True)
        if loan is None:
            raise SessionError("this session was replaced or closed meanwhile", hint="run it again")
        request = loan.request
        try:
            if any(request.inputs[name].shape != array.shape for name, array in inputs.items()):
                request.resize({name: array.shape for name, array in inputs.items()})
            for name, array in inputs.items():
                np.copyto(request.inputs[name], array, casting="no")
            request.run()
        except BaseException:
            loan.give_back()
            raise
        return loan

    def tell_lent(self, hint: str) -> None:
        """Have what a lent request's run raises from here on carry this hint."""
        with self._pool:
            lent = [request for request in self._lent if request not in self._detached]
        for request in lent:
            hint_faults(request, hint)

    def retire(self) -> None:
        """Let no run begin, wait for those that have begun, and give back all but what is lent.

        The compiled model is closed with the last lent request.
        """
        with self._ending, contextlib.ExitStack() as stack:
            # What is pushed runs in turn, the last first, whatever another of them raises.
            stack.callback(self._end)
            for request in self._drain():
                stack.callback(request.close)

    def close(self) -> None:
        """Retire, and close what is lent."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._shut)
            stack.callback(self._close_lent)
            self.retire()

    def disable(self, reason: str, *, hint: str) -> None:
        """Make every request refuse, and keep this engine for ever: its threads are another's."""
        requests = (*self.idle, *self._lent)
        for request in requests:
            request.disable(reason, hint=hint)
        _of_parents.append((self, requests))

    def _has_room(self) -> bool:
        limit = self.compiled.max_requests
        in_use = len(self._requests) + len(self._detached)
        return not self._is_full and (limit is None or in_use < limit)

    def _create(self) -> Request:
        shapes = {name: shape for name, _, shape in self.expected if shape is not None}
        request = self.compiled.create_request(shapes)
        self._requests.add(request)
        return request

    def _wait(self) -> None:
        # A signal that raises in a run (Ctrl-C) may lose its request or the word that it is idle.
        self._pool.wait(_LOOK_AGAIN_S)

    def _drain(self) -> list[Request]:
        """Every request of the pool, each once its run has ended."""
        drained: list[Request] = []
        with self._pool:
            if not self._retired:
                self._kept, self.idle = self.idle, _Returned()
            self._retired = True
            self.waiting += 1
            # Threads that waited for a request are told that there will be none.
            self._pool.notify_all()
            try:
                while self._requests:
                    # One by one: a run that began before must not find one that is to be closed.
                    try:
                        drained.append((self._kept or self.idle).popleft())
                    except IndexError:  # noqa: PERF203 - as above
                        self._wait()
                    else:
                        self._requests.discard(drained[-1])
            finally:
                self.waiting -= 1
                self._pool.notify_all()
        return drained

    def _end(self) -> None:
        with self._pool:
            self._ended = True
            unused = not self._lent
        if unused:
            self._shut()

    def _close_lent(self) -> None:
        with self._pool:
            lent = list(self._lent)
        with contextlib.ExitStack() as stack:
            for request in lent:
                stack.callback(request.close)

    def _return(self, request: Request) -> None:
        with self._pool:
            self._lent.discard(request)
            unused = self._ended and not self._lent
        if unused:
            self._shut()


class _Returned(collections.deque[Request]):
    """What was given back to a retired engine: none of it is taken for another run.

    Else a thread that runs one frame after the other would hold up ``close`` for ever.
    """

    def pop(self) -> Request:  # type: ignore[override]
        raise IndexError


def _close_lent(engine: Engine, reference: weakref.ref[Request]) -> None:
    request = reference()
    if request is None:
        return
    vars(request).pop("close", None)
    try:
        request.close()
    finally:
        engine._return(request)  # noqa: SLF001 - the same module


def _close_all(idle: collections.deque[Request], compiled: CompiledModel) -> None:
    # Without the engine: it may be gone already.
    while idle:
        idle.pop().close()
    compiled.close()


# What was inherited over a fork: its destructor would wait for threads that are the parent's.
_of_parents: list[object] = []
