"""What each of hwrt's precisions is to OpenVINO, and what it really built."""

from __future__ import annotations

from typing import Any

from hwrt.backend import ModelInfo, Options, UnsupportedModel
from hwrt_openvino import probe
from hwrt_openvino.running import operator_kind

# hwrt's name -> the capability that a device lists for it.
PRECISIONS = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}
# Whether a quantised model is rewritten for integer kernels: the CPU plugin's own, and not listed.
_REWRITING = "LP_TRANSFORMS_MODE"
_INTEGERS = ("_i8", "_u8")
_PRODUCTS = ("Convolution", "FullyConnected", "MatMul", "Deconvolution")


def wanted_precision(options: Options) -> str:
    """The precision asked for, "f32" where none is."""
    return "f32" if options.precision is None else options.precision


def precision_properties(
    core: Any, name: str, model: ModelInfo, options: Options
) -> dict[str, Any]:
    """OpenVINO's properties for ``options.precision``, "f32" where it is not given.

    A quantised model in "f32" is computed as its file states it, each rounding at its place.  In
    "int8" OpenVINO's low-precision transformations rewrite it for integer kernels, which are faster
    and, on x86 without VNNI, saturate sums of two products at 16 bits: there MobileNetV2 in int8
    names another first class on 2 of 20 photographs.
    """
    precision = wanted_precision(options)
    if precision == "int8" and model.quantized:
        return {"INFERENCE_PRECISION_HINT": "f32"}
    if precision not in PRECISIONS:
        raise UnsupportedModel(
            f"openvino has no precision {precision!r} for this model",
            hint=f"it has {', '.join(PRECISIONS)}, and int8 for models that are quantised already",
        )
    capabilities = core.get_property(name, "OPTIMIZATION_CAPABILITIES")
    if PRECISIONS[precision] not in capabilities:
        raise UnsupportedModel(f"{name} does not compute in {precision}: it has {capabilities}")
    properties: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision}
    if precision == "f32":
        # Without it "f32" still quantises activations of some layers on the fly.
        properties["EXECUTION_MODE_HINT"] = "ACCURACY"
        if model.quantized and name.startswith("CPU") and probe.knows(core, name, _REWRITING):
            properties[_REWRITING] = "NO"
    return properties


def built_precisions(core: Any, name: str) -> list[str]:
    """The precisions that the device computes itself, in hwrt's words and "f32" the first.

    The CPU plugin of 2024.1 lists f16 on every CPU, and computes in f32 where the CPU lacks it.
    """
    capabilities = core.get_property(name, "OPTIMIZATION_CAPABILITIES")
    listed = [precision for precision, own in PRECISIONS.items() if own in capabilities]
    if not name.startswith("CPU"):
        return listed
    return [one for one in listed if one == "f32" or _is_built(core, name, one)]


def _is_built(core: Any, name: str, precision: str) -> bool:
    made = probe.built(core, name, {"INFERENCE_PRECISION_HINT": precision})
    return made is not None and built_precision(made) == precision


def has_integer_form(model: ModelInfo) -> bool:
    """True where OpenVINO could compute a quantised model with integer kernels.

    It needs scales that the file states; where they are found at run time it computes in floats.
    """
    stated = {"QuantizeLinear", "FakeQuantize"} & set(model.operators)
    return model.quantized and (bool(stated) or model.format == "tflite")


def serves(built: str, wanted: str) -> bool:
    """True where what was built is what was asked for, or part of it where that is reduced."""
    return built == wanted or wanted == "int8" or (built == "int8" and wanted != "f32")


def built_precision(compiled: Any) -> str:
    """Return "int8" where an operator runs on integer kernels, else what the others compute in.

    The name of each operator's kernel tells (``jit_gemm_i8``, ``brgemm_avx2_f32``).  OpenVINO's
    hint is what was asked for, and its ``runtimePrecision`` that of the stored weights.
    """
    for op in compiled.get_runtime_model().get_ops():
        info = op.get_rt_info()
        kernel = info["primitiveType"].astype(str) if "primitiveType" in info else ""
        if operator_kind(op) in _PRODUCTS and kernel.lower().endswith(_INTEGERS):
            return "int8"
    hint: Any = compiled.get_property("INFERENCE_PRECISION_HINT")
    return str(hint.to_string() if hasattr(hint, "to_string") else hint)
