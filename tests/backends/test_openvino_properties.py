"""What OpenVINO lists and does not compute, and what it has and does not list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwrt.backend import Device, Limits, ModelInfo, Options
from hwrt.model import read
from hwrt.testing import graphs, write_onnx
from hwrt_openvino import OpenVino
from hwrt_openvino.precision import precision_properties

openvino = pytest.importorskip("openvino", reason="openvino is not installed")

CPU = Device("cpu")
REWRITING = "LP_TRANSFORMS_MODE"


@pytest.fixture
def quantised(tmp_path: Path) -> ModelInfo:
    return read(write_onnx(graphs.quantized_matmul(float_ends=True), tmp_path / "model.onnx"))


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The properties of each compilation."""
    seen: list[dict[str, Any]] = []
    compile_model = openvino.Core.compile_model

    def kept(core: Any, network: Any, name: str, properties: dict[str, Any]) -> Any:
        seen.append(properties)
        return compile_model(core, network, name, properties)

    monkeypatch.setattr(openvino.Core, "compile_model", kept)
    return seen


def test_property_that_is_not_listed_is_set_where_it_is_known(
    quantised: ModelInfo, compilations: list[dict[str, Any]]
) -> None:
    OpenVino().compile(quantised, CPU, options=Options(precision="f32"))

    assert compilations[-1][REWRITING] == "NO"


def test_property_that_is_not_known_is_not_set(
    quantised: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino.Core, "compile_model", without(REWRITING))
    options = Options(precision="f32")

    assert REWRITING not in precision_properties(openvino.Core(), "CPU", quantised, options)


def without(key: str) -> Callable[..., Any]:
    """Core.compile_model as of a version that does not have the property."""
    compile_model = openvino.Core.compile_model

    def refusing(core: Any, network: Any, name: str, properties: dict[str, Any]) -> Any:
        if key in properties:
            raise RuntimeError(f"NotFound: Unsupported property {key} by CPU plugin.")
        return compile_model(core, network, name, properties)

    return refusing


def test_precision_that_is_listed_and_not_built_is_no_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As of 2024.1, which lists FP16 on every CPU.
    get_property = openvino.Core.get_property
    built = OpenVino().compile
    listed = {"OPTIMIZATION_CAPABILITIES": ["FP32", "FP16", "BF16", "INT8"]}
    monkeypatch.setattr(
        openvino.Core,
        "get_property",
        lambda core, name, key: listed.get(key) or get_property(core, name, key),
    )
    model = read(write_onnx(graphs.matmul(), tmp_path / "model.onnx"))
    offered = list(OpenVino().candidates(model, CPU, Limits(threads=1)))

    assert [options.precision for options in offered] == [
        built(model, CPU, options=options).precision for options in offered
    ]
