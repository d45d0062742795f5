from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwrt.benchmark.report import Report, Result
from hwrt.machine.conditions import conditions
from hwrt.machine.fingerprint import fingerprint
from hwrt.measure.measurement import Candidate, Measurement
from hwrt.measure.output_error import OutputError
from hwrt.measure.statistics import describe
from hwrt.measure.verdict import Verdict
from hwrt.spec import ModelInfo, Options, Placement, TensorSpec

FLOAT = np.dtype(np.float32)


@pytest.fixture
def timed() -> Callable[..., Result]:
    """A result with these samples, rightly answered."""

    def make(
        backend: str,
        samples_s: list[float],
        *,
        precision: str = "f32",
        reasons: tuple[str, ...] = (),
    ) -> Result:
        measurement = Measurement(
            Candidate(backend, "cpu:0", Options(precision=precision, threads=1)),
            "ok",
            output_error={"y": OutputError(relative_l2=3.2e-6, max_abs=1e-6)},
            precision=precision,
            placement=Placement({"cpu:0": 3}),
            samples_s=tuple(samples_s),
        )
        return Result(measurement, describe(samples_s), Verdict(not reasons, reasons), None)

    return make


@pytest.fixture
def rejected() -> Result:
    """A result whose outputs were wrong without bound."""
    reason = "output 'y': relative l2 error inf exceeds 0.0001"
    measurement = Measurement(
        Candidate("beta", "cpu:0", Options(precision="bf16")),
        "rejected",
        reason,
        output_error={"y": OutputError(relative_l2=float("inf"), max_abs=float("inf"))},
        precision="bf16",
    )
    return Result(measurement, None, Verdict(False, (f"rejected: {reason}",)), None)


@pytest.fixture
def report_of() -> Callable[..., Report]:
    """A report of these results."""

    def make(*results: Result, dropped: dict[str, str] | None = None) -> Report:
        info = ModelInfo(
            path=Path("/models/net.onnx"),
            format="onnx",
            sha256="ab" * 32,
            size_bytes=1 << 20,
            inputs=(TensorSpec("x", FLOAT, (1, 3)),),
            outputs=(TensorSpec("y", FLOAT, (1, 3)),),
        )
        now = conditions()
        return Report(
            source="net.onnx",
            model=info,
            machine=fingerprint(),
            before=now,
            after=now,
            scenario="single-stream",
            preset="quick",
            threads=1,
            inputs="seeded random, 3 sets",
            shapes={"x": (1, 3)},
            results=results,
            reference="alpha cpu:0",
            unverified=None,
            dropped=dropped or {},
            versions={"python": "3"},
            hwrt_version="1",
            made_at="2026-01-01T00:00:00+00:00",
        )

    return make
