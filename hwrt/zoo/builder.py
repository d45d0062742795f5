"""A network written down layer by layer, with seeded weights, as an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwrt.zoo.weights import Weights, moments

if TYPE_CHECKING:
    import onnx

__all__ = ["GraphBuilder", "Pads", "Value", "same_pads"]

# onnx.helper's own defaults are the newest, which released engines refuse.
IR_VERSION = 8
OPSET = 17

Pads = tuple[int, int, int, int]


@dataclass(frozen=True)
class Value:
    """One value (batch, channels, size, size) of the graph, with the moments expected of it."""

    name: str
    channels: int
    size: int
    mean: float
    variance: float


@dataclass(frozen=True)
class _Node:
    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


def same_pads(size: int, kernel: int, stride: int) -> Pads:
    """TensorFlow's "SAME" padding (top, left, bottom, right): the odd pixel goes last."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return (total // 2, total // 2, total - total // 2, total - total // 2)


class GraphBuilder:
    """Nodes and weights in the order of writing; a layer's output bears the layer's name.

    ``batch`` None leaves the first dimension of the input and the output open.  With
    ``fold_batch_norm`` a convolution carries its batch norm as scaled weights and a bias, as
    exporters write it.

    ``shift`` is the part of a normalised value's variance that the batch norm's shift gives.
    Random layers enlarge what differs between two inputs, constant shifts take from it.  At the
    balance (the "edge of chaos", Poole et al. 2016, arXiv:1606.05340) the outputs follow the input,
    and the rounding of reduced precision does not grow from layer to layer until it hides them.
    """

    def __init__(
        self, *, batch: int | None, seed: int, fold_batch_norm: bool, epsilon: float, shift: float
    ) -> None:
        self._batch: int | str = "batch" if batch is None else batch
        self._weights = Weights(seed)
        self._fold = fold_batch_norm
        self._epsilon = epsilon
        self._shift = shift
        self._nodes: list[_Node] = []
        self._initializers: dict[str, NDArray[Any]] = {}
        self._inputs: list[tuple[str, tuple[int | str, ...]]] = []
        self._outputs: list[tuple[str, tuple[int | str, ...]]] = []
        self._renamed: dict[str, str] = {}

    def input(self, name: str, size: int, *, mean: float, variance: float) -> Value:
        """A float32 input (batch, 3, size, size) and the moments that its values will have."""
        self._inputs.append((name, (self._batch, 3, size, size)))
        return Value(name, 3, size, mean, variance)

    def output(self, value: str, name: str, shape: tuple[int, ...]) -> None:
        """Declare a value to be the float32 output ``name`` of shape (batch, *shape)."""
        self._renamed[value] = name
        self._outputs.append((name, (self._batch, *shape)))

    def stage(self, x: Value, name: str) -> Value:
        """The same value, which bears the name of the stage that it ends in the finished graph."""
        self._renamed[x.name] = name
        return x

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """The name of an initializer that holds ``array``."""
        self._initializers[name] = array
        return name

    def scalar(self, name: str, value: float) -> str:
        """The name of a float32 scalar."""
        return self.constant(name, np.asarray(value, dtype=np.float32))

    def integers(self, name: str, *values: int) -> str:
        """The name of an int64 vector: a shape, sizes, axes."""
        return self.constant(name, np.asarray(values, dtype=np.int64))

    def node(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        """The output of one operator, which bears the operator's name."""
        self._nodes.append(_Node(op, name, inputs, (name,), attributes))
        return name

    def split(self, x: str, name: str, *sizes: int) -> list[str]:
        """Consecutive parts of these sizes along axis 1."""
        outputs = [f"{name}/{i}" for i in range(len(sizes))]
        inputs = (x, self.integers(f"{name}/sizes", *sizes))
        self._nodes.append(_Node("Split", name, inputs, tuple(outputs), {"axis": 1}))
        return outputs

    def conv(
        self,
        x: Value,
        name: str,
        channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        pads: Pads | None = None,
        depthwise: bool = False,
        gain: float = 1.0,
        activation: str | None = None,
    ) -> Value:
        """Convolution, batch norm of standard deviation ``gain``, activation.

        ``pads`` default to half the kernel on every side.
        """
        inner = 1 if depthwise else x.channels
        # A filter over few channels, if centred, would keep nothing of a frame but its edges.
        centred = inner > 3
        rows = self._weights.filters(channels, inner * kernel * kernel, centred=centred)
        norm = self._norm(x, rows, gain, centred=centred)
        weight = rows.reshape(channels, inner, kernel, kernel)
        attributes = _conv_attributes(kernel, stride, pads, channels if depthwise else 1)
        size = (x.size + attributes["pads"][0] + attributes["pads"][2] - kernel) // stride + 1
        if self._fold:
            weight, bias = _folded(weight, norm, self._epsilon)
            last = self._conv_node(x.name, f"{name}/conv", weight, bias, attributes)
        else:
            last = self._conv_node(x.name, f"{name}/conv", weight, None, attributes)
            last = self._norm_node(last, f"{name}/norm", norm)
        y = Value(last, channels, size, 0.0, gain * gain)
        return self.activate(y, f"{name}/{activation}", activation) if activation else y

    def conv_bias(
        self, x: Value, name: str, channels: int, *, gain: float = 1.0, mean: float = 0.0
    ) -> Value:
        """Pointwise convolution with a bias: outputs of this mean and standard deviation."""
        weight, bias = self._affine(x, channels, gain, mean)
        weight = weight.reshape(channels, x.channels, 1, 1)
        attributes = _conv_attributes(1, 1, None, 1)
        self._conv_node(x.name, name, weight, bias, attributes)
        return Value(name, channels, x.size, mean, gain * gain)

    def linear(self, x: Value, name: str, features: int, *, gain: float = 1.0) -> Value:
        """Fully connected layer over (batch, channels)."""
        weight, bias = self._affine(x, features, gain, 0.0)
        names = (self.constant(f"{name}/weight", weight), self.constant(f"{name}/bias", bias))
        self.node("Gemm", name, x.name, *names, transB=1)
        return Value(name, features, 1, 0.0, gain * gain)

    def activate(self, x: Value, name: str, activation: str) -> Value:
        """An activation by its name in ``weights.ACTIVATIONS``, in the operators exporters use."""
        if activation == "relu6":
            self.node("Clip", name, x.name, self.scalar("zero", 0.0), self.scalar("six", 6.0))
        elif activation == "silu":
            self.node("Mul", name, x.name, self.node("Sigmoid", f"{name}/sigmoid", x.name))
        elif activation == "hard_sigmoid":
            self.node("HardSigmoid", name, x.name, alpha=1 / 6, beta=0.5)
        else:
            self.node({"relu": "Relu", "hard_swish": "HardSwish"}[activation], name, x.name)
        mean, variance = moments(activation, x.mean, x.variance)
        return replace(x, name=name, mean=mean, variance=variance)

    def squeeze_excite(self, x: Value, name: str, squeezed: int) -> Value:
        """Channels weighed by what their averages say (Hu et al. 2018, arXiv:1709.01507)."""
        y = self.average(x, f"{name}/average")
        y = self.conv_bias(y, f"{name}/squeeze", squeezed)
        y = self.activate(y, f"{name}/relu", "relu")
        # Gates that close and open fully would let large values grow from block to block.
        y = self.conv_bias(y, f"{name}/excite", x.channels, gain=0.5)
        gate = self.activate(y, f"{name}/gate", "hard_sigmoid")
        self.node("Mul", name, x.name, gate.name)
        mean = x.mean * gate.mean
        power = (x.variance + x.mean * x.mean) * (gate.variance + gate.mean * gate.mean)
        return replace(x, name=name, mean=mean, variance=power - mean * mean)

    def add(self, x: Value, y: Value, name: str) -> Value:
        """The sum of two independent values."""
        self.node("Add", name, x.name, y.name)
        return replace(x, name=name, mean=x.mean + y.mean, variance=x.variance + y.variance)

    def concat(self, parts: Sequence[Value], name: str) -> Value:
        """Values joined along the channels."""
        self.node("Concat", name, *(part.name for part in parts), axis=1)
        channels = sum(part.channels for part in parts)
        # fsum, because Python 3.12 changed how sum rounds.
        mean = fsum(part.mean * part.channels for part in parts) / channels
        powers = [part.variance + part.mean * part.mean for part in parts]
        power = fsum(p * part.channels for p, part in zip(powers, parts, strict=True)) / channels
        return Value(name, channels, parts[0].size, mean, power - mean * mean)

    def halves(self, x: Value, name: str) -> tuple[Value, Value]:
        """The first and the second half of the channels."""
        half = x.channels // 2
        first, second = self.split(x.name, name, half, half)
        return replace(x, name=first, channels=half), replace(x, name=second, channels=half)

    def max_pool(self, x: Value, name: str, kernel: int, *, stride: int = 1) -> Value:
        """Maximum over windows, padded by half the kernel."""
        half = kernel // 2
        window: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
        self.node("MaxPool", name, x.name, pads=[half] * 4, **window)
        # Neighbours are much alike: the largest lies about one deviation above their mean.
        mean = x.mean + round(sqrt(x.variance), 4)
        size = (x.size + 2 * half - kernel) // stride + 1
        return replace(x, name=name, size=size, mean=mean)

    def average(self, x: Value, name: str) -> Value:
        """The average of each channel, as (batch, channels, 1, 1)."""
        self.node("GlobalAveragePool", name, x.name)
        # What is left: the channels' own levels, and the coarse part of what differs by place.
        return replace(x, name=name, size=1, variance=x.variance * 0.5)

    def flatten(self, x: Value, name: str) -> Value:
        """(batch, channels, 1, 1) as (batch, channels)."""
        self.node("Flatten", name, x.name, axis=1)
        return replace(x, name=name)

    def upsample(self, x: Value, name: str) -> Value:
        """Twice the size; each pixel is repeated."""
        scales = self.constant("upsample/scales", np.asarray([1, 1, 2, 2], dtype=np.float32))
        nearest = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        self.node("Resize", name, x.name, "", scales, mode="nearest", **nearest)
        return replace(x, name=name, size=x.size * 2)

    def finish(self, name: str, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """The model with these metadata properties."""
        from onnx import TensorProto, helper, numpy_helper

        def rename(names: tuple[str, ...]) -> list[str]:
            return [self._renamed.get(value, value) for value in names]

        nodes = [
            helper.make_node(
                node.op, rename(node.inputs), rename(node.outputs), node.name, **node.attributes
            )
            for node in self._nodes
        ]
        inputs, outputs = (
            [
                helper.make_tensor_value_info(value, TensorProto.FLOAT, shape)
                for value, shape in ends
            ]
            for ends in (self._inputs, self._outputs)
        )
        weights = [numpy_helper.from_array(a, value) for value, a in self._initializers.items()]
        graph = helper.make_graph(nodes, name, inputs, outputs, weights)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="hwrt.zoo"
        )
        helper.set_model_props(model, dict(metadata))
        return model

    def _affine(
        self, x: Value, features: int, gain: float, mean: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weights (features, channels) and biases for outputs of this mean and deviation."""
        length = gain * sqrt((1.0 - self._shift) / x.variance)
        weight = self._weights.filters(features, x.channels, centred=True) * np.float32(length)
        spread = gain * sqrt(3.0 * self._shift)
        bias = self._weights.uniform(features, mean - spread, mean + spread)
        return weight, np.asarray(bias, dtype=np.float32)

    def _norm(
        self, x: Value, rows: NDArray[np.float32], gain: float, *, centred: bool
    ) -> list[NDArray[np.float32]]:
        """Scale, shift, mean, variance for what filters make of x: deviation ``gain`` after it."""
        count = len(rows)
        scale = gain * sqrt(1.0 - self._shift)
        shift = gain * sqrt(3.0 * self._shift)
        scales = self._weights.uniform(count, 0.8 * scale, 1.2 * scale)
        shifts = self._weights.uniform(count, -shift, shift)
        mean = self._weights.uniform(count, -0.1, 0.1) * sqrt(x.variance)
        variance = self._weights.uniform(count, 0.9, 1.1) * x.variance
        if not centred:
            # fsum rounds once: the sum does not depend on the order that a machine takes it in.
            mean += x.mean * np.asarray([fsum(row) for row in rows.tolist()])
        return [np.asarray(part, dtype=np.float32) for part in (scales, shifts, mean, variance)]

    def _norm_node(self, x: str, name: str, norm: Sequence[NDArray[np.float32]]) -> str:
        parts = ("scale", "shift", "mean", "variance")
        names = [self.constant(f"{name}/{part}", a) for part, a in zip(parts, norm, strict=True)]
        return self.node("BatchNormalization", name, x, *names, epsilon=self._epsilon)

    def _conv_node(
        self,
        x: str,
        name: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32] | None,
        attributes: Mapping[str, Any],
    ) -> str:
        names = [self.constant(f"{name}/weight", weight)]
        if bias is not None:
            names.append(self.constant(f"{name}/bias", bias))
        return self.node("Conv", name, x, *names, **attributes)


def _conv_attributes(kernel: int, stride: int, pads: Pads | None, groups: int) -> dict[str, Any]:
    return {
        "dilations": [1, 1],
        "group": groups,
        "kernel_shape": [kernel, kernel],
        "pads": list(pads or [kernel // 2] * 4),
        "strides": [stride, stride],
    }


def _folded(
    weight: NDArray[np.float32], norm: Sequence[NDArray[np.float32]], epsilon: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The weights and bias of one convolution that does what convolution and batch norm do."""
    scale, shift, mean, variance = (part.astype(np.float64) for part in norm)
    factor = scale / np.sqrt(variance + epsilon)
    folded = weight * factor.astype(np.float32)[:, None, None, None]
    return folded, (shift - mean * factor).astype(np.float32)
