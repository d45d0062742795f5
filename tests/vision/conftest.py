from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwrt.spec import ModelInfo, Quantization, TensorSpec


class FakeSession:
    """A session that keeps what it is fed and answers what it was told to."""

    def __init__(self, info: ModelInfo, answer: Callable[[np.ndarray], np.ndarray]) -> None:
        self.inputs, self.outputs = info.inputs, info.outputs
        self.plan = None
        self.fed: list[np.ndarray] = []
        self.closed = False
        self._answer = answer

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        tensor = feeds[self.inputs[0].name]
        self.fed.append(tensor)
        return {self.outputs[0].name: self._answer(tensor)}

    def close(self) -> None:
        self.closed = True


def _model_info(
    *,
    shape: tuple[int | None, ...] | None = (None, 3, 8, 8),
    output: tuple[int | None, ...] | None = (None, 2),
    metadata: Mapping[str, str] | None = None,
    path: Path = Path("/nowhere/model.onnx"),
    dtype: type = np.float32,
    quantization: Quantization | None = None,
    output_dtype: type = np.float32,
    output_quantization: Quantization | None = None,
) -> ModelInfo:
    return ModelInfo(
        path=path,
        format="onnx",
        sha256="0" * 64,
        size_bytes=1,
        inputs=(TensorSpec("images", np.dtype(dtype), shape, quantization=quantization),),
        outputs=(
            TensorSpec("out", np.dtype(output_dtype), output, quantization=output_quantization),
        ),
        metadata=dict(metadata or {}),
    )


@pytest.fixture
def model_info() -> Callable[..., ModelInfo]:
    return _model_info


@pytest.fixture
def fake_session() -> Callable[..., Any]:
    return FakeSession
