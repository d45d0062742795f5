"""Plans that are not measured here: the user's options, and plans made before."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Mapping

from hwrt import registry
from hwrt.errors import InputError, NoBackend, UnsupportedModel
from hwrt.spec import Device, ModelInfo, Options, OptionValue, Placement
from hwrt.tuning.keys import key_of
from hwrt.tuning.plan import Plan
from hwrt.tuning.shapes import shapes_to_json
from hwrt.tuning.wish import Wish

__all__ = ["check_made_here", "check_wish", "checked_plan", "device_of", "now", "plan_of_options"]


def plan_of_options(info: ModelInfo, wish: Wish, options: Mapping[str, OptionValue]) -> Plan:
    """A plan for one backend's options as they are given, nothing measured."""
    if wish.backends is None or len(wish.backends) != 1:
        raise InputError("options are one backend's", hint="say which one: backend='NAME'")
    name, values = wish.backends[0], dict(options)
    device = device_of(name, wish.device)
    if not registry.reads(name, info.format):
        raise UnsupportedModel(
            f"{name} does not read {info.format}", hint=registry.told_readers(info.format)
        )
    if device.kind == "cpu":
        values.setdefault("threads", wish.threads)
    return Plan(
        backend=name,
        device=device.id,
        options=Options(values),
        precision="unknown",
        placement=Placement({}),
        key=key_of(info, wish),
        unverified="the options were given, so nothing was checked or measured",
        made_at=now(),
    )


def checked_plan(info: ModelInfo, wish: Wish, given: Plan | str | os.PathLike[str]) -> Plan:
    """The user's plan, where it was made for this model, machine and version, and fits the wish."""
    plan = given if isinstance(given, Plan) else Plan.load(given)
    check_wish(plan, wish)
    check_made_here(info, wish, plan)
    return plan


def check_made_here(info: ModelInfo, wish: Wish, plan: Plan) -> None:
    """Refuse a plan for another model, machine or version, with InputError saying which differs."""
    here = key_of(info, wish)
    stamps = {plan.backend: registry.backend(plan.backend).stamp()}
    theirs = {plan.backend: plan.key.stamps.get(plan.backend)}
    checks = {
        "model": (plan.key.model, here.model),
        "machine": (plan.key.machine, here.machine),
        "hwrt": (plan.key.hwrt, here.hwrt),
        "version": (theirs, stamps),
    }
    for name, (there, ours) in checks.items():
        if there != ours:
            raise InputError(
                f"the plan was made for another {name}: {there}, not {ours}", hint="tune anew"
            )


def check_wish(plan: Plan, wish: Wish) -> None:
    """Refuse arguments of the load that the plan contradicts: it is not widened silently."""
    device = Device(*_kind_and_index(plan.device))
    contradictions = {
        "backend": wish.backends is not None and plan.backend not in wish.backends,
        "device": wish.device is not None and not device.matches(wish.device),
        "shapes": bool(wish.shapes) and shapes_to_json(wish.shapes) != plan.key.shapes,
        "threads": (plan.options.threads or 0) > wish.threads,
        "max_memory_mb": wish.max_memory_bytes is not None
        and (plan.key.max_memory_bytes or math.inf) > wish.max_memory_bytes,
    }
    for name, differs in contradictions.items():
        if differs:
            raise InputError(
                f"{name}= asks for something else than the plan, which is for {plan.candidate}, "
                f"shapes {plan.key.shapes or 'as in the file'}",
                hint=f"leave {name}= out, or tune anew",
            )


def _kind_and_index(device: str) -> tuple[str, int]:
    kind, _, index = device.partition(":")
    return kind, int(index)


def device_of(backend: str, wanted: str | None) -> Device:
    """The backend's first device that ``wanted`` names.  Raises NoBackend where there is none."""
    devices = registry.backend(backend).devices()
    for device in devices:
        if wanted is None or device.matches(wanted):
            return device
    raise NoBackend(
        f"{backend} has no device {wanted!r}", hint=f"it has {', '.join(map(str, devices))}"
    )


def now() -> str:
    """The time in UTC, to the second, as a plan carries it."""
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
