"""Running OpenVINO's infer requests so that what a run raises is never lost."""

from __future__ import annotations

from typing import Any

__all__ = ["infer_and_tell", "loses_errors", "operator_kind"]

# What the CPU plugin calls the operators that raise nothing where every shape is fixed: they check
# no value.  Others do, such as the indices of ScatterUpdate, or hold a graph, such as If.
_QUIET = frozenset(
    {
        *("Input", "Output", "Const", "Reorder", "Convert", "Reshape", "Transpose"),
        *("Convolution", "Deconvolution", "FullyConnected", "MatMul", "Eltwise", "Subgraph"),
        *("FakeQuantize", "Softmax", "Pooling", "Reduce", "Interpolate"),
        *("Concatenation", "Split", "StridedSlice", "Pad", "TopK"),
    }
)


def loses_errors(compiled: Any) -> bool:
    """True where a run of this model may raise what a synchronous call would not tell.

    With one thread the CPU plugin's ``infer`` drops whatever the run raises (2026.4.1, not 2024.1:
    its AsyncInferRequest calls CPUStreamsExecutor::execute, which catches everything).  The outputs
    stay those of the last run, and the failed run stays queued: the next one on that thread runs it
    first, which crashes when its request is gone.
    """
    if "INFERENCE_NUM_THREADS" not in compiled.get_property("SUPPORTED_PROPERTIES"):
        return False  # no CPU
    if compiled.get_property("INFERENCE_NUM_THREADS") != 1:
        return False
    return any(
        operator_kind(op) not in _QUIET
        or any(port.get_partial_shape().is_dynamic for port in op.outputs())
        for op in compiled.get_runtime_model().get_ops()
    )


def operator_kind(op: Any) -> str | None:
    """What the device runs an operator of the runtime model as; None where it does not tell.

    The NPU does not: its runtime model is one of inputs and outputs alone.
    """
    info = op.get_rt_info()
    return str(info["layerType"].astype(str)) if "layerType" in info else None


def infer_and_tell(request: Any) -> None:
    """Run the infer request, and raise what the run raises, with one thread too.

    ``wait`` tells what ``infer`` drops; the run passes to another thread and back for it.
    """
    request.start_async()
    request.wait()
