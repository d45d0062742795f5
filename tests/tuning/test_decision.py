from __future__ import annotations

import re

import numpy as np
import pytest

from hwrt.tuning.decision import Contender, compare, decide, equal_memory

MIB = 1 << 20


def contender(
    name: str,
    cost_s: float,
    *,
    seed: int = 0,
    rounds: range = range(10),
    noise: float = 0.02,
    **more: int,
) -> Contender:
    """One whose windows scatter; those of one seed do so alike."""
    random = np.random.default_rng(seed)
    levels = 1 + noise * random.random(100)
    return Contender(
        name,
        {i: [cost_s * levels[i] * (1 + k / 1000) for k in range(5)] for i in rounds},
        **more,  # type: ignore[arg-type]
    )


def test_a_clear_lead_is_told_with_its_interval() -> None:
    decision = decide([contender("slow", 0.0121), contender("fast", 0.01, seed=1)])

    assert decision.winner == 1
    assert re.fullmatch(
        r"1\.2\dx \[1\.(19|20|21), 1\.2\d\] faster than the next, slow", decision.why
    )


def test_the_next_is_the_closest_of_the_others() -> None:
    decision = decide([contender("a", 0.03), contender("b", 0.02), contender("c", 0.01)])

    assert decision.why.endswith("the next, b")


def test_a_tie_goes_to_the_one_with_less_memory() -> None:
    decision = decide(
        [
            contender("heavy", 0.01, memory_bytes=200 * MIB),
            contender("light", 0.01001, seed=1, memory_bytes=100 * MIB),
        ]
    )

    assert decision.winner == 1
    assert decision.why.startswith("not significant against heavy, ")
    assert decision.why.endswith("chosen for less memory: 100 MiB, not 200 MiB")


def test_a_tie_in_memory_too_goes_to_the_simpler_one() -> None:
    decision = decide(
        [
            contender("turned", 0.01, memory_bytes=101 * MIB, changed=2, threads=1),
            contender("plain", 0.01001, seed=1, memory_bytes=102 * MIB, changed=0, threads=2),
        ]
    )

    assert decision.winner == 1
    assert decision.why.endswith("chosen as the simpler")


def test_of_equally_plain_ones_that_with_fewer_threads_is_the_simpler() -> None:
    decision = decide(
        [contender("two", 0.01, threads=2), contender("one", 0.01001, seed=1, threads=1)]
    )

    assert decision.winner == 1


def test_a_significant_difference_of_one_percent_is_no_tie() -> None:
    decision = decide(
        [
            contender("fast", 0.0100, memory_bytes=200 * MIB),
            contender("light", 0.0101, memory_bytes=100 * MIB),
        ]
    )

    assert decision.winner == 0
    assert decision.why.startswith("1.01x [1.01, 1.01] faster")


def test_what_is_plainly_slower_is_no_tie_however_little_is_known() -> None:
    decision = decide(
        [
            contender("fast", 0.0100, noise=0.3, memory_bytes=100 * MIB),
            contender("light", 0.0106, noise=0.3, seed=1, memory_bytes=MIB),
        ]
    )

    assert decision.winner == 0
    assert decision.why.startswith("not significant against light, 1.")
    assert decision.why.endswith("chosen as the best measured")


def test_too_few_windows_tell_no_difference() -> None:
    decision = decide(
        [contender("a", 0.01, rounds=range(3)), contender("b", 0.02, rounds=range(3))]
    )

    assert decision.winner == 0
    assert decision.why == (
        "not significant against b, 2.00x, of too few windows for an interval; "
        "chosen as the best measured"
    )


def test_windows_of_one_round_are_compared_with_each_other() -> None:
    slowing = {i: [0.01 * (1 + i)] for i in range(8)}
    one = Contender("one", slowing)
    other = Contender("other", {i: [1.1 * cost for cost in of] for i, of in slowing.items()})

    ratio = compare(other, one)

    assert ratio.value == pytest.approx(1.1)
    assert (ratio.low, ratio.high) == (pytest.approx(1.1), pytest.approx(1.1))


def test_those_of_two_groups_are_compared_by_way_of_the_one_in_both() -> None:
    kept = contender("kept", 0.01, rounds=range(10))
    both = {**kept.windows, **contender("", 0.02, rounds=range(10, 20)).windows}
    # The second group ran while the machine was half as fast.
    later = contender("later", 0.018, rounds=range(10, 20))

    decision = decide([contender("early", 0.011), Contender("kept", both), later])

    assert decision.winner == 2


def test_for_p99_the_tail_counts_and_not_the_quartile() -> None:
    tailed = {i: [0.01] * 95 + [0.1] * 5 for i in range(8)}
    even = {i: [0.011] * 100 for i in range(8)}

    decision = decide([Contender("tailed", tailed), Contender("even", even)], "p99")

    assert decision.winner == 1
    assert decision.why == "9.09x [9.09, 9.09] less p99 than the next, tailed"


def test_for_memory_the_least_peak_wins() -> None:
    decision = decide(
        [
            contender("fast", 0.01, memory_bytes=200 * MIB),
            contender("light", 0.05, memory_bytes=100 * MIB),
        ],
        "memory",
    )

    assert decision == (1, "least memory: 100 MiB, 200 MiB for fast")


def test_of_those_alike_in_memory_the_fastest_wins() -> None:
    decision = decide(
        [
            contender("slow", 0.05, memory_bytes=100 * MIB),
            contender("fast", 0.01, memory_bytes=102 * MIB),
            contender("heavy", 0.001, memory_bytes=300 * MIB),
        ],
        "memory",
    )

    assert decision.winner == 1
    assert decision.why.startswith("least memory: 100 MiB, 300 MiB for heavy; of 2 alike in that: ")


def test_two_runs_of_one_candidate_differ_a_little_in_memory() -> None:
    assert equal_memory(100 * MIB, 104 * MIB)
    assert equal_memory(10 * MIB, 13 * MIB)
    assert not equal_memory(110 * MIB, 100 * MIB)


def test_nothing_measured_is_no_winner() -> None:
    assert decide([Contender("a")]).winner is None


def test_a_lone_one_wins_without_a_comparison() -> None:
    decision = decide([Contender("a"), contender("b", 0.01)])

    assert decision == (1, "the only candidate that was measured and is right")
