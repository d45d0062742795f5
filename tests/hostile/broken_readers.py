"""Readers with one fault each, by which the runner shows that it would see such a fault."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwrt import model
from hwrt.spec import ModelInfo


def with_another_exception(path: Path) -> ModelInfo:
    raise IndexError(path)


def that_exits(path: Path) -> ModelInfo:
    raise SystemExit(0)


def that_crashes(path: Path) -> ModelInfo:
    os.kill(os.getpid(), signal.SIGSEGV)
    return model.read(path)


def that_computes_for_ever(path: Path) -> ModelInfo:
    while True:
        path = Path(path)


def that_waits_for_ever(path: Path) -> ModelInfo:
    time.sleep(10_000)
    return model.read(path)


def that_fills_memory(path: Path) -> ModelInfo:
    taken = b"\1" * (1 << 30)
    info = model.read(path)
    assert taken
    return info


def that_reads_elsewhere(path: Path) -> ModelInfo:
    (path.parent.parent / "canary.bin").read_bytes()
    return model.read(path)


def that_reads_elsewhere_through_a_link(path: Path) -> ModelInfo:
    link = path.with_name("link")
    link.symlink_to("../canary.bin")
    link.read_bytes()
    return model.read(path)


def that_reads_elsewhere_in_c(path: Path) -> ModelInfo:
    """Python's audit hooks do not see what a C library opens; strace does."""
    library = ctypes.CDLL(None)
    descriptor = library.open(os.fsencode(path.parent.parent / "canary.bin"), os.O_RDONLY)
    library.close(descriptor)
    return model.read(path)


def with_another_dtype(path: Path) -> ModelInfo:
    info = model.read(path)
    return replace(info, inputs=(replace(info.inputs[0], dtype=np.dtype(np.int8)),))


def with_another_shape(path: Path) -> ModelInfo:
    info = model.read(path)
    return replace(info, outputs=(replace(info.outputs[0], shape=(9,)),))


def with_another_count(path: Path) -> ModelInfo:
    info = model.read(path)
    return replace(info, operators={**info.operators, "Relu": 99})


def with_a_file_from_elsewhere(path: Path) -> ModelInfo:
    return replace(model.read(path), external_files=(Path("/etc/passwd"),))
