"""onnxruntime's backend, which breaks no promise, with places where others break theirs."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwrt.backend import (
    CompiledModel,
    Device,
    ModelInfo,
    Request,
)
from hwrt_onnxruntime import OnnxRuntime

Arrays = dict[str, np.ndarray[Any, Any]]


class Faithful(OnnxRuntime):
    """Breaks nothing; the others change ``arguments``, ``made`` or ``request``."""

    def compile(self, model: ModelInfo, device: Device, **arguments: Any) -> CompiledModel:
        made = super().compile(model, self.device(device), **self.arguments(model, arguments))
        self.made(made, model, arguments)
        create = made.create_request

        def create_request(shapes: Any = None) -> Request:
            request = create(shapes)
            self.request(request)
            return request

        made.create_request = create_request  # type: ignore[method-assign]
        return made

    def device(self, device: Device) -> Device:
        return device

    def arguments(self, model: ModelInfo, given: dict[str, Any]) -> dict[str, Any]:
        return given

    def made(self, made: CompiledModel, model: ModelInfo, given: dict[str, Any]) -> None:
        pass

    def request(self, request: Request) -> None:
        pass


class Results(Faithful):
    """Changes what run and infer give."""

    def request(self, request: Request) -> None:
        run, infer = request.run, request.infer

        def changed_run() -> None:
            run()
            for array, other in zip(
                request.outputs.values(), self.results(dict(request.outputs)).values(), strict=True
            ):
                array[...] = other

        request.run = changed_run  # type: ignore[method-assign]
        request.infer = lambda feeds: self.results(infer(feeds))  # type: ignore[method-assign]

    def results(self, outputs: Arrays) -> Arrays:
        return outputs


class Strided(Faithful):
    """Breaks nothing: outputs may be strided."""

    def request(self, request: Request) -> None:
        class StridedRequest(type(request)):  # type: ignore[misc]
            @property
            def outputs(self) -> Arrays:
                found = super().outputs
                return {name: _strided(array) for name, array in found.items()}

        request.__class__ = StridedRequest


def _strided(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same elements, every second one of an array twice as long."""
    if array.ndim == 0:
        return array
    twice = np.repeat(array, 2, axis=array.ndim - 1)
    return twice[..., ::2]
