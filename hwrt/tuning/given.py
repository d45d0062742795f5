"""Plans that are not measured here: the user's options, and plans made before."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hwrt import registry
from hwrt.errors import InputError, NoBackend, UnsupportedModel
from hwrt.log import LOGGER
from hwrt.spec import Device, ModelInfo, Options, OptionValue, Placement
from hwrt.tuning.differences import Difference, Here, differences
from hwrt.tuning.keys import here
from hwrt.tuning.plan import Plan
from hwrt.tuning.shapes import shapes_to_json
from hwrt.tuning.wish import Wish

__all__ = [
    "adopted",
    "check_made_here",
    "check_wish",
    "checked_plan",
    "device_of",
    "now",
    "plan_of_options",
]


def plan_of_options(info: ModelInfo, wish: Wish, options: Mapping[str, OptionValue]) -> Plan:
    """A plan for one backend's options as they are given, nothing measured."""
    if wish.backends is None or len(wish.backends) != 1:
        raise InputError("options are one backend's", hint="say which one: backend='NAME'")
    name, values = wish.backends[0], dict(options)
    key, machine = here(info, wish)
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
        key=key,
        unverified="the options were given, so nothing was checked or measured",
        made_at=now(),
        machine=machine,
    )


def checked_plan(
    info: ModelInfo,
    wish: Wish,
    given: Plan | str | os.PathLike[str],
    *,
    other_versions: bool = False,
) -> Plan:
    """The user's plan, where it was made for this model, machine and version, and fits the wish.

    With ``other_versions`` one that was made with other software on such a machine is adopted.
    """
    plan = given if isinstance(given, Plan) else Plan.load(given)
    check_wish(plan, wish)
    found = here(info, wish)
    differing = _differing(plan, found)
    if not differing:
        return plan
    if other_versions and all(one.is_software for one in differing):
        return adopted(plan, found)
    raise _made_for_another(differing)


def check_made_here(info: ModelInfo, wish: Wish, plan: Plan) -> None:
    """Refuse a plan for another model, machine or version, with InputError saying which differs."""
    differing = _differing(plan, here(info, wish))
    if differing:
        raise _made_for_another(differing)


def adopted(plan: Plan, found: Here) -> Plan:
    """The plan as one for the versions that are here, with a warning of what changed since.

    Its answers and its speed were those of other versions, where these are the machine's, hwrt's or
    its own backend's: ``unverified`` says so then.
    """
    differing = _differing(plan, found)
    unverified = plan.unverified
    if differing:
        changes = "; ".join(one.change for one in differing)
        unverified = f"it was neither checked nor measured since these changed: {changes}"
        LOGGER.warning("the plan of %s is used, but %s", plan.made_at, unverified)
    key = replace(plan.key, hwrt=found.key.hwrt, machine=found.key.machine, stamps=found.key.stamps)
    # What other versions compile to is another file.
    measurements = tuple(replace(one, artefact_sha256=None) for one in plan.measurements)
    return replace(
        plan, key=key, machine=found.machine, unverified=unverified, measurements=measurements
    )


def _differing(plan: Plan, found: Here) -> list[Difference]:
    """In what the plan's model, machine, hwrt or backend are others than here."""
    return [
        one
        for one in differences(plan, found)
        if one.group in ("model", "machine", "hwrt")
        or (one.group == "version" and one.field == plan.backend)
    ]


def _made_for_another(differing: Sequence[Difference]) -> InputError:
    groups = " and ".join(dict.fromkeys(one.group for one in differing))
    is_software = all(one.is_software for one in differing)
    return InputError(
        f"the plan was made for another {groups}: {'; '.join(map(str, differing))}",
        hint="tune anew" + (", or give tune='never' to run by it as it is" if is_software else ""),
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
        "max_p99_ms": wish.max_p99_s is not None
        and (plan.key.max_p99_s or math.inf) > wish.max_p99_s,
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
