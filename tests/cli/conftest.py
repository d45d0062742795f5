from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hwrt import loading
from hwrt.backend import Request
from hwrt.cli import main
from hwrt.spec import ModelInfo, TensorSpec

FLOAT = np.dtype(np.float32)
DETECTOR = {"author": "Ultralytics", "task": "detect", "names": "{0: 'cat', 1: 'dog'}"}


class SeeingRequest(Request):
    """Answers a box over the middle of each image, two classes, or the second one at the right."""

    def __init__(self, session: FakeSession) -> None:
        self.outputs = {}
        self._shape = session.outputs[0].shape
        self.resize({"images": (1, 3, 8, 8)})

    def resize(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.inputs = {"images": np.zeros(shapes["images"], np.float32)}

    def run(self) -> None:
        self.outputs = {"out": self.answer(len(self.inputs["images"]))}

    def answer(self, count: int) -> np.ndarray:
        row: Any = [0.25, 0.75]
        if self._shape[1] == 6:
            row = [[4.0], [4.0], [4.0], [4.0], [0.25], [0.75]]
        elif len(self._shape) == 4:
            row = [[[0, 0, 0, 0]] * 4, [[-1, -1, -1, 1]] * 4]
        return np.array([row] * count, dtype=np.float32)


class FakeLoan:
    def __init__(self, session: FakeSession) -> None:
        self.request = SeeingRequest(session)

    def detach(self) -> None:
        pass

    def give_back(self) -> None:
        pass


class FakeSession:
    plan = SimpleNamespace(backend="fake", device="cpu:0", precision="f32")

    def __init__(self, info: ModelInfo) -> None:
        self.inputs, self.outputs = info.inputs, info.outputs

    def borrow(self) -> FakeLoan:
        return FakeLoan(self)

    try_borrow = borrow

    def close(self) -> None:
        pass


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of each call of hwrt.load; the model is named for its task."""
    calls: list[dict[str, Any]] = []

    def inspect(model: str, *, cache: bool = True) -> ModelInfo:
        output = {"detector.onnx": (None, 6, 1), "segmenter.onnx": (None, 2, 4, 4)}
        described = {"detector.onnx": DETECTOR, "segmenter.onnx": {**DETECTOR, "task": "segment"}}
        return ModelInfo(
            path=Path(model),
            format="onnx",
            sha256="",
            size_bytes=0,
            inputs=(TensorSpec("images", FLOAT, (None, 3, 8, 8)),),
            outputs=(TensorSpec("out", FLOAT, output.get(model, (None, 2))),),
            metadata=described.get(model, {}),
        )

    def load(model: str, **arguments: Any) -> FakeSession:
        calls.append(arguments)
        return FakeSession(inspect(model))

    monkeypatch.setattr(loading, "inspect", inspect)
    monkeypatch.setattr(loading, "load", load)
    return calls


@pytest.fixture
def seeing_request(loads: list[dict[str, Any]]) -> type[SeeingRequest]:
    """What answers in the place of a model."""
    return SeeingRequest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images of 32x16, and a file that is none."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    frame = np.zeros((16, 32, 3), np.uint8)
    (tmp_path / "in").mkdir()
    image.fromarray(frame).save(tmp_path / "in" / "b.png")
    image.fromarray(frame).save(tmp_path / "in" / "a.JPG")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    return tmp_path / "in"


@pytest.fixture
def labels(tmp_path: Path) -> str:
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    return str(tmp_path / "labels.txt")


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], loads: list[dict[str, Any]]
) -> Callable[..., tuple[int, str, str]]:
    """Exit code, stdout and stderr of ``hwrt run`` with these arguments."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["run", *map(str, arguments)])
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return run
