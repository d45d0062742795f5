from __future__ import annotations

from pathlib import Path

import pytest

from hwrt import backend as contract
from hwrt.backend import (
    API_VERSION,
    Backend,
    CompiledModel,
    Device,
    Limits,
    ModelInfo,
    Options,
    Request,
)

from .doubler import DoublerModel


class Minimal(Backend):
    name = "minimal"
    formats = frozenset({"onnx"})
    api_version = 1

    def stamp(self) -> str:
        return "minimal 1"

    def devices(self) -> tuple[Device, ...]:
        return (Device("cpu"),)

    def compile(self, model: ModelInfo, device: Device, **arguments: object) -> CompiledModel:
        return DoublerModel()


@pytest.fixture
def model(tmp_path: Path) -> ModelInfo:
    return ModelInfo(
        tmp_path / "m.onnx", "onnx", "0" * 64, 0, DoublerModel.inputs, DoublerModel.outputs
    )


# -- Backend --------------------------------------------------------------------------------------


def test_one_candidate_by_default_plain_f32_with_the_allowed_threads(model: ModelInfo) -> None:
    candidates = list(Minimal().candidates(model, Device("cpu"), Limits(threads=3)))

    assert candidates == [Options(precision="f32", threads=3)]


def test_backend_is_no_judge_by_default(model: ModelInfo) -> None:
    assert Minimal().reference(model, Device("cpu")) is None


def test_no_variants_and_no_findings_by_default(model: ModelInfo, tmp_path: Path) -> None:
    assert list(Minimal().variants(model, [], tmp_path)) == []
    assert list(Minimal().diagnose()) == []


@pytest.mark.parametrize("cls", [Backend, CompiledModel, Request])
def test_contract_alone_can_not_be_made(cls: type) -> None:
    with pytest.raises(TypeError, match="abstract"):
        cls()


def test_api_version_is_not_inherited_from_the_contract() -> None:
    assert "api_version" not in vars(Backend)
    assert API_VERSION == 1


def test_everything_that_a_plugin_needs_is_in_the_contract() -> None:
    assert sorted(contract.__all__, key=str.lower) == sorted(set(contract.__all__), key=str.lower)
    assert all(hasattr(contract, name) for name in contract.__all__)


def test_compiled_model_has_no_bound_no_artefact_and_no_preprocess_by_default() -> None:
    made = DoublerModel()

    assert (made.max_requests, made.artefact, made.preprocess) == (None, None, None)
