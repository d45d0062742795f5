"""Another engine in the place of one that failed while it ran."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import TypeVar

from hwrt.backend import Array
from hwrt.errors import BackendError, HwrtError
from hwrt.log import LOGGER
from hwrt.session.engine import Engine
from hwrt.session.fit import check_fit, check_outputs
from hwrt.session.hints import add_hint
from hwrt.session.loan import Loan
from hwrt.tuning.plan import Plan

__all__ = ["Run", "dismiss", "find_plan", "start", "with_feeds", "with_inputs"]

T = TypeVar("T")
Run = Callable[[Engine], tuple[T, Mapping[str, Array]]]
"""Runs on an engine what failed on another: what it is for, and the outputs to be checked."""

_MOST_ATTEMPTS = 3
_EXIT_WAIT_S = 5.0


def with_feeds(feeds: Mapping[str, Array]) -> Run[dict[str, Array]]:
    """Runs the feeds, for their outputs."""

    def run(new: Engine) -> tuple[dict[str, Array], Mapping[str, Array]]:
        outputs = new.try_out(feeds)
        return outputs, outputs

    return run


def with_inputs(inputs: Mapping[str, Array]) -> Run[Loan]:
    """Runs what the inputs of a request hold, for another request that has run it."""

    def run(new: Engine) -> tuple[Loan, Mapping[str, Array]]:
        loan = new.run_again(inputs)
        loan.detach()  # the engine may be closed before anybody gets it
        return loan, loan.request.outputs

    return run


def find_plan(engine: Engine, fault: BackendError) -> Plan:
    """The plan of the candidate to go on with.

    Raises the fault, with a hint that says why, where the session stays with the engine.
    """
    following: Plan | str
    if engine.origin is None:
        following = "this session was not made by hwrt.load"
    elif engine.is_fallback:
        following = (
            f"it took over from {engine.plan.fallback_of}, and a session falls back once: load the "
            "model again"
        )
    elif engine.fallback_attempts >= _MOST_ATTEMPTS:
        following = (
            f"another candidate was tried {_MOST_ATTEMPTS} times and failed too: load the model "
            "again"
        )
    else:
        try:
            following = engine.origin.next_plan(engine.plan, fault)
        except HwrtError as exc:  # the model's file is gone, say
            following = str(exc)
    if isinstance(following, Plan):
        return following
    add_hint(fault, f"no fallback: {following}")
    raise fault


def start(old: Engine, plan: Plan, fault: BackendError, run: Run[T]) -> tuple[Engine, T]:
    """The engine of the plan, with what it made of the run that failed on the old one.

    Raises what goes wrong, saying whose place it was to take; nothing is left open then.
    """
    assert old.origin is not None
    try:
        new = Engine(*old.origin.fall_back(plan))
        try:
            check_fit(old, new)
            result, outputs = run(new)
            check_outputs(old, new, outputs)
        except BaseException:
            new.close()
            raise
    except HwrtError as exc:
        # Not before: who fails meanwhile waits for this attempt, and makes none of its own.
        old.fallback_attempts += 1
        LOGGER.warning(
            "%s failed: %s; %s can not take its place: %s",
            old.plan.candidate,
            fault,
            plan.candidate,
            exc,
        )
        add_hint(exc, f"{plan.candidate} was to run what failed on {old.plan.candidate}: {fault}")
        raise exc from fault
    new.is_fallback = True
    return new, result


def dismiss(old: Engine, plan: Plan, fault: BackendError) -> None:
    """Say that the plan's candidate runs in the engine's place, and retire the engine."""
    old.tell_lent(f"the session runs on {plan.candidate} since: ask it for another request")
    LOGGER.warning(
        "%s: %s failed: %s; it runs on %s from here on",
        old.info.path.name,
        old.plan.candidate,
        fault,
        plan.candidate,
    )
    # In a thread of its own: another thread's run may hang on a device that is lost.
    thread = threading.Thread(target=_retire, args=(old,), name="hwrt-session-retire", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending, and begins no thread
        _retire(old)
    else:
        _retiring.add(thread)


def _retire(old: Engine) -> None:
    try:
        old.retire()
    except Exception as exc:  # noqa: BLE001 - it failed before, and is not used any more
        LOGGER.warning("%s could not be closed: %s", old.plan.candidate, exc)


def _await_retiring() -> None:
    # Vendors abort a process that ends in the midst of their code; one that hangs is not awaited.
    for thread in list(_retiring):
        thread.join(_EXIT_WAIT_S)


_retiring: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
atexit.register(_await_retiring)
