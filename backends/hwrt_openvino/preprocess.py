"""hwrt's preprocess as OpenVINO's PrePostProcessor."""

from __future__ import annotations

from typing import Any

from hwrt.backend import InputError, ModelInfo, Preprocess
from hwrt_openvino.ports import known_name


def fuse(network: Any, model: ModelInfo, preprocess: Preprocess) -> Any:
    """The network with the steps in front of it, its input a uint8 NHWC frame."""
    from openvino import Layout, Type
    from openvino.preprocess import ColorFormat, PrePostProcessor

    specs = {spec.name: spec for spec in model.inputs}
    if preprocess.input not in specs:
        raise InputError(
            f"preprocess is for {preprocess.input!r}", hint=f"the inputs are {', '.join(specs)}"
        )
    steps = PrePostProcessor(network)
    entry = steps.input(known_name(network, specs[preprocess.input]))
    tensor = entry.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    entry.model().set_layout(Layout(preprocess.layout))
    process = entry.preprocess().convert_element_type(Type.f32)
    if preprocess.reverse_channels:
        tensor.set_color_format(ColorFormat.BGR)
        process.convert_color(ColorFormat.RGB)
    process.mean(list(preprocess.mean)).scale(list(preprocess.std))
    return steps.build()
