"""Backends whose requests break one promise each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwrt.backend import (
    CompiledModel,
    InputError,
    ModelInfo,
    Request,
)

from .faithful import Arrays, Faithful, Results


class ReturnsViews(Faithful):
    def request(self, request: Request) -> None:
        def infer(feeds: Mapping[str, Any]) -> Arrays:
            request.resize({name: array.shape for name, array in feeds.items()})
            for name, array in feeds.items():
                request.inputs[name][...] = array
            request.run()
            return dict(request.outputs)

        request.infer = infer  # type: ignore[method-assign]


class SharesBuffers(Faithful):
    def made(self, made: CompiledModel, model: ModelInfo, given: dict[str, Any]) -> None:
        only = made.create_request()

        def create_request(shapes: Any = None) -> Request:
            only.resize(shapes or {})
            return only

        made.create_request = create_request  # type: ignore[method-assign]


class WritesToItsFeeds(Faithful):
    def request(self, request: Request) -> None:
        infer = request.infer

        def changed(feeds: Mapping[str, Any]) -> Arrays:
            outputs = infer(feeds)
            for array in feeds.values():
                if array.flags.writeable:
                    array.fill(0)
            return outputs

        request.infer = changed  # type: ignore[method-assign]


class ComputesInBf16(Results):
    def results(self, outputs: Arrays) -> Arrays:
        return {
            name: (array.view("u4") & 0xFFFF0000).view("f4") if array.dtype == "f4" else array
            for name, array in outputs.items()
        }


class SwallowsWrongFeeds(Faithful):
    def request(self, request: Request) -> None:
        infer = request.infer

        def changed(feeds: Mapping[str, Any]) -> Arrays:
            try:
                return infer(feeds)
            except Exception:  # noqa: BLE001 - that is its fault
                request.run()
                return {name: array.copy() for name, array in request.outputs.items()}

        request.infer = changed  # type: ignore[method-assign]


class CastsFeeds(Faithful):
    def request(self, request: Request) -> None:
        infer = request.infer

        def changed(feeds: Mapping[str, Any]) -> Arrays:
            own = request.inputs
            return infer({name: x.astype(own[name].dtype) for name, x in feeds.items()})

        request.infer = changed  # type: ignore[method-assign]


class LeaksOnResize(Faithful):
    def request(self, request: Request) -> None:
        kept: list[Any] = []
        resize = request.resize

        def changed(shapes: Mapping[str, tuple[int, ...]]) -> None:
            kept.append(dict(request.inputs))
            resize(shapes)

        request.resize = changed  # type: ignore[method-assign]
        request.kept = kept  # type: ignore[attr-defined]


class LeaksOnClose(Faithful):
    kept: list[Any] = []  # noqa: RUF012 - that is its fault

    def request(self, request: Request) -> None:
        self.kept.append((request.inputs, request.outputs))


class TruncatesLargerBatches(Faithful):
    def request(self, request: Request) -> None:
        infer = request.infer

        def changed(feeds: Mapping[str, Any]) -> Arrays:
            first = {name: x[:2] if x.ndim > 1 else x for name, x in feeds.items()}
            return infer(first)

        request.infer = changed  # type: ignore[method-assign]


class GivesDoubles(Results):
    def results(self, outputs: Arrays) -> Arrays:
        return {
            name: array.astype("f8") if array.dtype == "f4" else array
            for name, array in outputs.items()
        }


class TransposesOutputs(Results):
    def results(self, outputs: Arrays) -> Arrays:
        return (
            {
                name: array.T.copy()
                if array.ndim == 2 and len(set(array.shape)) == 1
                else array[::-1]
                for name, array in outputs.items()
            }
            if all(array.ndim for array in outputs.values())
            else outputs
        )


class ReversesOutputs(Faithful):
    def request(self, request: Request) -> None:
        infer = request.infer

        def changed(feeds: Mapping[str, Any]) -> Arrays:
            outputs = infer(feeds)
            return dict(reversed(outputs.items()))

        request.infer = changed  # type: ignore[method-assign]


class DropsNan(Results):
    def results(self, outputs: Arrays) -> Arrays:
        return {
            name: np.nan_to_num(array) if array.dtype.kind == "f" else array
            for name, array in outputs.items()
        }


class ComputesInt64InInt32(Results):
    def results(self, outputs: Arrays) -> Arrays:
        return {
            name: array.astype("i4").astype("i8") if array.dtype == "i8" else array
            for name, array in outputs.items()
        }


class IgnoresBind(Faithful):
    def request(self, request: Request) -> None:
        request.bind = lambda name, array: None  # type: ignore[method-assign]


class BindsWhatDoesNotFit(Faithful):
    def request(self, request: Request) -> None:
        bind = request.bind

        def changed(name: str, array: Any) -> None:
            try:
                bind(name, array)
            except InputError:
                bind(name, None)

        request.bind = changed  # type: ignore[method-assign]


class NeverStarts(Faithful):
    def request(self, request: Request) -> None:
        request.start = lambda: None  # type: ignore[method-assign]
        request.wait = lambda timeout_s=None: True  # type: ignore[method-assign]


class StaysOpen(Faithful):
    def request(self, request: Request) -> None:
        request.close = lambda: None  # type: ignore[method-assign]


class ClosesOnce(Faithful):
    def request(self, request: Request) -> None:
        close = request.close
        closed: list[bool] = []

        def changed() -> None:
            if closed:
                raise RuntimeError("double free")
            closed.append(True)
            close()

        request.close = changed  # type: ignore[method-assign]


class RunsWhileStarted(Faithful):
    """Its start leaves the request open to all."""

    def request(self, request: Request) -> None:
        started: list[Any] = []

        def start() -> None:
            if started:
                raise InputError("this request is running already")
            started.append(request)
            request.run()

        def wait(timeout_s: float | None = None) -> bool:
            started.clear()
            return True

        request.start, request.wait = start, wait  # type: ignore[method-assign]


class IgnoresFurtherFeeds(Faithful):
    def request(self, request: Request) -> None:
        infer = request.infer

        def changed(feeds: Mapping[str, Any]) -> Arrays:
            return infer({name: feeds[name] for name in request.inputs if name in feeds})

        request.infer = changed  # type: ignore[method-assign]


class ReinterpretsFeeds(Faithful):
    """It looks at the size of an element alone."""

    def request(self, request: Request) -> None:
        infer = request.infer

        def changed(feeds: Mapping[str, Any]) -> Arrays:
            own = {name: array.dtype for name, array in request.inputs.items()}
            return infer(
                {
                    name: array.view(own[name])
                    if name in own and array.itemsize == own[name].itemsize
                    else array
                    for name, array in feeds.items()
                }
            )

        request.infer = changed  # type: ignore[method-assign]


class ResizesOneByOne(Faithful):
    def request(self, request: Request) -> None:
        resize = request.resize

        def changed(shapes: Mapping[str, tuple[int, ...]]) -> None:
            for name, shape in shapes.items():
                resize({name: shape})

        request.resize = changed  # type: ignore[method-assign]
