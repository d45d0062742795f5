"""How the suite writes and compiles its graphs, and checks what requests give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from hwrt.backend import (
    Array,
    Backend,
    CompiledModel,
    Device,
    ModelInfo,
    Options,
    Request,
    UnsupportedModel,
)
from hwrt.model import read
from hwrt.testing.graph import Graph, Lacks
from hwrt.testing.reference import evaluate

__all__ = [
    "CORE",
    "Compile",
    "Writer",
    "check",
    "check_request",
    "core",
    "noise",
    "same",
]

Writer = Callable[..., Path]
"""Writes a graph to a path as one format; raises Lacks for what that has no word for."""
Test = TypeVar("Test", bound=Callable[..., None])

_LAYOUTS = {"onnx": "NCHW", "tflite": "NHWC"}
"""How pictures lie in the models of a format."""
CORE: set[str] = set()
"""The tests that no backend may list as unsupported."""


def core(test: Test) -> Test:
    """Mark a test of what no backend may lack: f32, dynamic batch, threads, ownership."""
    CORE.add(test.__name__)
    return test


class Compile:
    """Writes graphs as one format, compiles them for one CPU thread, and closes what it made."""

    def __init__(
        self,
        backend: Backend,
        device: Device,
        *,
        model_format: str,
        write: Writer,
        folder: Path,
        is_core: bool = False,
    ) -> None:
        self.backend = backend
        self.device = device
        self.format = model_format
        self.layout = _LAYOUTS.get(model_format, "NCHW")
        self._write = write
        self._folder = folder
        self._is_core = is_core
        self._made: list[CompiledModel] = []

    def __call__(
        self, model: Graph | ModelInfo, options: Options | None = None, **arguments: Any
    ) -> CompiledModel:
        """The model compiled with these options, threads=1 where there are none."""
        options = Options(threads=1) if options is None else options
        info = self.save(model) if isinstance(model, Graph) else model
        made = self.backend.compile(info, self.device, options=options, **arguments)
        self._made.append(made)
        return made

    def save(self, graph: Graph, folder: Path | None = None, **arguments: Any) -> ModelInfo:
        """What the graph's file says, written as ``folder/model.FORMAT``.

        Skips, saying why, what the format lacks, and where what writes it is not installed.  What a
        test of the core needs no format may lack: that fails.
        """
        folder = self._folder if folder is None else folder
        folder.mkdir(parents=True, exist_ok=True)
        try:
            path = self._write(graph, folder / f"model.{self.format}", **arguments)
            return read(path)
        except (Lacks, ModuleNotFoundError) as exc:
            if self._is_core and isinstance(exc, Lacks):
                pytest.fail(f"{self.format} can not say what the core needs: {exc}")
            pytest.skip(f"{self.format}: {exc}")

    def where_supported(self, graph: Graph) -> CompiledModel:
        """The graph compiled; skips with the vendor's reason where it is refused."""
        try:
            return self(graph)
        except UnsupportedModel as exc:
            pytest.skip(f"refused: {exc}")

    def forget(self) -> None:
        """Keep nothing of what was made, so that it can be freed."""
        self._made.clear()

    def close(self) -> None:
        """Close all that was made."""
        for made in self._made:
            made.close()


def noise(shape: tuple[int, ...], seed: int = 0) -> Array:
    """Seeded normal float32 numbers."""
    return np.asarray(np.random.default_rng(seed).normal(size=shape), "f4")


def check(made: CompiledModel, graph: Graph, feeds: Mapping[str, Array], rtol: float = 0) -> None:
    """Both ways of running a request of its own give the graph's names, dtypes and values."""
    check_request(made.create_request(), graph, feeds, rtol)


def check_request(
    request: Request, graph: Graph, feeds: Mapping[str, Array], rtol: float = 0
) -> None:
    """``run`` and ``infer`` give the graph's names, dtypes and values."""
    wanted = evaluate(graph, feeds)
    request.resize({name: array.shape for name, array in feeds.items()})
    for name, array in feeds.items():
        request.inputs[name][...] = array
    request.run()
    same(request.outputs, wanted, rtol)
    same(request.infer(feeds), wanted, rtol)


def same(outputs: Mapping[str, Array], wanted: Mapping[str, Array], rtol: float = 0) -> None:
    """The names in their order, the dtypes, the shapes and the values are those wanted."""
    assert list(outputs) == list(wanted)
    for name, array in wanted.items():
        assert outputs[name].dtype == array.dtype
        assert outputs[name].shape == array.shape
        if rtol:
            np.testing.assert_allclose(outputs[name], array, rtol=rtol, atol=rtol)
        else:
            np.testing.assert_array_equal(outputs[name], array)
