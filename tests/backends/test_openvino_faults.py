"""What OpenVINO refuses, raises or does not tell, as hwrt says it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

import hwrt_openvino
from hwrt.backend import (
    BackendFailure,
    BackendUnavailable,
    Device,
    InputError,
    Limits,
    ModelInfo,
    Options,
    UnsupportedModel,
    publish,
)
from hwrt.model import read
from hwrt.testing import graphs, write_onnx
from hwrt.testing.checking import check, noise
from hwrt_openvino import OpenVino

openvino = pytest.importorskip("openvino", reason="openvino is not installed")

CPU = Device("cpu")


@pytest.fixture
def model(tmp_path: Path) -> ModelInfo:
    return read(write_onnx(graphs.relu(), tmp_path / "model.onnx"))


def fail(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("the driver is gone")


# -- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("PERFORMANCE_HINT", "FAST"),
        ("PERF_COUNT", "maybe"),
        ("NUM_STREAMS", "many"),
        ("INFERENCE_NUM_THREADS", -5),
        ("INFERENCE_NUM_THREADS", 2**70),
        ("threads", 2**40),
        ("streams", 2**40),
    ],
)
def test_value_that_a_property_does_not_take_is_an_input_error(
    model: ModelInfo, option: str, value: Any
) -> None:
    with pytest.raises(InputError, match="openvino can not compile"):
        OpenVino().compile(model, CPU, options=Options({option: value}))


@pytest.mark.parametrize(
    "options", [{"threads": 1, "INFERENCE_NUM_THREADS": 2}, {"streams": 1, "NUM_STREAMS": 2}]
)
def test_what_is_given_in_two_words_is_an_input_error(
    model: ModelInfo, options: dict[str, int]
) -> None:
    with pytest.raises(InputError, match=f"both {min(options, key=str.isupper)} and [A-Z_]+"):
        OpenVino().compile(model, CPU, options=Options(options))


def test_option_that_writes_elsewhere_than_below_cache_dir_is_refused(
    model: ModelInfo, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    with pytest.raises(InputError, match="CACHE_DIR"):
        OpenVino().compile(model, CPU, options=Options(CACHE_DIR=str(elsewhere)))

    assert not elsewhere.exists()


def test_empty_precision_is_refused(model: ModelInfo) -> None:
    with pytest.raises(UnsupportedModel, match="precision ''"):
        OpenVino().compile(model, CPU, options=Options(precision=""))


# -- a vendor that is not there -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said"),
    [("", "not installed"), ("raise OSError('libtbb')", "does not start: OSError: libtbb")],
    ids=["bare folder", "broken"],
)
def test_what_is_no_sound_openvino_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    (tmp_path / "openvino").mkdir()
    if code:
        (tmp_path / "openvino" / "__init__.py").write_text(code, encoding="utf-8")
    for name in [key for key in sys.modules if key.partition(".")[0] == "openvino"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(hwrt_openvino, "_the_core", None)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    with pytest.raises(BackendUnavailable, match=said):
        OpenVino().devices()


@pytest.mark.parametrize("broken", ["GPU.0", "NPU"])
def test_broken_device_does_not_hide_the_cpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    core = openvino.Core()
    both = SimpleNamespace(
        available_devices=[broken, "CPU"],
        get_property=lambda name, key: fail() if name == broken else core.get_property(name, key),
    )
    monkeypatch.setattr(hwrt_openvino, "_core", lambda: both)

    assert ["cpu:0"] == [device.id for device in OpenVino().devices()]
    assert f"{broken}, which can not be used: the driver is gone" in caplog.text


def test_broken_device_alone_is_unavailable_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = SimpleNamespace(available_devices=["NPU"], get_property=fail)
    monkeypatch.setattr(hwrt_openvino, "_core", lambda: broken)

    with pytest.raises(BackendUnavailable, match="NPU is broken: the driver is gone"):
        OpenVino().devices()


# -- a vendor that fails ------------------------------------------------------------------------


def test_property_that_can_not_be_read_is_a_backend_failure(
    model: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = SimpleNamespace(available_devices=["CPU"], get_property=fail)
    monkeypatch.setattr(hwrt_openvino, "_core", lambda: broken)

    with pytest.raises(BackendFailure, match="the driver is gone"):
        OpenVino().compile(model, CPU, options=Options())
    with pytest.raises(BackendFailure, match="the driver is gone"):
        list(OpenVino().candidates(model, CPU, Limits(1)))


def test_compiled_model_that_tells_nothing_is_a_backend_failure(
    model: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino.CompiledModel, "get_runtime_model", fail)

    with pytest.raises(BackendFailure, match="the driver is gone"):
        OpenVino().compile(model, CPU, options=Options())


def test_folder_of_the_model_does_not_tell_what_a_fault_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "not supported"
    folder.mkdir()
    model = read(write_onnx(graphs.relu(), folder / "model.onnx"))
    monkeypatch.setattr(openvino.Core, "compile_model", fail)

    with pytest.raises(BackendFailure, match="not supported"):
        OpenVino().compile(model, CPU, options=Options())


def test_what_openvino_does_not_implement_is_an_unsupported_model(
    model: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What 2024.1 says of 4-bit integers.
    def refuse(*_: object) -> NoReturn:
        raise RuntimeError("Exception from src/inference/src/dev/plugin.cpp:54:\nNot Implemented")

    monkeypatch.setattr(openvino.Core, "compile_model", refuse)

    with pytest.raises(UnsupportedModel, match="Not Implemented"):
        OpenVino().compile(model, CPU, options=Options())


def test_request_that_can_not_be_created_is_a_backend_failure(
    model: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = OpenVino().compile(model, CPU, options=Options())
    monkeypatch.setattr(openvino.CompiledModel, "create_infer_request", fail)

    with pytest.raises(BackendFailure, match="the driver is gone"):
        made.create_request()


def test_model_that_can_not_be_exported_runs_and_has_no_artefact(
    model: ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino.CompiledModel, "export_model", fail)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "old").write_bytes(b"of another version")
    publish(cache / "old", cache / "compiled.blob")
    made = OpenVino().compile(model, CPU, options=Options(threads=1), cache_dir=cache)

    assert made.artefact is None
    check(made, graphs.relu(), {"x": noise((4,))})


def test_device_that_tells_no_operators_has_a_placement_without_a_number(model: ModelInfo) -> None:
    # As the NPU's: a graph of inputs and outputs that do not say what they run as.
    npu = SimpleNamespace(
        get_property={"EXECUTION_DEVICES": ["NPU"]}.__getitem__,
        get_runtime_model=lambda: openvino.Core().read_model(str(model.path)),
    )
    placement = hwrt_openvino._placement(npu, Device("npu"))

    assert placement.operators == {"npu:0": None}
