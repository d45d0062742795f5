"""The suite's reference, against sums written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwrt.backend import Quantization
from hwrt.testing import Graph, evaluate, graphs, node, tensor
from hwrt.testing.reference import dequantize, every_tensor, quantize


def same_padding(size: int, stride: int) -> int:
    """The zeros before the first element, by TensorFlow's rule."""
    return max((-(-size // stride) - 1) * stride + 3 - size, 0) // 2


@pytest.mark.parametrize("size", [5, 6, 16])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_is_the_sum_written_out(size: int, stride: int) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(1, size, size, 2)).astype("f4")
    w, b = random.normal(size=(3, 3, 3, 2)).astype("f4"), random.normal(size=3).astype("f4")
    count = -(-size // stride)
    graph = Graph(
        (tensor("x", "f4", x.shape),),
        (tensor("y", "f4", (1, count, count, 3)),),
        (node("Conv2D", "x w b", "y", layout="NHWC", stride=stride),),
        {"w": w, "b": b},
    )
    before = same_padding(size, stride)
    wanted = np.empty((1, count, count, 3))
    for i, j, o in np.ndindex(count, count, 3):
        total = float(b[o])
        for p, q, c in np.ndindex(3, 3, 2):
            row, column = i * stride + p - before, j * stride + q - before
            if 0 <= row < size and 0 <= column < size:
                total += float(x[0, row, column, c]) * float(w[o, p, q, c])
        wanted[0, i, j, o] = total

    np.testing.assert_allclose(evaluate(graph, {"x": x})["y"], wanted, rtol=1e-5, atol=1e-5)


def test_both_layouts_of_a_convolution_are_one_network() -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 16, 16)).astype("f4")
    first = evaluate(graphs.convolution("NCHW"), {"x": x})["y"]
    last = evaluate(graphs.convolution("NHWC"), {"x": x.transpose(0, 2, 3, 1)})["y"]

    np.testing.assert_allclose(first, last, rtol=1e-6)


def test_depthwise_convolution_keeps_channels_apart() -> None:
    graph = graphs.depthwise("NHWC")
    x = np.zeros((1, 6, 6, 4), "f4")
    x[..., 2] = 1
    y = evaluate(graph, {"x": x})["y"] - graph.constants["b"]

    np.testing.assert_array_equal(np.zeros((1, 6, 6, 3)), y[..., [0, 1, 3]])
    np.testing.assert_allclose(y[0, 3, 3, 2], graph.constants["w"][0, :, :, 2].sum(), rtol=1e-5)


def test_integers_stand_for_scale_times_their_distance_from_the_zero_point() -> None:
    levels = Quantization((0.5,), (3,))

    np.testing.assert_array_equal([0, 0.5, -1.5], dequantize(np.array([3, 4, 0], "i1"), levels))


def test_quantising_rounds_ties_to_even_and_clips() -> None:
    x = np.array([0.25, 0.75, 1000, -1000], "f4")

    np.testing.assert_array_equal([0, 2, 127, -128], quantize(x, Quantization((0.5,), (0,)), "i1"))


def test_scales_of_an_axis_belong_to_its_indices() -> None:
    levels = Quantization((1.0, 10.0), (0, 1), axis=1)

    np.testing.assert_array_equal([[1, 0], [2, 10]], dequantize(np.array([[1, 1], [2, 2]]), levels))


def test_operator_on_integers_computes_what_they_stand_for() -> None:
    graph = graphs.quantized_matmul(float_ends=False)
    xq = np.arange(32, dtype="i1").reshape(2, 16)
    real = dequantize(xq, graph.quantization["xq"]) @ dequantize(
        graph.constants["w"], graph.quantization["w"]
    )

    np.testing.assert_array_equal(
        quantize(real, graph.quantization["yq"], "i1"), evaluate(graph, {"xq": xq})["yq"]
    )


def test_outputs_are_new_arrays_in_the_graphs_order() -> None:
    graph = graphs.mixed()
    feeds = {"a": np.ones((2, 3), "f4"), "b": np.ones((2, 1), "f4"), "c": np.ones(5, "?")}
    outputs = evaluate(graph, feeds)

    assert list(outputs) == ["twice", "flag", "total", "same"]
    assert not np.shares_memory(outputs["same"], feeds["a"])
    assert every_tensor(graph, feeds)["same"].dtype == np.dtype("f4")
