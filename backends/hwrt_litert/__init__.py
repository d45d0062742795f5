"""LiteRT (TensorFlow Lite) as an hwrt backend: the CPU, and EdgeTPUs where there are any."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
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
from hwrt_litert import edgetpu, vendor
from hwrt_litert.diagnosis import findings, mend
from hwrt_litert.graph import Graph, memory_of
from hwrt_litert.memory import allocation, available_bytes, requests_that_fit
from hwrt_litert.request import LiteRtRequest, allocate, first_shapes
from hwrt_litert.words import log_first_words

# hwrt's name of a set of kernels -> the vendor's op resolver.
_KERNELS = {
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
# Of an int of C, as which it is handed over.
_MOST_THREADS = (1 << 31) - 1
_KNOWN = frozenset({"precision", "threads", "kernels"})
# A model with these gives another answer to the same feeds each time, so one request has to serve.
_STATEFUL = frozenset(
    (
        *("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"),
        # They keep their state in variable tensors, of which the Interpreter says nothing.
        *("LSTM", "RNN", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN"),
        *("BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN"),
    )
)


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

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._faults: dict[tuple[str, Path, int], str | None] = {}

    def stamp(self) -> str:
        """The package's version, and what tells one libedgetpu from another where there is one."""
        library = edgetpu.library(self._root)
        return vendor.version() + (f", {_build(library.resolve())}" if library else "")

    def devices(self) -> Sequence[Device]:
        """The CPU, and the EdgeTPUs that work; ``diagnose`` tells why others do not.

        The first call tries each EdgeTPU in a child process, which resets it.
        """
        vendor.load()
        return (Device("cpu", name="CPU"), *(coral.device for coral in self._working()))

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
        coral = self._coral(device)
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
        if options.get("kernels", "xnnpack") == "xnnpack":
            log_first_words(module.interpreter)
        with edgetpu.alone if coral is not None else nullcontext():
            if coral is not None:
                make = partial(_delegated, make, self._delegate(module, coral, model))
            with allocation() as allocated:
                graph = Graph(make, replace(model, inputs=inputs), content, shapes or {})
                outputs = _try(graph, model)
                each_bytes = allocated()
        return LiteRtModel(graph, model, device, outputs, each_bytes)

    def candidates(self, model: ModelInfo, device: Device, limits: Limits) -> Iterable[Options]:
        """XNNPACK, then on the CPU LiteRT's own kernels, which win on some operators.

        Each with all threads and with one, which wins where operators are too small to be shared
        out, and XNNPACK with half of them.  Both compute a model as its file states it, so a
        quantised one names no precision.
        """
        stated = {} if model.quantized else {"precision": "f32"}
        most = limits.threads
        yield Options(stated, threads=most)
        if device.kind != "cpu":
            return
        for threads in dict.fromkeys((most, 1)):
            if threads != most:
                yield Options(stated, threads=threads)
            yield Options(stated, threads=threads, kernels="builtin")
        if most >= 4:
            yield Options(stated, threads=most // 2)

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
        """Several packages with the same interpreter; EdgeTPUs that can not be used, and why."""
        return findings(vendor.installed(), root=self._root, fault=self._fault)

    def _working(self) -> list[edgetpu.Coral]:
        library = edgetpu.library(self._root)
        if library is None:
            return []
        return [
            coral
            for coral in edgetpu.attached(self._root)
            if coral.may_be_opened and self._fault(coral, library) is None
        ]

    def _fault(self, coral: edgetpu.Coral, library: Path) -> str | None:
        """Why the EdgeTPU does not work, tried once for each build of the library."""
        key = (coral.identity, library, library.stat().st_mtime_ns)
        if key not in self._faults:
            self._faults[key] = edgetpu.fault(coral, library)
        return self._faults[key]

    def _coral(self, device: Device) -> edgetpu.Coral | None:
        """The EdgeTPU that this device is; None for the CPU."""
        if device.id == "cpu:0":
            return None
        for coral in edgetpu.attached(self._root) if device.kind == edgetpu.KIND else ():
            if coral.index == device.index:
                return coral
        raise UnsupportedModel(
            f"litert has no device {device.id!r} here",
            hint="`hwrt doctor` lists the devices, and what keeps an EdgeTPU from being one",
        )

    def _delegate(
        self, module: vendor.Vendor, coral: edgetpu.Coral, model: ModelInfo
    ) -> Callable[[], Any]:
        """What makes the EdgeTPU's delegate, tried with this model in a child process before."""
        library = edgetpu.library(self._root)
        if library is None:
            raise UnsupportedModel(
                f"{coral.device.id} needs libedgetpu, which is not installed",
                hint=edgetpu.ANOTHER_BUILD,
            )
        if reason := edgetpu.fault(coral, library, model=model.path):
            raise BackendFailure(
                f"litert can not run {model.path} on {coral.device.id}: {reason}", hint=mend(reason)
            )
        return partial(edgetpu.opened, coral, library, module.load_delegate)


class LiteRtModel(CompiledModel):
    """The bytes of a file; each request has an interpreter, and so all its memory, of its own."""

    def __init__(
        self,
        graph: Graph,
        model: ModelInfo,
        device: Device,
        outputs: tuple[TensorSpec, ...],
        request_bytes: int,
    ) -> None:
        self._graph: Graph | None = graph
        self.inputs = tuple(port.spec for port in graph.inputs.values())
        self.outputs = outputs
        self.precision = _precision(model)
        self.placement = _placement(model, device)
        self.max_requests = requests_that_fit(
            request_bytes, available_bytes(), len(os.sched_getaffinity(0))
        )
        if device.kind == edgetpu.KIND or not _STATEFUL.isdisjoint(model.operators):
            self.max_requests = 1

    def create_request(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> LiteRtRequest:
        """A request over an interpreter of its own."""
        graph = self._graph  # another thread may close this model meanwhile
        if graph is None:
            raise SessionError("this compiled model is closed", hint="compile it again")
        return LiteRtRequest(graph, shapes or {})

    def close(self) -> None:
        self._graph = None


def _precision(model: ModelInfo) -> str:
    return "int8" if model.quantized else "f32"


def _check(model: ModelInfo, device: Device, options: Options) -> None:
    if device.kind == edgetpu.KIND and edgetpu.OPERATOR not in model.operators:
        raise UnsupportedModel(
            f"{model.path} was not compiled for an EdgeTPU",
            hint="edgetpu_compiler MODEL.tflite makes MODEL_edgetpu.tflite of a full int8 model",
        )
    if device.kind == "cpu" and edgetpu.OPERATOR in model.operators:
        raise UnsupportedModel(
            f"{model.path} was compiled for an EdgeTPU, and the CPU can not run it",
            hint="load the file that edgetpu_compiler was given, or connect an EdgeTPU",
        )
    if unknown := sorted(set(options) - _KNOWN):
        raise InputError(
            f"litert has no option {unknown[0]!r}", hint=f"it has {', '.join(sorted(_KNOWN))}"
        )
    if options.precision not in (None, _precision(model)):
        raise UnsupportedModel(
            f"litert runs {model.path.name} in {_precision(model)}, not {options.precision!r}",
            hint="a file's precision is chosen when it is converted",
        )
    if (options.threads or 1) > _MOST_THREADS:
        raise InputError(
            f"threads is {options.threads}", hint=f"litert takes at most {_MOST_THREADS}"
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


def _delegated(make: Callable[..., Any], delegate: Callable[[], Any]) -> Any:
    """An interpreter with a delegate of its own."""
    return make(experimental_delegates=[delegate()])


def _placement(model: ModelInfo, device: Device) -> Placement:
    """An EdgeTPU's operators run there or not at all; those beside them on the CPU."""
    mapped = model.operators.get(edgetpu.OPERATOR, 0)
    on_cpu = sum(model.operators.values()) - mapped
    if device.kind == "cpu":
        return Placement({device.id: on_cpu})
    return Placement({device.id: mapped, **({"cpu:0": on_cpu} if on_cpu else {})})


def _build(library: Path) -> str:
    made = library.stat()
    return f"{library.name} {made.st_size} {made.st_mtime_ns}"


def _try(graph: Graph, model: ModelInfo) -> tuple[TensorSpec, ...]:
    """Lay out the spare interpreter, so that faults show; the outputs' specs, shapes as known."""
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
    if not graph.stays or not all(port.spec.is_fixed for port in graph.inputs.values()):
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
