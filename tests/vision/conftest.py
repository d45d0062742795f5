from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.backend import CompiledModel, Request
from hwrt.errors import BackendError
from hwrt.session import Loaded, Session
from hwrt.spec import ModelInfo, Options, Placement, Quantization, Shapes, TensorSpec
from hwrt.tuning.plan import Key, Plan

Answer = Callable[[np.ndarray], np.ndarray]


class FakeRequest(Request):
    """Keeps what it is fed and answers what it was told to."""

    def __init__(self, model: FakeModel) -> None:
        self._model = model
        self.outputs = {}
        self.resize({})

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        (spec,) = self._model.inputs
        shape = shapes.get(spec.name, tuple(size or 1 for size in spec.shape or ()))
        self.inputs = {spec.name: np.full(shape, 9, spec.dtype)}

    def run(self) -> None:
        (tensor,) = self.inputs.values()
        if self._model.keeps:
            self._model.fed.append(tensor.copy())
        answer = self._model.answer(tensor)
        answers = answer if isinstance(answer, tuple) else (answer,)
        names = [spec.name for spec in self._model.outputs]
        self.outputs = dict(zip(names, answers, strict=True))


class FakeModel(CompiledModel):
    placement = Placement({"cpu:0": 1})
    precision = "f32"

    def __init__(self, info: ModelInfo, answer: Answer, limit: int | None) -> None:
        self.inputs, self.outputs = info.inputs, info.outputs
        self.answer = answer
        self.max_requests = limit
        self.keeps = True
        self.fed: list[np.ndarray] = []
        self.requests: list[FakeRequest] = []
        self.closed = 0

    def create_request(self, shapes: object = None) -> FakeRequest:
        self.requests.append(FakeRequest(self))
        return self.requests[-1]

    def close(self) -> None:
        self.closed += 1


class FakeOrigin:
    """Loads, in the place of the model, one that answers ``then``."""

    def __init__(self, then: Answer, limit: int | None, *, has_spare: bool) -> None:
        self._then, self._limit, self.has_spare = then, limit, has_spare
        self.loaded: Loaded

    def load(self, model_or_plan: Any) -> Loaded:
        old = self.loaded
        return Loaded(FakeModel(old.info, self._then, self._limit), old.plan, old.info, self)

    def sample(self, info: ModelInfo) -> None:
        return None

    def restore(self, plan: Plan) -> Loaded:
        raise AssertionError

    def next_plan(self, plan: Plan, fault: BackendError) -> Plan | str:
        return plan if self.has_spare else "there is one engine"

    def fall_back(self, plan: Plan) -> Loaded:
        return self.load(plan)


class FakeSession(Session):
    """A session over a model that answers what it was told to; ``fed`` is what it was fed.

    After a replace another one answers ``then``, and where ``has_spare`` after a failure too.
    """

    def __init__(
        self,
        info: ModelInfo,
        answer: Answer,
        *,
        then: Answer | None = None,
        limit: int | None = None,
        shapes: Shapes | None = None,
        has_spare: bool = False,
    ) -> None:
        self.model = FakeModel(info, answer, limit)
        key = Key("m", "here", "0", {}, "latency", "f32", shapes or {}, 1)
        plan = Plan("fake", "cpu:0", Options(), "f32", self.model.placement, key)
        origin = FakeOrigin(then or answer, limit, has_spare=has_spare)
        origin.loaded = Loaded(self.model, plan, info, origin)
        super().__init__(*origin.loaded)

    @property
    def fed(self) -> list[np.ndarray]:
        return self.model.fed

    @property
    def closed(self) -> bool:
        return bool(self.model.closed)


def _model_info(
    *,
    shape: tuple[int | None, ...] | None = (None, 3, 8, 8),
    output: tuple[int | None, ...] | None = (None, 2),
    metadata: Mapping[str, str] | None = None,
    path: Path = Path("/nowhere/model.onnx"),
    dtype: type = np.float32,
    quantization: Quantization | None = None,
    output_dtype: type = np.float32,
    output_quantization: Quantization | None = None,
) -> ModelInfo:
    return ModelInfo(
        path=path,
        format="onnx",
        sha256="0" * 64,
        size_bytes=1,
        inputs=(TensorSpec("images", np.dtype(dtype), shape, quantization=quantization),),
        outputs=(
            TensorSpec("out", np.dtype(output_dtype), output, quantization=output_quantization),
        ),
        metadata=dict(metadata or {}),
    )


@pytest.fixture
def model_info() -> Callable[..., ModelInfo]:
    return _model_info


@pytest.fixture
def fake_session() -> Callable[..., Any]:
    return FakeSession
