"""The accuracy gate on real weights and photographs: what keeps the answers passes, int8 does not.

Eight plain int8 recipes for YOLOv8n lose an object each; a gate that passes one is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from hwrt.measure.gate import gate_of
from hwrt.measure.judge import Case, Finding, judge
from hwrt.model import read
from hwrt.model.meaning import meanings
from hwrt.vision.loading import image_samples

pytest.importorskip("PIL", reason="Pillow is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.slow

Judged = Callable[[Path], Finding]


@pytest.fixture(scope="module")
def detector(shared: Path) -> Path:
    return shared / "models" / "yolov8n.onnx"


@pytest.fixture(scope="module")
def feeds(detector: Path, shared: Path) -> list[dict[str, Any]]:
    info = read(detector)
    return list(image_samples(info, shared / "calibration").feeds(info))


@pytest.fixture(scope="module")
def judged(detector: Path, feeds: list[dict[str, Any]]) -> Judged:
    """What the relaxed gate says of another form of the detector, run by the vendor itself."""

    def outputs(path: Path) -> list[dict[str, Any]]:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return [{"output0": session.run(["output0"], fed)[0]} for fed in feeds]

    info = read(detector)
    case = Case(info, meanings(info), outputs(detector), feeds, given=True)
    return lambda path: judge(gate_of("relaxed"), case, outputs(path))


def rounded_to_bf16(array: np.ndarray) -> np.ndarray:
    bits = array.view(np.uint32)
    return ((bits + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)


def test_weights_in_bf16_pass(detector: Path, judged: Judged, tmp_path: Path) -> None:
    model = onnx.load(detector)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1:
            rounded = rounded_to_bf16(onnx.numpy_helper.to_array(tensor).copy())
            tensor.CopyFrom(onnx.numpy_helper.from_array(rounded, tensor.name))
    onnx.save(model, tmp_path / "bf16.onnx")

    found = judged(tmp_path / "bf16.onnx")

    assert found.reason is None
    assert (found.judgement.metric, found.judgement.answers, found.judgement.wrong) == (
        "detections",
        13,
        0,
    )
    assert found.judgement.bound == pytest.approx(0.206, abs=1e-3)


@pytest.fixture
def calibration(feeds: list[dict[str, Any]]) -> Any:
    quantization = pytest.importorskip("onnxruntime.quantization", reason="no quantization tools")

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._left: Iterator[dict[str, Any]] = iter(feeds)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._left, None)

    return Reader()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("float_head", [False, True], ids=["all of it", "head in float"])
def test_int8_is_rejected(
    detector: Path, judged: Judged, calibration: Any, tmp_path: Path, float_head: bool
) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared, made = tmp_path / "prepared.onnx", tmp_path / "int8.onnx"
    quant_pre_process(str(detector), str(prepared), skip_symbolic_shape=True)
    names = [node.name for node in onnx.load(prepared).graph.node]
    quantize_static(
        str(prepared),
        str(made),
        calibration,
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=float_head,
        nodes_to_exclude=[name for name in names if float_head and "/model.22/" in name],
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )

    found = judged(made)

    assert found.reason is not None
    assert "answers are wrong" in found.reason
