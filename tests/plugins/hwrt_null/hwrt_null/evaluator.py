"""What a vendor's runtime takes the place of: onnx's reference evaluator, on the CPU."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np

from hwrt.backend import (
    Array,
    BackendFailure,
    BackendUnavailable,
    InputError,
    ModelError,
    TensorSpec,
    UnsupportedModel,
)


def versions() -> str:
    """Names and versions of what the answers depend on, read without importing it."""
    try:
        return f"onnx {metadata.version('onnx')}, numpy {np.__version__}"
    except metadata.PackageNotFoundError as exc:
        raise BackendUnavailable("onnx is not installed", hint="pip install onnx") from exc


def runtime() -> tuple[ModuleType, ModuleType]:
    """The modules onnx, with its evaluator, and threadpoolctl."""
    try:
        importlib.import_module("onnx.reference")
        return importlib.import_module("onnx"), importlib.import_module("threadpoolctl")
    except ImportError as exc:
        raise BackendUnavailable(
            f"onnx's reference evaluator does not import: {exc}",
            hint="pip install --upgrade onnx threadpoolctl",
        ) from exc


class Evaluator:
    """An ONNX graph of ``operators`` nodes.  Any thread may run it, one at a time.

    Raises ModelError for a malformed file, UnsupportedModel for an operator that onnx can not
    compute.
    """

    def __init__(self, path: Path, outputs: tuple[TensorSpec, ...], threads: int) -> None:
        onnx, pools = runtime()
        try:  # the exceptions of onnx and of protobuf share no base but Exception
            model = onnx.load(path)
            # This looks up every operator, those of subgraphs and functions too.
            self._graph = onnx.reference.ReferenceEvaluator(model)
            onnx.checker.check_model(path)
        except (NotImplementedError, RuntimeError) as exc:
            raise UnsupportedModel(f"onnx can not compute {path}: {_first_line(exc)}") from exc
        except Exception as exc:
            raise ModelError(f"onnx refuses {path}: {_first_line(exc)}") from exc
        self.operators = len(model.graph.node)
        self._outputs = {spec.name: spec.dtype for spec in outputs}
        self._threads = threads
        self._pools = pools.ThreadpoolController()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs, in memory of their own: the evaluator's may be its weights or the feeds.

        Raises InputError for shapes that do not go together.
        """
        try:
            # ONNX's arithmetic is IEEE's, which has infinities and NaN.
            with _one_run, self._pools.limit(limits=self._threads), np.errstate(all="ignore"):
                values = self._graph.run(list(self._outputs), dict(feeds))
            return {
                name: value.astype(dtype, order="C", casting="same_kind")
                for (name, dtype), value in zip(self._outputs.items(), values, strict=True)
            }
        except (ValueError, IndexError) as exc:
            raise InputError(f"onnx could not run the model: {_first_line(exc)}") from exc
        except Exception as exc:
            raise BackendFailure(f"onnx could not run the model: {_first_line(exc)}") from exc


# How many threads NumPy's matrix products use is a setting of the whole process.
_one_run = threading.Lock()


def _renew_lock() -> None:
    global _one_run
    _one_run = threading.Lock()


# A child that is forked during a run would wait for a thread that it does not have.
os.register_at_fork(after_in_child=_renew_lock)


def _first_line(exc: Exception) -> str:
    return next(iter(str(exc).splitlines()), type(exc).__name__)
