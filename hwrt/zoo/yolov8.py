"""YOLOv8n for 640x640, 80 classes, with the decoded output of the well-known exported graph.

Written from published descriptions: the survey of Terven et al. 2023 (arXiv:2304.00501, figure of
YOLOv8), CSP bottlenecks (arXiv:1911.11929), distribution focal loss (arXiv:2006.04388).

The output (batch, 84, 8400) holds for each anchor the box x, y, w, h in pixels of the input, then
80 class scores after the sigmoid; anchors run over strides 8, 16, 32, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwrt.zoo.builder import GraphBuilder, Value
from hwrt.zoo.network import Network

__all__ = ["NETWORKS"]

SIZE, CLASSES = 640, 80
BINS = 16  # of the distribution over one side's distance, in strides


def _draw(builder: GraphBuilder, x: Value) -> None:
    p3, p4, p5 = _backbone(builder, x)
    up4 = builder.concat([builder.upsample(p5, "neck/up4/upsample"), p4], "neck/up4/concat")
    n4 = _c2f(builder, up4, "neck/up4", 128)
    up3 = builder.concat([builder.upsample(n4, "neck/up3/upsample"), p3], "neck/up3/concat")
    n3 = _c2f(builder, up3, "neck/p3", 64)
    down4 = _conv(builder, n3, "neck/p4/down", 64, 3, stride=2)
    n4 = _c2f(builder, builder.concat([down4, n4], "neck/p4/concat"), "neck/p4", 128)
    down5 = _conv(builder, n4, "neck/p5/down", 128, 3, stride=2)
    n5 = _c2f(builder, builder.concat([down5, p5], "neck/p5/concat"), "neck/p5", 256)
    _detect(builder, (n3, n4, n5))


def _backbone(builder: GraphBuilder, x: Value) -> tuple[Value, Value, Value]:
    """Features at strides 8, 16 and 32."""
    x = builder.stage(_conv(builder, x, "backbone/p1", 16, 3, stride=2), "backbone/p1")
    features = []
    for level, channels, blocks in ((2, 32, 1), (3, 64, 2), (4, 128, 2), (5, 256, 1)):
        name = f"backbone/p{level}"
        x = _conv(builder, x, f"{name}/down", channels, 3, stride=2)
        x = _c2f(builder, x, name, channels, blocks, shortcut=True)
        features.append(x)
    return features[1], features[2], _pyramid_pool(builder, x, "backbone/sppf")


def _conv(
    builder: GraphBuilder, x: Value, name: str, channels: int, kernel: int = 1, *, stride: int = 1
) -> Value:
    return builder.conv(x, name, channels, kernel, stride=stride, activation="silu")


def _c2f(
    builder: GraphBuilder,
    x: Value,
    name: str,
    channels: int,
    blocks: int = 1,
    *,
    shortcut: bool = False,
) -> Value:
    """A chain of bottlenecks on half of the channels; every link of it reaches the output."""
    half = channels // 2
    x = _conv(builder, x, f"{name}/enter", channels)
    parts = list(builder.halves(x, f"{name}/split"))
    for i in range(blocks):
        block = f"{name}/block{i + 1}"
        y = _conv(builder, parts[-1], f"{block}/first", half, 3)
        y = _conv(builder, y, f"{block}/second", half, 3)
        parts.append(builder.add(parts[-1], y, f"{block}/add") if shortcut else y)
    x = builder.concat(parts, f"{name}/join")
    return builder.stage(_conv(builder, x, f"{name}/leave", channels), name)


def _pyramid_pool(builder: GraphBuilder, x: Value, name: str) -> Value:
    """Maxima over growing windows beside the value itself (arXiv:1406.4729), as 5x5 in a row."""
    parts = [_conv(builder, x, f"{name}/enter", x.channels // 2)]
    for i in range(3):
        parts.append(builder.max_pool(parts[-1], f"{name}/pool{i + 1}", 5))
    y = builder.concat(parts, f"{name}/join")
    return builder.stage(_conv(builder, y, f"{name}/leave", x.channels), name)


def _detect(builder: GraphBuilder, levels: Sequence[Value]) -> None:
    boxes, scores = [], []
    for x, level in zip(levels, ("p3", "p4", "p5"), strict=True):
        box = _branch(builder, x, f"head/{level}/box", 64, 4 * BINS, gain=3.0, mean=0.0)
        score = _branch(builder, x, f"head/{level}/class", 80, CLASSES, gain=1.25, mean=-4.9)
        boxes.append(_flat(builder, box))
        scores.append(_flat(builder, score))
    anchors = sum(x.size**2 for x in levels)
    sides = builder.node("Concat", "head/sides", *boxes, axis=2)
    logits = builder.node("Concat", "head/logits", *scores, axis=2)
    decoded = _decode(builder, sides, levels, anchors)
    probabilities = builder.node("Sigmoid", "head/scores", logits)
    y = builder.node("Concat", "head/output", decoded, probabilities, axis=1)
    builder.output(y, "output0", (4 + CLASSES, anchors))


def _branch(
    builder: GraphBuilder,
    x: Value,
    name: str,
    channels: int,
    outputs: int,
    *,
    gain: float,
    mean: float,
) -> Value:
    x = _conv(builder, x, f"{name}/first", channels, 3)
    x = _conv(builder, x, f"{name}/second", channels, 3)
    y = builder.conv_bias(x, f"{name}/predict", outputs, gain=gain, mean=mean)
    return builder.stage(y, name)


def _flat(builder: GraphBuilder, x: Value) -> str:
    """(batch, channels, size, size) as (batch, channels, anchors)."""
    shape = builder.integers(f"{x.name}/shape", 0, x.channels, x.size**2)
    return builder.node("Reshape", f"{x.name}/flat", x.name, shape)


def _decode(builder: GraphBuilder, sides: str, levels: Sequence[Value], anchors: int) -> str:
    """Boxes (batch, 4, anchors) from the distributions of their sides' distances."""
    bins = builder.integers("head/bins/shape", 0, 4, BINS, anchors)
    x = builder.node("Reshape", "head/bins", sides, bins)
    x = builder.node("Transpose", "head/bins/first", x, perm=[0, 2, 1, 3])
    x = builder.node("Softmax", "head/probabilities", x, axis=1)
    # The expectation is a frozen 1x1 convolution; the published parameter count includes it.
    values = np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1)
    x = builder.node("Conv", "head/expectation", x, builder.constant("head/bins/values", values))
    shape = builder.integers("head/distances/shape", 0, 4, anchors)
    x = builder.node("Reshape", "head/distances", x, shape)
    near, far = builder.split(x, "head/distances/split", 2, 2)

    centres, strides = _anchors(levels)
    centre = builder.constant("head/anchors", centres)
    low = builder.node("Sub", "head/low", centre, near)
    high = builder.node("Add", "head/high", centre, far)
    total = builder.node("Add", "head/low_plus_high", low, high)
    middle = builder.node("Mul", "head/middle", total, builder.scalar("head/half", 0.5))
    extent = builder.node("Sub", "head/extent", high, low)
    x = builder.node("Concat", "head/boxes/strides", middle, extent, axis=1)
    return builder.node("Mul", "head/boxes", x, builder.constant("head/strides", strides))


def _anchors(levels: Sequence[Value]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The cells' centres x, y (1, 2, anchors) in strides and the strides (1, anchors) in pixels."""
    centres, strides = [], []
    for level in levels:
        y, x = np.mgrid[: level.size, : level.size]
        centres.append(np.stack([x.ravel(), y.ravel()]) + 0.5)
        strides.append(np.full(level.size**2, SIZE // level.size))
    return (
        np.concatenate(centres, axis=1)[None].astype(np.float32),
        np.concatenate(strides)[None].astype(np.float32),
    )


NETWORKS = {
    "yolov8n": Network(
        task="detect",
        size=SIZE,
        classes=CLASSES,
        mean=(0.0, 0.0, 0.0),
        std=(255.0, 255.0, 255.0),
        resize="letterbox",
        epsilon=1e-3,
        shift=0.2,
        draw=_draw,
        stride=32,
    )
}
