from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest

from hwrt.backend import (
    Backend,
    BackendFailure,
    Device,
    InputError,
    Limits,
    ModelError,
    ModelInfo,
    Options,
    Preprocess,
    Range,
    UnsupportedModel,
)
from hwrt.model import read
from hwrt.testing import BackendConformance, evaluate, graphs, write_onnx
from hwrt.testing.checking import Compile, check, check_request, noise
from hwrt_openvino.diagnosis import findings

openvino = pytest.importorskip("openvino", reason="openvino is not installed")


VERSION = tuple(map(int, re.findall(r"\d+", openvino.get_version())[:2]))
# Of versions that are older than those named here.
QUANTISED = "before 2025.1 OpenVINO misreads quantised TFLite files, and is refused them"
UINT32 = "before 2025.4 OpenVINO's CPU plugin computes uint32 in int32"
OLD = {
    **dict.fromkeys(
        (
            "test_quantised_model_is_right_and_tells_how_it_is_computed[tflite-float]",
            "test_quantised_model_is_right_and_tells_how_it_is_computed[tflite-int8]",
            "test_scale_of_a_quantised_tensor_is_in_its_file[tflite]",
            "test_quantised_model_is_computed_as_stated_or_in_integers[tflite-f32]",
            "test_quantised_model_is_computed_as_stated_or_in_integers[tflite-int8]",
        ),
        ((2025, 1), QUANTISED),
    ),
    "test_integers_keep_every_bit[uint32]": ((2025, 4), UINT32),
}


class TestOpenVino(BackendConformance):
    vendor = "openvino"
    unsupported: ClassVar[Mapping[str, str]] = {
        "test_integers_keep_every_bit[int64]": "OpenVINO's CPU plugin computes int64 in int32",
        "test_integers_keep_every_bit[uint64]": "OpenVINO's CPU plugin computes uint64 in int32",
        "test_floats_keep_every_bit[float64]": "OpenVINO's CPU plugin computes float64 in float32",
        **{test: reason for test, (version, reason) in OLD.items() if version > VERSION},
    }

    @pytest.fixture
    def backend(self) -> Backend:
        from hwrt_openvino import OpenVino

        return OpenVino()

    def test_string_tensor_is_an_unsupported_model(self, compiled: Compile) -> None:
        with pytest.raises(UnsupportedModel, match=r"(?i)string.*'x'"):
            compiled(graphs.unary("Identity", object, (1,)))

    # -- precision ------------------------------------------------------------------------------

    def test_bf16_is_built_only_where_the_cpu_has_it(self, compiled: Compile) -> None:
        if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            assert compiled(graphs.matmul(), Options(precision="bf16")).precision == "bf16"
        else:
            with pytest.raises(UnsupportedModel, match="bf16"):
                compiled(graphs.matmul(), Options(precision="bf16"))

    def test_precision_that_a_property_undermines_is_refused(self, compiled: Compile) -> None:
        if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            pytest.skip("this CPU has no bf16")
        options = Options(precision="f32", INFERENCE_PRECISION_HINT="bf16")

        with pytest.raises(UnsupportedModel, match="built precision bf16"):
            compiled(graphs.matmul(), options)

    @pytest.mark.parametrize("precision", ["f32", "int8"])
    def test_quantised_model_is_computed_as_stated_or_in_integers(
        self, compiled: Compile, precision: str
    ) -> None:
        graph = graphs.quantized_matmul(float_ends=True)
        made = compiled(graph, Options(precision=precision, threads=1))
        feeds = {"x": noise((2, 16))}
        outputs, wanted = made.create_request().infer(feeds), evaluate(graph, feeds)
        one_step = graph.quantization["yq"].scale[0] * 1.01

        assert made.precision == precision
        np.testing.assert_allclose(outputs["y"], wanted["y"], rtol=0, atol=one_step)

    def test_integers_are_a_candidate_of_quantised_models_alone(
        self, backend: Backend, compiled: Compile, tmp_path: Path
    ) -> None:
        graph = graphs.quantized_matmul(float_ends=True)
        quantised = compiled.save(graph, tmp_path / "quantised")
        both = [
            {options.precision for options in backend.candidates(model, Device("cpu"), Limits(1))}
            for model in (quantised, compiled.save(graphs.matmul()))
        ]

        assert [True, False] == ["int8" in precisions for precisions in both]

    def test_integers_are_refused_for_a_model_of_floats(self, compiled: Compile) -> None:
        with pytest.raises(UnsupportedModel, match="'int8'"):
            compiled(graphs.matmul(), Options(precision="int8"))

    # -- options --------------------------------------------------------------------------------

    def test_streams_are_requests_side_by_side(self, compiled: Compile) -> None:
        assert compiled(graphs.relu(), Options(threads=2, streams=2)).max_requests == 2

    def test_options_in_capitals_are_passed_on(self, compiled: Compile) -> None:
        graph = graphs.relu()
        made = compiled(graph, Options(threads=1, PERF_COUNT=True))

        check(made, graph, {"x": noise((4,))})

    def test_unknown_property_is_an_input_error(self, compiled: Compile) -> None:
        with pytest.raises(InputError, match="BOGUS"):
            compiled(graphs.relu(), Options(BOGUS=1))

    # -- shapes ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("batch", [0, 9, 20_000])
    def test_shape_out_of_range_is_refused_and_the_request_still_works(
        self, compiled: Compile, batch: int
    ) -> None:
        graph = graphs.relu(("N", 3))
        made = compiled(graph, shapes={"x": (Range(1, 2, 4), 3)})
        request = made.create_request({"x": (2, 3)})
        x = noise((2, 3))
        request.inputs["x"][...] = x
        with pytest.raises(InputError, match=f"'x'.*{batch}, 3"):
            request.resize({"x": (batch, 3)})
        with pytest.raises(InputError, match=f"'x'.*{batch}, 3"):
            request.infer({"x": noise((batch, 3))})
        request.run()

        np.testing.assert_array_equal(np.maximum(x, 0), request.outputs["y"])
        check_request(request, graph, {"x": -x})

    def test_refused_resize_of_one_input_keeps_the_others(self, compiled: Compile) -> None:
        request = compiled(
            graphs.two_negations(("A",), ("B",)),
            shapes={"a": (Range(1, 1, 9),), "b": (Range(1, 1, 2),)},
        ).create_request()
        request.inputs["a"][...] = 3
        with pytest.raises(InputError, match="'b'"):
            request.resize({"a": (5,), "b": (5,)})
        request.run()

        assert request.inputs["a"].shape == (1,)
        np.testing.assert_array_equal([-3], request.outputs["c"])

    def test_output_of_open_shape_can_not_be_bound(self, compiled: Compile) -> None:
        with pytest.raises(InputError, match="'y' has an open shape"):
            compiled(graphs.arg_where()).create_request().bind("y", np.zeros((1, 1), "i8"))

    def test_outputs_of_open_shape_are_not_changed_by_the_next_run(self, compiled: Compile) -> None:
        request = compiled(graphs.arg_where()).create_request({"x": (3,)})
        request.inputs["x"][...] = [1, 0, 1]
        request.run()
        first = request.outputs["y"]
        request.inputs["x"][...] = [0, 1, 1]
        request.run()

        np.testing.assert_array_equal([[0], [2]], first)

    # -- arrays ---------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [4, 1 << 16])
    def test_infer_writes_nothing_to_a_bound_input(self, compiled: Compile, size: int) -> None:
        request = compiled(graphs.relu((size,))).create_request()
        mine = np.full(size, 3, "f4")
        request.bind("x", mine)
        outputs = request.infer({"x": np.full(size, 5, "f4")})
        request.run()

        assert np.unique(mine) == [3]
        assert np.unique(outputs["y"]) == [5]
        assert np.unique(request.outputs["y"]) == [3]

    @pytest.mark.parametrize("name", ["f4", "f2", "u2", "i2"])
    @pytest.mark.parametrize("size", [3, 4, 1 << 16])
    def test_feed_of_another_dtype_is_never_read_as_bfloat16(
        self, backend: Backend, tmp_path: Path, name: str, size: int
    ) -> None:
        pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
        made = backend.compile(bfloat16_model(tmp_path), Device("cpu"), options=Options(threads=1))
        request = made.create_request({"x": (4,)})

        with pytest.raises(InputError, match=np.dtype(name).name):
            request.infer({"x": np.ones(size, name)})

    # -- preprocess -----------------------------------------------------------------------------

    @pytest.mark.parametrize("reverse", [False, True], ids=["as is", "reversed"])
    @pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
    @pytest.mark.parametrize("dtype", ["f4", "f2"])
    def test_fused_preprocess_is_what_numpy_computes(
        self, compiled: Compile, layout: str, reverse: bool, dtype: str
    ) -> None:
        shape = {"NCHW": (2, 3, 5, 7), "NHWC": (2, 5, 7, 3)}[layout]
        axes = {"NCHW": (0, 3, 1, 2), "NHWC": (0, 1, 2, 3)}[layout]
        graph = graphs.unary("Relu", dtype, shape)
        mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
        preprocess = Preprocess("x", mean, std, layout=layout, reverse_channels=reverse)
        made = compiled(graph, preprocess=preprocess)
        frames = np.random.default_rng(1).integers(0, 256, size=(2, 5, 7, 3)).astype("u1")
        channels = frames[..., ::-1] if reverse else frames
        wanted = np.maximum((channels - np.array(mean)) / np.array(std), 0).transpose(axes)
        outputs = made.create_request().infer({"x": frames})

        assert made.preprocess == preprocess
        assert str(made.inputs[0]) == "x: uint8[2, 5, 7, 3]"
        tolerance = {"f4": 1e-5, "f2": 4e-3}[dtype]
        np.testing.assert_allclose(outputs["y"], wanted, rtol=tolerance, atol=tolerance)

    def test_preprocess_of_an_unknown_input_is_an_input_error(self, compiled: Compile) -> None:
        with pytest.raises(InputError, match=r"'image'.*x"):
            compiled(graphs.relu((1, 3, 4, 4)), preprocess=Preprocess("image", (0.0,), (1.0,)))

    # -- formats --------------------------------------------------------------------------------

    def test_ir_file_answers_like_its_onnx_file(self, backend: Backend, tmp_path: Path) -> None:
        graph = graphs.convolution("NCHW")
        made = backend.compile(ir_file(tmp_path), Device("cpu"), options=Options())

        check(made, graph, {"x": noise((2, 3, 16, 16))}, rtol=1e-5)
        made.close()

    def test_ir_file_with_truncated_weights_is_no_silent_success(
        self, backend: Backend, tmp_path: Path
    ) -> None:
        info = ir_file(tmp_path)
        os.truncate(tmp_path / "model.bin", 16)

        with pytest.raises((ModelError, BackendFailure), match=r"model\.xml"):
            backend.compile(info, Device("cpu"), options=Options())


def bfloat16_model(folder: Path) -> ModelInfo:
    """Y is x, a bfloat16 vector of any length, as float32."""
    x, y = (
        onnx.helper.make_tensor_value_info(name, kind, ["N"])
        for name, kind in (("x", onnx.TensorProto.BFLOAT16), ("y", onnx.TensorProto.FLOAT))
    )
    cast = onnx.helper.make_node("Cast", ["x"], ["y"], to=onnx.TensorProto.FLOAT)
    graph = onnx.helper.make_graph([cast], "cast", [x], [y])
    opsets = [onnx.helper.make_opsetid("", 17)]
    onnx.save(
        onnx.helper.make_model(graph, ir_version=8, opset_imports=opsets), folder / "bf16.onnx"
    )
    return read(folder / "bf16.onnx")


def ir_file(folder: Path) -> ModelInfo:
    path = write_onnx(graphs.convolution("NCHW"), folder / "model.onnx")
    network = openvino.Core().read_model(str(path))
    openvino.save_model(network, folder / "model.xml", compress_to_fp16=False)
    return read(folder / "model.xml")


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
    graph = graphs.relu()
    model = read(write_onnx(graph, tmp_path / "model.onnx"))

    for device in backend.devices():
        made = backend.compile(model, Device(device.kind, device.index), options=Options())
        check(made, graph, {"x": noise((4,))})
        made.close()


TFLITE = {
    "mobilenet_v2_int8": ("uint8", (1, 224, 224, 3), "uint8", (1, 1001)),
    "deeplabv3_int8": ("uint8", (1, 513, 513, 3), "int64", (1, 513, 513)),
    "yolov8n_int8": ("int8", (1, 640, 640, 3), "int8", (1, 84, 8400)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TFLITE)
def test_real_tflite_file_keeps_names_dtypes_and_quantisation(shared: Path, name: str) -> None:
    from hwrt_openvino import OpenVino

    model = read(shared / "models" / f"{name}.tflite")
    made = OpenVino().compile(model, Device("cpu"), options=Options())
    (x,), (y,) = made.inputs, made.outputs
    frame = np.random.default_rng(0).integers(0, 127, x.shape).astype(x.dtype)
    outputs = made.create_request().infer({x.name: frame})

    assert (str(x.dtype), x.shape, str(y.dtype), y.shape) == TFLITE[name]
    assert (x, y) == (model.inputs[0], model.outputs[0])
    assert (x.quantization, x.aliases) == (model.inputs[0].quantization, model.inputs[0].aliases)
    assert (outputs[y.name].dtype, outputs[y.name].shape) == (y.dtype, y.shape)
    assert np.unique(outputs[y.name]).size > 1
