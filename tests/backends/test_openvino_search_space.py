from __future__ import annotations

from typing import Any

import pytest

from hwrt.backend import Device, Limits
from hwrt_openvino.search_space import search_space

CPU, GPU = Device("cpu"), Device("gpu")
PINNING = "ENABLE_CPU_PINNING"


def found(device: Device, limits: Limits, *precisions: str) -> list[dict[str, Any]]:
    return [dict(options) for options in search_space(device, limits, precisions, {PINNING})]


def test_with_one_thread_there_is_one_candidate_for_each_precision() -> None:
    assert found(CPU, Limits(1), "f32", "bf16") == [
        {"precision": "f32", "threads": 1},
        {"precision": "bf16", "threads": 1},
    ]


def test_with_several_threads_one_thread_and_no_pinning_are_tried() -> None:
    assert found(CPU, Limits(4), "f32") == [
        {"precision": "f32", "threads": 4},
        {"precision": "f32", "threads": 1},
        {"precision": "f32", "threads": 4, PINNING: False},
    ]


def test_a_device_that_knows_no_pinning_is_not_asked_for_it() -> None:
    offered = list(search_space(CPU, Limits(2), ["f32"], ()))

    assert all(PINNING not in options for options in offered)


def test_for_throughput_streams_share_the_threads() -> None:
    offered = found(CPU, Limits(4, objective="throughput"), "f32")

    assert {"precision": "f32", "threads": 4, "streams": 4} in offered
    assert {"precision": "f32", "threads": 4, "streams": 2} in offered


def test_for_throughput_an_accelerator_is_hinted_at_it() -> None:
    assert found(GPU, Limits(4, objective="throughput"), "f16") == [
        {"precision": "f16"},
        {"precision": "f16", "PERFORMANCE_HINT": "THROUGHPUT"},
    ]


@pytest.mark.parametrize("objective", ["latency", "p99", "throughput", "memory"])
def test_each_candidate_is_named_once(objective: str) -> None:
    offered = list(
        search_space(CPU, Limits(16, objective=objective), ["f32", "int8", "bf16"], {PINNING})
    )

    assert len(set(offered)) == len(offered) <= 13
