"""ONNX's own backend interface over hwrt: any backend of hwrt under ONNX's own backend tests.

    onnx.backend.test.BackendTest(hwrt.onnx_backend.backend_named(NAME), __name__)

The model is compiled in this process with plain f32 options: nothing is tuned, tried in a child
process or cached.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from onnx.backend.base import Backend, BackendRep, namedtupledict

from hwrt import model as models
from hwrt import registry
from hwrt.backend import Array
from hwrt.errors import InputError, UnsupportedModel
from hwrt.machine.limits import allowed_threads
from hwrt.session import Session
from hwrt.spec import OptionValue
from hwrt.tuning.given import device_of, plan_of_options
from hwrt.tuning.wish import Wish

if TYPE_CHECKING:
    import onnx

__all__ = ["OnnxBackend", "PreparedModel", "backend_named"]


class PreparedModel(BackendRep):  # type: ignore[misc]  # onnx is not followed by mypy
    """A model that is ready to run: a session whose feeds and outputs are told by their order.

    Any thread may run it, also at the same time.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._inputs = [spec.name for spec in session.info.inputs]
        self._outputs = [spec.name for spec in session.info.outputs]

    def run(self, inputs: Sequence[Array] | Array, **kwargs: Any) -> tuple[Array, ...]:
        """The outputs in the file's order, also by name: ``outputs["y"]``.

        ``inputs`` are the model's inputs in the file's order, those with a stored value left out;
        a model with one input takes the array itself too.  Raises InputError for other feeds.
        """
        arrays: list[Any] = [*inputs] if isinstance(inputs, list | tuple) else [inputs]
        if len(arrays) != len(self._inputs):
            raise InputError(
                f"the model has {len(self._inputs)} inputs, {len(arrays)} arrays were given",
                hint=f"give {', '.join(map(str, self.session.info.inputs)) or 'an empty list'}",
            )
        found = self.session.run(dict(zip(self._inputs, arrays, strict=True)))
        outputs: tuple[Array, ...] = namedtupledict("Outputs", self._outputs)(
            *(found[name] for name in self._outputs)
        )
        return outputs


class OnnxBackend(Backend):  # type: ignore[misc]  # as above
    """One backend of hwrt as ONNX's tests want it; ``backend_named`` makes it.

    ONNX calls devices "CPU", "CUDA" and "CUDA:1".
    """

    backend: ClassVar[str]
    """The name of hwrt's backend."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """True when the backend has this device on this machine.

        Raises BackendUnavailable where it has none at all.
        """
        devices = registry.backend(cls.backend).devices()
        return any(own.matches(device.lower()) for own in devices)

    @classmethod
    def is_compatible(
        cls,
        model: onnx.ModelProto,  # noqa: ARG003 - ONNX's signature, as below
        device: str = "CPU",
        **kwargs: Any,  # noqa: ARG003
    ) -> bool:
        """True when the device is there; whether the model runs on it, ``prepare`` finds out."""
        return cls.supports_device(device)

    @classmethod
    def prepare(
        cls,
        model: onnx.ModelProto,
        device: str = "CPU",
        *,
        options: Mapping[str, OptionValue] | None = None,
    ) -> PreparedModel:
        """The model, compiled for the device with the options, which are plain f32 by default.

        Raises ModelError for a malformed model and UnsupportedModel for one that the backend can
        not run, with sequences, maps or optional values among its inputs and outputs, say.
        """
        with tempfile.TemporaryDirectory(prefix="hwrt-onnx-") as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(model.SerializeToString())
            info = models.read(path)
            wish = Wish(threads=allowed_threads(), backends=(cls.backend,), device=device.lower())
            plan = plan_of_options(info, wish, {"precision": "f32", **(options or {})})
            compiled = registry.backend(cls.backend).compile(
                info, device_of(cls.backend, plan.device), options=plan.options
            )
        return PreparedModel(Session(compiled, plan, info))

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Array, ...]:
        """The outputs of ``prepare(model, device, ...).run(inputs)``."""
        prepared = cls.prepare(model, device, **kwargs)
        try:
            return prepared.run(inputs)
        finally:
            prepared.session.close()

    @classmethod
    def run_node(cls, node: onnx.NodeProto, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG003
        """Not there: a node does not say which operator set it is of."""
        raise UnsupportedModel(
            f"hwrt runs models, not the single node {node.op_type!r}",
            hint="put it into a model with onnx.helper.make_model and call run_model",
        )


def backend_named(name: str) -> type[OnnxBackend]:
    """The class that runs models on hwrt's backend of this name.

    Raises InputError for a name that is not installed, BackendUnavailable where it can not be used.
    """
    registry.backend(name).stamp()
    return type(f"OnnxBackend[{name}]", (OnnxBackend,), {"backend": name})
