"""MobileNetV3-Large and -Small (Howard et al. 2019, arXiv:1905.02244, tables 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

from hwrt.zoo.builder import GraphBuilder, Value
from hwrt.zoo.network import IMAGENET_MEAN, IMAGENET_STD, Network, divisible

__all__ = ["NETWORKS"]

# Kernel, expanded channels, channels, squeeze-excite, activation, stride: one row is one block.
_Row = tuple[int, int, int, bool, str, int]

_LARGE: tuple[_Row, ...] = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2),
    (3, 200, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 480, 112, True, "hard_swish", 1),
    (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2),
    (5, 960, 160, True, "hard_swish", 1),
    (5, 960, 160, True, "hard_swish", 1),
)
_SMALL: tuple[_Row, ...] = (
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hard_swish", 2),
    (5, 240, 40, True, "hard_swish", 1),
    (5, 240, 40, True, "hard_swish", 1),
    (5, 120, 48, True, "hard_swish", 1),
    (5, 144, 48, True, "hard_swish", 1),
    (5, 288, 96, True, "hard_swish", 2),
    (5, 576, 96, True, "hard_swish", 1),
    (5, 576, 96, True, "hard_swish", 1),
)


@dataclass(frozen=True)
class _Draw:
    rows: tuple[_Row, ...]
    features: int

    def __call__(self, builder: GraphBuilder, x: Value) -> None:
        x = builder.conv(x, "stem", 16, 3, stride=2, activation="hard_swish")
        x = builder.stage(x, "stem")
        for i, row in enumerate(self.rows):
            name = f"block{i + 1}"
            x = builder.stage(_block(builder, x, name, row), name)
        x = builder.conv(x, "head", self.rows[-1][1], activation="hard_swish")
        x = builder.stage(x, "head")
        x = builder.flatten(builder.average(x, "average"), "flatten")
        x = builder.linear(x, "features", self.features)
        x = builder.activate(x, "features/hard_swish", "hard_swish")
        x = builder.linear(x, "classifier", 1000, gain=2.0)
        builder.output(x.name, "logits", (1000,))


def _block(builder: GraphBuilder, x: Value, name: str, row: _Row) -> Value:
    kernel, expanded, channels, squeezed, activation, stride = row
    y = x
    if expanded != x.channels:
        y = builder.conv(y, f"{name}/expand", expanded, activation=activation)
    y = builder.conv(
        y,
        f"{name}/depthwise",
        expanded,
        kernel,
        stride=stride,
        depthwise=True,
        activation=activation,
    )
    if squeezed:
        y = builder.squeeze_excite(y, f"{name}/squeeze_excite", divisible(expanded / 4))
    y = builder.conv(y, f"{name}/project", channels)
    if stride != 1 or channels != x.channels:
        return y
    return builder.add(x, y, f"{name}/add")


def _network(rows: tuple[_Row, ...], features: int) -> Network:
    return Network(
        task="classify",
        size=224,
        classes=1000,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        resize="crop",
        epsilon=1e-3,
        shift=0.12,
        draw=_Draw(rows, features),
    )


NETWORKS = {
    "mobilenet_v3_small": _network(_SMALL, 1024),
    "mobilenet_v3_large": _network(_LARGE, 1280),
}
