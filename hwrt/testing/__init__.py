"""The suite that every backend's tests derive from, and the small models that it runs.

BackendConformance is the suite: its docstring says how a plugin uses it and what it covers.
pytest is imported when BackendConformance is asked for, and not before.

The models belong to no file format: a Graph of the vocabulary in hwrt.testing.graph, computed by
``evaluate`` with NumPy alone, written by ``write_onnx`` and ``write_tflite``.  ``graphs`` holds
ready ones::

    from hwrt.testing import evaluate, graphs, write_tflite

    graph = graphs.relu((1, 16))
    path = write_tflite(graph, folder / "relu.tflite")
    answers = evaluate(graph, {"x": x})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwrt.testing import graphs
from hwrt.testing.graph import Graph, Lacks, Node, node, tensor
from hwrt.testing.onnx_writer import write_onnx
from hwrt.testing.reference import evaluate
from hwrt.testing.tflite_writer import write_tflite

if TYPE_CHECKING:
    from hwrt.testing.conformance import BackendConformance

__all__ = [
    "BackendConformance",
    "Graph",
    "Lacks",
    "Node",
    "evaluate",
    "graphs",
    "node",
    "tensor",
    "write_onnx",
    "write_tflite",
]

_SUITE = (
    "artefacts",
    "binding",
    "building",
    "checking",
    "child",
    "concurrency",
    "conformance",
    "faults",
    "ownership",
    "presence",
    "shaping",
    "values",
)


def __getattr__(name: str) -> Any:
    if name != "BackendConformance":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    # Before their first import, so that a failing assert shows its values.
    pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _SUITE))
    from hwrt.testing.conformance import BackendConformance

    return BackendConformance
