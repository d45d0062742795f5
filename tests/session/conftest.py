from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import hwrt
from hwrt.loading import choosing
from hwrt.session import Session

from .fakes import Gate

ENGINES = ["onnxruntime", "openvino"]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return str(request.param)


@pytest.fixture
def relu(engine: str, relu_model: Callable[..., Path]) -> Iterator[Session]:
    with hwrt.load(relu_model(), backend=engine, options={"threads": 1}) as session:
        yield session


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.opened.set()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing takes no longer than it must."""
    quick = choosing.Effort(min_seconds=0.01, min_samples=2, window_s=0.005, warm_up_s=0.05)
    monkeypatch.setattr(choosing, "Effort", lambda budget_s: replace(quick, budget_s=budget_s))
