"""A request that is closed while another thread runs it: whatever the thread does next says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.backend import Array, Device, Options, Request, SessionError, UnsupportedModel
from hwrt.model import read
from hwrt.testing import graphs, write_onnx
from hwrt.testing.tflite_writer import write_tflite
from hwrt_litert import LiteRt
from hwrt_onnxruntime import OnnxRuntime
from hwrt_openvino import OpenVino

LARGE = 1 << 16  # so much is lent to OpenVINO, and not copied
MODELS = {
    "fixed": graphs.relu((LARGE,)),
    "open": graphs.relu(("N",)),
    "small": graphs.relu((3,)),
    "packed": graphs.reshaped("int4"),
    "foreign": graphs.reshaped("bfloat16"),
    "string": graphs.unary("Identity", object, (3,)),
}
KINDS = [
    *((OnnxRuntime, kind) for kind in ("fixed", "open", "foreign", "string")),
    *((OpenVino, kind) for kind in ("fixed", "open", "small", "packed")),
    *((LiteRt, kind) for kind in ("fixed", "open", "small")),
]


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0].name}-{kind[1]}")
def lent(request: pytest.FixtureRequest, tmp_path: Path) -> Request:
    kind, name = request.param
    vendor = {"litert": "ai_edge_litert"}.get(kind.name, kind.name)
    pytest.importorskip(vendor, reason=f"{vendor} is not installed")
    if kind is LiteRt:
        path = write_tflite(MODELS[name], tmp_path / "model.tflite")
    else:
        path = write_onnx(MODELS[name], tmp_path / "model.onnx")
    try:
        made = kind().compile(read(path), Device("cpu"), options=Options(threads=1))
    except UnsupportedModel as exc:
        if name not in ("packed", "foreign"):
            raise
        pytest.skip(f"refused: {exc}")  # as the vendor's oldest versions do
    own: Request = made.create_request()
    own.run()
    return own


def feeds_for(request: Request) -> dict[str, Array]:
    return {name: np.zeros_like(array) for name, array in request.inputs.items()}


class ClosingFeeds(dict[str, Array]):
    """Feeds that close the request as soon as one of them is looked at."""

    def __init__(self, request: Request, feeds: dict[str, Array]) -> None:
        super().__init__(feeds)
        self.request = request

    def __getitem__(self, name: str) -> Any:
        self.request.close()
        return super().__getitem__(name)

    def items(self) -> Any:
        self.request.close()
        return super().items()


def test_close_within_infer_is_told(lent: Request) -> None:
    with pytest.raises(SessionError, match="closed"):
        lent.infer(ClosingFeeds(lent, feeds_for(lent)))


def test_close_between_the_call_and_its_first_line_is_told(lent: Request) -> None:
    feeds = feeds_for(lent)
    lent.close()

    with pytest.raises(SessionError, match="closed"):
        type(lent).infer(lent, feeds)
    with pytest.raises(SessionError, match="closed"):
        type(lent).run(lent)
