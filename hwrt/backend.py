"""The contract between hwrt and a vendor runtime: the only hwrt module that a plugin imports.

A plugin is a class derived from Backend, named in the entry-point group ``hwrt.backends``.  It is
imported when it is first asked for, and imports its vendor runtime inside functions only.

What may be raised across this border: BackendUnavailable (the vendor is absent), UnsupportedModel
(it works, but not with this model, device or option), BackendFailure (it is broken), InputError
(a feed or shape is wrong).  Everything else that a vendor raises is translated with ``raise ...
from``.  A method marked ``(optional)`` may be left as it is here.
"""

from __future__ import annotations

import functools
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from hwrt.arrays import host_array
from hwrt.errors import (
    BackendFailure,
    BackendUnavailable,
    HwrtError,
    InputError,
    ModelError,
    SessionError,
    UnsupportedModel,
)
from hwrt.files import intact, publish, temporary_beside
from hwrt.memory import empty_aligned
from hwrt.packing import element_bits, pack_elements, unpack_elements
from hwrt.spec import (
    Device,
    Finding,
    Limits,
    ModelInfo,
    ModelVariant,
    Options,
    OptionValue,
    Placement,
    Preprocess,
    Progress,
    Quantization,
    Range,
    Shapes,
    Signature,
    TensorSpec,
)

__all__ = [
    "API_VERSION",
    "Array",
    "Backend",
    "BackendFailure",
    "BackendUnavailable",
    "CompiledModel",
    "Device",
    "Finding",
    "HwrtError",
    "InputError",
    "Limits",
    "ModelError",
    "ModelInfo",
    "ModelVariant",
    "OptionValue",
    "Options",
    "Placement",
    "Preprocess",
    "Progress",
    "Quantization",
    "Range",
    "Request",
    "SessionError",
    "Shapes",
    "Signature",
    "TensorSpec",
    "UnsupportedModel",
    "element_bits",
    "empty_aligned",
    "intact",
    "pack_elements",
    "publish",
    "temporary_beside",
    "unpack_elements",
]

API_VERSION = 1
"""The version of this contract.  A plugin states the number it was written for as a literal."""

Array = NDArray[Any]


class Backend(ABC):
    """A vendor runtime.

    An instance holds no vendor state that a ``fork`` would break before ``compile`` is called.
    All methods may be called from any thread, also at the same time.
    """

    name: ClassVar[str]
    """The name users type: lower case, the vendor's own (``onnxruntime``)."""

    formats: ClassVar[frozenset[str]]
    """The model formats that ``compile`` reads."""

    api_version: ClassVar[int]
    """The API_VERSION this plugin was written for, as a literal: an inherited or imported value
    would always match and so say nothing."""

    @abstractmethod
    def stamp(self) -> str:
        """Versions of runtime and driver, as they enter a plan's key.

        Imports no vendor module and takes less than 2 ms.  Raises BackendUnavailable when the
        runtime is not installed.
        """

    @abstractmethod
    def devices(self) -> Sequence[Device]:
        """Devices usable at this moment, the order being the vendor's.

        Raises BackendUnavailable, saying why and how to mend it, when there is none.
        """

    @abstractmethod
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
        """Make the model ready to run on the device.

        ``options`` are met exactly or refused with UnsupportedModel (a value this vendor can not
        give) or InputError (a key it does not know).  ``shapes`` fixes or bounds dynamic
        dimensions.  ``preprocess`` may be fused into the engine: ``CompiledModel.preprocess`` says
        whether it was.  Files are written below ``cache_dir`` only, and none where it is None.
        ``progress`` is told how far the build is; a False from it cancels with BackendFailure.
        """

    def candidates(self, model: ModelInfo, device: Device, limits: Limits) -> Iterable[Options]:
        """(optional) Options worth measuring on this device, a dozen at most, the default first."""
        return (Options(precision="f32", threads=limits.threads),)

    def reference(self, model: ModelInfo, device: Device) -> Options | None:
        """(optional) Options of a plain f32 run, fit to judge other candidates; None: not fit."""
        return None

    def variants(
        self, model: ModelInfo, samples: Iterable[Mapping[str, Array]], cache_dir: Path
    ) -> Iterable[ModelVariant]:
        """(optional) Other forms of the model, made by the vendor's own tools from samples."""
        return ()

    def diagnose(self) -> Iterable[Finding]:
        """(optional) Known faults of this vendor's installation found on this machine."""
        return ()


class CompiledModel(ABC):
    """A model that is ready on one device.  Any thread may use it, also at the same time."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    placement: Placement
    """What really runs where: never what was merely asked for."""
    precision: str
    """The precision that was built: never what was merely asked for."""
    max_requests: int | None = None
    """Requests beyond this number gain nothing or do not fit; None where there is no bound."""
    artefact: Path | None = None
    """The file that another process loads to get this very engine, where the vendor has one."""
    preprocess: Preprocess | None = None
    """What was fused of the ``preprocess`` given to compile.  Its input then takes uint8 NHWC."""

    @abstractmethod
    def create_request(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Request:
        """A new request for inputs of these shapes.

        A dynamic dimension that ``shapes`` does not give is 1 until the request is resized.
        """

    @abstractmethod
    def close(self) -> None:
        """Give everything back.  Calling it twice is harmless.

        The session closes the requests first.
        """

    def __reduce__(self) -> NoReturn:
        raise SessionError(
            "a compiled model can not be pickled or copied", hint="pickle the session, or its plan"
        )


class Request(ABC):
    """One in-flight inference with its own buffers.

    One thread at a time uses it, but it may be another thread each time.
    """

    inputs: Mapping[str, Array]
    """Host memory that this request owns: fill it, then ``run``."""
    outputs: Mapping[str, Array]
    """The results after ``run``: good until the next run, resize, bind or close.  Read it anew
    after each run unless every shape is fixed.  Arrays may be strided."""
    stream: int | None = None
    """The device stream's handle, where there is one."""
    timings: Mapping[str, float] | None = None
    """Seconds of the last run by device events (``h2d``, ``compute``, ``d2h``), where known."""

    @abstractmethod
    def run(self) -> None:
        """Run the model on ``inputs`` and leave the results in ``outputs``."""

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """(optional) Outputs for these feeds; the caller owns them.

        The feeds are C-contiguous arrays that were checked against the specs.  Their memory is
        read during the call only and need not be copied.  Other names, dtypes and shapes are at
        least an HwrtError, and leave the request usable.  The default copies in, runs and copies
        out.
        """
        inputs = self.inputs
        if feeds.keys() != inputs.keys():
            raise InputError(
                f"the feeds are {', '.join(feeds)}", hint=f"the inputs are {', '.join(inputs)}"
            )
        for name, array in feeds.items():
            if array.dtype != inputs[name].dtype:
                raise InputError(f"the feed {name!r} is {array.dtype}, not {inputs[name].dtype}")
        if any(inputs[name].shape != array.shape for name, array in feeds.items()):
            self.resize({name: array.shape for name, array in feeds.items()})
            inputs = self.inputs
        for name, array in feeds.items():
            np.copyto(inputs[name], array, casting="no")
        self.run()
        return {name: array.copy() for name, array in self.outputs.items()}

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """(optional) Give dynamic inputs other shapes; ``inputs`` and ``outputs`` are new then.

        Raises InputError for a shape that the compiled model can not take; the request is then
        as it was.
        """
        raise InputError(
            f"this request's shapes are fixed and can not become {dict(shapes)}",
            hint="load the model with shapes=, or run it on a backend with dynamic shapes",
        )

    def bind(self, name: str, array: Array | None) -> None:
        """(optional) Use the caller's array as this input or output, without a copy.

        ``array`` must be C-contiguous and of the tensor's dtype and present shape, and must live
        until it is bound anew; None gives the request's own buffer back.  Raises InputError
        otherwise.  Callers may give any host array with ``__dlpack__`` or ``__array_interface__``:
        an override gets a NumPy array over its memory.
        """
        raise InputError(
            f"this backend can not use another array as {name!r}",
            hint="copy into request.inputs and out of request.outputs",
        )

    def start(self) -> None:
        """(optional) Begin a run and return at once; ``wait`` ends it.

        Until then the request is the run's: another start, ``run``, ``infer``, ``resize`` and
        ``bind`` raise InputError, ``inputs`` must not be written, and ``outputs`` hold nothing to
        be read.  A request that is closed, or dropped, ends its run first.
        """
        if self._pending is not None:
            raise _running()
        with _start_lock:
            if self._worker is None:
                self._worker = ThreadPoolExecutor(1, thread_name_prefix="hwrt-request")
        threads = self._threads = set[int]()

        def run() -> None:
            threads.add(threading.get_ident())
            self.run()

        # Attributes of the instance hide methods of the class; a plugin may have done so itself.
        self._hidden = {name: vars(self)[name] for name in _OF_THE_RUN if name in vars(self)}
        for name in _OF_THE_RUN:
            vars(self)[name] = _guarded(self, name, self._hidden.get(name), threads)
        try:
            self._pending = self._worker.submit(run)
        except RuntimeError as exc:
            self._unguard()
            raise SessionError(f"the run can not be started: {exc}") from exc

    def wait(self, timeout_s: float | None = None) -> bool:
        """(optional) True when the started run is done, or there is none; False after the time-out.

        After False call it again.  False at once in the run's own thread.  Raises what it raised.
        """
        if self._pending is None:
            return True
        own = threading.get_ident() in self._threads  # garbage collection may end who waits there
        if not wait_for([self._pending], 0 if own else timeout_s).done:
            return False
        pending, self._pending = self._pending, None  # first: a run that failed is told once
        self._unguard()
        pending.result()
        return True

    def close(self) -> None:
        """Give the buffers back.  Calling it twice is harmless.  Extend it, calling this one.

        A started run ends first; what it raises is lost.  Arrays that the caller still holds stay
        readable.
        """
        if self._worker is not None:
            self._worker.shutdown(wait=True)
            self._worker = None
        self.disable("this request is closed", hint="create another one")

    def disable(self, reason: str, *, hint: str | None = None) -> None:
        """Make every later use raise SessionError, at no cost to uses before.

        Not to be overridden: hwrt calls it on close, and in the child after a fork.
        """

        def refuse(*_: object, **__: object) -> NoReturn:
            raise SessionError(reason, hint=hint)

        # An attribute of the instance hides the method of the class.
        vars(self).update(
            dict.fromkeys(("run", "infer", "resize", "bind", "start", "wait"), refuse)
        )

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "bind" in vars(cls):
            cls.bind = _taking_host_arrays(cls.bind)  # type: ignore[method-assign]

    def __reduce__(self) -> NoReturn:
        raise SessionError(
            "a request can not be pickled or copied",
            hint="pickle the session, and ask it for a request where it is loaded",
        )

    def _unguard(self) -> None:
        for name in _OF_THE_RUN:
            vars(self).pop(name, None)
        vars(self).update(self._hidden)

    _hidden: Mapping[str, Any] = {}
    _pending: Future[None] | None = None
    _threads: Collection[int] = ()
    _worker: ThreadPoolExecutor | None = None


_OF_THE_RUN = ("run", "infer", "resize", "bind")
_start_lock = threading.Lock()


def _running() -> InputError:
    return InputError("this request is running already", hint="call wait() first")


def _guarded(
    request: Request, name: str, own: Callable[..., Any] | None, threads: set[int]
) -> Callable[..., Any]:
    """The method for the threads of a started run, and InputError for all others."""
    method = own or functools.partial(_call, weakref.ref(request), name)

    def call(*arguments: Any, **named: Any) -> Any:
        # Plugins may write one method by means of another.
        if threading.get_ident() not in threads:
            raise _running()
        return method(*arguments, **named)

    return call


def _call(reference: weakref.ref[Request], name: str, /, *arguments: Any, **named: Any) -> Any:
    request: Any = reference()  # the run holds it
    return getattr(type(request), name)(request, *arguments, **named)


def _taking_host_arrays(bind: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(bind)
    def bind_host_array(self: Request, name: str, array: Any) -> None:
        bind(self, name, None if array is None else host_array(array, name))

    return bind_host_array
