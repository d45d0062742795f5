"""EfficientNet-Lite0 to Lite4 (Tan and Le 2019, arXiv:1905.11946, table 1).

Lite (Liu 2020, on the TensorFlow blog) is EfficientNet without squeeze-excite, with ReLU6 for
swish, and with a stem, head, first and last stage that do not scale.  Published for TensorFlow, so
it pads as TensorFlow does.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from hwrt.zoo.builder import GraphBuilder, Value, same_pads
from hwrt.zoo.network import Network, divisible

__all__ = ["NETWORKS"]

# Expansion, kernel, channels, blocks, stride of the first block: one row is one stage of B0.
_STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
STEM, HEAD = 32, 1280


@dataclass(frozen=True)
class _Draw:
    width: float
    depth: float

    def __call__(self, builder: GraphBuilder, x: Value) -> None:
        pads = same_pads(x.size, 3, 2)
        x = builder.conv(x, "stem", STEM, 3, stride=2, pads=pads, activation="relu6")
        x = builder.stage(x, "stem")
        for i, (expansion, kernel, channels, blocks, stride) in enumerate(_STAGES):
            fixed = i in (0, len(_STAGES) - 1)
            for j in range(blocks if fixed else ceil(blocks * self.depth)):
                name = f"stage{i + 1}/block{j + 1}"
                wide = divisible(channels * self.width)
                x = _block(builder, x, name, wide, expansion, kernel, 1 if j else stride)
            x = builder.stage(x, f"stage{i + 1}")
        x = builder.stage(builder.conv(x, "head", HEAD, activation="relu6"), "head")
        x = builder.flatten(builder.average(x, "average"), "flatten")
        x = builder.linear(x, "classifier", 1000, gain=2.0)
        builder.output(x.name, "logits", (1000,))


def _block(
    builder: GraphBuilder,
    x: Value,
    name: str,
    channels: int,
    expansion: int,
    kernel: int,
    stride: int,
) -> Value:
    y = x
    if expansion != 1:
        y = builder.conv(y, f"{name}/expand", x.channels * expansion, activation="relu6")
    y = builder.conv(
        y,
        f"{name}/depthwise",
        y.channels,
        kernel,
        stride=stride,
        pads=same_pads(y.size, kernel, stride),
        depthwise=True,
        activation="relu6",
    )
    y = builder.conv(y, f"{name}/project", channels)
    if stride != 1 or channels != x.channels:
        return y
    return builder.add(x, y, f"{name}/add")


def _network(width: float, depth: float, size: int) -> Network:
    return Network(
        task="classify",
        size=size,
        classes=1000,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        resize="crop",
        epsilon=1e-3,
        shift=0.12,
        draw=_Draw(width, depth),
    )


NETWORKS = {
    "efficientnet_lite0": _network(1.0, 1.0, 224),
    "efficientnet_lite1": _network(1.0, 1.1, 240),
    "efficientnet_lite2": _network(1.1, 1.2, 260),
    "efficientnet_lite3": _network(1.2, 1.4, 280),
    "efficientnet_lite4": _network(1.4, 1.8, 300),
}
