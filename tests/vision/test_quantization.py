from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwrt.errors import InputError
from hwrt.vision import dequantize, quantize

DTYPES = ("int8", "uint8", "int16", "uint16")


def onnx_quantize(x: Any, scale: Any, zero_point: Any, **attributes: Any) -> np.ndarray:
    return run_onnx("QuantizeLinear", x, scale, zero_point, **attributes)


def run_onnx(operator: str, *feeds: Any, **attributes: Any) -> np.ndarray:
    """The operator by onnx's own reference, which is NumPy."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    names = ["x", "scale", "zero"]
    values = dict(zip(names, feeds, strict=True))
    to_type = helper.np_dtype_to_tensor_dtype
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"], **attributes)],
        "one",
        [helper.make_tensor_value_info(n, to_type(v.dtype), v.shape) for n, v in values.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    (result,) = ReferenceEvaluator(model).run(None, values)
    return np.asarray(result)


@pytest.mark.parametrize("dtype", DTYPES)
def test_quantize_equals_onnx_quantize_linear(dtype: str) -> None:
    x = np.random.default_rng(0).normal(scale=40, size=(4, 1000)).astype("f4")
    zero = np.array(3, dtype)

    wanted = onnx_quantize(x, np.float32(0.25) + np.zeros((), "f4"), zero)
    np.testing.assert_array_equal(wanted, quantize(x, 0.25, 3, dtype))
    assert quantize(x, 0.25, 3, dtype).dtype == dtype


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_quantize_by_channel_equals_onnx_quantize_linear(axis: int) -> None:
    x = np.random.default_rng(1).normal(scale=3, size=(3, 5)).astype("f4")
    count = x.shape[axis]
    scale = np.linspace(0.01, 0.2, count).astype("f4")
    zero = np.arange(count).astype("i1")

    wanted = onnx_quantize(x, scale, zero, axis=axis)
    np.testing.assert_array_equal(wanted, quantize(x, scale, zero, "int8", axis=axis))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dequantize_equals_onnx_dequantize_linear(dtype: str) -> None:
    limits = np.iinfo(dtype)
    q = np.linspace(limits.min, limits.max, 999).astype(dtype)

    wanted = run_onnx("DequantizeLinear", q, np.array(0.037, "f4"), np.array(2, dtype))
    np.testing.assert_array_equal(wanted, dequantize(q, 0.037, 2))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_dequantize_by_channel_equals_onnx_dequantize_linear(axis: int) -> None:
    q = np.random.default_rng(2).integers(0, 256, size=(3, 5)).astype("u1")
    count = q.shape[axis]
    scale = np.linspace(0.01, 0.2, count).astype("f4")
    zero = np.arange(100, 100 + count).astype("u1")

    wanted = run_onnx("DequantizeLinear", q, scale, zero, axis=axis)
    np.testing.assert_array_equal(wanted, dequantize(q, scale, zero, axis=axis))


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_out_of_range_saturates(dtype: str) -> None:
    limits = np.iinfo(dtype)
    x = np.array([-1e6, limits.min - 4.0, limits.max - 3.4, limits.max - 2.0, 1e6], "f4")

    low, high = limits.min, limits.max
    np.testing.assert_array_equal([low, low, high, high, high], quantize(x, 1.0, 3, dtype))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_floats_of_every_width_are_quantized_in_float32(dtype: str) -> None:
    x = np.array([0.1, -0.35, 6.0], dtype)

    wanted = onnx_quantize(x.astype("f4"), np.array(0.1, "f4"), np.array(-7, "i1"))
    np.testing.assert_array_equal(wanted, quantize(x, 0.1, -7, "int8"))


def test_numbers_beyond_float32_are_infinite() -> None:
    np.testing.assert_array_equal([np.inf], dequantize(np.array([127], "i1"), 3e38, 0))
    np.testing.assert_array_equal([127], quantize(np.array([1e300]), 1.0, 0, "int8"))


def test_a_dimension_without_elements_needs_no_scale() -> None:
    assert (0, 3) == quantize(np.zeros((0, 3), "f4"), [], [], "int8", axis=0).shape


def test_halves_are_rounded_to_the_even_neighbour() -> None:
    halves = np.array([0.5, 1.5, 2.5, -0.5, -1.5], "f4")

    np.testing.assert_array_equal([0, 2, 2, 0, -2], quantize(halves, 1.0, 0, "int8"))


def test_infinities_saturate_and_nan_becomes_the_zero_point() -> None:
    x = np.array([np.inf, -np.inf, np.nan, 1e30], "f4")

    np.testing.assert_array_equal([127, -128, 5, 127], quantize(x, 1e-10, 5, "int8"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_integer_survives_both_ways(dtype: str) -> None:
    limits = np.iinfo(dtype)
    q = np.arange(limits.min, limits.max + 1).astype(dtype)

    np.testing.assert_array_equal(q, quantize(dequantize(q, 0.0123, 7), 0.0123, 7, dtype))


def test_a_given_array_takes_the_result() -> None:
    x = np.array([[1.0, 2.0]], "f4")
    q, back = np.empty((1, 2), "u1"), np.empty((1, 2), "f4")

    assert quantize(x, 0.5, 1, "uint8", q) is q
    assert dequantize(q, 0.5, 1, back) is back
    np.testing.assert_array_equal([[3, 5]], q)
    np.testing.assert_array_equal(x, back)


def test_strided_arrays_are_served() -> None:
    x = np.arange(12, dtype="f4").reshape(3, 4)[::-1, ::2]
    out = np.empty((2, 3), "i1").T

    np.testing.assert_array_equal(x, quantize(x, 1.0, 0, "int8", out))


def unaligned(count: int, dtype: str) -> np.ndarray:
    return np.zeros(count * np.dtype(dtype).itemsize + 1, "u1")[1:].view(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_unaligned_arrays_are_served(dtype: str) -> None:
    x, q, back = unaligned(50, "f4"), unaligned(50, dtype), unaligned(50, "f4")
    x[:] = np.arange(50)

    assert quantize(x, 0.5, 1, dtype, q) is q
    assert dequantize(q, 0.5, 1, back) is back
    np.testing.assert_array_equal(np.arange(50) * 2 + 1, q)
    np.testing.assert_array_equal(x, back)


@pytest.mark.parametrize("begin", [0, 1, 64, 191, 192])
def test_a_result_in_the_memory_of_what_is_read_is_right(begin: int) -> None:
    x = np.arange(64, dtype="f4")
    memory = x.view("u1")
    out = memory[begin : begin + 64]

    quantize(x, 1.0, 0, "uint8", out)

    np.testing.assert_array_equal(np.arange(64), out)
    dequantize(out, 1.0, 0, x)
    np.testing.assert_array_equal(np.arange(64), x)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1, 1, 1, 1)], ids=str)
def test_every_shape_keeps_its_shape(shape: tuple[int, ...]) -> None:
    q = quantize(np.ones(shape, "f4"), 0.5, 0, "int8")

    assert shape == q.shape == dequantize(q, 0.5, 0).shape


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"scale": 0.0}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"scale": [1.0, 2.0]}, "2 scales"),
        ({"scale": [1.0, 2.0], "axis": 1}, "2 scales"),
        ({"scale": 1e39}, r"1e\+39"),
        ({"scale": 1e-46}, "1e-46"),
        ({"scale": "wide"}, "'wide'"),
        ({"scale": 10**400}, "1000"),
        ({"zero_point": "low"}, "'low'"),
        ({"zero_point": None}, "None"),
        ({"zero_point": "1"}, "'1'"),
        ({"axis": True}, "axis is True"),
        ({"dtype": "int4"}, "int4"),
        ({"axis": "0"}, "axis is 0"),
        ({"axis": 1.0}, r"axis is 1\.0"),
        ({"zero_point": 128}, "128"),
        ({"zero_point": 0.5}, "0.5"),
        ({"dtype": "int32"}, "int32"),
        ({"axis": 2}, "axis is 2"),
        ({"x": np.zeros((2, 3), "i4")}, "int32"),
        ({"out": np.zeros((2, 3), "u1")}, "uint8"),
        ({"out": np.zeros((3, 2), "i1")}, r"\(3, 2\)"),
    ],
    ids=str,
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    right = {"x": np.zeros((2, 3), "f4"), "scale": 1.0, "zero_point": 0, "dtype": "int8"}

    with pytest.raises(InputError, match=named):
        quantize(**(right | arguments))


def test_a_read_only_result_is_refused() -> None:
    out = np.zeros(2, "f4")
    out.flags.writeable = False

    with pytest.raises(InputError, match="read-only"):
        dequantize(np.zeros(2, "i1"), 1.0, 0, out)
