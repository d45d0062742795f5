"""OpenVINO as an hwrt backend: CPU, and GPU and NPU where present, precision always explicit."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hwrt.backend import (
    Backend,
    BackendFailure,
    BackendUnavailable,
    CompiledModel,
    Device,
    Finding,
    InputError,
    Limits,
    ModelInfo,
    Options,
    Placement,
    Preprocess,
    Progress,
    Range,
    SessionError,
    Shapes,
    TensorSpec,
    UnsupportedModel,
)
from hwrt_openvino.blob import export_blob, import_blob
from hwrt_openvino.diagnosis import findings
from hwrt_openvino.faults import raise_translated
from hwrt_openvino.packed_request import PackedRequest
from hwrt_openvino.ports import is_packed, known_name, ports_of, with_dropped, with_shared
from hwrt_openvino.precision import (
    built_precision,
    built_precisions,
    has_integer_form,
    precision_properties,
    serves,
    wanted_precision,
)
from hwrt_openvino.preprocess import fuse
from hwrt_openvino.reading import read_network
from hwrt_openvino.request import OpenVinoRequest
from hwrt_openvino.running import loses_errors, operator_kind
from hwrt_openvino.search_space import search_space

_LOG = logging.getLogger("hwrt")
_NOT_RUN = ("Input", "Output", "Const")
_KINDS = {"CPU": "cpu", "GPU": "gpu", "NPU": "npu"}


class OpenVino(Backend):
    """OpenVINO.

    ``precision`` is "f32" unless asked otherwise: OpenVINO's own default is the fastest the device
    has (bf16 on many CPUs; integer kernels for a quantised model, which is "int8" here).  Options
    in capitals are OpenVINO's own properties, passed as they are; CACHE_DIR is not among them.  The
    CPU plugin computes float64 in float32, and integers of 64 bits in int32 (before 2025.4 uint32
    too).  Quantised TFLite files need 2025.1, as versions before misread them.
    """

    name: ClassVar[str] = "openvino"
    formats: ClassVar[frozenset[str]] = frozenset({"onnx", "openvino-ir", "tflite"})
    api_version: ClassVar[int] = 1

    def stamp(self) -> str:
        """The version in the name of the wheel's metadata folder; else what tells builds apart."""
        folder = _package_folder()
        for metadata in folder.parent.glob("openvino-*.dist-info"):
            return metadata.name.removesuffix(".dist-info").replace("-", " ", 1)
        library = next(iter(sorted(folder.glob("_pyopenvino*.so"))), folder / "__init__.py").stat()
        return f"openvino unversioned {library.st_size} {library.st_mtime_ns}"

    def devices(self) -> Sequence[Device]:
        """What the plugins find: CPU, GPU.N, NPU; never the virtual ones, which may fall back.

        A device that does not even tell what it is, is left out with a warning.
        """
        core = _core()
        found, faults = [], []
        for name in core.available_devices:
            kind, _, index = name.partition(".")
            if kind not in _KINDS:
                continue
            try:
                found.append(_device(core, name, _KINDS[kind], int(index or 0)))
            except RuntimeError as exc:  # of a broken driver, which must not hide the others
                faults.append(f"{name} is broken: {' '.join(str(exc).split())}")
                _LOG.warning("openvino lists %s, which can not be used: %s", name, exc)
        if not found:
            why = "; ".join(faults) or f"it lists {core.available_devices}"
            raise BackendUnavailable(
                f"openvino finds no device it can use: {why}",
                hint="pip install --force-reinstall openvino",
            )
        return tuple(found)

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
        """The compiled model, from the blob in ``cache_dir`` where that is intact."""
        core = _core()
        blob = cache_dir / "compiled.blob" if cache_dir else None
        try:
            name = _vendor_name(core, device)
            properties = _properties(core, name, model, options)
            _refuse_strings(model)
            if progress is not None and not progress(0.0, f"openvino: compiling for {device}"):
                raise BackendFailure("the compilation was cancelled")
            compiled = import_blob(core, blob, name, properties)
            kept = compiled is not None
            if compiled is None:
                network = read_network(core, model)
                _reshape(network, model, shapes)
                if preprocess is not None:
                    network = fuse(network, model, preprocess)
                compiled = core.compile_model(network, name, properties)
                kept = export_blob(core, compiled, blob, name)
            made = OpenVinoModel(compiled, model, device, shapes, preprocess)
        except Exception as exc:  # noqa: BLE001 - openvino raises RuntimeError for everything
            raise_translated(exc, f"openvino can not compile {model.path}")
        made.artefact = blob if kept else None
        wanted = wanted_precision(options)
        if not serves(made.precision, wanted):
            raise UnsupportedModel(
                f"openvino built precision {made.precision} on {device}, not {wanted}",
                hint=f"ask for precision={made.precision!r}",
            )
        return made

    def candidates(self, model: ModelInfo, device: Device, limits: Limits) -> Iterable[Options]:
        """The f32 default, then the reduced precisions that the device computes itself.

        Each with the threads and streams that may serve the objective.
        """
        core = _core()
        try:
            name = _vendor_name(core, device)
            precisions = built_precisions(core, name)
            properties = core.get_property(name, "SUPPORTED_PROPERTIES")
        except RuntimeError as exc:
            raise_translated(exc, f"openvino does not tell what {device} computes")
        if "f32" in precisions and has_integer_form(model):
            precisions.insert(precisions.index("f32") + 1, "int8")
        return search_space(device, limits, precisions, properties)

    def reference(self, model: ModelInfo, device: Device) -> Options | None:
        """One f32 stream with one thread on the CPU; no GPU or NPU is fit to judge."""
        return Options(precision="f32", threads=1) if device.kind == "cpu" else None

    def diagnose(self) -> Iterable[Finding]:
        """Intel GPUs and NPUs that are in the machine but not in OpenVINO's list."""
        return findings(_core().available_devices)


class OpenVinoModel(CompiledModel):
    """A compiled model; its requests are OpenVINO's infer requests."""

    def __init__(
        self,
        compiled: Any,
        model: ModelInfo,
        device: Device,
        shapes: Shapes | None,
        preprocess: Preprocess | None,
    ) -> None:
        self._compiled: Any = compiled
        of_file = _fixed_specs(model, shapes)
        self._input_ports = with_dropped(ports_of(compiled.inputs, of_file), of_file)
        merged = [port.spec.name for port in self._input_ports if port.place is None]
        if merged and model.format == "tflite":
            # There it keeps what no output depends on, and takes tensors of one name for one.
            raise UnsupportedModel(
                f"openvino takes the input {merged[0]!r} of {model.path} for another of its name",
                hint="run it on another backend, or give its tensors names of their own",
            )
        self._output_ports = with_shared(ports_of(compiled.outputs, model.outputs), model.outputs)
        self.inputs = tuple(port.spec for port in self._input_ports)
        self.outputs = tuple(port.spec for port in self._output_ports)
        self.precision = built_precision(compiled)
        self.placement = _placement(compiled, device)
        self.max_requests = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.preprocess = preprocess
        self._tell = loses_errors(compiled)

    def create_request(
        self, shapes: Mapping[str, tuple[int, ...]] | None = None
    ) -> OpenVinoRequest | PackedRequest:
        """A request over an infer request of its own.

        It can not bind anything where a tensor's elements are packed, which no array holds as they
        are.
        """
        if self._compiled is None:
            raise SessionError("this compiled model is closed", hint="compile it again")
        try:
            request = self._compiled.create_infer_request()
        except RuntimeError as exc:
            raise_translated(exc, "openvino can not create a request")
        arguments = (request, self._input_ports, self._output_ports, shapes or {}, raise_translated)
        if any(map(is_packed, (*self._input_ports, *self._output_ports))):
            return PackedRequest(*arguments)
        return OpenVinoRequest(*arguments, tell=self._tell)

    def close(self) -> None:
        self._compiled = None


_lock = threading.Lock()
_the_core: Any = None


def _core() -> Any:
    """The one Core of this process, which is thread-safe and holds the loaded plugins."""
    global _the_core
    with _lock:
        if _the_core is None:
            _package_folder()
            try:
                with _without_telemetry():
                    from openvino import Core
                _the_core = Core()
            except Exception as exc:
                raise BackendUnavailable(
                    f"openvino is installed but does not start: {type(exc).__name__}: {exc}",
                    hint="pip install --force-reinstall openvino",
                ) from exc
        return _the_core


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """Let openvino's import find no openvino_telemetry, for which it has a stand-in of its own.

    With it each import reports to a server and writes below the home folder.
    """
    if "openvino_telemetry" in sys.modules:
        yield
        return
    # Python's own sign for "not to be imported".
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["openvino_telemetry"]


_of_parents: list[Any] = []


def _forget_core() -> None:
    # A Core inherited over a fork lacks its threads: it must not be used, and its destructor, which
    # would wait for them, must not run.
    global _the_core, _lock
    _of_parents.append(_the_core)
    _the_core, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_core)


def _package_folder() -> Path:
    spec = importlib.util.find_spec("openvino")
    # A folder of that name alone is what uninstalling may leave behind.
    if spec is None or not spec.has_location:
        raise BackendUnavailable("openvino is not installed", hint="pip install openvino")
    return Path(next(iter(spec.submodule_search_locations or ())))


def _device(core: Any, name: str, kind: str, index: int) -> Device:
    supported = core.get_property(name, "SUPPORTED_PROPERTIES")

    def read(key: str) -> Any:
        return core.get_property(name, key) if key in supported else None

    memory = read("GPU_DEVICE_TOTAL_MEM_SIZE")
    return Device(
        kind,
        index,
        name=str(read("FULL_DEVICE_NAME") or name).strip(),
        identity=str(read("DEVICE_UUID") or ""),
        memory_bytes=int(memory) if memory else None,
    )


def _vendor_name(core: Any, device: Device) -> str:
    kind = device.kind.upper()
    available = core.available_devices
    for name in (f"{kind}.{device.index}", kind if device.index == 0 else ""):
        if name in available:
            return name
    raise UnsupportedModel(f"openvino has no device {device.id!r} here: it lists {available}")


def _properties(core: Any, name: str, model: ModelInfo, options: Options) -> dict[str, Any]:
    properties = precision_properties(core, name, model, options)
    for key, same in (("threads", "INFERENCE_NUM_THREADS"), ("streams", "NUM_STREAMS")):
        if key in options and same in options:
            raise InputError(f"the options give both {key} and {same}", hint="give one of them")
    if "CACHE_DIR" in options:
        raise InputError("CACHE_DIR is not an option: hwrt has a cache", hint="load(cache=...)")
    for key, value in options.items():
        if key == "threads":
            properties["INFERENCE_NUM_THREADS"] = value
        elif key == "streams":
            properties["NUM_STREAMS"] = value
        elif key.isupper():
            properties[key] = value
        elif key != "precision":
            raise InputError(
                f"openvino has no option {key!r}",
                hint="it has precision, threads, streams, and its properties in capitals",
            )
    return properties


def _fixed_specs(model: ModelInfo, shapes: Shapes | None) -> tuple[TensorSpec, ...]:
    """The file's inputs, with the sizes that ``shapes`` fixes."""
    return tuple(
        spec.bounded(shapes[spec.name]) if shapes and spec.name in shapes else spec
        for spec in model.inputs
    )


def _refuse_strings(model: ModelInfo) -> None:
    for spec in (*model.inputs, *model.outputs):
        if spec.dtype.hasobject:
            raise UnsupportedModel(
                f"hwrt passes no string tensor ({spec.name!r}) to openvino",
                hint="run it on another backend",
            )


def _reshape(network: Any, model: ModelInfo, shapes: Shapes | None) -> None:
    if not shapes:
        return
    from openvino import Dimension, PartialShape

    specs = {spec.name: spec for spec in model.inputs}
    for name, shape in shapes.items():
        if name not in specs:
            raise InputError(f"shapes names {name!r}", hint=f"the inputs are {', '.join(specs)}")
        specs[name].bounded(shape)
    network.reshape(
        {
            known_name(network, specs[name]): PartialShape(
                [
                    Dimension(size.min, size.max) if isinstance(size, Range) else Dimension(size)
                    for size in shape
                ]
            )
            for name, shape in shapes.items()
        }
    )


def _placement(compiled: Any, device: Device) -> Placement:
    used = compiled.get_property("EXECUTION_DEVICES")
    kinds = [operator_kind(op) for op in compiled.get_runtime_model().get_ops()]
    operators = None if None in kinds else sum(kind not in _NOT_RUN for kind in kinds)
    ids = []
    for name in used:
        kind, _, index = name.strip("()").partition(".")
        ids.append(f"{_KINDS.get(kind, kind.lower())}:{int(index or device.index)}")
    counts: tuple[int | None, ...] = (operators,) if len(ids) == 1 else (None,) * len(ids)
    return Placement(dict(zip(ids, counts, strict=True)))
