"""Backends of a third party, one right and the others faulty in one way each.

They run any model whose one output is its input with what is below 0 set to 0.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
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
    UnsupportedModel,
)


def note_process():
    with Path(os.environ["HWRT_TEST_LOG"]).open("a") as log:
        log.write(f"{os.getpid()}\n")


class _Request(Request):
    def __init__(self, model, backend):
        self._backend = backend
        spec = model.inputs[0]
        shape = tuple(size or 1 for size in spec.shape)
        self.inputs = {spec.name: np.zeros(shape, spec.dtype)}
        self.outputs = {}
        self._name = model.outputs[0].name

    def run(self):
        (array,) = self.inputs.values()
        self.outputs = {self._name: self._backend.answer(np.maximum(array, 0))}


class _Compiled(CompiledModel):
    def __init__(self, model, backend):
        self.inputs, self.outputs = model.inputs, model.outputs
        self.placement = Placement({"cpu:0": 1})
        self.precision = "f32"
        self._model, self._backend = model, backend

    def create_request(self, shapes=None):
        return _Request(self._model, self._backend)

    def close(self):
        pass


class Good(Backend):
    name = "good"
    formats = frozenset({"onnx"})
    api_version = 1

    def stamp(self):
        return f"{self.name} 1"

    def devices(self):
        return (Device("cpu"),)

    def compile(self, model, device, *, options, cache_dir=None, **_):
        return _Compiled(model, self)

    def answer(self, array):
        return array


class Judge(Good):
    name = "judge"
    api_version = 1

    def reference(self, model, device):
        return Options(precision="f32")

    def candidates(self, model, device, limits):
        return ()


class Caching(Good):
    name = "caching"
    api_version = 1

    def compile(self, model, device, *, options, cache_dir=None, **_):
        if cache_dir is not None:
            cache_dir.mkdir(parents=True, exist_ok=True)
            (cache_dir / "engine").write_bytes(b"compiled")
        return _Compiled(model, self)


class Segfault(Good):
    name = "segfault"
    api_version = 1

    def compile(self, *_, **__):
        print("about to read address zero", file=sys.stderr, flush=True)
        ctypes.string_at(0)


class Killed(Good):
    name = "killed"
    api_version = 1

    def answer(self, array):
        os.kill(os.getpid(), signal.SIGKILL)


class Leaves(Good):
    name = "leaves"
    api_version = 1

    def compile(self, *_, **__):
        sys.exit(3)


class Raises(Good):
    name = "raises"
    api_version = 1

    def compile(self, *_, **__):
        raise KeyError("no such layer")


class Nan(Good):
    name = "nan"
    api_version = 1

    def answer(self, array):
        return np.full_like(array, np.nan)


class Wrong(Good):
    name = "wrong"
    api_version = 1

    def answer(self, array):
        return array * np.float32(1.02)


class WrongShape(Good):
    name = "wrongshape"
    api_version = 1

    def answer(self, array):
        return array[:, :-1]


class Slow(Good):
    name = "slow"
    api_version = 1

    def answer(self, array):
        end = time.perf_counter() + 0.05
        while time.perf_counter() < end:
            pass
        return array


class Exclusive(Good):
    name = "exclusive"
    api_version = 1

    def devices(self):
        return (Device("npu", exclusive=True),)

    def compile(self, model, device, *, options, cache_dir=None, **_):
        lock = Path(os.environ["HWRT_TEST_LOCK"])
        lock.touch(exist_ok=False)
        return _Compiled(model, self)


class Stampless(Good):
    name = "stampless"
    api_version = 1

    def stamp(self):
        raise ValueError("no version file")


class BadCandidates(Good):
    name = "badcandidates"
    api_version = 1

    def candidates(self, model, device, limits):
        return [{"threads": 0}]


class Breaks(Good):
    """It runs rightly until a file is there; where it compiled is noted as Fragile does."""

    name = "breaks"
    api_version = 1

    def compile(self, model, device, *, options, cache_dir=None, **_):
        note_process()
        return _Compiled(model, self)

    def answer(self, array):
        if Path(os.environ["HWRT_TEST_BREAK"]).exists():
            raise BackendFailure("the device is lost")
        return array


class Spare(Slow):
    """Slower than Good, and notes where it compiled."""

    name = "spare"
    api_version = 1

    def compile(self, model, device, *, options, cache_dir=None, **_):
        note_process()
        return _Compiled(model, self)


class RandomJudge(Judge):
    name = "randomjudge"
    api_version = 1

    def answer(self, array):
        return np.random.default_rng().standard_normal(array.shape).astype(array.dtype)


class Fragile(Good):
    """It crashes on files whose name says so, and notes in which process it compiled."""

    name = "fragile"
    api_version = 1

    def compile(self, model, device, *, options, cache_dir=None, **_):
        note_process()
        if model.path.name.startswith("crash"):
            print("no kernel for this", file=sys.stderr, flush=True)
            ctypes.string_at(0)
        return _Compiled(model, self)


class Refuses(Good):
    """It compiles everything and runs nothing."""

    name = "refuses"
    api_version = 1

    def answer(self, array):
        raise UnsupportedModel("not these numbers")


class _Answering:
    """What an engine of another precision answers."""

    def __init__(self, answer):
        self.answer = answer


class Reduced(Good):
    """It offers bf16 too, which is a hundredth off and keeps the order of all numbers."""

    name = "reduced"
    api_version = 1

    def candidates(self, model, device, limits):
        return [Options(precision="f32"), Options(precision="bf16")]

    def compile(self, model, device, *, options, cache_dir=None, **_):
        reduced = options.precision != "f32"
        return _Compiled(model, _Answering(self.reduce) if reduced else self)

    def reduce(self, array):
        return array * np.float32(1.01)


class Integers(Reduced):
    """Its second candidate prefers the second class where the first is ahead by a hair."""

    name = "integers"
    api_version = 1

    def candidates(self, model, device, limits):
        return [Options(precision="f32"), Options(precision="int8")]

    def reduce(self, array):
        moved = array.copy()
        moved[:, 0] -= np.float32(0.0045)
        moved[:, 1] += np.float32(0.0045)
        return moved


class Reverses(Reduced):
    """Its bf16 says the last of all classes where the first is meant."""

    name = "reverses"
    api_version = 1

    def reduce(self, array):
        return array[:, ::-1]


class Bf16Only(Reduced):
    name = "bf16only"
    api_version = 1

    def candidates(self, model, device, limits):
        return [Options(precision="bf16")]


class WrongJudge(Judge):
    """A reference that is wrong itself."""

    name = "wrongjudge"
    api_version = 1

    def answer(self, array):
        return array * np.float32(1.02)


class HalfRandom(Judge):
    """It runs models of two outputs, of which the second is drawn anew in each run."""

    name = "halfrandom"
    api_version = 1

    def candidates(self, model, device, limits):
        return [Options(precision="f32")]

    def compile(self, model, device, *, options, cache_dir=None, **_):
        return _HalfRandomCompiled(model, self)


class _HalfRandomCompiled(_Compiled):
    def create_request(self, shapes=None):
        return _HalfRandomRequest(self._model, self._backend)


class _HalfRandomRequest(_Request):
    def run(self):
        super().run()
        (array,) = self.inputs.values()
        drawn = np.random.default_rng().standard_normal(array.shape)
        self.outputs["drawn"] = drawn.astype(array.dtype)


class Several(Good):
    """Four candidates, of which the first is four times as fast as the next."""

    name = "several"
    api_version = 1

    def candidates(self, model, device, limits):
        return [Options(precision="f32", late_ms=late) for late in (1, 4, 8, 12)]

    def compile(self, model, device, *, options, cache_dir=None, **_):
        return _Compiled(model, _Late(options["late_ms"] / 1000))


class _Late:
    def __init__(self, seconds):
        self._seconds = seconds

    def answer(self, array):
        end = time.perf_counter() + self._seconds
        while time.perf_counter() < end:
            pass
        return array


class Hoards(Good):
    """Its second candidate holds 200 MB more than its first, which is the slower one."""

    name = "hoards"
    api_version = 1

    def candidates(self, model, device, limits):
        return [Options(precision="f32", late_ms=3), Options(precision="f32", kept_mb=200)]

    def compile(self, model, device, *, options, cache_dir=None, **_):
        self._kept = np.ones(options.get("kept_mb", 0) << 17)
        return _Compiled(model, _Late(options.get("late_ms", 0) / 1000))


class Foreign(Good):
    """It reads a format that no test's model has."""

    name = "foreign"
    formats = frozenset({"om"})
    api_version = 1
