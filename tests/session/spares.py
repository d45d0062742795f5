"""Engines that fail, and others that may take their place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hwrt.errors import BackendError, BackendFailure
from hwrt.session import Loaded, Session
from hwrt.spec import ModelInfo
from hwrt.tuning.plan import Plan

from .fakes import ONES, Model, loaded

FEEDS = {"x": ONES}
LOST = "the device is lost"


class Tripling(Model):
    """Its answers are 1.5 times those of Model, so that they tell who gave them."""

    def create_request(self, shapes=None):
        request = super().create_request(shapes)
        double = request.infer
        request.infer = lambda feeds: {"y": double(feeds)["y"] * np.float32(1.5)}
        request.run = lambda: request.outputs.update(request.infer(request.inputs))
        return request


class Spares:
    """An origin with other engines for the one that fails."""

    def __init__(self, *models: Model | Exception) -> None:
        self.models = list(models)
        self.asked = 0

    def next_plan(self, plan: Plan, fault: BackendError) -> Plan | str:
        self.asked += 1
        if not self.models:
            return "the plan has no other right candidate"
        return replace(
            plan, backend="spare", fallback_of=plan.candidate, fallback_reason=str(fault)
        )

    def fall_back(self, plan: Plan) -> Loaded:
        made = self.models.pop(0)
        if isinstance(made, Exception):
            raise made
        return loaded(made, self)._replace(plan=plan)

    def load(self, model_or_plan: object) -> Loaded:
        return loaded(self.models.pop(0), self)  # type: ignore[arg-type]

    def restore(self, plan: Plan) -> Loaded:
        raise AssertionError

    def sample(self, info: ModelInfo) -> None:
        return None


class CountingLock:
    """A lock that tells how often it was asked for."""

    def __init__(self) -> None:
        self.asked, self._lock = threading.Semaphore(0), threading.Lock()

    def __enter__(self) -> None:
        self.asked.release()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def raising(error: Exception) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


def broken(error: Exception | None = None, limit: int | None = None) -> Model:
    model = Model(limit)
    model.gate = raising(error or BackendFailure(LOST))
    return model


def session_with(model: Model, *spares: Model | Exception) -> Session:
    return Session(*loaded(model, Spares(*spares)))


def answer(outputs: dict[str, np.ndarray]) -> float:
    return float(outputs["y"][0, 0])
