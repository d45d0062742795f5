"""Backends that share, keep or remember what they must not."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwrt.backend import CompiledModel, Device, ModelInfo, Request

from .faithful import Arrays, Faithful


class SharesResults(Faithful):
    """The n-th results of all requests lie in the same memory."""

    def __init__(self) -> None:
        super().__init__()
        self._results: dict[Any, np.ndarray[Any, Any]] = {}

    def request(self, request: Request) -> None:
        infer = request.infer
        count = iter(range(10**9))

        def changed(feeds: Mapping[str, Any]) -> Arrays:
            n = next(count)
            shared = {}
            for name, array in infer(feeds).items():
                key = name, array.shape, array.dtype, n
                shared[name] = self._results.setdefault(key, np.empty_like(array))
                shared[name][...] = array
            return shared

        request.infer = changed  # type: ignore[method-assign]


class SharesStaging(Faithful):
    """All requests read their feeds from one place."""

    def __init__(self) -> None:
        super().__init__()
        self._staging: dict[Any, np.ndarray[Any, Any]] = {}

    def request(self, request: Request) -> None:
        infer = request.infer

        def changed(feeds: Mapping[str, Any]) -> Arrays:
            staged = {}
            for name, array in feeds.items():
                key = name, array.shape, array.dtype
                staged[name] = self._staging.setdefault(key, np.empty_like(array))
                staged[name][...] = array
            os.sched_yield()
            return infer(staged)

        request.infer = changed  # type: ignore[method-assign]


class KeepsFeedsBound(Faithful):
    def request(self, request: Request) -> None:
        infer = request.infer

        def changed(feeds: Mapping[str, Any]) -> Arrays:
            outputs = infer(feeds)
            request.resize({name: array.shape for name, array in feeds.items()})
            for name, array in feeds.items():
                request.bind(name, array)
            return outputs

        request.infer = changed  # type: ignore[method-assign]


class RemembersResultsOfAShape(Faithful):
    def request(self, request: Request) -> None:
        infer = request.infer
        known: dict[Any, Arrays] = {}

        def changed(feeds: Mapping[str, Any]) -> Arrays:
            outputs = infer(feeds)
            first = known.setdefault(tuple(array.shape for array in feeds.values()), outputs)
            return {name: array.copy() for name, array in first.items()}

        request.infer = changed  # type: ignore[method-assign]


class RemembersModelsByPath(Faithful):
    def __init__(self) -> None:
        super().__init__()
        self._models: dict[Path, CompiledModel] = {}

    def compile(self, model: ModelInfo, device: Device, **arguments: Any) -> CompiledModel:
        if model.path not in self._models:
            self._models[model.path] = super().compile(model, device, **arguments)
        return self._models[model.path]


class KeepsModels(Faithful):
    kept: list[Any] = []  # noqa: RUF012 - that is its fault

    def made(self, made: CompiledModel, model: ModelInfo, given: dict[str, Any]) -> None:
        self.kept.append(vars(made)["_session"])


class LeavesFilesOpen(Faithful):
    def request(self, request: Request) -> None:
        os.open(os.devnull, os.O_RDONLY)


class LeavesThreads(Faithful):
    def request(self, request: Request) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
