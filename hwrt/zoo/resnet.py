"""ResNet-50 (He et al. 2016, arXiv:1512.03385).

Variant 1.5, which MLPerf and the usual exports hold: a stage's stride sits on the 3x3 convolution.
"""

from __future__ import annotations

from hwrt.zoo.builder import GraphBuilder, Value
from hwrt.zoo.network import IMAGENET_MEAN, IMAGENET_STD, Network

__all__ = ["NETWORKS"]

EXPANSION = 4

# Stage, blocks, channels inside a block, stride of the first block: table 1 of the paper.
_STAGES = (("conv2", 3, 64, 1), ("conv3", 4, 128, 2), ("conv4", 6, 256, 2), ("conv5", 3, 512, 2))


def _draw(builder: GraphBuilder, x: Value) -> None:
    x = builder.stage(builder.conv(x, "conv1", 64, 7, stride=2, activation="relu"), "conv1")
    x = builder.max_pool(x, "conv2/pool", 3, stride=2)
    for stage, blocks, channels, stride in _STAGES:
        for i in range(blocks):
            name = f"{stage}/block{i + 1}"
            x = _bottleneck(builder, x, name, channels, stride if i == 0 else 1)
        x = builder.stage(x, stage)
    x = builder.flatten(builder.average(x, "average"), "flatten")
    x = builder.linear(x, "classifier", 1000, gain=2.0)
    builder.output(x.name, "logits", (1000,))


def _bottleneck(builder: GraphBuilder, x: Value, name: str, channels: int, stride: int) -> Value:
    wide = channels * EXPANSION
    y = builder.conv(x, f"{name}/reduce", channels, activation="relu")
    y = builder.conv(y, f"{name}/spatial", channels, 3, stride=stride, activation="relu")
    y = builder.conv(y, f"{name}/expand", wide, gain=0.5)
    if stride != 1 or x.channels != wide:
        x = builder.conv(x, f"{name}/shortcut", wide, stride=stride)
    return builder.activate(builder.add(x, y, f"{name}/add"), f"{name}/relu", "relu")


NETWORKS = {
    "resnet50": Network(
        task="classify",
        size=224,
        classes=1000,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        resize="crop",
        epsilon=1e-5,
        shift=0.15,
        draw=_draw,
    )
}
