"""What the tuner makes of each objective and limit, with real child processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import hwrt
from hwrt.errors import InputError, NoBackend
from hwrt.model import read
from hwrt.tuning import tuner
from hwrt.tuning.plan import Plan
from hwrt.tuning.room import Room
from hwrt.tuning.trial import Trial
from hwrt.tuning.tuner import Evidence, measure, require_winner
from hwrt.tuning.wish import Effort, Wish

pytestmark = pytest.mark.slow  # each tunes anew, in child processes

Install = Callable[..., None]
Model = Callable[..., Path]

EFFORT = Effort(min_seconds=0.02, min_samples=4, window_s=0.005, warm_up_s=0.05)


def tuned(path: Path, **wish: object) -> Evidence:
    threads = wish.pop("threads", 1)
    asked = Wish(threads=threads, **wish)  # type: ignore[arg-type]
    return measure(read(path), asked, machine="here", effort=EFFORT, cache_root=None)


def chosen(evidence: Evidence) -> dict[str, object]:
    assert evidence.winner is not None
    return dict(evidence.measurements[evidence.winner].candidate.options)


def test_the_fastest_wins_and_it_is_said_by_how_much(install: Install, relu_model: Model) -> None:
    install("Several", "Judge")

    evidence = tuned(relu_model())

    assert chosen(evidence)["late_ms"] == 1
    assert "several cpu:0 late_ms=" in evidence.why


def test_samples_are_told_by_their_rounds(install: Install, relu_model: Model) -> None:
    install("Several", "Judge")

    evidence = tuned(relu_model())

    for measurement in evidence.measurements:
        assert sum(count for _, count in measurement.windows) == len(measurement.samples_s) > 0
    assert evidence.winner is not None
    assert len(evidence.measurements[evidence.winner].windows) >= EFFORT.min_windows


def test_where_memory_is_short_candidates_are_timed_in_groups(
    install: Install, relu_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident: list[int] = []

    class Cramped(Room):
        def fits(self, trial: Trial, others: Sequence[Trial]) -> bool:
            resident.append(sum(other.alive for other in others))
            return resident[-1] < 2

    install("Several", "Judge")
    monkeypatch.setattr(tuner, "Room", Cramped)

    evidence = tuned(relu_model())

    assert max(resident) == 2
    assert [m.status for m in evidence.measurements] == ["ok"] * 4
    assert chosen(evidence)["late_ms"] == 1
    later = set(dict(evidence.measurements[3].windows))
    assert later & set(dict(evidence.measurements[0].windows))
    assert not later & set(dict(evidence.measurements[1].windows))


def test_where_nothing_fits_beside_another_candidates_are_timed_alone(
    install: Install, relu_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Room):
        def fits(self, trial: Trial, others: Sequence[Trial]) -> bool:
            return False

    install("Several", "Judge")
    monkeypatch.setattr(tuner, "Room", Full)

    evidence = tuned(relu_model())

    assert [m.status for m in evidence.measurements] == ["ok"] * 4
    assert chosen(evidence)["late_ms"] == 1


def test_for_throughput_rates_with_requests_in_flight_are_taken(
    install: Install, relu_model: Model
) -> None:
    install("Several", "Judge")

    evidence = tuned(relu_model(), objective="throughput", threads=2)

    assert chosen(evidence)["late_ms"] == 1
    assert evidence.winner is not None
    won = evidence.measurements[evidence.winner]
    assert len(won.rates_per_s) == len(won.windows)
    assert won.rate_per_s is not None
    assert won.in_flight in (1, 2, 4)


def test_for_memory_the_lighter_wins_though_it_is_slower(
    install: Install, relu_model: Model
) -> None:
    install("Hoards", "Judge")
    path = relu_model()

    assert chosen(tuned(path))["kept_mb"] == 200
    evidence = tuned(path, objective="memory")
    assert "kept_mb" not in chosen(evidence)
    assert evidence.why.startswith("least memory: ")


def test_for_p99_the_chosen_has_the_samples_that_bound_it(
    install: Install, relu_model: Model
) -> None:
    install("Several", "Judge")

    evidence = tuned(relu_model(), objective="p99")

    assert evidence.winner is not None
    assert len(evidence.measurements[evidence.winner].samples_s) >= 662
    assert re.search(r"; its p99 is .* ms, at most .* ms with 99% confidence$", evidence.why)


def test_a_limit_that_nothing_keeps_is_an_error_that_says_by_how_much(
    install: Install, relu_model: Model
) -> None:
    install("Several", "Judge")

    evidence = tuned(relu_model(), max_p99_s=0.0001)

    with pytest.raises(
        NoBackend, match=r"(?s)rightly within max_p99_ms .*misses max_p99_ms=0.1 by"
    ):
        require_winner("m.onnx", evidence)


def test_what_misses_the_limit_is_rejected_and_the_next_is_chosen(
    install: Install, relu_model: Model
) -> None:
    install("Several", "Judge")

    evidence = tuned(relu_model(), max_p99_s=3600.0)

    assert chosen(evidence)["late_ms"] == 1
    assert "; its p99 is " in evidence.why


def test_a_load_takes_the_limit_in_milliseconds(install: Install, relu_model: Model) -> None:
    install("Several", "Judge")

    with pytest.raises(NoBackend, match=r"(?s)misses max_p99_ms=0.5 by"):
        hwrt.tune(relu_model(), threads=1, max_p99_ms=0.5)


def test_a_plan_says_why_and_by_which_limit(install: Install, relu_model: Model) -> None:
    install("Several", "Judge")

    plan = hwrt.tune(relu_model(), threads=1, max_p99_ms=60_000)

    assert "its p99 is " in plan.why
    assert plan.key.max_p99_s == 60.0
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), float("inf"), True, "5"])
def test_a_limit_that_is_no_time_is_refused(
    install: Install, relu_model: Model, limit: object
) -> None:
    install("Good", "Judge")

    with pytest.raises(InputError, match="max_p99_ms is "):
        hwrt.load(relu_model(), max_p99_ms=limit)  # type: ignore[arg-type]


def test_a_plan_without_the_limit_is_refused_where_there_is_one(
    install: Install, relu_model: Model
) -> None:
    install("Good", "Judge")
    plan = hwrt.tune(relu_model(), threads=1)

    with pytest.raises(InputError, match="max_p99_ms= asks for something else than the plan"):
        hwrt.load(relu_model(), threads=1, plan=plan, max_p99_ms=1000)
