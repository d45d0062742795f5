from __future__ import annotations

import functools
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from hwrt import registry

TUNING = Path(__file__).with_name("tuning")
FAULTY = (TUNING / "faulty_backends.py", TUNING / "leaving_backends.py")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real models and photographs, which lies beside the project."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("HWRT_SHARED", default))
    if not (folder / "models").is_dir():
        pytest.skip(f"no shared models in {folder}: set HWRT_SHARED to their folder")
    return folder


@pytest.fixture
def relu_model(tmp_path: Path) -> Callable[..., Path]:
    """Writes a model whose output ``y`` is ``x``, float32, with what is below 0 set to 0."""

    def write(shape: tuple[int | str, ...] = (1, 16), name: str = "relu.onnx") -> Path:
        tensors = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")
        ]
        graph = helper.make_graph(
            [helper.make_node("Relu", ["x"], ["y"])], "relu", *[[t] for t in tensors]
        )
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        path = tmp_path / name
        onnx.save(model, path)
        return path

    return write


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("HWRT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _brief_tuning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A load measures briefly: how candidates are timed and chosen has tests of its own."""
    from hwrt.loading import choosing
    from hwrt.tuning.wish import Effort

    brief = functools.partial(
        Effort, min_seconds=0.01, min_samples=3, window_s=0.003, min_windows=4, max_windows=6
    )
    monkeypatch.setattr(choosing, "Effort", functools.partial(brief, warm_up_s=0.1))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs classes of FAULTY as the only backends, as pip would."""

    def install_backends(*classes: str) -> None:
        site = tmp_path / "site-packages"
        metadata = site / "faulty_backends-1.0.dist-info"
        metadata.mkdir(parents=True)
        modules: dict[str, str] = {}
        for path in FAULTY:
            shutil.copy(path, site)
            found = re.findall(r"^class (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
            modules.update(dict.fromkeys(found, path.stem))
        (metadata / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: faulty-backends\nVersion: 1.0\n"
        )
        lines = [
            f"{name.lower()} = {modules.get(name, 'faulty_backends')}:{name}" for name in classes
        ]
        (metadata / "entry_points.txt").write_text("\n".join(["[hwrt.backends]", *lines]))
        monkeypatch.syspath_prepend(site)
        monkeypatch.setenv("HWRT_BACKENDS", ",".join(name.lower() for name in classes))
        monkeypatch.setattr(registry, "_found", None)
        monkeypatch.setattr(registry, "_instances", {})

    return install_backends
