"""A plan made runnable: what users hold."""

from __future__ import annotations

import collections
import os
import threading
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import numpy as np

from hwrt.backend import Array, CompiledModel, Request
from hwrt.errors import InputError, SessionError
from hwrt.spec import ModelInfo, Range, TensorSpec
from hwrt.tuning.plan import Plan
from hwrt.tuning.shapes import typical_shapes

__all__ = ["Session"]

_S = TypeVar("_S", bound="Session")
_FORKED = "this process is a fork of the one that loaded the model"
_FORKED_HINT = "load the model in the process that runs it, or start processes with 'spawn'"


class Session:
    """A model ready to run on the backend of its plan.

    Any thread may use it, also at the same time: each run takes a request from a pool that grows to
    what the backend can serve at once.  Closing it waits for runs that have begun.
    """

    def __init__(self, compiled: CompiledModel, plan: Plan, info: ModelInfo) -> None:
        self.inputs: tuple[TensorSpec, ...] = compiled.inputs
        self.outputs: tuple[TensorSpec, ...] = compiled.outputs
        self.plan = plan
        self.info = info
        self._compiled = compiled
        self._expected = tuple(
            (spec.name, spec.dtype, _first_shape(spec)) for spec in compiled.inputs
        )
        self._idle: collections.deque[Request] = collections.deque()
        self._pool = threading.Condition()
        self._created = 0
        self._waiting = 0
        self._closed = False
        self._lent: weakref.WeakSet[Request] = weakref.WeakSet()
        _sessions.add(self)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for these feeds, by name; the caller owns the arrays.

        ``feeds`` maps each input's name to an array of exactly its dtype and shape; the arrays are
        read during the call only.  Raises InputError, listing what is expected, for other feeds.
        """
        if feeds.__class__ is dict and len(feeds) == len(self._expected):
            for name, dtype, shape in self._expected:
                array = feeds.get(name)
                if (
                    array.__class__ is not np.ndarray
                    or array.dtype is not dtype
                    or array.shape != shape
                    or not array.flags.carray
                ):
                    feeds = self._check(feeds)
                    break
        else:
            feeds = self._check(feeds)
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._take()
        try:
            return request.infer(feeds)
        finally:
            self._idle.append(request)
            if self._waiting:
                with self._pool:
                    # One request serves one waiter; once closed, close() is among them.
                    self._pool.notify(self._waiting if self._closed else 1)

    def __call__(self, array: Array) -> dict[str, Array]:
        """The outputs for the one input of the model, as ``run`` gives them."""
        if len(self.inputs) != 1:
            raise InputError(
                f"the model has {len(self.inputs)} inputs, so an array alone does not do",
                hint=f"call run() with {', '.join(map(str, self.inputs))}",
            )
        return self.run({self.inputs[0].name: array})

    def request(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Request:
        """A request of the caller's own: fill its ``inputs``, ``run()``, read its ``outputs``.

        A dynamic dimension that neither ``shapes`` nor the load gave is 1 until ``resize``.  One
        thread at a time uses it; the caller closes it, or it is closed with the session.
        """
        self._check_open()
        typical = typical_shapes(self.info.inputs, self.plan.shapes or {})
        request = self._compiled.create_request({**typical, **(shapes or {})})
        self._lent.add(request)
        return request

    def close(self) -> None:
        """Give everything back, after the runs that have begun.  Calling it twice is harmless."""
        with self._pool:
            if self._closed:
                return
            self._closed = True
            vars(self)["run"] = _refusal("this session is closed", "load the model again")
            self._waiting += 1
            # Taken one by one: a run that began before must not find one that is to be closed.
            idle: list[Request] = []
            while len(idle) < self._created:
                try:
                    idle.append(self._idle.pop())
                except IndexError:  # noqa: PERF203 - another thread may take it first
                    self._pool.wait()
            self._waiting -= 1
            # Threads that waited for a request are told that there will be none.
            self._pool.notify_all()
        for request in (*idle, *self._lent):
            request.close()
        self._compiled.close()

    def __enter__(self: _S) -> _S:  # noqa: PYI019 - typing.Self is of Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<hwrt.Session {self.info.path.name}: {self.plan.candidate}"
            f"{', closed' if self._closed else ''}>"
        )

    def _take(self) -> Request:
        """A request for one run: another one where the backend has room, else the next idle one."""
        limit = self._compiled.max_requests
        with self._pool:
            self._check_open()
            if limit is None or self._created < limit:
                self._created += 1
                try:
                    return self._compiled.create_request(
                        {name: shape for name, _, shape in self._expected if shape is not None}
                    )
                except BaseException:
                    self._created -= 1
                    raise
            # A thread that gives a request back looks at _waiting after it has done so: either this
            # thread finds the request here, or that thread finds this one waiting.
            self._waiting += 1
            try:
                while True:
                    self._check_open()
                    try:
                        return self._idle.pop()
                    except IndexError:
                        self._pool.wait()
            finally:
                self._waiting -= 1

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError("this session is closed", hint="load the model again")

    def _check(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The feeds as C-contiguous arrays; InputError where they do not fit the inputs."""
        self._check_open()
        if not isinstance(feeds, Mapping):
            raise InputError(
                f"the feeds are a {type(feeds).__name__}",
                hint=f"give a dict of name to array: {self._inputs_text()}",
            )
        names = {spec.name for spec in self.inputs}
        missing, unknown = sorted(names - set(feeds)), sorted(set(feeds) - names, key=str)
        if missing or unknown:
            faults = [f"{name!r} is missing" for name in missing]
            faults += [f"{name!r} is no input" for name in unknown]
            raise InputError(
                f"the feeds do not fit the model: {', '.join(faults)}",
                hint=f"the inputs are {self._inputs_text()}",
            )
        checked = {spec.name: self._check_array(spec, feeds[spec.name]) for spec in self.inputs}
        self._check_named_dimensions(checked)
        # The next run with these shapes takes the short way.
        self._expected = tuple(
            (name, dtype, checked[name].shape) for name, dtype, _ in self._expected
        )
        return checked

    def _check_array(self, spec: TensorSpec, value: Any) -> Array:
        array = np.asarray(value)
        if spec.dtype.hasobject and array.dtype.kind in "US":
            array = array.astype(object)
        if array.dtype != spec.dtype:
            raise InputError(
                f"the feed {spec.name!r} is {array.dtype}, the input is {spec.dtype}",
                hint=f"feed {spec}, for example with .astype({spec.dtype.name!r})",
            )
        if not spec.accepts(array.shape) or not self._in_range(spec.name, array.shape):
            raise InputError(
                f"the feed {spec.name!r} has the shape {array.shape}",
                hint=f"the input is {spec}{self._bounds_text(spec.name)}",
            )
        return np.require(array, requirements=("C", "A"))

    def _check_named_dimensions(self, feeds: Mapping[str, Array]) -> None:
        """Dimensions of one name have one size: not every vendor notices when they do not."""
        seen: dict[str, tuple[int, str]] = {}
        for spec in self.info.inputs:
            for size, name in zip(feeds[spec.name].shape, spec.dim_names or (), strict=False):
                if name is None:
                    continue
                first, owner = seen.setdefault(name, (size, spec.name))
                if first != size:
                    raise InputError(
                        f"the dimension {name!r} is {first} in {owner!r} and {size} in "
                        f"{spec.name!r}",
                        hint=f"the inputs are {self._inputs_text()}",
                    )

    def _in_range(self, name: str, shape: tuple[int, ...]) -> bool:
        wanted = (self.plan.shapes or {}).get(name, ())
        return all(
            not isinstance(bound, Range) or bound.min <= size <= bound.max
            for bound, size in zip(wanted, shape, strict=False)
        )

    def _bounds_text(self, name: str) -> str:
        wanted = (self.plan.shapes or {}).get(name)
        return f", loaded with shapes={{{name!r}: {tuple(wanted)}}}" if wanted else ""

    def _inputs_text(self) -> str:
        return "; ".join(map(str, self.inputs)) or "none"

    def _disable(self) -> None:
        refuse = _refusal(_FORKED, _FORKED_HINT)
        # Closing is left to the parent: the vendor's threads, which it would wait for, are there.
        vars(self).update(run=refuse, request=refuse, close=lambda: None)
        requests = (*self._idle, *self._lent)
        for request in requests:
            request.disable(_FORKED, hint=_FORKED_HINT)
        _of_parents.append((self._compiled, requests))


def _first_shape(spec: TensorSpec) -> tuple[int, ...] | None:
    """The shape that needs no check; None until a first run has shown one."""
    return tuple(size or 0 for size in spec.shape or ()) if spec.is_fixed else None


def _refusal(reason: str, hint: str) -> Any:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise SessionError(reason, hint=hint)

    return refuse


# What was inherited over a fork: its destructor would wait for threads that are the parent's.
_of_parents: list[object] = []
_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _after_fork() -> None:
    for session in list(_sessions):
        session._disable()  # noqa: SLF001 - the same module


os.register_at_fork(after_in_child=_after_fork)
