from __future__ import annotations

import dataclasses
import itertools
import re

import pytest

from hwrt.tuning.decision import Contender
from hwrt.tuning.rounds import TAIL_SAMPLES, Race

from .simulated import EFFORT, Machine, Simulated, lanes_of, race

SEEDS = range(20)
MIB = 1 << 20


def won(costs_s: list[float], **machine: float) -> int:
    """In how many seeds the first of these is chosen."""
    chosen = 0
    for seed in SEEDS:
        one = Machine(seed, **machine)
        chosen += race(*(Simulated(one, cost) for cost in costs_s)).decision().winner == 0
    return chosen


@pytest.mark.parametrize("cost_s", [0.004, 0.05])
def test_a_candidate_ten_percent_faster_wins_in_nearly_all_seeds(cost_s: float) -> None:
    costs = [cost_s, cost_s * 1.1, cost_s * 1.12, cost_s * 1.5, cost_s * 3]

    assert won(costs) >= len(SEEDS) - 1


def test_it_wins_on_a_machine_that_is_busy_a_third_of_the_time() -> None:
    chosen = won([0.05, 0.055, 0.06, 0.1], busy_share=0.3, burst=2.0, burst_s=1.0)

    assert chosen >= len(SEEDS) - 2


def test_it_wins_while_the_machine_slows_down() -> None:
    assert won([0.05, 0.055], drift=1.0, busy_share=0.0) == len(SEEDS)


def test_what_lies_far_behind_gets_few_windows() -> None:
    machine = Machine(1, busy_share=0.0)
    fast, behind, lost = (Simulated(machine, cost) for cost in (0.01, 0.015, 0.03))

    race(fast, behind, lost)

    assert (lost.windows, behind.windows) == (3, 6)
    assert fast.windows >= EFFORT.min_windows


def test_what_can_not_be_told_apart_gets_the_most_windows() -> None:
    machine = Machine(1, noise=0.5)
    entries = [Simulated(machine, 0.02), Simulated(machine, 0.02)]

    race(*entries)

    assert [entry.windows for entry in entries] == [EFFORT.max_windows] * 2


def test_without_pruning_all_are_timed_alike() -> None:
    machine = Machine(1, busy_share=0.0)
    entries = [Simulated(machine, 0.01), Simulated(machine, 0.04)]

    race(*entries, effort=dataclasses.replace(EFFORT, prune=False))

    assert entries[1].windows == EFFORT.min_windows
    assert entries[0].windows >= EFFORT.min_windows


def test_a_candidate_that_fails_leaves_and_the_others_go_on() -> None:
    machine = Machine(1)
    failing = Simulated(machine, 0.001, fails_after=3)

    decision = race(failing, Simulated(machine, 0.01)).decision()

    assert decision == (1, "the only candidate that was measured and is right")


def test_where_all_fail_nobody_wins() -> None:
    assert race(Simulated(Machine(1), 0.01, fails_after=0)).decision().winner is None


def test_after_the_budget_each_has_one_window() -> None:
    machine = Machine(1)
    entries = [Simulated(machine, 0.01), Simulated(machine, 0.02)]
    ticks = itertools.count()
    made = Race(dataclasses.replace(EFFORT, budget_s=0.5), clock=lambda: float(next(ticks)))

    made.run(lanes_of(made, *entries))

    assert [entry.windows for entry in entries] == [1, 1]
    assert made.decision().winner == 0


def test_the_budget_is_one_for_all_groups() -> None:
    machine = Machine(1)
    ticks = itertools.count(step=0.25)
    made = Race(dataclasses.replace(EFFORT, budget_s=5.0), clock=lambda: next(ticks))
    first, second = Simulated(machine, 0.01), Simulated(machine, 0.02)

    made.run(lanes_of(made, first))
    spent = first.windows
    made.run(lanes_of(made, second))

    assert spent > 5
    assert second.windows < spent


def test_the_best_of_one_group_is_the_yardstick_of_the_next() -> None:
    machine = Machine(1, busy_share=0.0)
    made = Race(EFFORT, clock=lambda: 0.0)
    lanes = lanes_of(made, *(Simulated(machine, cost) for cost in (0.011, 0.012, 0.01)))

    made.run(lanes[:2])
    kept = made.best(lanes[:2])
    made.run([lanes[0], lanes[2]])

    assert kept is lanes[0]
    assert made.decision().winner == 2
    assert re.match(r"1\.1\dx \[.*\] faster than the next, c0", made.decision().why)


def test_for_throughput_the_rate_counts_and_not_the_latency() -> None:
    machine = Machine(1)

    decision = race(
        Simulated(machine, 0.01, in_flight=1),
        Simulated(machine, 0.015, in_flight=2),
        objective="throughput",
    ).decision()

    assert decision.winner == 1
    assert re.fullmatch(r"1\.\d+x \[.*\] the rate of the next, c0", decision.why)


def test_for_memory_only_the_lightest_are_timed() -> None:
    machine = Machine(1)
    heavy = Simulated(machine, 0.001, memory_bytes=300 * MIB)
    slow = Simulated(machine, 0.02, memory_bytes=100 * MIB)
    fast = Simulated(machine, 0.01, memory_bytes=101 * MIB)

    made = race(heavy, slow, fast, objective="memory")

    assert heavy.windows == 1
    assert made.decision().winner == 2


def test_for_p99_three_finalists_get_the_samples_that_bound_it() -> None:
    machine = Machine(1, busy_share=0.0)
    costs = (0.002, 0.0021, 0.0022, 0.0023, 0.01)

    made = race(*(Simulated(machine, cost) for cost in costs), objective="p99")

    counts = [len(lane.samples_s) for lane in made._lanes]
    assert [lane.finalist for lane in made._lanes] == [True, True, True, False, False]
    assert min(counts[:3]) >= TAIL_SAMPLES
    assert max(counts[4:]) < TAIL_SAMPLES


def test_for_p99_a_long_tail_loses_to_an_even_run() -> None:
    machine = Machine(1, busy_share=0.0)

    decision = race(
        Simulated(machine, 0.0020, tail=0.05), Simulated(machine, 0.0022), objective="p99"
    ).decision()

    assert decision.winner == 1
    assert "less p99 than the next, c0; its p99 is 2." in decision.why


def test_a_p99_that_the_budget_does_not_allow_is_said_to_be_unknown() -> None:
    machine = Machine(1)
    made = Race(dataclasses.replace(EFFORT, budget_s=9.0), "p99", clock=lambda: machine.now_s)

    made.run(lanes_of(made, Simulated(machine, 0.1)))

    decision = made.decision()
    assert "its p99 is not known from " in decision.why
    assert decision.why.endswith("raise budget_s")


def test_as_many_finalists_as_fit_into_the_budget_are_sampled() -> None:
    machine = Machine(1, busy_share=0.0)
    entries = [Simulated(machine, cost) for cost in (0.0100, 0.0101, 0.0102)]
    effort = dataclasses.replace(EFFORT, budget_s=12.0)
    made = Race(effort, "p99", clock=lambda: machine.now_s)
    machine.now_s = 0.0

    made.run(lanes_of(made, *entries))

    assert [lane.finalist for lane in made._lanes] == [True, False, False]
    assert made.decision().why.startswith("the fastest by the lower quartile; its p99 is ")
    assert len(made._lanes[0].samples_s) >= TAIL_SAMPLES


def test_a_limit_on_the_p99_drops_the_fastest_where_its_tail_is_long() -> None:
    machine = Machine(1, busy_share=0.0)

    made = race(Simulated(machine, 0.002, tail=0.05), Simulated(machine, 0.0035), max_p99_s=0.005)

    assert made.decision().winner == 1
    assert made.decision().why.startswith("the fastest that keeps max_p99_ms; its p99 is ")
    missed = made._lanes[0].missed
    assert missed is not None
    assert re.fullmatch(
        r"its p99 of 2\d(\.\d)? ms, from \d+ samples, misses max_p99_ms=5 by .* ms \(\d+%\)", missed
    )


def test_where_all_miss_the_limit_each_says_by_how_much() -> None:
    machine = Machine(1, busy_share=0.0)

    made = race(Simulated(machine, 0.01), Simulated(machine, 0.012), max_p99_s=0.005)

    assert made.decision().winner is None
    assert ["misses max_p99_ms=5 by" in (lane.missed or "") for lane in made._lanes] == [True, True]


def test_a_limit_that_is_plainly_missed_costs_no_tail() -> None:
    machine = Machine(1, busy_share=0.0)
    entry = Simulated(machine, 0.01)

    race(entry, max_p99_s=0.005)

    assert entry.windows == EFFORT.min_windows


def test_the_cost_of_a_race_is_the_sum_of_its_samples() -> None:
    machine = Machine(1)

    made = race(Simulated(machine, 0.01), Simulated(machine, 0.02))

    assert made.seconds == pytest.approx(machine.now_s)


def test_contenders_keep_what_was_told_of_them() -> None:
    made = Race(EFFORT, clock=lambda: 0.0)
    lane = made.enter(Simulated(Machine(1), 0.01), Contender("x", changed=3, threads=2))

    made.run([lane])

    assert (lane.contender.changed, lane.contender.threads) == (3, 2)
