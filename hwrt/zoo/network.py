"""What a zoo network is: how to draw it, and what a frame must become to enter it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import fsum

from hwrt.zoo.builder import GraphBuilder, Value

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Network", "divisible"]

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Network:
    """One network of the zoo; ``mean`` and ``std`` are in levels of 0 to 255, per channel.

    ``draw`` adds the layers to a builder, from the input to the declared output.  ``stride`` is
    the coarsest grid of a detector, None for a classifier.  ``epsilon`` is the batch norms' own,
    ``shift`` the builder's.
    """

    task: str
    size: int
    classes: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: str
    epsilon: float
    shift: float
    draw: Callable[[GraphBuilder, Value], None]
    stride: int | None = None

    def metadata(self) -> dict[str, str]:
        """The model's metadata properties; ``hwrt.zoo`` says what each key means."""
        properties = {
            "task": self.task,
            "imgsz": str([self.size, self.size]),
            "names": str({i: f"class {i}" for i in range(self.classes)}),
            "mean": str(list(self.mean)),
            "std": str(list(self.std)),
            "resize": self.resize,
            "colour": "rgb",
        }
        if self.stride is not None:
            properties["stride"] = str(self.stride)
        return properties

    def moments(self) -> tuple[float, float]:
        """Mean and variance of the input, for frames of evenly spread levels."""
        means = [(127.5 - mean) / std for mean, std in zip(self.mean, self.std, strict=True)]
        spreads = [255.0 * 255.0 / 12.0 / (std * std) for std in self.std]
        mean = fsum(means) / 3.0
        return mean, fsum([*spreads, *(m * m for m in means)]) / 3.0 - mean * mean


def divisible(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of ``divisor``, but at least nine tenths of ``channels``.

    The rounding of the MobileNets and EfficientNets (Howard et al. 2019, arXiv:1905.02244).
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
