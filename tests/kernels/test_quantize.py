"""Quantising in each form: equal to ONNX's operators, the same bytes at every target."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from .forms import FORMS, form

DTYPES = ["uint8", "int8", "uint16", "int16"]
AROUND_VECTORS = [*range(1, 36), 63, 64, 65, 127, 129, 1000]
NAN, INF = np.nan, np.inf


def quantize(
    kernels: Any, x: Any, scales: Any, zero_points: Any, dtype: str, shape: Any = None
) -> np.ndarray:
    """The integers of x, with one scale or, of (outer, channels, inner), one a channel."""
    values = np.array(x, np.float32).reshape(shape or (1, 1, -1))
    around = np.full(values.size + 64, 77, dtype)
    out = around[32:-32].reshape(values.shape)
    kernels.quantize(values, np.float32(np.atleast_1d(scales)), _zeros(zero_points), out)
    assert (around[:32] == 77).all()
    assert (around[-32:] == 77).all()
    return out if shape else out.ravel()


def dequantize(
    kernels: Any, q: np.ndarray, scales: Any, zero_points: Any, shape: Any = None
) -> np.ndarray:
    integers = q.reshape(shape or (1, 1, -1))
    around = np.full(integers.size + 64, 77, np.float32)
    out = around[32:-32].reshape(integers.shape)
    kernels.dequantize(integers, np.float32(np.atleast_1d(scales)), _zeros(zero_points), out)
    assert (around[:32] == 77).all()
    assert (around[-32:] == 77).all()
    return out if shape else out.ravel()


def _zeros(zero_points: Any) -> np.ndarray:
    return np.atleast_1d(zero_points).astype(np.float32)


@functools.cache
def _onnx(operator: str, dtype: str, axis: int) -> Any:
    """ONNX Runtime's own operator, from and to float32."""
    from onnx import TensorProto, helper

    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    integer = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    to_integer = operator == "QuantizeLinear"
    x, y = (TensorProto.FLOAT, integer) if to_integer else (integer, TensorProto.FLOAT)
    infos = [("x", x), ("scale", TensorProto.FLOAT), ("zero", integer)]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "scale", "zero"], ["y"], axis=axis)],
        "one",
        [helper.make_tensor_value_info(name, kind, None) for name, kind in infos],
        [helper.make_tensor_value_info("y", y, None)],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def onnx(operator: str, x: np.ndarray, scale: Any, zero: Any, dtype: str, axis: int = 1) -> Any:
    feeds = {"x": x, "scale": np.array(scale, np.float32), "zero": np.array(zero, dtype)}
    return _onnx(operator, dtype, axis).run(None, feeds)[0]


def middle_of(dtype: str) -> int:
    return int(np.iinfo(dtype).max) // 3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.0117, 1 / 255, 1.0, 3.7, 2.0**-20, 1e-30, 1e30])
def test_integers_are_those_of_onnx_runtime(kernels: Any, dtype: str, scale: float) -> None:
    wide = float(np.iinfo(dtype).max)
    x = np.random.default_rng(0).normal(0, wide, 5000).astype(np.float32) * np.float32(scale)
    zero = middle_of(dtype)

    expected = onnx("QuantizeLinear", x, scale, zero, dtype)

    np.testing.assert_array_equal(expected, quantize(kernels, x, scale, zero, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.0117, 1 / 255, 3.7, 1e-30, 1e30, 3e38])
def test_numbers_are_those_of_onnx_runtime(kernels: Any, dtype: str, scale: float) -> None:
    limits = np.iinfo(dtype)
    q = np.arange(limits.min, limits.max + 1).astype(dtype)

    expected = onnx("DequantizeLinear", q, scale, middle_of(dtype), dtype)

    actual = dequantize(kernels, q, scale, middle_of(dtype))
    np.testing.assert_array_equal(expected, actual)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(1, 5, 7), (3, 5, 1), (2, 3, 33), (1, 1, 1), (4, 2, 64)], ids=str
)
def test_each_channel_has_its_scale_and_zero_point(
    kernels: Any, dtype: str, shape: tuple[int, int, int]
) -> None:
    rng = np.random.default_rng(shape[1])
    x = rng.normal(0, 3, shape).astype(np.float32)
    scales = rng.uniform(0.01, 0.2, shape[1]).astype(np.float32)
    zeros = rng.integers(0, 100, shape[1])

    q = quantize(kernels, x, scales, zeros, dtype, shape)

    np.testing.assert_array_equal(onnx("QuantizeLinear", x, scales, zeros, dtype), q)
    back = dequantize(kernels, q, scales, zeros, shape)
    np.testing.assert_array_equal(onnx("DequantizeLinear", q, scales, zeros, dtype), back)


def test_quotients_are_those_of_a_division_for_every_float_of_a_binade() -> None:
    """Of x * (1 / s), one or two in a million would be another integer."""
    steps = np.random.default_rng(1).integers(0, 1 << 23, 1_000_000).astype(np.uint32)
    x = (steps + np.uint32(0x42800000)).view(np.float32)  # 64..128
    scale = np.float32(0.7)

    expected = np.rint(x / scale).astype(np.uint8)

    for name in FORMS:
        with form(name) as kernels:
            np.testing.assert_array_equal(expected, quantize(kernels, x, scale, 0, "uint8"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_halves_are_rounded_to_the_even_neighbour(kernels: Any, dtype: str) -> None:
    halves = np.arange(0.5, 40.5)

    q = quantize(kernels, halves * 0.25, 0.25, 7, dtype)

    np.testing.assert_array_equal(np.rint(halves).astype(dtype) + 7, q)


@pytest.mark.parametrize("zero", [0, 1, 7, 100, 127])
@pytest.mark.parametrize("dtype", DTYPES)
def test_halves_are_rounded_before_the_zero_point_is_added(
    kernels: Any, dtype: str, zero: int
) -> None:
    q = quantize(kernels, [0.5, 1.5, 2.5, -0.5, -1.5, -2.5] * 6, 1.0, zero, dtype)

    least = int(np.iinfo(dtype).min)
    wanted = np.clip(np.array([0, 2, 2, 0, -2, -2]) + zero, least, int(np.iinfo(dtype).max))
    assert [*wanted] * 6 == q.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("position", range(0, 40, 3))
def test_a_nan_becomes_the_zero_point_wherever_it_stands(
    kernels: Any, dtype: str, position: int
) -> None:
    x = np.full(40, 2.0)
    x[position] = NAN

    q = quantize(kernels, x, 0.5, 3, dtype)

    assert 3 == q[position]
    assert [7] * 39 == np.delete(q, position).tolist()


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_what_overflows_saturate(kernels: Any, dtype: str) -> None:
    limits = np.iinfo(dtype)

    q = quantize(kernels, [INF, -INF, 3e38, -3e38, 1e10, -1e10] * 7, 1e-3, 3, dtype)

    assert [limits.max, limits.min] * 21 == q.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("edge", ["min", "max"])
def test_the_ends_of_the_range_are_exact(kernels: Any, dtype: str, edge: str) -> None:
    limits = np.iinfo(dtype)
    zero = getattr(limits, edge)
    x = np.arange(limits.min, limits.max + 1, 1, np.int64) - zero

    q = quantize(kernels, x, 1.0, zero, dtype)

    np.testing.assert_array_equal(x + zero, q)
    np.testing.assert_array_equal(x, dequantize(kernels, q, 1.0, zero))


@pytest.mark.parametrize("dtype", DTYPES)
def test_sizes_around_vectors_hold_the_parts_of_a_longer_array(kernels: Any, dtype: str) -> None:
    x = np.random.default_rng(5).normal(0, 50, 1000).astype(np.float32)
    x[::13], x[::17] = NAN, INF
    whole = quantize(kernels, x, 0.37, 5, dtype)
    numbers = dequantize(kernels, whole, 0.37, 5)

    parts = [quantize(kernels, x[-n:], 0.37, 5, dtype) for n in AROUND_VECTORS]

    for n, part in zip(AROUND_VECTORS, parts, strict=True):
        np.testing.assert_array_equal(whole[-n:], part)
        np.testing.assert_array_equal(numbers[-n:], dequantize(kernels, part, 0.37, 5))


def test_no_elements_are_nothing_to_do(kernels: Any) -> None:
    assert 0 == quantize(kernels, [], 1.0, 0, "int8").size


def _call(name: str, changed: dict[str, Any]) -> None:
    compiled = pytest.importorskip("hwrt._kernels", reason="the extension is not compiled")
    floats, integers = np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 4), np.int8)
    given = {"scales": np.ones(3, np.float32), "zero_points": np.zeros(3, np.float32)}
    of = {"quantize": {"x": floats, "out": integers}, "dequantize": {"q": integers, "out": floats}}
    getattr(compiled, name)(**(given | of[name] | changed))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("quantize", {"x": np.zeros((2, 3, 4))}, "x is float64, not float32"),
        ("quantize", {"out": np.zeros((2, 3, 4), np.int32)}, "out is int32, not uint8, int8"),
        ("quantize", {"scales": np.ones(3)}, "scales is float64, not float32"),
        ("dequantize", {"q": np.zeros((2, 3, 4), np.float32)}, "q is float32, not uint8, int8"),
        ("dequantize", {"q": np.zeros((2, 3, 4), ">i2")}, "q is >i2, not uint8"),
        ("dequantize", {"zero_points": np.ones(3, np.int8)}, "zero_points is int8, not float32"),
    ],
)
def test_another_dtype_is_a_type_error(name: str, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        _call(name, changed)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("quantize", {"out": np.zeros((2, 3, 5), np.int8)}),
        ("quantize", {"out": np.zeros((2, 3, 8), np.int8)[..., ::2]}),
        ("quantize", {"x": np.zeros((4, 3, 2), np.float32).T}),
        ("quantize", {"out": _read_only(np.zeros((2, 3, 4), np.int8))}),
        ("quantize", {"scales": np.ones(2, np.float32)}),
        ("dequantize", {"zero_points": np.ones(4, np.float32)}),
        ("dequantize", {"scales": np.ones(6, np.float32)[::2]}),
        ("dequantize", {"out": np.zeros((2, 3, 4), np.float32)[::-1]}),
        ("dequantize", {"out": np.zeros(97, np.uint8)[1:].view(np.float32).reshape(2, 3, 4)}),
        ("dequantize", {"q": np.zeros(49, np.uint8)[1:].view(np.int16).reshape(2, 3, 4)}),
    ],
)
def test_another_shape_or_layout_is_a_value_error(name: str, changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"contiguous|read-only|multiple of"):
        _call(name, changed)
