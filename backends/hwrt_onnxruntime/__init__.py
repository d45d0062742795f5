"""ONNX Runtime as an hwrt backend: the CPU provider, strictly placed, requests over IOBinding."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from hwrt.backend import (
    Backend,
    BackendFailure,
    BackendUnavailable,
    CompiledModel,
    Device,
    Finding,
    HwrtError,
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
    element_bits,
    intact,
    publish,
    temporary_beside,
)
from hwrt_onnxruntime.diagnosis import findings
from hwrt_onnxruntime.element_types import is_foreign
from hwrt_onnxruntime.foreign_request import ForeignRequest, PackedRequest
from hwrt_onnxruntime.request import BoundRequest, FedRequest, FixedSizes, tensor_spec

_LOG = logging.getLogger("hwrt")
_CPU = "CPUExecutionProvider"
_LEVELS = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}
_KNOWN = frozenset({"precision", "threads", "spinning", "graph_optimization", "arena"})
# In the names of operators that compute in integers, of ONNX and of onnxruntime's own domain.
_INTEGER_WORDS = ("QLinear", "Integer", "MatMulNBits", "DynamicQuantizeMatMul", "QuantizeLSTM")
# An optimised model is one protobuf; those end at 2 GiB.
_LARGEST_CACHED_BYTES = 1 << 30


class OnnxRuntime(Backend):
    """ONNX Runtime.

    Options beside hwrt's own: ``spinning`` (bool, default True: idle threads poll for work about
    50 ms after a run, which is faster and burns CPU), ``graph_optimization`` ("disable", "basic",
    "extended", "all"; default "all") and ``arena`` (bool, default True: freed memory is kept for
    the next run; without it a run takes longer and the process less).
    """

    name: ClassVar[str] = "onnxruntime"
    formats: ClassVar[frozenset[str]] = frozenset({"onnx"})
    api_version: ClassVar[int] = 1

    def stamp(self) -> str:
        """Name and version of the installed distribution, read from its files."""
        folder = _package_folder()
        text = (folder / "__init__.py").read_text(encoding="utf-8")
        build = folder / "capi" / "build_and_package_info.py"
        if build.is_file():
            text += build.read_text(encoding="utf-8")
        name = re.search(r"""^package_name\s*=\s*['"]([^'"]+)""", text, re.MULTILINE)
        version = re.search(r"""^__version__\s*=\s*['"]([^'"]+)""", text, re.MULTILINE)
        return f"{name[1] if name else 'onnxruntime'} {version[1] if version else 'unknown'}"

    def devices(self) -> Sequence[Device]:
        """The CPU, where the module imports."""
        providers = _import().get_available_providers()
        if _CPU not in providers:
            raise BackendUnavailable(
                f"this onnxruntime was built without {_CPU}: it has {providers}",
                hint="pip install --force-reinstall onnxruntime",
            )
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
        """An InferenceSession with the CPU provider alone, so nothing can fall back."""
        ort = _import()
        _check(options, device)
        if progress is not None and not progress(0.0, "onnxruntime: creating the session"):
            raise BackendFailure("the compilation was cancelled")
        try:
            settings = _session_options(ort, options)
            fixed = _fix_dimensions(settings, model, shapes)
        except (TypeError, OverflowError) as exc:  # of pybind11, for what C++ can not hold
            raise InputError(
                f"onnxruntime can not take the options {options} with the shapes {shapes}",
                hint="give smaller numbers",
            ) from exc
        try:
            session, artefact = _create_session(ort, settings, model, cache_dir)
            return OnnxRuntimeModel(session, model, fixed, artefact, _precision(model, options))
        except Exception as exc:  # noqa: BLE001 - onnxruntime's exceptions share no other base
            raise_load_fault(exc, model.path)

    def candidates(self, model: ModelInfo, device: Device, limits: Limits) -> Iterable[Options]:
        """All threads, then what can beat that: no spinning, fewer threads, another layout.

        Spinning threads lose where another process wants the CPUs, and several threads where an
        operator is too small to be shared out.  "extended" leaves out the rewriting to blocked
        layouts, which does not pay for every network; "basic" also the kernels for quantised
        operators, which are slower than floats on some CPUs.
        """
        if device.kind != "cpu":
            return
        most = limits.threads
        counts = [most, *([most // 2] if most >= 4 else []), *([1] if most > 1 else [])]
        first = Options(precision="f32", threads=most)
        yield first
        for count in counts[1:]:
            yield Options(first, threads=count)
        if most > 1:
            yield Options(first, spinning=False)
        for count in dict.fromkeys((most, 1)):
            yield Options(first, threads=count, graph_optimization="extended")
            if limits.objective == "memory":
                yield Options(first, threads=count, arena=False)
        if model.quantized:
            yield Options(first, graph_optimization="basic")

    def reference(self, model: ModelInfo, device: Device) -> Options | None:
        """One thread and basic optimisations only: the plainest run there is."""
        if device.kind != "cpu":
            return None
        return Options(precision="f32", threads=1, graph_optimization="basic")

    def diagnose(self) -> Iterable[Finding]:
        """Two distributions over each other, and a GPU distribution without a working GPU."""
        return findings()


class OnnxRuntimeModel(CompiledModel):
    """A session on the CPU; ``run`` of one session may be called by any number of threads."""

    def __init__(
        self,
        session: Any,
        model: ModelInfo,
        fixed: FixedSizes,
        artefact: Path | None,
        precision: str,
    ) -> None:
        self._session: Any = session
        self.artefact = artefact
        of_file = {spec.name: spec for spec in (*model.inputs, *model.outputs)}
        self.inputs, self.outputs = (
            tuple(tensor_spec(node, fixed, of_file.get(node.name)) for node in nodes)
            for nodes in (session.get_inputs(), session.get_outputs())
        )
        self._bounds = fixed.bounds
        self._kind_of_request = _kind_of_request(self.inputs, self.outputs)
        self.precision = precision
        self.placement = Placement({"cpu:0": _count_operators(session)})

    def create_request(
        self, shapes: Mapping[str, tuple[int, ...]] | None = None
    ) -> BoundRequest | FedRequest:
        """A request over IOBinding; over plain ``run`` where that leaves an output unwritten.

        It can not bind strings, which have no address, nor packed elements, which an array does not
        hold as they are, and never writes an output that is an input.
        """
        if self._session is None:
            raise SessionError("this compiled model is closed", hint="compile it again")
        return self._kind_of_request(
            self._session, self.inputs, self.outputs, shapes or {}, self._bounds, raise_run_fault
        )

    def close(self) -> None:
        self._session = None


def _kind_of_request(
    inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> type[BoundRequest | FedRequest]:
    specs = (*inputs, *outputs)
    foreign = any(is_foreign(spec.dtype) for spec in specs)
    names = {spec.name for spec in specs}
    bindable = len(names) == len(specs) and not any(
        spec.dtype.hasobject or element_bits(spec.dtype) < 8 for spec in specs
    )
    strings = [spec.name for spec in inputs if spec.dtype.hasobject]
    if foreign and strings:
        raise UnsupportedModel(
            f"onnxruntime takes no string ({strings[0]!r}) beside elements that NumPy lacks",
            hint="run it on another backend",
        )
    if foreign:
        return ForeignRequest if bindable else PackedRequest
    return BoundRequest if bindable else FedRequest


def raise_load_fault(exc: BaseException, path: Path) -> NoReturn:
    """Raise the hwrt error for what onnxruntime raised while it made a session."""
    if isinstance(exc, HwrtError):
        raise exc
    kind = type(exc).__name__
    text = f"onnxruntime can not load {path}: {str(exc).strip() or kind}"
    # InvalidArgument is a protobuf without a graph.
    unreadable = ("NoSuchFile", "InvalidProtobuf", "NoModel", "InvalidArgument")
    if kind in unreadable or isinstance(exc, FileNotFoundError):
        raise ModelError(text, hint="check the file with `hwrt inspect`") from exc
    if kind in ("NotImplemented", "InvalidGraph", "Fail"):
        raise UnsupportedModel(text) from exc
    raise BackendFailure(text) from exc


def raise_run_fault(exc: BaseException) -> NoReturn:
    """Raise the hwrt error for what onnxruntime raised in a run."""
    if isinstance(exc, HwrtError):
        raise exc
    kind = type(exc).__name__
    text = f"onnxruntime could not run the model: {str(exc).strip() or kind}"
    if kind in ("InvalidArgument", "ValueError", "TypeError", "UnicodeEncodeError"):
        raise InputError(text) from exc
    raise BackendFailure(text) from exc


def _package_folder() -> Path:
    spec = importlib.util.find_spec("onnxruntime")
    # A folder of that name alone is what uninstalling may leave behind.
    if spec is None or not spec.has_location:
        raise BackendUnavailable("onnxruntime is not installed", hint="pip install onnxruntime")
    return Path(next(iter(spec.submodule_search_locations or ())))


def _import() -> Any:
    _package_folder()
    # Builds from 1.29 on report usage and write below the home folder; the library looks once, when
    # it is loaded.  Whoever wants that sets the variable to 0.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except Exception as exc:
        # Of files of two versions over each other, or a NumPy that it was not built for.
        raise BackendUnavailable(
            f"onnxruntime is installed but does not import: {type(exc).__name__}: {exc}",
            hint="pip install --force-reinstall onnxruntime",
        ) from exc
    return onnxruntime


def _check(options: Options, device: Device) -> None:
    if device.id != "cpu:0":
        raise UnsupportedModel(f"onnxruntime has no device {device.id!r} here, only 'cpu:0'")
    if unknown := sorted(set(options) - _KNOWN):
        raise InputError(
            f"onnxruntime has no option {unknown[0]!r}", hint=f"it has {', '.join(sorted(_KNOWN))}"
        )
    if options.precision not in (None, "f32"):
        raise UnsupportedModel(
            f"onnxruntime's CPU provider has no precision {options.precision!r}",
            hint="it runs the model as the file states it, which is 'f32'",
        )
    level = options.get("graph_optimization", "all")
    if level not in _LEVELS:
        raise InputError(
            f"graph_optimization is {level!r}", hint=f"it is one of {', '.join(_LEVELS)}"
        )
    for key in ("spinning", "arena"):
        if not isinstance(options.get(key, True), bool):
            raise InputError(f"{key} is {options[key]!r}", hint="give True or False")


def _session_options(ort: Any, options: Options) -> Any:
    settings = ort.SessionOptions()
    # 0 would mean a pool that pins threads to CPUs outside this process's affinity mask.
    settings.intra_op_num_threads = options.threads or len(os.sched_getaffinity(0))
    settings.inter_op_num_threads = 1
    level = _LEVELS[str(options.get("graph_optimization", "all"))]
    settings.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
    settings.enable_cpu_mem_arena = bool(options.get("arena", True))
    spinning = "1" if options.get("spinning", True) else "0"
    settings.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    # Unknown entries are ignored by versions that have no such record.
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    settings.log_severity_level = 3
    return settings


def _precision(model: ModelInfo, options: Options) -> str:
    """The precision of the products: "int8" where they run on integer kernels.

    Those are the file's own, and from the level "extended" on those that take the place of a float
    operator between DequantizeLinear and QuantizeLinear.
    """
    if any(word in name for name in model.operators for word in _INTEGER_WORDS):
        return "int8"
    fuses = options.get("graph_optimization", "all") in ("extended", "all")
    return "int8" if fuses and "QuantizeLinear" in model.operators else "f32"


def _fix_dimensions(settings: Any, model: ModelInfo, shapes: Shapes | None) -> FixedSizes:
    """Override the named dimensions that ``shapes`` fixes."""
    by_input: dict[str, tuple[int | None, ...]] = {}
    by_dimension: dict[str, int] = {}
    specs = {spec.name: spec for spec in model.inputs}
    for name, shape in (shapes or {}).items():
        if name not in specs:
            raise InputError(f"shapes names {name!r}", hint=f"the inputs are {', '.join(specs)}")
        sizes = specs[name].bounded(shape).shape or ()
        for size, label in zip(sizes, specs[name].dim_names or (), strict=False):
            if size is None or label is None:
                continue
            if by_dimension.setdefault(label, size) != size:
                raise InputError(
                    f"shapes gives the dimension {label!r} both {by_dimension[label]} and {size}",
                    hint="inputs that share a dimension need one size for it",
                )
        by_input[name] = sizes
    for label, size in by_dimension.items():
        settings.add_free_dimension_override_by_name(label, size)
    return FixedSizes(by_input, by_dimension, shapes or {})


def _create_session(
    ort: Any, settings: Any, model: ModelInfo, cache_dir: Path | None
) -> tuple[Any, Path | None]:
    """A session, from the optimised copy in ``cache_dir`` where that is intact; and that copy."""
    # A copy of a model with external data would look for that beside itself.
    if cache_dir is None or model.external_files or model.size_bytes > _LARGEST_CACHED_BYTES:
        return ort.InferenceSession(str(model.path), settings, providers=[_CPU]), None
    optimised = cache_dir / "optimised.onnx"
    if intact(optimised):
        level = settings.graph_optimization_level
        settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            return ort.InferenceSession(str(optimised), settings, providers=[_CPU]), optimised
        except Exception as exc:  # noqa: BLE001 - onnxruntime's exceptions share no other base
            _LOG.warning("onnxruntime refuses %s, which is made anew: %s", optimised, exc)
        settings.graph_optimization_level = level
    try:
        with temporary_beside(optimised) as temporary:
            settings.optimized_model_filepath = str(temporary)
            session = ort.InferenceSession(str(model.path), settings, providers=[_CPU])
            publish(temporary, optimised)
        return session, optimised
    except Exception as exc:  # noqa: BLE001 - a full disk is an InvalidProtobuf to onnxruntime
        settings.optimized_model_filepath = ""
        session = ort.InferenceSession(str(model.path), settings, providers=[_CPU])
        _LOG.warning("onnxruntime could not keep %s: %s", optimised, exc)
        return session, None


def _count_operators(session: Any) -> int | None:
    graphs = getattr(session, "get_provider_graph_assignment_info", lambda: ())()
    return sum(len(graph.get_nodes()) for graph in graphs) or None
