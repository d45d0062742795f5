from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hwrt.spec import Options, Placement
from hwrt.tuning.differences import Here, differences
from hwrt.tuning.plan import Key, Plan

MACHINE: dict[str, Any] = {
    "board": "A Board",
    "cpu": {"model": "Cortex-A76", "cores": {"Cortex-A76": 4}, "governors": ["ondemand"]},
    "accelerators": [{"kind": "gpu", "name": "Big", "driver": "550"}],
    "kernel": "6.1",
    "memory_bytes": 8,
}
KEY = Key("a" * 64, "b" * 64, "1", {"one": "one 1"}, "latency", "f32", {}, 4)
PLAN = Plan("one", "cpu:0", Options(), "f32", Placement({}), KEY, machine=MACHINE)


def told(machine: dict[str, Any] | None = None, **key: Any) -> list[tuple[str, bool]]:
    """(what differs where the key, or the machine, is another one; whether it is software)."""
    other = {**key, **({} if machine is None else {"machine": "c" * 64})}
    here = Here(replace(KEY, **other), {**MACHINE, **(machine or {})})
    return [(str(one), one.is_software) for one in differences(PLAN, here)]


def test_equal_keys_differ_in_nothing() -> None:
    assert told() == []


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ({"one": "one 2"}, "one: one 1 there, one 2 here"),
        ({"one": "one 1", "two": "two 1"}, "two: not installed there, two 1 here"),
        ({}, "one: one 1 there, not installed here"),
    ],
)
def test_another_version_is_named_by_its_backend(stamps: dict[str, str], expected: str) -> None:
    assert told(stamps=stamps) == [(expected, True)]


def test_another_wish_is_no_matter_of_software() -> None:
    assert told(threads=2, device="cpu") == [
        ("threads: 4 there, 2 here", False),
        ("device: none there, cpu here", False),
    ]


def test_digests_are_cut() -> None:
    assert told(model="d" * 64) == [(f"model: {'a' * 12} there, {'d' * 12} here", False)]


@pytest.mark.parametrize(
    ("machine", "expected", "is_software"),
    [
        ({"board": "B"}, "board: A Board there, B here", False),
        ({"kernel": "6.2"}, "kernel: 6.1 there, 6.2 here", True),
        (
            {"cpu": {**MACHINE["cpu"], "model": "Cortex-A72"}},
            "cpu.model: Cortex-A76 there, Cortex-A72 here",
            False,
        ),
        (
            {"cpu": {**MACHINE["cpu"], "governors": ["performance"]}},
            "cpu.governors: ondemand there, performance here",
            True,
        ),
        (
            {"accelerators": [{"kind": "gpu", "name": "Big", "driver": "560"}]},
            "driver of gpu Big: 550 there, 560 here",
            True,
        ),
    ],
    ids=["board", "kernel", "cpu", "governors", "driver"],
)
def test_another_machine_is_named_by_its_field(
    machine: dict[str, Any], expected: str, is_software: bool
) -> None:
    assert told(machine) == [(expected, is_software)]


def test_an_accelerator_that_is_gone_is_no_matter_of_software() -> None:
    assert told({"accelerators": []})[0] == ("accelerators: gpu Big there, none here", False)


def test_machines_whose_facts_are_equal_or_unknown_differ_in_their_digest() -> None:
    expected = [(f"machine: {'b' * 12} there, {'c' * 12} here", False)]
    here = Here(replace(KEY, machine="c" * 64), MACHINE)
    found = differences(replace(PLAN, machine={}), here)

    assert told({"memory_bytes": 9}) == expected
    assert [(str(one), one.is_software) for one in found] == expected
