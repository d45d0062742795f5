from __future__ import annotations

import dataclasses
import gc
import sys
import weakref
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest

from hwrt.backend import (
    Backend,
    BackendFailure,
    BackendUnavailable,
    CompiledModel,
    Device,
    InputError,
    Limits,
    ModelInfo,
    Options,
    Range,
    UnsupportedModel,
)
from hwrt.model import read
from hwrt.testing import BackendConformance, Graph, graphs, node, tensor, write_onnx
from hwrt.testing.checking import Compile, check, check_request, noise
from hwrt_onnxruntime import OnnxRuntime, diagnosis
from hwrt_onnxruntime.diagnosis import findings

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

foreign = pytest.mark.skipif(
    not hasattr(onnxruntime.OrtValue, "ortvalue_from_numpy_with_onnx_type"),
    reason="this onnxruntime takes no elements that NumPy lacks",
)


class TestOnnxRuntime(BackendConformance):
    vendor = "onnxruntime"

    @pytest.fixture
    def backend(self) -> Backend:
        from hwrt_onnxruntime import OnnxRuntime

        return OnnxRuntime()

    def test_string_input_and_numeric_output_may_be_of_one_model(self, compiled: Compile) -> None:
        graph = Graph(
            (tensor("x", object, ("N", 2)),),
            (tensor("y", "i8", (2,)),),
            (node("Shape", "x", "y"),),
        )

        check(compiled(graph), graph, {"x": np.full((3, 2), "a", object)})

    def test_string_tensor_can_not_be_bound(self, compiled: Compile) -> None:
        graph = graphs.unary("Identity", object, (1,))

        with pytest.raises(InputError, match="'x'"):
            compiled(graph).create_request().bind("x", np.array(["a"], object))

    def test_output_of_open_shape_may_be_bound(self, compiled: Compile) -> None:
        request = compiled(graphs.relu(("N",))).create_request({"x": (3,)})
        mine = np.empty(3, "f4")
        request.bind("y", mine)
        request.inputs["x"][...] = [1, -1, 2]
        request.run()

        assert request.outputs["y"] is mine
        np.testing.assert_array_equal([1, 0, 2], mine)

    def test_output_may_be_larger_than_its_file_states(self, compiled: Compile) -> None:
        graph = graphs.relu(("N", 3))
        stated = dataclasses.replace(graph, outputs=(tensor("y", "f4", (1, 3)),))
        request = compiled(stated).create_request({"x": (4, 3)})
        request.bind("y", None)

        check_request(request, graph, {"x": noise((4, 3))})

    def test_output_of_open_shape_has_no_value_before_a_run(self, compiled: Compile) -> None:
        request = compiled(graphs.arg_where()).create_request()

        with pytest.raises(InputError, match=r"'y' has no value.*run\(\)"):
            request.outputs["y"]

    def test_outputs_of_a_run_that_failed_are_not_those_of_the_last_one(
        self, compiled: Compile
    ) -> None:
        request = compiled(graphs.gather()).create_request()
        request.run()
        request.inputs["i"][...] = 99
        with pytest.raises((InputError, BackendFailure), match="99"):
            request.run()
        request.inputs["x"][...] = [1, 2, 3]
        request.inputs["i"][...] = 2
        request.run()

        np.testing.assert_array_equal([3], request.outputs["y"])

    @pytest.mark.parametrize("batch", [1, 5])
    def test_shape_out_of_range_is_refused_and_the_request_stays_as_it_was(
        self, compiled: Compile, batch: int
    ) -> None:
        graph = graphs.relu(("N", 3))
        made = compiled(graph, shapes={"x": (Range(2, 3, 4), 3)})
        request = made.create_request({"x": (2, 3)})
        with pytest.raises(InputError, match=f"'x'.*{batch}, 3.*out of the bounds"):
            request.resize({"x": (batch, 3)})
        with pytest.raises(InputError, match=f"'x'.*{batch}, 3.*out of the bounds"):
            made.create_request({"x": (batch, 3)})

        assert request.inputs["x"].shape == (2, 3)
        check_request(request, graph, {"x": noise((2, 3))})

    def test_dimension_with_a_name_is_fixed_everywhere(self, compiled: Compile) -> None:
        made = compiled(graphs.add(("N", 2)), shapes={"a": (3, 2)})

        assert [spec.shape for spec in (*made.inputs, *made.outputs)] == [(3, 2)] * 3

    def test_one_dimension_of_two_sizes_is_an_input_error(self, compiled: Compile) -> None:
        with pytest.raises(InputError, match="'N' both 3 and 4"):
            compiled(graphs.add(("N", 2)), shapes={"a": (3, 2), "b": (4, 2)})

    @pytest.mark.parametrize("level", ["disable", "basic", "extended", "all"])
    def test_every_level_of_graph_optimization_is_right(
        self, compiled: Compile, level: str
    ) -> None:
        graph = graphs.convolution(compiled.layout)
        made = compiled(graph, Options(threads=1, graph_optimization=level, spinning=False))

        check(made, graph, {"x": noise((2, 3, 16, 16))}, rtol=1e-5)

    @pytest.mark.parametrize("options", [{"graph_optimization": "most"}, {"spinning": 1}], ids=str)
    def test_wrong_value_of_an_option_is_an_input_error(
        self, compiled: Compile, options: dict[str, str | int]
    ) -> None:
        (name,) = options

        with pytest.raises(InputError, match=name):
            compiled(graphs.relu(), Options(options))

    @pytest.mark.parametrize(
        ("level", "kernel"),
        [("disable", "MatMul"), ("basic", "MatMul"), ("extended", "QLinearMatMul")],
    )
    def test_quantised_model_is_int8_where_its_products_are_fused(
        self, compiled: Compile, tmp_path: Path, level: str, kernel: str
    ) -> None:
        model = compiled.save(graphs.quantized_matmul(float_ends=True))
        options = Options(threads=1, graph_optimization=level)
        made = compiled(model, options, cache_dir=tmp_path / "cache")
        assert made.artefact is not None
        run = {node.op_type for node in onnx.load(made.artefact).graph.node}

        assert kernel in run
        assert made.precision == ("int8" if kernel == "QLinearMatMul" else "f32")

    @pytest.mark.parametrize(
        ("options", "shapes"),
        [({"threads": 2**40}, None), ({"threads": 1}, {"x": (2**70,)})],
        ids=["threads", "shapes"],
    )
    def test_number_that_is_too_large_is_an_input_error(
        self, compiled: Compile, options: dict[str, int], shapes: Any
    ) -> None:
        with pytest.raises(InputError, match="smaller numbers"):
            compiled(graphs.relu(("N",)), Options(options), shapes=shapes)

    def test_text_that_utf_8_lacks_is_an_input_error(self, compiled: Compile) -> None:
        request = compiled(graphs.unary("Identity", object, (1,))).create_request()

        with pytest.raises(InputError, match="surrogates"):
            request.infer({"x": np.array(["\udcff"], object)})

    def test_placement_counts_the_operators(self, compiled: Compile) -> None:
        if not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"):
            pytest.skip("this onnxruntime does not tell where operators run")

        assert compiled(graphs.relu()).placement.operators == {"cpu:0": 1}

    def test_session_is_freed_when_all_is_closed(self, compiled: Compile) -> None:
        made = compiled(graphs.relu())
        request = made.create_request()
        request.run()
        session = weakref.ref(made._session)
        request.close()
        made.close()
        gc.collect()

        assert session() is None

    def test_model_with_external_weights_has_no_cached_copy(
        self, compiled: Compile, tmp_path: Path
    ) -> None:
        # Weights that no optimisation changes stay external, beside a file that moves elsewhere.
        graph = graphs.matmul()
        model = compiled.save(graph)
        proto = onnx.load(model.path)
        onnx.save(proto, model.path, save_as_external_data=True, location="weights.bin")
        made = compiled(read(model.path), cache_dir=tmp_path / "cache")

        assert made.artefact is None
        assert not (tmp_path / "cache").exists()
        check(made, graph, {"x": noise((4, 512))}, rtol=1e-4)


def folder_named(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let the import system see a package of this name alone, or a bare folder without code."""
    (folder / name / "capi").mkdir(parents=True)
    if code:
        (folder / name / "__init__.py").write_text(code, encoding="utf-8")
    for module in [key for key in sys.modules if key.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "path", [str(folder)])


def test_folder_that_uninstalling_left_behind_is_no_onnxruntime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_named("onnxruntime", tmp_path, monkeypatch, code="")

    for use in (OnnxRuntime().stamp, OnnxRuntime().devices):
        with pytest.raises(BackendUnavailable, match="not installed"):
            use()


def test_onnxruntime_that_fails_while_it_is_imported_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_named("onnxruntime", tmp_path, monkeypatch, code="raise AttributeError('_ARRAY_API')")

    with pytest.raises(BackendUnavailable, match="does not import: AttributeError: _ARRAY_API"):
        OnnxRuntime().devices()


@foreign
def test_string_beside_bfloat16_is_an_unsupported_model(tmp_path: Path) -> None:
    s, t = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.STRING, ["N"]) for name in "st"
    )
    x, y = (
        onnx.helper.make_tensor_value_info(name, kind, ["N"])
        for name, kind in (("x", onnx.TensorProto.FLOAT), ("y", onnx.TensorProto.BFLOAT16))
    )
    nodes = [
        onnx.helper.make_node("Identity", ["s"], ["t"]),
        onnx.helper.make_node("Cast", ["x"], ["y"], to=onnx.TensorProto.BFLOAT16),
    ]
    graph = onnx.helper.make_graph(nodes, "both", [s, x], [t, y])
    opsets = [onnx.helper.make_opsetid("", 19)]
    path = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(graph, ir_version=9, opset_imports=opsets), path)

    with pytest.raises(UnsupportedModel, match="'s'"):
        compile_foreign(read(path))


def test_one_distribution_is_no_finding() -> None:
    assert list(findings(installed=lambda: ["onnxruntime"])) == []


def test_two_distributions_in_one_folder_are_fatal() -> None:
    (finding,) = findings(installed=lambda: ["onnxruntime", "onnxruntime-openvino"])

    assert finding.fatal
    assert "onnxruntime and onnxruntime-openvino" in finding.fault
    assert "pip uninstall -y onnxruntime onnxruntime-openvino" in finding.mend


def test_gpu_distribution_without_a_driver_is_told() -> None:
    (finding,) = findings(installed=lambda: ["onnxruntime-gpu"], loads=lambda _: False)

    assert "libcuda.so.1" in finding.fault
    assert "pip install onnxruntime" in finding.mend


def test_gpu_distribution_without_cuda_libraries_names_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(diagnosis, "_has_cuda_library", lambda name: name != "cudnn")
    (finding,) = findings(installed=lambda: ["onnxruntime-gpu"], loads=lambda _: True)

    assert "libcudnn:" in finding.fault
    assert "onnxruntime-gpu[cuda,cudnn]" in finding.mend


def test_gpu_distribution_with_everything_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_has_cuda_library", lambda _: True)

    assert list(findings(installed=lambda: ["onnxruntime-gpu"], loads=lambda _: True)) == []


def foreign_model(path: Path, source: int, target: int, shape: tuple[int | str, ...]) -> ModelInfo:
    """The output ``y`` is the input ``x`` cast from one of ONNX's element types to another."""
    x, y = (
        onnx.helper.make_tensor_value_info(name, kind, shape)
        for name, kind in (("x", source), ("y", target))
    )
    cast = onnx.helper.make_node("Cast", ["x"], ["y"], to=target)
    graph = onnx.helper.make_graph([cast], "cast", [x], [y])
    opsets = [onnx.helper.make_opsetid("", 25)]
    onnx.save(onnx.helper.make_model(graph, ir_version=13, opset_imports=opsets), path)
    return read(path)


def compile_foreign(model: ModelInfo) -> CompiledModel:
    from hwrt_onnxruntime import OnnxRuntime

    return OnnxRuntime().compile(model, Device("cpu"), options=Options(threads=1))


@foreign
@pytest.mark.parametrize("shape", [(3,), ("N",)], ids=["fixed", "open"])
def test_bfloat16_input_and_output_are_bound_without_a_copy(
    tmp_path: Path, shape: tuple[int | str, ...]
) -> None:
    bf16 = onnx.TensorProto.BFLOAT16
    there = compile_foreign(foreign_model(tmp_path / "a.onnx", 1, bf16, shape)).create_request(
        {"x": (3,)}
    )
    back = compile_foreign(foreign_model(tmp_path / "b.onnx", bf16, 1, shape)).create_request(
        {"x": (3,)}
    )
    there.inputs["x"][...] = [1, -2, 3]
    there.run()
    y = there.outputs["y"]
    back.bind("x", y)
    back.run()

    assert y.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal([1, -2, 3], back.outputs["y"])


@foreign
def test_open_bfloat16_output_stays_readable_after_everything_is_closed(tmp_path: Path) -> None:
    bf16 = onnx.TensorProto.BFLOAT16
    made = compile_foreign(foreign_model(tmp_path / "model.onnx", 1, bf16, ("N",)))
    request = made.create_request({"x": (1 << 16,)})
    request.inputs["x"][...] = 3
    request.run()
    y = request.outputs["y"]
    request.close()
    made.close()
    del request, made
    gc.collect()

    np.testing.assert_array_equal(np.full(1 << 16, 3.0), y.astype("f4"))


@foreign
@pytest.mark.parametrize("name", ["int4", "uint4", "int2", "uint2"])
@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_packed_elements_go_in_and_out(tmp_path: Path, name: str, size: int) -> None:
    dtype = np.dtype(getattr(ml_dtypes, name))
    kind = getattr(onnx.TensorProto, name.upper())
    x = np.resize([1, 0, -2 if name.startswith("int") else 3], size).astype("f4")
    there = compile_foreign(foreign_model(tmp_path / "a.onnx", 1, kind, ("N",))).create_request()
    back = compile_foreign(foreign_model(tmp_path / "b.onnx", kind, 1, ("N",))).create_request()
    packed = there.infer({"x": x})["y"]

    assert packed.dtype == dtype
    np.testing.assert_array_equal(x, back.infer({"x": packed})["y"])


@foreign
def test_packed_tensor_can_not_be_bound(tmp_path: Path) -> None:
    model = foreign_model(tmp_path / "model.onnx", onnx.TensorProto.INT4, 1, (3,))
    request = compile_foreign(model).create_request()

    with pytest.raises(InputError, match="'x'"):
        request.bind("x", np.zeros(3, ml_dtypes.int4))


@foreign
def test_onnxruntime_that_takes_no_raw_memory_refuses_bfloat16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = foreign_model(tmp_path / "model.onnx", onnx.TensorProto.BFLOAT16, 1, (3,))
    monkeypatch.delattr(onnxruntime.OrtValue, "ortvalue_from_numpy_with_onnx_type")

    with pytest.raises(UnsupportedModel, match=r"bfloat16 .*'x'.*--upgrade onnxruntime"):
        compile_foreign(model)


def offered(tmp_path: Path, limits: Limits, *, quantized: bool = False) -> list[dict[str, Any]]:
    """What the candidates differ in from plain f32."""
    path = write_onnx(graphs.relu(), tmp_path / "model.onnx")
    model = dataclasses.replace(read(path), quantized=quantized)
    found = [dict(options) for options in OnnxRuntime().candidates(model, Device("cpu"), limits)]
    assert all(options.pop("precision") == "f32" for options in found)
    return found


def test_the_default_is_the_first_candidate(tmp_path: Path) -> None:
    assert offered(tmp_path, Limits(threads=4))[0] == {"threads": 4}


def test_with_one_thread_only_the_graph_can_differ(tmp_path: Path) -> None:
    assert offered(tmp_path, Limits(threads=1)) == [
        {"threads": 1},
        {"threads": 1, "graph_optimization": "extended"},
    ]


def test_with_two_threads_spinning_and_one_thread_are_tried(tmp_path: Path) -> None:
    assert offered(tmp_path, Limits(threads=2)) == [
        {"threads": 2},
        {"threads": 1},
        {"threads": 2, "spinning": False},
        {"threads": 2, "graph_optimization": "extended"},
        {"threads": 1, "graph_optimization": "extended"},
    ]


def test_for_memory_runs_without_an_arena_are_tried(tmp_path: Path) -> None:
    found = offered(tmp_path, Limits(threads=1, objective="memory"))

    assert {"threads": 1, "arena": False} in found


def test_quantised_models_are_tried_in_floats_too(tmp_path: Path) -> None:
    found = offered(tmp_path, Limits(threads=1), quantized=True)

    assert {"threads": 1, "graph_optimization": "basic"} in found


@pytest.mark.parametrize("objective", ["latency", "p99", "throughput", "memory"])
def test_there_are_a_dozen_candidates_at_the_most(tmp_path: Path, objective: str) -> None:
    found = offered(tmp_path, Limits(16, objective=objective), quantized=True)

    assert len(found) <= 12
    assert len({tuple(sorted(options.items())) for options in found}) == len(found)


def test_every_candidate_compiles_and_runs(tmp_path: Path) -> None:
    model = read(write_onnx(graphs.relu(), tmp_path / "model.onnx"))
    feeds = {"x": noise((4,))}
    limits = Limits(2, objective="memory")
    answers = [
        OnnxRuntime()
        .compile(model, Device("cpu"), options=options)
        .create_request({"x": (4,)})
        .infer(feeds)["y"]
        for options in OnnxRuntime().candidates(model, Device("cpu"), limits)
    ]

    assert len(answers) > 5
    assert all(np.array_equal(answer, answers[0]) for answer in answers)
