from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import hwrt
from hwrt.errors import BackendFailure, InputError
from hwrt.tuning import proof

Install = Callable[..., None]
Model = Callable[..., Path]


@pytest.fixture(autouse=True)
def _nothing_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has just begun."""
    monkeypatch.setattr(proof, "_proved", set())


@pytest.fixture
def compiled_in(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """Where the backend ``fragile`` has compiled: "here" or "a child", in turn."""
    install("Fragile")
    log = tmp_path / "log"
    log.touch()
    monkeypatch.setenv("HWRT_TEST_LOG", str(log))
    own = str(os.getpid())
    return lambda: ["here" if line == own else "a child" for line in log.read_text().splitlines()]


def load(path: Path, backend: str = "fragile", **arguments: object) -> hwrt.Session:
    return hwrt.load(path, backend=backend, options={}, threads=1, **arguments)  # type: ignore[arg-type]


FAULTS = {
    "Segfault": r"segfault was killed by SIGSEGV in prove; last words: .*about to read address 0?",
    "Killed": "killed was killed by SIGKILL in prove",
    "Hang": "no answer from hang in prove after 3 s",
    "Leaves": "leaves was ended with exit status 3 in prove",
    "Raises": "prove raised KeyError: 'no such layer'",
}


@pytest.mark.parametrize(("fault", "expected"), FAULTS.items(), ids=FAULTS)
def test_a_process_survives_options_that_end_the_vendor(
    install: Install,
    relu_model: Model,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    expected: str,
) -> None:
    install(fault)
    monkeypatch.setattr(proof, "_TIMEOUT_S", 3.0)

    with pytest.raises(BackendFailure, match=expected):
        load(relu_model(), fault.lower())


def test_a_compilation_that_takes_more_memory_than_allowed_is_ended(
    install: Install, relu_model: Model
) -> None:
    install("Hungry")

    with pytest.raises(BackendFailure, match="400 MiB are allowed: raise max_memory_mb"):
        load(relu_model(), "hungry", max_memory_mb=400)


def test_a_proof_without_a_limit_of_memory_is_none_where_there_is_one(
    install: Install, relu_model: Model
) -> None:
    install("Good")
    load(relu_model(), "good")

    with pytest.raises(BackendFailure, match="1 MiB are allowed: raise max_memory_mb"):
        load(relu_model(), "good", max_memory_mb=1)


def test_a_model_is_tried_in_a_child_before_it_is_compiled_here(
    compiled_in: Callable[[], list[str]], relu_model: Model
) -> None:
    session = load(relu_model())

    assert compiled_in() == ["a child", "here"]
    assert session(np.full((1, 16), -1, np.float32))["y"].sum() == 0


@pytest.mark.parametrize("cache", [True, False])
def test_what_this_process_has_proved_is_not_tried_again(
    compiled_in: Callable[[], list[str]], relu_model: Model, cache: bool
) -> None:
    load(relu_model(), cache=cache)
    load(relu_model(), cache=cache)

    assert compiled_in() == ["a child", "here", "here"]


def test_what_another_process_has_proved_is_in_the_cache(
    compiled_in: Callable[[], list[str]], relu_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(relu_model())
    monkeypatch.setattr(proof, "_proved", set())
    load(relu_model())
    monkeypatch.setattr(proof, "_proved", set())
    load(relu_model(), cache=False)

    assert compiled_in() == ["a child", "here", "here", "a child", "here"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\0", None], ids=["empty", "{}", "0", "a bit"])
def test_a_damaged_proof_is_none(
    compiled_in: Callable[[], list[str]],
    relu_model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | None,
) -> None:
    load(relu_model())
    (marker,) = (tmp_path / "cache" / "proved").glob("*.json")
    marker.write_bytes(
        marker.read_bytes().replace(b"cpu:0", b"cpu:1") if content is None else content
    )
    monkeypatch.setattr(proof, "_proved", set())
    load(relu_model())

    assert compiled_in() == ["a child", "here", "a child", "here"]


def test_a_proof_says_of_what(
    compiled_in: Callable[[], list[str]], relu_model: Model, tmp_path: Path
) -> None:
    plan = load(relu_model()).plan
    (marker,) = (tmp_path / "cache" / "proved").glob("*.json")

    assert json.loads(marker.read_text()) == {
        "model": plan.key.model,
        "machine": plan.key.machine,
        "hwrt": hwrt.__version__,
        "backend": "fragile",
        "stamp": "fragile 1",
        "device": "cpu:0",
        "options": {"threads": 1},
        "shapes": {},
        "max_memory_bytes": None,
    }


@pytest.mark.parametrize(
    "arguments",
    [{"threads": 2}, {"shapes": {"x": (2, 16)}}, {"max_memory_mb": 4000}],
    ids=["options", "shapes", "memory"],
)
def test_other_options_shapes_and_limits_need_a_proof_of_their_own(
    compiled_in: Callable[[], list[str]], relu_model: Model, arguments: dict[str, object]
) -> None:
    path = relu_model(("N", 16))
    load(path)
    hwrt.load(path, backend="fragile", options={}, **{"threads": 1, **arguments})  # type: ignore[arg-type]

    assert compiled_in() == ["a child", "here"] * 2


def test_a_plan_that_was_measured_here_is_proved(
    compiled_in: Callable[[], list[str]], relu_model: Model
) -> None:
    plan = hwrt.tune(relu_model(), threads=1, budget_s=0.1)
    before = len(compiled_in())
    hwrt.load(relu_model(), threads=1, plan=plan)
    hwrt.load(relu_model(), threads=1)

    assert compiled_in()[before:] == ["here", "here"]


def test_a_plan_that_was_measured_elsewhere_is_tried_in_a_child_first(
    compiled_in: Callable[[], list[str]], relu_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = hwrt.tune(relu_model(), threads=1, budget_s=0.1, cache=False)
    monkeypatch.setattr(proof, "_proved", set())
    before = len(compiled_in())
    hwrt.load(relu_model(), threads=1, plan=plan)

    assert compiled_in()[before:] == ["a child", "here"]


def test_a_model_that_random_feeds_make_no_sense_to_is_loaded(
    install: Install, relu_model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    install("Refuses")
    with caplog.at_level(logging.INFO, logger="hwrt"):
        load(relu_model(), "refuses")

    assert "on random feeds: UnsupportedModel: not these numbers" in caplog.text


def test_what_the_backend_refuses_in_the_child_is_refused_as_it_would_be_here(
    relu_model: Model,
) -> None:
    pytest.importorskip("onnxruntime")

    with pytest.raises(InputError, match="'colour'"):
        hwrt.load(relu_model(), backend="onnxruntime", options={"colour": "red"})


def test_a_crash_proves_nothing(compiled_in: Callable[[], list[str]], relu_model: Model) -> None:
    path = relu_model(name="crash.onnx")
    for _ in range(2):
        with pytest.raises(BackendFailure, match=r"SIGSEGV in prove; last words: .*no kernel"):
            load(path)

    assert compiled_in() == ["a child", "a child"]


def test_progress_is_told_of_the_trial_and_may_cancel_it(
    compiled_in: Callable[[], list[str]], relu_model: Model
) -> None:
    texts: list[str] = []
    with pytest.raises(hwrt.SessionError, match="cancelled"):
        load(relu_model(), progress=lambda fraction, text: bool(texts.append(text)))

    assert texts == ["trying fragile cpu:0 threads=1"]
    assert compiled_in() == []


def test_the_cache_lists_proofs_and_clears_them(
    compiled_in: Callable[[], list[str]], relu_model: Model, tmp_path: Path
) -> None:
    from hwrt import cache

    load(relu_model())
    kinds = {entry.kind for entry in cache.entries(tmp_path / "cache")}
    cache.clear(tmp_path / "cache")

    assert "proved" in kinds
    assert list((tmp_path / "cache" / "proved").iterdir()) == []
