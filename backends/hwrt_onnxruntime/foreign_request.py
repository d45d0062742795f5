"""Requests for models with element types that NumPy lacks: bf16, f8, and packed integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwrt.backend import Array, InputError
from hwrt_onnxruntime.element_types import array_of, is_foreign, value_of
from hwrt_onnxruntime.request import BoundRequest, FedRequest, SessionRequest

__all__ = ["ForeignRequest", "PackedRequest"]


class _ValueRequest(SessionRequest):
    """Replaces the session's own run, which takes NumPy's element types alone."""

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        try:
            values = {name: value_of(array) for name, array in feeds.items()}
            outputs = self._session.run_with_ort_values(self._output_names, values)
            return {
                name: self._copy(name, value)
                for name, value in zip(self._output_names, outputs, strict=True)
            }
        except Exception as exc:  # noqa: BLE001 - onnxruntime's exceptions share no other base
            self._raise_fault(exc)

    def _copy(self, name: str, value: Any) -> Array:
        """The output as an array of the caller's own, as onnxruntime's plain run gives it.

        The value may be a feed itself, or memory of the session (a stored tensor).
        """
        dtype = self._output_specs[name].dtype
        array: Array = value.numpy() if dtype.hasobject else array_of(value, dtype).copy()
        return array


class ForeignRequest(_ValueRequest, BoundRequest):
    """A bound request in which a tensor is bf16 or f8: bound by address as any other."""

    def _view(self, name: str, value: Any) -> Array:
        dtype = self._output_specs[name].dtype
        if not is_foreign(dtype):
            return super()._view(name, value)
        if not value.has_value():
            raise InputError(f"the output {name!r} has no value yet", hint="call run() first")
        return array_of(value, dtype)


class PackedRequest(_ValueRequest, FedRequest):
    """A request in which a tensor has elements of 2 or 4 bits, which are packed for each run."""
