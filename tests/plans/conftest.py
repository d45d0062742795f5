from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hwrt import registry
from hwrt.loading import choosing
from hwrt.tuning import proof

QUICK = choosing.Effort(
    min_seconds=0.01,
    min_samples=2,
    window_s=0.005,
    min_windows=4,
    max_windows=4,
    warm_up_s=0.05,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing takes no longer than it must: these tests are not about it."""
    monkeypatch.setattr(choosing, "Effort", lambda budget_s: replace(QUICK, budget_s=budget_s))
    monkeypatch.setattr(proof, "_proved", set())


@pytest.fixture(autouse=True)
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files that no other test fills."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The backend ``counting`` as the only one, also in child processes; what it notes."""
    site = tmp_path / "site-packages"
    metadata = site / "counting_backend-1.0.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("counting_backend.py"), site)
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: counting-backend\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(
        "[hwrt.backends]\ncounting = counting_backend:Counting\n"
    )
    monkeypatch.syspath_prepend(site)
    paths = [str(site), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("HWRT_BACKENDS", "counting")
    monkeypatch.setenv("HWRT_TEST_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(registry, "_found", None)
    monkeypatch.setattr(registry, "_instances", {})
    (tmp_path / "log").touch()
    return tmp_path / "log"


@pytest.fixture
def model(relu_model: Callable[..., Path]) -> Path:
    return relu_model()


@pytest.fixture
def noted(log: Path) -> Callable[[], list[str]]:
    """What the backend was asked for since the last call, without the numbers of processes."""

    def read() -> list[str]:
        lines = [line.partition(" ")[2] for line in log.read_text().splitlines()]
        log.write_text("")
        return lines

    return read


@pytest.fixture
def cache_root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The warnings of hwrt since the last call."""

    def read() -> list[str]:
        found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        caplog.clear()
        return found

    return read
