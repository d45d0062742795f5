"""A request and its compiled model with nothing overridden but what must be."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from hwrt.backend import Array, CompiledModel, Placement, Request, TensorSpec

F4 = np.dtype("f4")


class Doubler(Request):
    """y = 2x, with nothing of Request overridden but what must be; it can wait and fail."""

    def __init__(self, size: int = 3) -> None:
        self.inputs = {"x": np.zeros(size, "f4")}
        self.outputs = {"y": np.zeros(size, "f4")}
        self.may_run = threading.Event()
        self.may_run.set()
        self.fault: BaseException | None = None
        self.threads: set[int] = set()

    def run(self) -> None:
        assert self.may_run.wait(30)
        self.threads.add(threading.get_ident())
        if self.fault is not None:
            raise self.fault
        np.multiply(self.inputs["x"], 2, out=self.outputs["y"])


class ResizableDoubler(Doubler):
    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.inputs = {name: np.zeros(shape, "f4") for name, shape in shapes.items()}
        self.outputs = {"y": np.zeros(shapes["x"], "f4")}


class DoublerModel(CompiledModel):
    inputs = (TensorSpec("x", F4, (3,)),)
    outputs = (TensorSpec("y", F4, (3,)),)
    placement = Placement({"cpu:0": 1})
    precision = "f32"

    def create_request(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Request:
        return Doubler()

    def close(self) -> None:
        pass


def f4(*values: float) -> Array:
    return np.array(values, "f4")
