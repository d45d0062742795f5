"""onnx's reference evaluator as an hwrt backend: the template for a plugin of your own.

evaluator.py stands for the vendor's runtime; the rest is what any plugin has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from hwrt.backend import (
    Backend,
    BackendFailure,
    CompiledModel,
    Device,
    InputError,
    ModelInfo,
    Options,
    Placement,
    Preprocess,
    Progress,
    SessionError,
    Shapes,
    UnsupportedModel,
)
from hwrt_null.evaluator import Evaluator, runtime, versions
from hwrt_null.request import NullRequest


class Null(Backend):
    """onnx's reference evaluator.  It has no options beside hwrt's own."""

    name: ClassVar[str] = "null"
    formats: ClassVar[frozenset[str]] = frozenset({"onnx"})
    api_version: ClassVar[int] = 1

    def stamp(self) -> str:
        """The versions of all that the answers come from."""
        return versions()

    def devices(self) -> Sequence[Device]:
        """The CPU, where onnx imports."""
        runtime()
        return (Device("cpu", name="CPU"),)

    def compile(
        self,
        model: ModelInfo,
        device: Device,
        *,
        options: Options,
        shapes: Shapes | None = None,
        preprocess: Preprocess | None = None,
        cache_dir: Path | None = None,
        progress: Progress | None = None,
    ) -> CompiledModel:
        """The graph in memory.  Nothing is fused and nothing is written."""
        _check(device, options)
        if progress is not None and not progress(0.0, f"null: reading {model.path.name}"):
            raise BackendFailure("the compilation was cancelled")
        return NullModel(model, shapes or {}, threads=options.threads or 1)


class NullModel(CompiledModel):
    """One evaluator, which all requests share."""

    # It runs one request at a time, so that more would only wait.
    max_requests = 1

    def __init__(self, model: ModelInfo, shapes: Shapes, *, threads: int) -> None:
        specs = {spec.name: spec for spec in model.inputs}
        if unknown := sorted(set(shapes) - set(specs)):
            raise InputError(f"shapes names {unknown[0]!r}", hint=f"inputs are {', '.join(specs)}")
        bounded = {name: specs[name].bounded(shape) for name, shape in shapes.items()}
        self.inputs = tuple({**specs, **bounded}.values())
        self.outputs = model.outputs
        # Also where the file is quantised: what that states is computed in float32.
        self.precision = "f32"
        self._shapes = shapes
        self._evaluator: Evaluator | None = Evaluator(model.path, model.outputs, threads)
        self.placement = Placement({"cpu:0": self._evaluator.operators})

    def create_request(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> NullRequest:
        if self._evaluator is None:
            raise SessionError("this compiled model is closed", hint="compile it again")
        return NullRequest(self._evaluator, self.inputs, self.outputs, self._shapes, shapes or {})

    def close(self) -> None:
        self._evaluator = None


def _check(device: Device, options: Options) -> None:
    if device.id != "cpu:0":
        raise UnsupportedModel(f"null has no device {device.id!r}, only 'cpu:0'")
    if unknown := sorted(set(options) - {"precision", "threads"}):
        raise InputError(f"null has no option {unknown[0]!r}", hint="it has precision and threads")
    if options.precision not in (None, "f32"):
        raise UnsupportedModel(f"null has no precision {options.precision!r}, only 'f32'")
