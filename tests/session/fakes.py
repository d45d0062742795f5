"""A compiled model that doubles its input, and a session of it, for tests of when things happen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hwrt.backend import CompiledModel, Request
from hwrt.session import Loaded, Origin, Session
from hwrt.spec import ModelInfo, Options, Placement, TensorSpec
from hwrt.tuning.plan import Key, Plan

FLOAT = np.dtype(np.float32)
ONES = np.ones((1, 4), np.float32)


class Doubling(Request):
    """y = 2 x, and notes how many of its kind run at once."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.inputs = {"x": np.zeros((1, 4), np.float32)}
        self.outputs = {}

    def run(self) -> None:
        raise AssertionError

    def infer(self, feeds):  # type: ignore[no-untyped-def]
        model = self._model
        with model.lock:
            model.running += 1
            model.most = max(model.most, model.running)
        try:
            model.gate()
            return {"y": feeds["x"] * 2}
        finally:
            with model.lock:
                model.running -= 1


class Model(CompiledModel):
    placement = Placement({"cpu:0": 1})
    precision = "f32"

    def __init__(self, limit: int | None = None, shape: tuple[int | None, ...] = (1, 4)) -> None:
        self.inputs = (TensorSpec("x", FLOAT, shape),)
        self.outputs = (TensorSpec("y", FLOAT, shape),)
        self.max_requests = limit
        self.lock = threading.Lock()
        self.running = self.most = 0
        self.requests: list[Doubling] = []
        self.closed = 0
        self.gate: Callable[[], object] = lambda: None

    def create_request(self, shapes=None) -> Doubling:  # type: ignore[no-untyped-def]
        self.requests.append(Doubling(self))
        return self.requests[-1]

    def close(self) -> None:
        self.closed += 1


def loaded(model: Model, origin: Origin | None = None, **shapes: object) -> Loaded:
    key = Key("m", "here", "0", {}, "latency", "f32", shapes, 1)  # type: ignore[arg-type]
    plan = Plan("fake", "cpu:0", Options(), "f32", model.placement, key)
    info = ModelInfo(Path("m.onnx"), "onnx", "m", 1, model.inputs, model.outputs)
    return Loaded(model, plan, info, origin)


def session_of(model: Model, **shapes: object) -> Session:
    return Session(*loaded(model, **shapes))


class Gate:
    """Holds runs until it is opened, and tells when one has begun."""

    def __init__(self) -> None:
        self.begun, self.opened = threading.Semaphore(0), threading.Event()

    def __call__(self) -> None:
        self.begun.release()
        assert self.opened.wait(30)


def gated(gate: Gate, limit: int | None = 1) -> tuple[Model, Session]:
    model = Model(limit=limit)
    model.gate = gate
    return model, session_of(model)
