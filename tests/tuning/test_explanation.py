from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hwrt.measure.agreement import Judgement
from hwrt.measure.measurement import Candidate, Measurement
from hwrt.spec import Options, Placement
from hwrt.tuning.explanation import gain, standings, to_json
from hwrt.tuning.plan import Key, Plan

ROUNDS = 8


def timed(name: str, cost_s: float, **options: object) -> Measurement:
    """A candidate that ran in eight rounds of two samples, all of nearly that cost."""
    samples = [cost_s * (1 + 0.001 * (i % 5)) for i in range(2 * ROUNDS)]
    return Measurement(
        Candidate(name, "cpu:0", Options(**options)),  # type: ignore[arg-type]
        "ok",
        precision=str(options.get("precision", "f32")),
        samples_s=tuple(samples),
        windows=tuple((i, 2) for i in range(ROUNDS)),
        peak_rss_bytes=100 << 20,
        judgement=Judgement("relative_l2", 3, 3, 0),
    )


def dropped(name: str, status: str, reason: str) -> Measurement:
    return Measurement(Candidate(name, "cpu:0"), status, reason)  # type: ignore[arg-type]


def plan_of(*measurements: Measurement, objective: str = "latency", chosen: int = 0) -> Plan:
    won = measurements[chosen].candidate
    return Plan(
        backend=won.backend,
        device=won.device,
        options=won.options,
        precision="f32",
        placement=Placement({"cpu:0": 1}),
        key=Key("a" * 64, "b" * 64, "1", {"fast": "fast 1"}, objective, "f32", {}, 1),
        measurements=measurements,
        dropped={"absent": "it is not installed"},
        made_at="2026-11-25T00:00:00+00:00",
        model_name="relu.onnx",
        why="1.30x [1.28, 1.32] faster than the next, slow",
        measured_again=("fast: fast 0 -> fast 1",),
        machine={"board": "A Board"},
    )


@pytest.fixture
def plan() -> Plan:
    return plan_of(
        dropped("broken", "failed", "broken was killed by SIGSEGV in compile"),
        timed("slower", 0.0260),
        dropped("wrong", "rejected", "output 'y': relative l2 error 0.02 exceeds 0.0001"),
        timed("fast", 0.0100),
        timed("slow", 0.0130),
        chosen=3,
    )


def test_the_chosen_comes_first_then_those_that_lost_by_how_much(plan: Plan) -> None:
    found = [(one.outcome, one.measurement.candidate.backend) for one in standings(plan)]

    assert found == [
        ("chosen", "fast"),
        ("lost", "slow"),
        ("lost", "slower"),
        ("rejected", "wrong"),
        ("failed", "broken"),
    ]


def test_what_lost_is_told_by_how_much_with_an_interval(plan: Plan) -> None:
    behind = standings(plan)[1].behind

    assert behind is not None
    assert behind.low is not None
    assert behind.high is not None
    assert behind.low <= 1.3 <= behind.high
    assert (round(behind.value, 3), behind.is_significant) == (1.3, True)


def test_the_chosen_is_behind_nobody(plan: Plan) -> None:
    assert standings(plan)[0].behind is None


def test_a_cost_is_the_lower_quartile_with_its_interval(plan: Plan) -> None:
    cost = standings(plan)[0].cost

    assert cost is not None
    assert cost.low is not None
    assert cost.high is not None
    assert cost.low <= cost.value <= cost.high
    assert cost.value == plan.measurements[3].score_s


def test_what_was_never_timed_has_no_cost(plan: Plan) -> None:
    assert [one.cost for one in standings(plan)[3:]] == [None, None]


def test_without_the_rounds_a_ratio_has_no_interval() -> None:
    plan = plan_of(*(replace(timed(name, cost), windows=()) for name, cost in (("a", 1), ("b", 2))))
    behind = standings(plan)[1].behind

    assert behind is not None
    assert (behind.value, behind.low) == (2.0, None)


def test_throughput_is_compared_by_the_rates() -> None:
    fast, slow = (
        replace(timed(name, 0.01), in_flight=4, rates_per_s=(rate,) * ROUNDS)
        for name, rate in (("fast", 400.0), ("slow", 200.0))
    )
    chosen, lost = standings(plan_of(fast, slow, objective="throughput"))

    assert chosen.cost is not None
    assert lost.behind is not None
    assert (chosen.cost.value, lost.behind.value) == (1 / 400, 2.0)
    assert round(chosen.throughput_per_s or 0) == 400


def test_a_plan_without_measurements_has_no_standings(plan: Plan) -> None:
    assert standings(replace(plan, measurements=())) == []


def test_reduced_precision_is_told_by_what_it_gave() -> None:
    plan = plan_of(
        timed("a", 0.010, precision="bf16"),
        timed("b", 0.012, precision="bf16"),
        timed("a", 0.020, precision="f32"),
        timed("b", 0.017, precision="f32"),
    )
    found = gain(plan)

    assert found is not None
    assert found.reduced.measurement is plan.measurements[0]
    assert found.stated.measurement is plan.measurements[3]
    assert round(found.ratio.value, 3) == 1.7


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_reduced_precision_gave_nothing_where_not_both_were_measured(precision: str) -> None:
    rejected = Measurement(
        Candidate("b", "cpu:0", Options(precision="bf16" if precision == "f32" else "f32")),
        "rejected",
        "wrong",
    )

    assert gain(plan_of(timed("a", 0.01, precision=precision), rejected)) is None


def test_the_document_holds_all_that_is_known(plan: Plan) -> None:
    document = json.loads(json.dumps(to_json(plan), allow_nan=False))

    assert document["schema"] == "hwrt.explain/1"
    assert document["model"] == {"name": "relu.onnx", "sha256": "a" * 64}
    assert document["chosen"]["backend"] == "fast"
    assert document["why"] == plan.why
    assert document["measured_again"] == ["fast: fast 0 -> fast 1"]
    assert document["dropped"] == {"absent": "it is not installed"}
    assert document["machine"] == {"board": "A Board"}
    assert document["versions"] == {"hwrt": "1", "fast": "fast 1"}
    assert document["asked"]["objective"] == "latency"
    assert document["relaxed"] is None


def test_each_candidate_in_the_document_has_its_figures_or_its_reason(plan: Plan) -> None:
    chosen, slow, _, wrong, broken = to_json(plan)["candidates"]

    assert chosen["outcome"] == "chosen"
    assert chosen["lower_quartile_s"] == plan.measurements[3].score_s
    assert (chosen["p99_s"], chosen["p99_reason"]) == (None, "needs >= 662 samples")
    assert (chosen["n"], chosen["peak_rss_bytes"]) == (16, 100 << 20)
    assert chosen["judgement"]["samples"] == 3
    assert round(slow["slower"]["value"], 3) == 1.3
    assert wrong["reason"].startswith("output 'y'")
    assert broken["reason"] == "broken was killed by SIGSEGV in compile"


def test_enough_samples_have_a_p99() -> None:
    many = replace(timed("a", 0.01), samples_s=(0.01,) * 700, windows=((0, 700),))
    (found,) = to_json(plan_of(many))["candidates"]

    assert (found["p99_s"], found["p99_reason"]) == (0.01, None)
