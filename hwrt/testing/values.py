# ruff: noqa: D102 - the name of a test says what it shows
"""What requests promise of values: right over dtypes, ranks, sizes, names and numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwrt.testing import graphs
from hwrt.testing.checking import Compile, check, core, noise
from hwrt.testing.graph import Graph, dtype_named, node, tensor
from hwrt.testing.reference import evaluate

# What any runtime has; a backend without one of them lists it.
_COMMON = ("int8", "uint8", "int32", "int64", "bool")
# What a runtime may refuse with a reason.
_OTHERS = (
    *("float16", "bfloat16", "float64", "int16", "uint16", "uint32", "uint64", "string"),
    *("int4", "uint4", "float8_e4m3fn", "float8_e5m2"),
)
_SHAPES = ((1,), (2, 3), (2, 3, 4), (1, 2, 3, 4), (2, 1, 2, 1, 2), (1, 2, 1, 2, 1, 2))
_INTEGERS = tuple(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64))
_CARRIERS: dict[str, Callable[[Any], Graph]] = {
    "reshaped": graphs.reshaped,
    "doubled": graphs.doubled,
}
# Below, and well above, what a backend might rather copy than hand over: 64 B and 2 MiB.
SIZES = (16, 1 << 19)


class Values:
    """The part of BackendConformance that is about what comes out for what goes in."""

    # -- dtypes ---------------------------------------------------------------------------------

    @core
    @pytest.mark.parametrize("carrier", _CARRIERS)
    def test_float32_passes_unchanged(self, compiled: Compile, carrier: str) -> None:
        graph = _CARRIERS[carrier](np.float32)

        check(compiled(graph), graph, {"x": _some(graph)})

    @pytest.mark.parametrize("carrier", _CARRIERS)
    @pytest.mark.parametrize("dtype", _COMMON)
    def test_common_dtype_passes_unchanged(
        self, compiled: Compile, dtype: str, carrier: str
    ) -> None:
        graph = _CARRIERS[carrier](dtype_named(dtype))

        check(compiled(graph), graph, {"x": _some(graph)})

    @pytest.mark.parametrize("carrier", _CARRIERS)
    @pytest.mark.parametrize("dtype", _OTHERS)
    def test_other_dtype_passes_unchanged_or_is_refused(
        self, compiled: Compile, dtype: str, carrier: str
    ) -> None:
        graph = _CARRIERS[carrier](dtype_named(dtype))

        check(compiled.where_supported(graph), graph, {"x": _some(graph)})

    @pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float16", "float64"])
    def test_dtypes_are_cast_by_the_model_alone(self, compiled: Compile, dtype: str) -> None:
        graph = Graph(
            (tensor("x", "f4", (4,)),),
            (tensor("y", dtype, (4,)),),
            (node("Cast", "x", "y", to=dtype),),
        )
        x = np.array([0, 1.5, 2.25, 100], "f4")

        check(compiled.where_supported(graph), graph, {"x": x})

    @pytest.mark.parametrize("dtype", _INTEGERS)
    def test_integers_keep_every_bit(self, compiled: Compile, dtype: str) -> None:
        graph = graphs.reshaped(dtype)
        limits = np.iinfo(dtype)
        x = [limits.min, limits.min + 1, limits.max, limits.max - 1, limits.max // 3, 1]

        check(compiled.where_supported(graph), graph, {"x": np.array(x, dtype)})

    @pytest.mark.parametrize("dtype", ["float64", "float16"])
    def test_floats_keep_every_bit(self, compiled: Compile, dtype: str) -> None:
        graph = graphs.reshaped(dtype)
        limits = np.finfo(dtype)
        x = [limits.max, limits.min, limits.tiny, limits.smallest_subnormal, 1 + limits.eps, 1 / 3]

        check(compiled.where_supported(graph), graph, {"x": np.array(x, dtype)})

    @pytest.mark.parametrize("shape", [(3,), ("N",)], ids=["fixed", "dynamic"])
    def test_bool_is_computed_as_bool(self, compiled: Compile, shape: Any) -> None:
        graph = graphs.unary("Not", "?", shape)

        check(compiled(graph), graph, {"x": np.array([True, False, True])})

    # -- numbers --------------------------------------------------------------------------------

    @core
    def test_nan_and_infinities_pass(self, compiled: Compile) -> None:
        graph = graphs.unary("Neg", "f4", (4,))

        check(compiled(graph), graph, {"x": np.array([np.nan, np.inf, -np.inf, 1.0], "f4")})

    def test_zero_has_a_sign(self, compiled: Compile) -> None:
        graph = graphs.unary("Neg", "f4", (2,))
        y = compiled(graph).create_request().infer({"x": np.array([0.0, -0.0], "f4")})["y"]

        np.testing.assert_array_equal([True, False], np.signbit(y))

    @core
    def test_smallest_and_largest_float32_pass(self, compiled: Compile) -> None:
        graph = graphs.reshaped("f4")
        limits = np.finfo("f4")
        x = np.array([limits.max, limits.min, limits.tiny, 1e-40, 16777217, 1 / 3], "f4")

        check(compiled(graph), graph, {"x": x})

    @core
    def test_convolution_is_right(self, compiled: Compile) -> None:
        graph = graphs.convolution(compiled.layout, batch=2)
        x = noise(tuple(size or 1 for size in graph.inputs[0].shape or ()))

        check(compiled(graph), graph, {"x": x}, rtol=1e-5)

    @core
    def test_depthwise_convolution_is_right(self, compiled: Compile) -> None:
        graph = graphs.depthwise(compiled.layout)
        x = noise(tuple(size or 1 for size in graph.inputs[0].shape or ()))

        check(compiled(graph), graph, {"x": x}, rtol=1e-5)

    @core
    def test_product_of_matrices_is_right(self, compiled: Compile) -> None:
        graph = graphs.matmul()

        check(compiled(graph), graph, {"x": noise((4, 512))}, rtol=1e-4)

    # -- quantised ------------------------------------------------------------------------------

    @pytest.mark.parametrize("ends", ["float", "int8"])
    def test_quantised_model_is_right_and_tells_how_it_is_computed(
        self, compiled: Compile, ends: str
    ) -> None:
        graph = graphs.quantized_matmul(float_ends=ends == "float")
        made = compiled(graph)
        (spec,) = graph.inputs
        x = noise((2, 16)) if ends == "float" else np.arange(-16, 16, dtype="i1").reshape(2, 16)
        (y,) = made.create_request().infer({spec.name: x}).values()
        (wanted,) = evaluate(graph, {spec.name: x}).values()
        step = graph.quantization["yq"].scale[0] if ends == "float" else 1

        assert made.precision in ("int8", "f32")
        assert y.dtype == wanted.dtype
        np.testing.assert_allclose(y.astype("f8"), wanted.astype("f8"), rtol=0, atol=step * 1.01)

    def test_scale_of_a_quantised_tensor_is_in_its_file(self, compiled: Compile) -> None:
        graph = graphs.quantized_matmul(float_ends=False)
        model = compiled.save(graph)
        if model.inputs[0].quantization is None:
            pytest.skip(f"{compiled.format} has no scales at its inputs")
        made = compiled(model)

        assert [spec.dtype for spec in made.inputs] == [np.dtype("i1")]

    # -- ranks and sizes ------------------------------------------------------------------------

    @core
    @pytest.mark.parametrize("shape", _SHAPES, ids=str)
    def test_every_rank(self, compiled: Compile, shape: tuple[int, ...]) -> None:
        graph = graphs.relu(shape)

        check(compiled(graph), graph, {"x": noise(shape)})

    def test_scalar(self, compiled: Compile) -> None:
        graph = graphs.relu(())

        check(compiled(graph), graph, {"x": noise(())})

    @pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 3)], ids=str)
    def test_no_elements(self, compiled: Compile, shape: tuple[int, ...]) -> None:
        graph = graphs.relu(shape)

        check(compiled(graph), graph, {"x": noise(shape)})

    @core
    @pytest.mark.parametrize("size", [1, 3, SIZES[1], SIZES[1] + 1])
    def test_every_size(self, compiled: Compile, size: int) -> None:
        graph = graphs.relu((size,))

        check(compiled(graph), graph, {"x": noise((size,))})

    # -- names ----------------------------------------------------------------------------------

    @core
    def test_several_inputs_and_outputs_keep_their_names(self, compiled: Compile) -> None:
        graph = graphs.mixed()
        a, b, c = noise((2, 3)), noise((2, 1), seed=1), np.array([True, False, True, True, False])

        check(compiled(graph), graph, {"c": c, "a": a, "b": b})

    @core
    def test_40_inputs_and_40_outputs_keep_their_names(self, compiled: Compile) -> None:
        graph = graphs.many(40)
        feeds = {
            spec.name: noise(tuple(size or 1 for size in spec.shape or ()), seed=i)
            for i, spec in enumerate(graph.inputs)
        }

        check(compiled(graph), graph, feeds)

    @core
    def test_specs_are_those_of_the_file(self, compiled: Compile) -> None:
        model = compiled.save(graphs.mixed())
        made = compiled(model)

        assert made.inputs == model.inputs
        assert made.outputs == model.outputs

    @core
    def test_file_without_signatures_keeps_its_tensors_names(self, compiled: Compile) -> None:
        graph = graphs.mixed()
        arguments: dict[str, Any] = {"signature": None} if compiled.format == "tflite" else {}
        made = compiled(compiled.save(graph, **arguments))
        a, b, c = noise((2, 3)), noise((2, 1), seed=1), np.array([True, False, True, True, False])

        check(made, graph, {"a": a, "b": b, "c": c})

    def test_input_that_no_operator_reads_is_still_an_input(self, compiled: Compile) -> None:
        graph = Graph(
            (tensor("x", "f4", (4,)), tensor("unread", "f4", (2,))),
            (tensor("y", "f4", (4,)),),
            (node("Neg", "x", "y"),),
        )

        check(compiled(graph), graph, {"x": noise((4,)), "unread": noise((2,))})

    @pytest.mark.parametrize("size", SIZES)
    def test_input_may_be_an_output_too(self, compiled: Compile, size: int) -> None:
        x, y = tensor("x", "f4", (size,)), tensor("y", "f4", (size,))
        graph = Graph((x,), (x, y), (node("Relu", "x", "y"),))

        check(compiled(graph), graph, {"x": noise((size,))})

    def test_one_value_may_be_two_outputs(self, compiled: Compile) -> None:
        graph = Graph(
            (tensor("x", "f4", (4,)),),
            (tensor("second", "f4", (4,)), tensor("first", "f4", (4,))),
            (node("Identity", "x", "first"), node("Identity", "x", "second")),
        )

        check(compiled(graph), graph, {"x": noise((4,))})

    def test_constant_may_be_an_output(self, compiled: Compile) -> None:
        graph = Graph(
            (tensor("x", "f4", (2,)),),
            (tensor("y", "f4", (2,)), tensor("z", "f4", (2,))),
            (node("Add", "x k", "y"), node("Add", "k k", "z")),
            {"k": np.array([1, 2], "f4")},
        )

        check(compiled(graph), graph, {"x": noise((2,))})


def _some(graph: Graph) -> Any:
    """Six elements of the dtype of ``x``, each different where it has so many values."""
    (spec,) = graph.inputs
    shape = (3, 2) if spec.shape is None or len(spec.shape) == 2 else (6,)
    if spec.dtype.hasobject:
        return np.array(["first", "", "zweite", "\u00fc", "a b", "6"], object).reshape(shape)
    values = np.array([0, 1, 2, 3, 4, 5])
    if spec.dtype == np.dtype(bool):
        values = values % 2
    return values.astype(spec.dtype).reshape(shape)
