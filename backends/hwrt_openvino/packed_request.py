"""Requests for models in which OpenVINO holds two elements in a byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwrt.backend import (
    Array,
    InputError,
    Request,
    empty_aligned,
    pack_elements,
    unpack_elements,
)
from hwrt_openvino.ports import Port, is_packed
from hwrt_openvino.request import CLOSED, Translate, wanted_shapes
from hwrt_openvino.running import infer_and_tell


class PackedRequest(Request):
    """A request that packs its inputs and unpacks its outputs in each run, and so copies both."""

    def __init__(
        self,
        request: Any,
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        shapes: Mapping[str, tuple[int, ...]],
        translate: Translate,
    ) -> None:
        self._request = request
        self._translate = translate
        self._inputs = {port.spec.name: port for port in inputs}
        self._outputs = {port.spec.name: port for port in outputs}
        self._lent: list[Array] = []
        self.inputs: dict[str, Array] = {}
        self.outputs: dict[str, Array] = {}
        self.resize(shapes)

    def run(self) -> None:
        self.outputs = self.infer(self.inputs)

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self._check(feeds)
        # OpenVINO's tensors keep nothing alive, so each run sets every one anew.
        self._lent = []
        try:
            for name, array in feeds.items():
                port = self._inputs[name]
                if port.place is not None:
                    self._request.set_input_tensor(port.place, self._tensor(port, array))
            infer_and_tell(self._request)
            return {name: self._copy(port) for name, port in self._outputs.items()}
        except RuntimeError as exc:
            self._translate(exc, "openvino could not run the model")

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        present = {name: array.shape for name, array in self.inputs.items()}
        wanted = wanted_shapes((port.spec for port in self._inputs.values()), present | {**shapes})
        arrays = dict(self.inputs)
        for name, shape in wanted.items():
            if name not in arrays or arrays[name].shape != shape:
                arrays[name] = empty_aligned(shape, self._inputs[name].spec.dtype)
                arrays[name].fill(0)
        self.inputs = arrays

    def close(self) -> None:
        super().close()
        self._request = CLOSED

    def _check(self, feeds: Mapping[str, Array]) -> None:
        if feeds.keys() != self._inputs.keys():
            raise InputError(
                f"the feeds are {', '.join(feeds) or 'none'}",
                hint=f"the inputs are {', '.join(self._inputs)}",
            )
        for name, array in feeds.items():
            spec = self._inputs[name].spec
            if array.dtype != spec.dtype or not spec.accepts(array.shape):
                raise InputError(
                    f"the feed {name!r} is {array.dtype} of shape {array.shape}",
                    hint=f"the input is {spec}",
                )

    def _tensor(self, port: Port, array: Array) -> Any:
        from openvino import Shape, Tensor

        data = array.copy()
        if is_packed(port):
            data = pack_elements(array)
        elif port.is_foreign:
            data = data.view(np.dtype(f"u{array.itemsize}"))
        self._lent.append(data)
        return Tensor(data, Shape(array.shape), port.type)

    def _copy(self, port: Port) -> Array:
        tensor = self._request.get_output_tensor(port.place)
        data: Array = tensor.data
        if is_packed(port):
            return unpack_elements(data.view(np.uint8), tuple(tensor.shape), port.spec.dtype)
        copy: Array = (data.view(port.spec.dtype) if port.is_foreign else data).copy()
        return copy
