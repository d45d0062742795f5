# ruff: noqa: D102, D103 - the name of a test says what it shows
"""How the contract tests compile a model and check what its requests give."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwrt.backend import Backend, CompiledModel, Device, ModelInfo, Options, Request


class Compile:
    """Compiles for one CPU thread and closes what it has made."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._made: list[CompiledModel] = []

    def __call__(
        self, model: ModelInfo, options: Options | None = None, **arguments: Any
    ) -> CompiledModel:
        options = Options(threads=1) if options is None else options
        made = self._backend.compile(model, Device("cpu"), options=options, **arguments)
        self._made.append(made)
        return made

    def forget(self) -> None:
        self._made.clear()

    def close(self) -> None:
        for made in self._made:
            made.close()


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def check(
    made: CompiledModel, feeds: dict[str, Any], wanted: dict[str, Any], rtol: float = 0
) -> None:
    """Both ways of running a request of its own give exactly these names, dtypes and values."""
    check_request(made.create_request(), feeds, wanted, rtol)


def check_request(
    request: Request, feeds: dict[str, Any], wanted: dict[str, Any], rtol: float = 0
) -> None:
    request.resize({name: array.shape for name, array in feeds.items()})
    for name, array in feeds.items():
        request.inputs[name][...] = array
    request.run()
    _compare(request.outputs, wanted, rtol)
    _compare(request.infer(feeds), wanted, rtol)


def _compare(outputs: Any, wanted: dict[str, Any], rtol: float) -> None:
    assert list(outputs) == list(wanted)
    for name, array in wanted.items():
        assert outputs[name].dtype == array.dtype
        assert outputs[name].shape == array.shape
        if rtol:
            np.testing.assert_allclose(outputs[name], array, rtol=rtol, atol=rtol)
        else:
            np.testing.assert_array_equal(outputs[name], array)
