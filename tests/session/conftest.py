from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hwrt
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
