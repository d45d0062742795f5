"""Runs handed to threads of the session: ``submit`` and ``arun``."""

from __future__ import annotations

import collections
import contextvars
import functools
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from hwrt.backend import Array
from hwrt.errors import SessionError

__all__ = ["Submissions"]

_QUEUED_PER_THREAD = 4
Outputs = dict[str, Array]
Job = Callable[[], Outputs]


class Submissions:
    """Runs that wait for a thread, and the threads, which are made when they are first needed.

    Any thread may use it.  It holds no session: each job does, until it has run.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: collections.OrderedDict[Future[Outputs], Job] = collections.OrderedDict()
        self._running = 0
        self._closed = False
        self._threads: ThreadPoolExecutor | None = None
        self._count = 0

    def add(self, job: Job, *, threads: int, wait: bool) -> Future[Outputs]:
        """The future of the job, which one of ``threads`` threads runs.

        With ``wait`` it waits for room in the queue, which is short: whoever makes feeds faster
        than they are run would otherwise fill the memory with them.  Raises SessionError once it
        is closed.
        """
        future: Future[Outputs] = Future()
        job = functools.partial(contextvars.copy_context().run, job)
        with self._changed:
            self._check_open()
            # A thread that runs jobs (this one is in a future's callback) must never wait for them.
            while wait and not _serving() and len(self._queue) >= _QUEUED_PER_THREAD * threads:
                self._changed.wait()
                self._check_open()
            self._queue[future] = job
            try:
                self._started(threads).submit(self._serve)
            except RuntimeError as exc:
                self._queue.pop(future, None)
                raise SessionError(f"the run can not be started: {exc}") from exc
        future.add_done_callback(self._withdraw)
        return future

    def close(self) -> None:
        """Take no more; return when what was taken has run.  This thread helps."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        while self._serve():
            pass
        # In a future's callback the run that it is of counts as running.
        own = _serving().count(self)
        with self._changed:
            self._changed.wait_for(lambda: self._running <= own)
        if self._threads is not None:
            self._threads.shutdown(wait=not own)

    def _check_open(self) -> None:
        if self._closed:
            raise SessionError("this session is closed", hint="load the model again")

    def _started(self, threads: int) -> ThreadPoolExecutor:
        if self._threads is None or self._count != threads:
            if self._threads is not None:
                # After a replace: they end when they have run what was handed to them.
                self._threads.shutdown(wait=False)
            name = f"hwrt-session-{next(_numbers)}"
            self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
            self._count = threads
        return self._threads

    def _serve(self) -> bool:
        """Run the job that has waited longest; False where none waits."""
        with self._changed:
            if not self._queue:
                return False
            future, job = self._queue.popitem(last=False)
            self._running += 1
            self._changed.notify_all()
        _serving().append(self)
        try:
            if future.set_running_or_notify_cancel():
                _complete(future, job)
        finally:
            _serving().pop()
            # Not to be kept until the thread's next job.
            del future, job
            with self._changed:
                self._running -= 1
                self._changed.notify_all()
        return True

    def _withdraw(self, future: Future[Outputs]) -> None:
        """Forget a job that was cancelled before it began."""
        if not future.cancelled():
            return
        with self._changed:
            waited = self._queue.pop(future, None) is not None
            self._changed.notify_all()
        if waited:
            # Whoever waits for several futures is told by this alone.
            future.set_running_or_notify_cancel()


def _complete(future: Future[Outputs], job: Job) -> None:
    try:
        outputs = job()
    except BaseException as exc:  # it is raised where the future is read
        future.set_exception(exc)
        # The traceback holds this frame, which must not hold what holds the traceback.
        del future, job
        if not isinstance(exc, Exception):
            raise  # Ctrl-C while close() runs the job in the main thread
    else:
        future.set_result(outputs)


def _serving() -> list[Submissions]:
    """Whose jobs this thread is running, the innermost last."""
    found: list[Submissions] | None = getattr(_of_thread, "serving", None)
    if found is None:
        found = _of_thread.serving = []
    return found


_of_thread = threading.local()
_numbers = itertools.count(1)
