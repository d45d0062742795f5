"""LiteRT (TensorFlow Lite) as an hwrt backend: the CPU, and EdgeTPUs where there are any."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from hwrt.backend import (
    Backend,
    BackendFailure,
    CompiledModel,
    Device,
    Finding,
    InputError,
    Limits,
    ModelError,
    ModelInfo,
    Options,
    Placement,
    Preprocess,
    Progress,
    SessionError,
    Shapes,
    TensorSpec,
    UnsupportedModel,
)
from hwrt_litert import vendor
from hwrt_litert.graph import Graph, memory_of
from hwrt_litert.memory import available_bytes, data_bytes, requests_that_fit
from hwrt_litert.request import LiteRtRequest, allocate, first_shapes
from hwrt_litert.words import first_words_logged

# hwrt's name of a set of kernels -> the vendor's op resolver.
_KERNELS = {
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
_KNOWN = frozenset({"precision", "threads", "kernels"})


class LiteRt(Backend):
    """LiteRT.

    Its own option is ``kernels``: "xnnpack" (the default: XNNPACK where it has the operator),
    "builtin" (LiteRT's own optimised kernels) or "reference" (its plain ones, slow).  A file's
    ``precision`` is its own: "int8" where it is quantised, else "f32"; weights stored as f16 are
    computed with in f32.
    """

    name: ClassVar[str] = "litert"
    formats: ClassVar[frozenset[str]] = frozenset({"tflite"})
    api_version: ClassVar[int] = 1

    def stamp(self) -> str:
        """The version in the name of the wheel's metadata folder; else what tells builds apart."""
        folder = vendor.package_folder()
        for metadata in folder.parent.glob(f"{folder.name}-*.dist-info"):
            return metadata.name.removesuffix(".dist-info").replace("-", " ", 1)
        made = (folder / "__init__.py").stat()
        return f"{folder.name} unversioned {made.st_size} {made.st_mtime_ns}"

    def devices(self) -> Sequence[Device]:
        """The CPU, where the module imports."""
        vendor.load()
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
        """The file's bytes, and one interpreter made from them to see that it runs."""
        module = vendor.load()
        _check(model, device, options)
        inputs = _fixed_inputs(model, shapes)
        if progress is not None and not progress(0.0, f"litert: loading {model.path.name}"):
            raise BackendFailure("the compilation was cancelled")
        content = _read(model.path)
        make = partial(
            module.interpreter,
            model_content=content,
            num_threads=options.threads or len(os.sched_getaffinity(0)),
            **_resolver(module, options),
        )
        before = data_bytes()
        with first_words_logged():
            graph = Graph(make, replace(model, inputs=inputs), content)
            outputs = _try(graph, model)
        return LiteRtModel(graph, model, inputs, outputs, data_bytes() - before)

    def candidates(self, model: ModelInfo, device: Device, limits: Limits) -> Iterable[Options]:
        """XNNPACK, then LiteRT's own kernels, which win on some operators."""
        precision = _precision(model)
        yield Options(precision=precision, threads=limits.threads)
        yield Options(precision=precision, threads=limits.threads, kernels="builtin")

    def reference(self, model: ModelInfo, device: Device) -> Options | None:
        """One thread; a float file without XNNPACK, a quantised one as it runs by default.

        A quantised file has no f32 truth, and sets of kernels differ by several of its levels.
        """
        if device.kind != "cpu":
            return None
        if model.quantized:
            return Options(precision="int8", threads=1)
        return Options(precision="f32", threads=1, kernels="builtin")

    def diagnose(self) -> Iterable[Finding]:
        return ()


class LiteRtModel(CompiledModel):
    """The bytes of a file; each request has an interpreter, and so all its memory, of its own."""

    def __init__(
        self,
        graph: Graph,
        model: ModelInfo,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        request_bytes: int,
    ) -> None:
        self._graph: Graph | None = graph
        self.inputs = inputs
        self.outputs = outputs
        self.precision = _precision(model)
        self.placement = Placement({"cpu:0": sum(model.operators.values())})
        self.max_requests = requests_that_fit(
            request_bytes, available_bytes(), len(os.sched_getaffinity(0))
        )

    def create_request(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> LiteRtRequest:
        """A request over an interpreter of its own."""
        if self._graph is None:
            raise SessionError("this compiled model is closed", hint="compile it again")
        return LiteRtRequest(self._graph, shapes or {})

    def close(self) -> None:
        self._graph = None


def _precision(model: ModelInfo) -> str:
    return "int8" if model.quantized else "f32"


def _check(model: ModelInfo, device: Device, options: Options) -> None:
    if device.id != "cpu:0":
        raise UnsupportedModel(f"litert has no device {device.id!r} here, only 'cpu:0'")
    if unknown := sorted(set(options) - _KNOWN):
        raise InputError(
            f"litert has no option {unknown[0]!r}", hint=f"it has {', '.join(sorted(_KNOWN))}"
        )
    if options.precision not in (None, _precision(model)):
        raise UnsupportedModel(
            f"litert runs {model.path.name} in {_precision(model)}, not {options.precision!r}",
            hint="a file's precision is chosen when it is converted",
        )
    if options.get("kernels", "xnnpack") not in _KERNELS:
        raise InputError(
            f"kernels is {options['kernels']!r}", hint=f"it is one of {', '.join(_KERNELS)}"
        )
    if model.external_files:
        raise UnsupportedModel(
            f"litert reads one file, and {model.path} keeps weights in others",
            hint="convert the model into one file",
        )


def _resolver(module: vendor.Vendor, options: Options) -> dict[str, Any]:
    kernels = str(options.get("kernels", "xnnpack"))
    if kernels == "xnnpack":
        return {}
    try:
        return {"experimental_op_resolver_type": module.resolvers[_KERNELS[kernels]]}
    except (KeyError, TypeError) as exc:
        raise UnsupportedModel(
            f"this version of litert has no choice of kernels, so not {kernels!r}",
            hint="pip install ai-edge-litert",
        ) from exc


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ModelError(f"litert can not read {path}: {exc}", hint="check the path") from exc
    if not content:
        raise ModelError(f"{path} is empty", hint="download or convert the model anew")
    return content


def _fixed_inputs(model: ModelInfo, shapes: Shapes | None) -> tuple[TensorSpec, ...]:
    """The inputs with the dimensions that ``shapes`` fixes."""
    specs = {spec.name: spec for spec in model.inputs}
    for name, shape in (shapes or {}).items():
        if name not in specs:
            raise InputError(f"shapes names {name!r}", hint=f"the inputs are {', '.join(specs)}")
        specs[name] = specs[name].bounded(shape)
    return tuple(specs.values())


def _try(graph: Graph, model: ModelInfo) -> tuple[TensorSpec, ...]:
    """Lay out the spare interpreter, so that faults show; the outputs' specs, shapes as known."""
    if not graph.is_first:
        return model.outputs
    (interpreter,) = graph.spare
    try:
        allocate(interpreter, graph, first_shapes(graph))
    except InputError as exc:
        graph.spare.clear()
        if all(spec.is_fixed for spec in model.inputs):
            raise UnsupportedModel(exc.message) from exc
        if all(port.spec.is_fixed for port in graph.inputs.values()):
            raise
        # Sizes of 1 need not fit: those that a request is made for may.
        return model.outputs
    if not all(port.spec.is_fixed for port in graph.inputs.values()):
        return model.outputs
    details = {
        int(d["index"]): tuple(map(int, d["shape"])) for d in interpreter.get_output_details()
    }
    return tuple(
        # Without memory the shape is not known before a run.
        replace(port.spec, shape=details[port.number])
        if not port.is_text and memory_of(interpreter, port.number) is not None
        else port.spec
        for port in graph.outputs.values()
    )
