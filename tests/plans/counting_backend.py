"""A backend of a third party that notes what it is asked for, and obeys the environment.

It runs any model whose one output is its input with what is below 0 set to 0.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from hwrt.backend import (
    Backend,
    BackendFailure,
    CompiledModel,
    Device,
    Options,
    Placement,
    Request,
    intact,
    publish,
    temporary_beside,
)


def _note(text):
    with Path(os.environ["HWRT_TEST_LOG"]).open("a") as log:
        log.write(f"{os.getpid()} {text}\n")


class _Request(Request):
    def __init__(self, model, pause_s):
        spec = model.inputs[0]
        self.inputs = {spec.name: np.zeros(tuple(size or 1 for size in spec.shape), spec.dtype)}
        self.outputs = {}
        self._name, self._pause_s = model.outputs[0].name, pause_s

    def run(self):
        end = time.perf_counter() + self._pause_s
        while time.perf_counter() < end:
            pass
        (array,) = self.inputs.values()
        self.outputs = {self._name: np.maximum(array, 0)}


class _Compiled(CompiledModel):
    def __init__(self, model, options, artefact):
        self.inputs, self.outputs = model.inputs, model.outputs
        self.placement = Placement({"cpu:0": 1})
        self.precision = options.precision or "f32"
        self.artefact = artefact
        self._model, self._pause_s = model, 0.002 if options.get("slow") else 0.0

    def create_request(self, shapes=None):
        return _Request(self._model, self._pause_s)

    def close(self):
        pass


class Counting(Backend):
    name = "counting"
    formats = frozenset({"onnx"})
    api_version = 1

    def stamp(self):
        return os.environ.get("HWRT_TEST_STAMP", "counting 1")

    def devices(self):
        return (Device("cpu"),)

    def candidates(self, model, device, limits):
        fast = Options(precision="f32", threads=limits.threads)
        return (fast, Options(**fast, slow=True))

    def reference(self, model, device):
        return Options(precision="f32", threads=1)

    def compile(self, model, device, *, options, cache_dir=None, **_):
        _note(f"compile {options}")
        broken = os.environ.get("HWRT_TEST_BROKEN")
        if broken is not None and (options.get("slow") or False) == (broken == "slow"):
            raise BackendFailure("the driver is too new")
        if cache_dir is None or "HWRT_TEST_NO_ENGINE" in os.environ:
            return _Compiled(model, options, None)
        engine = cache_dir / "engine.bin"
        if not intact(engine):
            _note("build")
            try:
                with temporary_beside(engine) as temporary:
                    built = os.environ.get("HWRT_TEST_ENGINE", "engine")
                    temporary.write_text(f"{built} {options}")
                    publish(temporary, engine)
            except OSError:  # it costs time at the next load, not this one
                return _Compiled(model, options, None)
        return _Compiled(model, options, engine)
