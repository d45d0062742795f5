"""In what a plan was made for something else than is asked for here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hwrt.machine.fingerprint import NOT_KEYED
from hwrt.tuning.plan import Key, Plan

__all__ = ["Difference", "Here", "differences"]

_DIGESTS = frozenset({"model", "machine", "samples"})
_SHOWN = 12
# What a system's update, or its settings, change on a machine that stays the same one.
_OF_SOFTWARE = frozenset(
    {"kernel", "libc", "power_mode", "cpu.governors", "cpu.boost", "cpu.max_mhz"}
)
_DRIVER = "driver of "
_ABSENT = "not installed"


class Here(NamedTuple):
    """What a plan would be made for now: its key, and the machine's fingerprint."""

    key: Key
    machine: Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One field in which a plan's key is not the one wanted; ``str`` says it as errors do.

    ``group`` is the part of the key: ``model``, ``machine``, ``hwrt``, ``version`` (of the backend
    that ``field`` names) or the name of an argument.  ``is_software`` tells that the hardware, the
    model and what was asked for are the same: only versions or settings of the system changed.
    """

    group: str
    field: str
    there: str
    here: str
    is_software: bool = False

    def __str__(self) -> str:
        return f"{self.field}: {self.there} there, {self.here} here"

    @property
    def change(self) -> str:
        """The same as one value that followed another."""
        return f"{self.field}: {self.there} -> {self.here}"


def differences(plan: Plan, here: Here) -> list[Difference]:
    """All fields in which the plan was made for something else."""
    theirs, ours = plan.key.to_json(), here.key.to_json()
    found: list[Difference] = []
    for name in ours:
        if theirs[name] == ours[name]:
            continue
        if name == "stamps":
            found += _of_stamps(theirs[name], ours[name])
        elif name == "machine":
            found += _of_machine(plan.machine, here.machine) or [_named(name, theirs, ours)]
        else:
            found.append(_named(name, theirs, ours))
    return found


def _named(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Difference:
    there, here = (_told(values[name], cut=name in _DIGESTS) for values in (theirs, ours))
    return Difference(name, name, there, here, is_software=name == "hwrt")


def _of_stamps(theirs: Mapping[str, str], ours: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted({*theirs, *ours}):
        there, here = theirs.get(name, _ABSENT), ours.get(name, _ABSENT)
        if there != here:
            yield Difference("version", name, there, here, is_software=True)


def _of_machine(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[Difference]:
    """What differs between two fingerprints; none where one is not known."""
    if not theirs or not ours:
        return []
    before, now = (dict(_facts(machine)) for machine in (theirs, ours))
    found = []
    for field in sorted({*before, *now}):
        if before.get(field) != now.get(field):
            there, here = (_told(facts.get(field)) for facts in (before, now))
            is_software = field in _OF_SOFTWARE or field.startswith(_DRIVER)
            found.append(Difference("machine", field, there, here, is_software))
    return found


def _facts(machine: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fingerprint as flat fields; the drivers of accelerators apart from what these are."""
    for name, value in machine.items():
        if name in NOT_KEYED:
            continue
        if name == "accelerators":
            yield name, [f"{one['kind']} {one['name']}" for one in value]
            for one in value:
                yield f"{_DRIVER}{one['kind']} {one['name']}", one["driver"]
        elif isinstance(value, Mapping):
            yield from ((f"{name}.{part}", told) for part, told in value.items())
        else:
            yield name, value


def _told(value: Any, *, cut: bool = False) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)[:_SHOWN] if cut else str(value)
