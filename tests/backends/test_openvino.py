from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from hwrt.backend import (
    Backend,
    BackendFailure,
    Device,
    InputError,
    Limits,
    ModelError,
    Options,
    Preprocess,
    Range,
    UnsupportedModel,
)
from hwrt.model import read
from hwrt.testing import BackendConformance, models
from hwrt.testing.checking import Compile, check, check_request, noise
from hwrt_openvino.diagnosis import findings

openvino = pytest.importorskip("openvino", reason="openvino is not installed")


class TestOpenVino(BackendConformance):
    vendor = "openvino"
    unsupported: ClassVar[Mapping[str, str]] = {
        "test_every_rank_and_no_elements[(0,)]": "openvino drops an input of shape (0,)",
    }

    @pytest.fixture
    def backend(self) -> Backend:
        from hwrt_openvino import OpenVino

        return OpenVino()

    def test_dropped_input_is_an_unsupported_model(self, compiled: Compile, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedModel, match="'x'"):
            compiled(models.relu(tmp_path, (0,)))

    def test_string_tensor_is_an_unsupported_model(self, compiled: Compile, tmp_path: Path) -> None:
        nodes = [models.node("Identity", "x", "y")]
        model = models.save(tmp_path, nodes, [("x", object, ("N",))], [("y", object, ("N",))])

        with pytest.raises(UnsupportedModel, match=r"string.*'x'"):
            compiled(model)

    # -- precision ------------------------------------------------------------------------------

    def test_bf16_is_built_only_where_the_cpu_has_it(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        model = models.matmul(tmp_path)
        feeds = {"x": noise((4, 512))}
        if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            with pytest.raises(UnsupportedModel, match="bf16"):
                compiled(model, Options(precision="bf16"))
            pytest.skip("this CPU has no bf16, which was refused")
        made = compiled(model, Options(precision="bf16"))
        wanted = models.expected(model, feeds)["y"]
        error = np.linalg.norm(made.create_request().infer(feeds)["y"] - wanted) / np.linalg.norm(
            wanted
        )

        assert made.precision == "bf16"
        assert 1e-4 < error < 2e-2

    def test_precision_that_a_property_undermines_is_refused(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            pytest.skip("this CPU has no bf16")
        options = Options(precision="f32", INFERENCE_PRECISION_HINT="bf16")

        with pytest.raises(UnsupportedModel, match="built precision bf16"):
            compiled(models.matmul(tmp_path), options)

    @pytest.mark.parametrize("precision", ["f32", "int8"])
    def test_quantised_model_is_computed_as_stated_or_in_integers(
        self, compiled: Compile, tmp_path: Path, precision: str
    ) -> None:
        model = models.quantized_matmul(tmp_path)
        made = compiled(model, Options(precision=precision, threads=1))
        feeds = {"x": noise((2, 16))}
        one_step = 127 * 0.01 * 0.02

        assert made.precision == precision
        outputs, wanted = made.create_request().infer(feeds), models.expected(model, feeds)
        np.testing.assert_allclose(outputs["y"], wanted["y"], rtol=0, atol=one_step)

    def test_integers_are_a_candidate_of_quantised_models_alone(
        self, backend: Backend, tmp_path: Path
    ) -> None:
        quantised = models.quantized_matmul(tmp_path / "quantised")
        both = [
            {options.precision for options in backend.candidates(model, Device("cpu"), Limits(1))}
            for model in (quantised, models.matmul(tmp_path))
        ]

        assert [True, False] == ["int8" in precisions for precisions in both]

    def test_integers_are_refused_for_a_model_of_floats(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        with pytest.raises(UnsupportedModel, match="'int8'"):
            compiled(models.matmul(tmp_path), Options(precision="int8"))

    # -- options --------------------------------------------------------------------------------

    def test_streams_are_requests_side_by_side(self, compiled: Compile, tmp_path: Path) -> None:
        assert compiled(models.relu(tmp_path), Options(threads=2, streams=2)).max_requests == 2

    def test_options_in_capitals_are_passed_on(self, compiled: Compile, tmp_path: Path) -> None:
        made = compiled(models.relu(tmp_path), Options(threads=1, PERF_COUNT=True))

        check(made, {"x": noise((4,))}, {"y": np.maximum(noise((4,)), 0)})

    def test_unknown_property_is_an_input_error(self, compiled: Compile, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="BOGUS"):
            compiled(models.relu(tmp_path), Options(BOGUS=1))

    # -- shapes ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("batch", [0, 9, 20_000])
    def test_shape_out_of_range_is_refused_and_the_request_still_works(
        self, compiled: Compile, tmp_path: Path, batch: int
    ) -> None:
        made = compiled(models.relu(tmp_path, ("N", 3)), shapes={"x": (Range(1, 2, 4), 3)})
        request = made.create_request({"x": (2, 3)})
        x = noise((2, 3))
        request.inputs["x"][...] = x
        with pytest.raises(InputError, match=f"'x'.*{batch}, 3"):
            request.resize({"x": (batch, 3)})
        with pytest.raises(InputError, match=f"'x'.*{batch}, 3"):
            request.infer({"x": noise((batch, 3))})
        request.run()

        np.testing.assert_array_equal(np.maximum(x, 0), request.outputs["y"])
        check_request(request, {"x": -x}, {"y": np.maximum(-x, 0)})

    def test_refused_resize_of_one_input_keeps_the_others(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        nodes = [models.node("Neg", "a", "c"), models.node("Neg", "b", "d")]
        tensors = (
            [("a", "f4", ("A",)), ("b", "f4", ("B",))],
            [("c", "f4", ("A",)), ("d", "f4", ("B",))],
        )
        model = models.save(tmp_path, nodes, *tensors)
        request = compiled(
            model, shapes={"a": (Range(1, 1, 9),), "b": (Range(1, 1, 2),)}
        ).create_request()
        request.inputs["a"][...] = 3
        with pytest.raises(InputError, match="'b'"):
            request.resize({"a": (5,), "b": (5,)})
        request.run()

        assert request.inputs["a"].shape == (1,)
        np.testing.assert_array_equal([-3], request.outputs["c"])

    def test_output_of_open_shape_can_not_be_bound(self, compiled: Compile, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="'y' has an open shape"):
            compiled(models.nonzero(tmp_path)).create_request().bind("y", np.zeros((1, 1), "i8"))

    def test_outputs_of_open_shape_are_not_changed_by_the_next_run(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        request = compiled(models.nonzero(tmp_path)).create_request({"x": (3,)})
        request.inputs["x"][...] = [1, 0, 1]
        request.run()
        first = request.outputs["y"]
        request.inputs["x"][...] = [0, 1, 1]
        request.run()

        np.testing.assert_array_equal([[0, 2]], first)

    # -- preprocess -----------------------------------------------------------------------------

    @pytest.mark.parametrize("reverse", [False, True], ids=["as is", "reversed"])
    @pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
    @pytest.mark.parametrize("dtype", ["f4", "f2"])
    def test_fused_preprocess_is_what_numpy_computes(
        self, compiled: Compile, tmp_path: Path, layout: str, reverse: bool, dtype: str
    ) -> None:
        shape = {"NCHW": (2, 3, 5, 7), "NHWC": (2, 5, 7, 3)}[layout]
        axes = {"NCHW": (0, 3, 1, 2), "NHWC": (0, 1, 2, 3)}[layout]
        identity = models.node("Relu", "x", "y")
        model = models.save(tmp_path, [identity], [("x", dtype, shape)], [("y", dtype, shape)])
        mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
        preprocess = Preprocess("x", mean, std, layout=layout, reverse_channels=reverse)
        made = compiled(model, preprocess=preprocess)
        frames = np.random.default_rng(1).integers(0, 256, size=(2, 5, 7, 3)).astype("u1")
        channels = frames[..., ::-1] if reverse else frames
        wanted = np.maximum((channels - np.array(mean)) / np.array(std), 0).transpose(axes)
        outputs = made.create_request().infer({"x": frames})

        assert made.preprocess == preprocess
        assert str(made.inputs[0]) == "x: uint8[2, 5, 7, 3]"
        tolerance = {"f4": 1e-5, "f2": 4e-3}[dtype]
        np.testing.assert_allclose(outputs["y"], wanted, rtol=tolerance, atol=tolerance)

    def test_preprocess_of_an_unknown_input_is_an_input_error(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        with pytest.raises(InputError, match=r"'image'.*x"):
            compiled(
                models.relu(tmp_path, (1, 3, 4, 4)), preprocess=Preprocess("image", (0.0,), (1.0,))
            )

    # -- formats --------------------------------------------------------------------------------

    def test_ir_file_answers_like_its_onnx_file(self, compiled: Compile, tmp_path: Path) -> None:
        model = models.conv(tmp_path)
        network = openvino.Core().read_model(str(model.path))
        openvino.save_model(network, tmp_path / "model.xml", compress_to_fp16=False)
        feeds = {"x": noise((2, 3, 16, 16))}

        check(
            compiled(read(tmp_path / "model.xml")), feeds, models.expected(model, feeds), rtol=1e-5
        )

    def test_ir_file_with_truncated_weights_is_no_silent_success(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        network = openvino.Core().read_model(str(models.conv(tmp_path).path))
        openvino.save_model(network, tmp_path / "model.xml", compress_to_fp16=False)
        info = read(tmp_path / "model.xml")
        os.truncate(tmp_path / "model.bin", 16)

        with pytest.raises((ModelError, BackendFailure), match=r"model\.xml"):
            compiled(info)


def intel_node(root: Path, folder: str, node: str, sysfs: str, vendor: str = "0x8086") -> Path:
    device = root / sysfs / node / "device"
    device.mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    path = root / folder / node
    path.parent.mkdir(parents=True)
    path.touch()
    return path


GPU = ("dev/dri", "renderD128", "sys/class/drm")
NPU = ("dev/accel", "accel0", "sys/class/accel")


def refuse_library(name: str) -> Any:
    raise OSError(f"{name}: cannot open shared object file")


def test_machine_without_intel_accelerators_has_no_findings(tmp_path: Path) -> None:
    assert list(findings(["CPU"], root=tmp_path)) == []


def test_accelerator_of_another_vendor_is_no_finding(tmp_path: Path) -> None:
    intel_node(tmp_path, *GPU, vendor="0x10de")

    assert list(findings(["CPU"], root=tmp_path)) == []


@pytest.mark.parametrize("listed", ["GPU", "GPU.0"])
def test_listed_gpu_is_no_finding(tmp_path: Path, listed: str) -> None:
    intel_node(tmp_path, *GPU)

    assert list(findings(["CPU", listed], root=tmp_path)) == []


def test_gpu_without_opencl_is_told_with_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = intel_node(tmp_path, *GPU)
    monkeypatch.setattr(ctypes, "CDLL", refuse_library)
    (finding,) = findings(["CPU"], root=tmp_path)

    assert str(node) in finding.fault
    assert "libOpenCL.so.1" in finding.fault
    assert "intel-opencl-icd" in finding.mend
    assert not finding.fatal


def test_gpu_that_the_user_may_not_open_is_told_with_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intel_node(tmp_path, *GPU)
    monkeypatch.setattr(os, "access", lambda *_: False)
    (finding,) = findings(["CPU"], root=tmp_path)

    assert "may not open" in finding.fault
    assert "usermod -aG render" in finding.mend


def test_gpu_with_opencl_that_is_not_listed_lacks_the_compute_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intel_node(tmp_path, *GPU)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: name)
    (finding,) = findings(["CPU"], root=tmp_path)

    assert "does not list it" in finding.fault
    assert "compute runtime" in finding.mend


def test_npu_that_is_not_listed_is_told_with_the_driver(tmp_path: Path) -> None:
    intel_node(tmp_path, *NPU)
    (finding,) = findings(["CPU", "GPU"], root=tmp_path)

    assert "NPU" in finding.fault
    assert "intel-level-zero-npu" in finding.mend


def test_listed_npu_is_no_finding(tmp_path: Path) -> None:
    intel_node(tmp_path, *NPU)

    assert list(findings(["CPU", "NPU"], root=tmp_path)) == []


def test_device_that_openvino_lists_can_be_compiled_for(tmp_path: Path) -> None:
    from hwrt_openvino import OpenVino

    backend = OpenVino()
    model = models.relu(tmp_path)

    for device in backend.devices():
        made = backend.compile(model, Device(device.kind, device.index), options=Options())
        check(made, {"x": noise((4,))}, {"y": np.maximum(noise((4,)), 0)})
        made.close()
