"""Reference networks, built in place with seeded weights: nothing is downloaded.

Their graphs are those of the published networks; the weights are random, so what they answer means
nothing and how fast they answer means as much as with trained ones.

A network is named to hwrt as ``zoo:NAME``: a batch of one; ``zoo:NAME@8``: a fixed batch of 8;
``zoo:NAME@dynamic``: an open first dimension.

The input is ``images``, float32 (batch, 3, size, size).  Classifiers answer ``logits``
(batch, 1000) before the softmax; a detector answers ``output0``, see ``hwrt.zoo.yolov8``.
Inside, the output of each stage bears the stage's name (``conv4``, ``block7``, ``neck/p3``).
How a frame becomes the input stands in the model's metadata properties, as text:

========== ====================================================================================
task       ``classify`` or ``detect``
imgsz      ``[height, width]`` of the input
names      ``{0: 'class 0', 1: 'class 1', ...}``: the labels
mean, std  ``[r, g, b]``: the input is (level - mean) / std, for levels of 0 to 255
resize     ``crop`` (classifiers: the middle of the frame) or ``letterbox`` (detectors)
colour     ``rgb``: the order of the channels
stride     detectors only: the coarsest grid in pixels, which divides a fitting input size
========== ====================================================================================
"""

from __future__ import annotations

import re
from functools import cache
from math import prod
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from hwrt.errors import InputError
from hwrt.files import write_atomically
from hwrt.zoo import efficientnet_lite, mobilenet_v3, resnet, yolov8
from hwrt.zoo.builder import GraphBuilder
from hwrt.zoo.network import Network

if TYPE_CHECKING:
    import onnx

__all__ = ["build", "export", "names", "parameters", "parse"]

_NETWORKS: dict[str, Network] = {
    **mobilenet_v3.NETWORKS,
    **efficientnet_lite.NETWORKS,
    **yolov8.NETWORKS,
    **resnet.NETWORKS,
}

_LARGEST_BATCH = 999_999_999
_BATCH = re.compile(r"[1-9][0-9]{0,8}")

# Which inputs of an operator training changes.
_TRAINED = {"Conv": (1, 2), "Gemm": (1, 2), "BatchNormalization": (1, 2)}


def names() -> tuple[str, ...]:
    """The networks that can be built."""
    return tuple(_NETWORKS)


def parse(text: str) -> tuple[str, int | None]:
    """Name and batch, None for a dynamic one, of ``NAME``, ``NAME@8`` or ``NAME@dynamic``.

    A leading ``zoo:`` is allowed.  Raises InputError for any other name or batch.
    """
    name, at, batch = text.removeprefix("zoo:").partition("@")
    _network(name)
    if not at:
        return name, 1
    if batch == "dynamic":
        return name, None
    if _BATCH.fullmatch(batch):
        return name, int(batch)
    raise InputError(
        f"the batch {batch!r} in {text!r} is no batch",
        hint=f"write zoo:{name}@8 for a batch of 8, zoo:{name}@dynamic for an open one",
    )


def build(
    name: str, *, batch: int | None = 1, seed: int = 0, fold_batch_norm: bool = True
) -> onnx.ModelProto:
    """A network with weights drawn from ``seed``: the same arguments, the same bytes.

    ``batch`` None leaves the first dimension of the input and the output dynamic.
    ``fold_batch_norm`` False keeps the BatchNormalization operators beside their convolutions.
    Raises InputError for an unknown name, a batch that is no size and a negative seed.
    """
    network = _network(name)
    if batch is not None and not 1 <= batch <= _LARGEST_BATCH:
        raise InputError(
            f"batch is {batch!r}", hint=f"give a whole number in 1..{_LARGEST_BATCH}, or None"
        )
    if seed < 0:
        raise InputError(f"seed is {seed!r}", hint="give a whole number from 0")
    builder = GraphBuilder(
        batch=batch,
        seed=seed,
        fold_batch_norm=fold_batch_norm,
        epsilon=network.epsilon,
        shift=network.shift,
    )
    mean, variance = network.moments()
    network.draw(builder, builder.input("images", network.size, mean=mean, variance=variance))
    return builder.finish(name, network.metadata())


def export(
    name: str,
    path: str | PathLike[str],
    *,
    batch: int | None = 1,
    seed: int = 0,
    fold_batch_norm: bool = True,
) -> Path:
    """The path of the file that holds what ``build`` gives for these arguments.

    An older file is replaced, whole or not at all.  Raises InputError as ``build`` does, and where
    the path can not be written.
    """
    model = build(name, batch=batch, seed=seed, fold_batch_norm=fold_batch_norm)
    path = Path(path)
    try:
        path.parent.stat()  # a folder that is not there is a slip of the pen: none is made
        write_atomically(path, model.SerializeToString())
    except OSError as exc:
        raise InputError(
            f"{path} can not be written: {exc.strerror or exc}",
            hint="give a file in an existing folder that you may write to",
        ) from exc
    return path


@cache
def parameters(name: str) -> int:
    """Trainable parameters of the network before its batch norms are folded.

    Counted in the graph: weights and biases of convolutions and fully connected layers, scale and
    shift of batch norms.  Raises InputError for an unknown name.
    """
    graph = build(name, fold_batch_norm=False).graph
    sizes = {weight.name: prod(weight.dims) for weight in graph.initializer}
    return sum(
        sizes[node.input[i]]
        for node in graph.node
        for i in _TRAINED.get(node.op_type, ())
        if i < len(node.input)
    )


def _network(name: str) -> Network:
    network = _NETWORKS.get(name)
    if network is None:
        raise InputError(f"the zoo has no {name!r}", hint=f"it has {', '.join(names())}")
    return network
