from __future__ import annotations

import dataclasses

from hwrt.measure.measurement import Candidate
from hwrt.spec import Device
from hwrt.tuning.room import Room
from hwrt.tuning.search import Found
from hwrt.tuning.trial import Trial

MIB = 1 << 20


def trial(backend: str, peak_mib: int | None = None) -> Trial:
    made = Trial(Found(Candidate(backend, "cpu:0"), Device("cpu"), "1"))
    peak = None if peak_mib is None else peak_mib * MIB
    made.measurement = dataclasses.replace(made.measurement, peak_rss_bytes=peak)
    return made


def room(free_mib: int | None, model_mib: int = 10) -> Room:
    return Room(model_mib * MIB, lambda: None if free_mib is None else free_mib * MIB)


def test_a_candidate_needs_what_others_of_its_backend_took_and_some_more() -> None:
    others = [trial("a", 100), trial("a", 160), trial("b", 900)]

    assert room(296).fits(trial("a"), others)
    assert not room(295).fits(trial("a"), others)


def test_one_of_another_backend_needs_what_the_largest_took() -> None:
    assert room(296).fits(trial("b"), [trial("a", 160)])
    assert not room(200).fits(trial("b"), [trial("a", 160)])


def test_the_first_one_needs_the_vendor_and_a_few_copies_of_the_model() -> None:
    assert room(400).fits(trial("a"), [])
    assert not room(300).fits(trial("a"), [])
    assert not room(400, model_mib=100).fits(trial("a"), [])


def test_those_that_never_ran_tell_nothing() -> None:
    assert not room(300).fits(trial("a"), [trial("a")])


def test_where_free_memory_is_not_known_everything_fits() -> None:
    assert room(None).fits(trial("a"), [])
