from __future__ import annotations

import pytest

from hwrt.errors import InputError
from hwrt.measure.measurement import Candidate, Measurement
from hwrt.spec import Options, Placement
from hwrt.tuning.fallback import next_plan
from hwrt.tuning.plan import Key, Plan

THREADS_2 = Options(threads=2)


def measured(
    backend: str, seconds: float, device: str = "cpu:0", options: Options | None = None
) -> Measurement:
    return Measurement(
        Candidate(backend, device, options or Options()),
        "ok",
        precision="bf16",
        placement=Placement({device: 3}),
        samples_s=(seconds,) * 4,
        peak_rss_bytes=int(1e9 - seconds * 1e6),
    )


def bad(backend: str, status: str = "rejected") -> Measurement:
    return Measurement(Candidate(backend, "cpu:0", Options()), status, reason="wrong")  # type: ignore[arg-type]


def plan_of(
    *others: Measurement, device: str = "cpu:0", objective: str = "latency", **fields: object
) -> Plan:
    """The plan of the backend ``best``, with these others."""
    key = Key("m", "here", "0", {}, objective, "f32", {}, 1)
    own = measured("best", 1.0, device)
    return Plan(
        "best",
        device,
        Options(),
        "f32",
        Placement({device: 3}),
        key,
        measurements=(own, *others),
        why="faster",
        **fields,  # type: ignore[arg-type]
    )


def following(plan: Plan, **arguments: object) -> Plan | str:
    return next_plan(plan, "it broke", **{"check": lambda _: None, **arguments})  # type: ignore[arg-type]


def name_of(plan: Plan | str) -> str:
    assert isinstance(plan, Plan), plan
    return str(plan.candidate)


def test_the_next_best_score_takes_over_as_it_was_measured() -> None:
    plan = plan_of(measured("slow", 3.0), measured("next", 2.0))
    taken = following(plan)

    assert isinstance(taken, Plan)
    assert (taken.backend, taken.precision) == ("next", "bf16")
    assert (taken.fallback_of, taken.fallback_reason) == (plan.candidate, "it broke")
    assert taken.why == "in place of best cpu:0, which failed: it broke"
    assert (taken.key, taken.measurements) == (plan.key, plan.measurements)


def test_what_the_gate_rejected_and_what_failed_never_takes_over() -> None:
    plan = plan_of(bad("wrong"), bad("broken", "failed"), measured("slow", 9.0))

    assert name_of(following(plan)) == "slow cpu:0"
    assert following(plan_of(bad("wrong"), bad("broken", "failed"))) == (
        "the plan has no other right candidate, 2 failed or were rejected"
    )


def test_on_the_cpu_another_backend_comes_before_other_options() -> None:
    plan = plan_of(measured("best", 1.5, options=THREADS_2), measured("other", 2.0))

    assert name_of(following(plan)) == "other cpu:0"
    assert name_of(following(plan_of(plan.measurements[1]))) == "best cpu:0 threads=2"


def test_after_an_accelerator_another_device_comes_before_another_backend() -> None:
    others = (measured("other", 1.5, "npu:0"), measured("best", 9.0))

    assert name_of(following(plan_of(*others, device="npu:0"))) == "best cpu:0"


def test_of_several_on_another_device_another_backend_comes_first() -> None:
    others = (measured("best", 2.0), measured("other", 3.0), measured("other", 1.5, "npu:0"))

    assert name_of(following(plan_of(*others, device="npu:0"))) == "other cpu:0"


def test_an_exclusive_device_is_still_held_by_what_failed() -> None:
    plan = plan_of(measured("other", 1.5, "npu:0"), device="npu:0")

    assert name_of(following(plan)) == "other npu:0"
    assert following(plan, is_exclusive=True) == "the plan has no other right candidate"


def test_what_failed_before_does_not_come_back() -> None:
    others = (measured("first", 0.5), measured("third", 2.0))
    plan = plan_of(*others, fallback_of=Candidate("first", "cpu:0", Options()))

    assert name_of(following(plan)) == "third cpu:0"


def test_what_the_arguments_rule_out_is_passed_over_and_told() -> None:
    def check(plan: Plan) -> None:
        if plan.backend == "next":
            raise InputError("not this one")

    plan = plan_of(measured("next", 2.0), measured("slow", 3.0))

    assert name_of(following(plan, check=check)) == "slow cpu:0"
    assert following(plan_of(measured("next", 2.0)), check=check) == (
        "the plan has no other right candidate; next cpu:0: not this one"
    )


@pytest.mark.parametrize(
    ("objective", "name"),
    [("latency", "steady"), ("p99", "even"), ("throughput", "many"), ("memory", "small")],
)
def test_the_objective_decides_which_comes_next(objective: str, name: str) -> None:
    def of(backend: str, samples: tuple[float, ...], rate: float, peak: int) -> Measurement:
        candidate = Candidate(backend, "cpu:0", Options())
        return Measurement(
            candidate, "ok", samples_s=samples, rates_per_s=(rate,), peak_rss_bytes=peak
        )

    plan = plan_of(
        of("steady", (1.0, 1.0, 1.0, 9.0), 1.0, 400),
        of("even", (2.0,) * 4, 1.0, 300),
        of("many", (4.0,) * 4, 9.0, 200),
        of("small", (5.0,) * 4, 1.0, 100),
        objective=objective,
    )

    assert name_of(following(plan)) == f"{name} cpu:0"


def test_a_plan_of_options_has_nothing_else() -> None:
    key = Key("m", "here", "0", {}, "latency", "f32", {}, 1)
    plan = Plan("best", "cpu:0", Options(), "f32", Placement({}), key)

    assert following(plan) == "nothing else was measured for this plan"
